# Builds in the folder of the sources and in one of its own, as packagers do: both install
# the same, and the second leaves the sources as they were.

use strict;
use warnings;

use Cwd;
use File::Copy;
use File::Find;
use File::Path qw(make_path);
use IO::Uncompress::Unzip;
use IPC::Run qw(run);
use PostgreSQL::Test::Utils;
use Test::More;

# What make has told the one that runs this is not for the makes that this runs.
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES VPATH TESTS)};
$ENV{LC_ALL} = 'C';
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';

my $tempdir = PostgreSQL::Test::Utils::tempdir;
my $output;

# Runs make in a folder, and says whether it succeeded; what it has said is in $output.
sub make
{
	my ($folder, @arguments) = @_;
	my $done;

	make_path($folder);
	$done = run([ 'make', '-C', $folder, "PG_CONFIG=$pg_config", @arguments ], '>', \$output, '2>&1');
	return $done;
}

# The files of a folder, by their names within it.
sub files_in
{
	my ($folder) = @_;
	my @found;

	find({ no_chdir => 1, wanted => sub { push @found, substr($_, length($folder) + 1) if -l $_ || -f _ } }, $folder)
	  if -d $folder;
	return join "\n", sort grep { !m{^\.git/} } @found;
}

sub copy_files
{
	my ($to, @files) = @_;

	foreach my $file (@files)
	{
		make_path("$to/" . ($file =~ m{(.*)/}s ? $1 : ''));
		copy($file, "$to/$file") or die "$file: $!";
	}
}

sub write_protect
{
	my ($folder, $protect) = @_;

	find({ no_chdir => 1, wanted => sub { my $mode = (lstat $_)[2]; chmod $protect ? $mode & 0555 : $mode | 0200, $_ unless -l $_ } },
		$folder);
}

my @build_files = ('Makefile', 'instance_env.control', 'META.json', '.gitignore', glob 'sql/parts/*.sql');

#
# The extension itself, in a folder of its own.  Bitcode would double the time; see below.
#

my $source = "$tempdir/source";
copy_files($source, @build_files, glob('src/*.[ch] src/*/*.[ch] doc/*.md sql/instance_env--*--*.sql'));
my $before = files_in($source);
write_protect($source, 1);

ok(make("$tempdir/build", '-f', "$source/Makefile", "VPATH=$source", '-j2', 'with_llvm=no'), 'the extension is built out of tree')
  or diag($output);
ok(make("$tempdir/build", '-f', "$source/Makefile", "VPATH=$source", 'with_llvm=no', 'install', "DESTDIR=$tempdir/all"),
	'and installed')
  or diag($output);
my ($script) = grep { m{/instance_env--[^-]+\.sql$} } split /\n/, files_in("$tempdir/all");
isnt($script, undef, 'with the install script');
my $script_name = $script =~ s{.*/}{}r;
is(slurp_file("$tempdir/all/$script"), slurp_file("$tempdir/build/sql/$script_name"), 'that was made');
my $objects = join "\n", sort map { s/\.c$/.o/r } grep { /\.c$/ } split /\n/, $before;
is(join("\n", grep { /\.o$/ } split /\n/, files_in("$tempdir/build")), $objects, 'there is an object for each source');
is(files_in($source), $before, 'nothing is written into the folder of the sources');

#
# The same Makefile with few sources: a roof and one room.
#

my $small = "$tempdir/small";
copy_files($small, @build_files);
make_path("$small/src/attic", "$small/doc");
append_to_file("$small/src/roof.h", "#define ROOF 1\n");
append_to_file("$small/src/attic/attic.h", "extern int\tattic(void);\n");
append_to_file("$small/src/attic/attic.c",
	qq(#include "postgres.h"\n#include "attic/attic.h"\n#include "roof.h"\nint\nattic(void)\n{\n\treturn ROOF;\n}\n));
append_to_file("$small/src/roof.c",
	qq(#include "postgres.h"\n#include "fmgr.h"\n#include "attic/attic.h"\nPG_MODULE_MAGIC;\nvoid\t\t_PG_init(void);\nvoid\n_PG_init(void)\n{\n\t(void) attic();\n}\n));
append_to_file("$small/doc/attic.md",                       "# The attic\n");
append_to_file("$small/sql/instance_env--0.0--0.1.sql", "SELECT 1;\n");
$before = files_in($small);

my @out_of_tree = ('-f', "$small/Makefile", "VPATH=$small");
write_protect($small, 1);
ok(make("$tempdir/b", @out_of_tree, '-j2') && make("$tempdir/b", @out_of_tree, 'install', "DESTDIR=$tempdir/out"),
	'a roof and a room are built out of tree')
  or diag($output);
is(files_in($small), $before, 'nothing is written into the folder of the sources');
my $installed = files_in("$tempdir/out");
foreach my $file (qw(instance_env.control instance_env--0.0--0.1.sql attic.md instance_env.so))
{
	like($installed, qr{(^|/)\Q$file\E$}m, "$file is installed");
}
if ($installed =~ m{/bitcode/})
{
	like($installed, qr{/bitcode/\Q$_\E$}m, "$_ is installed")
	  for qw(instance_env.index.bc instance_env/src/roof.bc instance_env/src/attic/attic.bc);
}

# In tree, and then once more out of it: what has been left in the tree is not taken.
write_protect($small, 0);
ok(make($small, '-j2') && make($small, 'install', "DESTDIR=$tempdir/in"), 'they are built in tree') or diag($output);
is(files_in("$tempdir/in"), $installed, 'the same files are installed');
is(slurp_file("$tempdir/in/$script"), slurp_file("$tempdir/out/$script"), 'also the same install script');
ok(make("$tempdir/b2", '-f', "$small/Makefile") && make("$tempdir/b2", '-f', "$small/Makefile", 'install', "DESTDIR=$tempdir/out2"),
	'they are built out of a tree that has been built, without VPATH')
  or diag($output);
is(files_in("$tempdir/out2"), $installed, 'the same files are installed');

# Prerequisites.
make($small);
unlike($output, qr/-c -o/, 'what is there is not built again');
my @earlier = (time - 100) x 2;
utime @earlier, map { "$small/$_" } split /\n/, files_in($small);
utime undef, undef, "$small/src/attic/attic.h";
make($small);
like($output, qr{-c -o \Q$_\E}, "$_ is built again when a header of a room changes") for qw(src/roof.o src/attic/attic.o);
append_to_file("$small/sql/parts/cap.sql", "-- one line more\n");
make($small);
like(slurp_file("$small/sql/$script_name"), qr/^-- one line more$/m, 'the install script is made again when a part changes');

# Cleaning up.
ok(make($small,        'clean')                && files_in($small) eq $before,    'make clean leaves nothing in tree') or diag(files_in($small));
ok(make("$tempdir/b2", '-f', "$small/Makefile", 'clean') && files_in("$tempdir/b2") eq '', 'nor out of it') or diag(files_in("$tempdir/b2"));

# The archive.
SKIP:
{
	my @git = ('git', '-C', $small, '-c', 'user.name=x', '-c', 'user.email=x@example.com');
	my (@names, $header);

	delete @ENV{ grep { /^GIT_/ } keys %ENV };
	skip 'no git', 4 unless eval { run([ 'git', '--version' ], '>', \$output) };
	ok( run([ @git, 'init', '-q' ], '>&', \$output) && run([ @git, 'add', '-A' ], '>&', \$output)
		  && run([ @git, 'commit', '-q', '-m', 'x' ], '>&', \$output),
		'a repository')
	  or diag($output);
	ok(make($small, 'dist'), 'make dist makes an archive') or diag($output);
	my ($archive) = glob "$small/instance_env-*.zip";
	my $zip = IO::Uncompress::Unzip->new($archive // '');
	for (my $status = $zip ? 1 : 0; $status > 0; $status = $zip->nextStream)
	{
		push @names, $zip->getHeaderInfo->{Name};
	}
	my ($file, $version) = slurp_file('META.json') =~ /"file": "([^"]*)".*?"version": "([^"]*)"/s;
	is( join("\n", sort grep { !m{/$} } @names),
		join("\n", sort map { "instance_env-$version/$_" } $file, split /\n/, $before),
		'in it is what is committed, and the install script that META.json names');
	append_to_file("$small/Makefile", "# changed\n");
	ok(!make($small, 'dist') && $output =~ /commit/, 'it is not made of what is not committed') or diag($output);
}

# Without the headers of libpsl, make says what to install, and does what it can do without.
append_to_file("$tempdir/cc", <<'SH');
#!/bin/sh
case "$*" in *'-x c -')
	input=$(cat)
	case $input in *libpsl.h*) echo 'libpsl.h: No such file' >&2; exit 1 ;; esac
	echo "$input" | exec gcc "$@" ;;
esac
exec gcc "$@"
SH
chmod 0755, "$tempdir/cc";
ok(!make("$tempdir/b4", @out_of_tree, "CC=$tempdir/cc") && $output =~ /on Debian,\s+libpsl-dev/, 'without libpsl.h, make says what to install')
  or diag($output);
ok(!make("$tempdir/b4", @out_of_tree, "CC=$tempdir/cc", 'compiler') && $output =~ /libpsl-dev/, 'also test/bin/setup') or diag($output);
ok(make("$tempdir/b4", @out_of_tree, "CC=$tempdir/cc", '-n') && make("$tempdir/b4", @out_of_tree, "CC=$tempdir/cc", 'clean'),
	'make -n and make clean do without')
  or diag($output);

# What cannot be built is refused.
append_to_file("$small/sql/parts/attic.sql", "SELECT 1;\n");
ok(!make($small) && $output =~ /listed here and found in.*attic\.sql/s, 'a part that the Makefile does not list is refused')
  or diag($output);
unlink "$small/sql/parts/attic.sql";
rename "$small/sql/parts/cap.sql", "$small/cap.sql";
ok(!make($small) && $output =~ /listed here and found in.*cap\.sql/s, 'so is a part that is missing') or diag($output);
rename "$small/cap.sql", "$small/sql/parts/cap.sql";
unlink "$small/sql/$script_name";
rename "$small/sql/parts/rights.sql", "$small/rights.sql";
make_path("$small/sql/parts/rights.sql");
ok(!make($small), 'so is one that cannot be read') or diag($output);
ok(!-e "$small/sql/$script_name", 'and half an install script is not left');
ok(!make("$tempdir/b3", '-f', "$small/Makefile", "VPATH=$tempdir/b2") && $output =~ /no sources/, 'so is a folder without sources')
  or diag($output);

write_protect($source, 0);
done_testing();
