# The compilers that are there have nothing to warn of.  What gcc notices depends on the level
# of optimization: besides the server's own, which all tests are built with, it is tried at the
# one that notices most.  With INSTANCE_ENV_COMPILERS=all, each is tried at every level, which
# takes some minutes.

use strict;
use warnings;

use Cwd;
use File::Path qw(make_path);
use IPC::Run qw(run);
use PostgreSQL::Test::Utils;
use Test::More;

# What make has told the one that runs this is not for the makes that this runs.
delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES VPATH TESTS WERROR)};
$ENV{LC_ALL} = 'C';
my $pg_config = $ENV{PG_CONFIG} // 'pg_config';
my $source = getcwd();
my @sources = glob 'src/*.c src/*/*.c';
my $all = ($ENV{INSTANCE_ENV_COMPILERS} // '') eq 'all';

# Whether make succeeds in a new folder; what it says is in $output.
my ($output, $folders) = ('', 0);

sub make
{
	my (@arguments) = @_;
	my $folder = PostgreSQL::Test::Utils::tempdir . '/' . ++$folders;

	make_path($folder);
	return run([ 'make', '-C', $folder, '-f', "$source/Makefile", "VPATH=$source", "PG_CONFIG=$pg_config", '-j2', @arguments ],
		'>', \$output, '2>&1');
}

# The value that a makefile of PostgreSQL gives to a variable.
chomp(my $pgxs = `'$pg_config' --pgxs`);
my $global = slurp_file($pgxs =~ s{makefiles/pgxs\.mk$}{Makefile.global}r);

sub value
{
	my ($name) = @_;
	return $global =~ /^\Q$name\E\s*=[ \t]*(.*?)[ \t]*$/m ? $1 : '';
}

sub is_there
{
	my ($compiler) = @_;
	return eval { run([ split(/ /, $compiler), '--version' ], '>', \my $version, '2>&1') };
}

# Objects are all it takes.  What clang notices, it does without making any.
foreach my $compiler (qw(gcc clang))
{
	my @levels = $compiler eq 'gcc' ? '-Og' : '-fsyntax-only';

	@levels = qw(-O0 -O1 -O2 -O3 -Og -Os) if $all;
	foreach my $level (@levels)
	{
	  SKIP:
		{
			skip "there is no $compiler", 1 unless is_there($compiler);
			ok( make("CC=$compiler", "COPT=$level -g0", 'WERROR=1', 'with_llvm=no', map { s/\.c$/.o/r } @sources)
				  && $output !~ /\bwarning: /,
				"$compiler $level: no warning")
			  or diag($output);
		}
	}
}

# Bitcode is made with options of PostgreSQL's own, perhaps by another clang.  If that one has
# something to warn of, then in most files: one of each room will do.
SKIP:
{
	my $clang = value('CLANG');
	my %seen;
	my @some = grep { $all || m{(.*)/} && !$seen{$1}++ } @sources;

	skip 'the server makes no use of bitcode', 1 if value('with_llvm') ne 'yes';
	skip 'there is no ' . ($clang || 'clang'), 1 unless is_there($clang);
	ok( make("CLANG=$clang -fsyntax-only", map { s/\.c$/.bc/r } @some) && $output !~ /\bwarning: /, 'bitcode: no warning')
	  or diag($output);
}

# Who builds the extension with another compiler, which may know more warnings, gets it built.
{
	my $work = PostgreSQL::Test::Utils::tempdir . '/warning';

	make_path("$work/src");
	foreach my $file ('Makefile', 'instance_env.control', 'META.json', 'sql')
	{
		symlink "$source/$file", "$work/$file" or die "$file: $!";
	}
	append_to_file("$work/src/roof.c", qq(#include "postgres.h"\n#warning of a newer compiler\n));
	my @make = ('make', '-C', $work, "PG_CONFIG=$pg_config", 'with_llvm=no');
	ok(run([ @make, 'src/roof.o' ], '>', \$output, '2>&1') && $output =~ /\bwarning: /, 'a warning is no error') or diag($output);
	unlink "$work/src/roof.o";
	ok(!run([ @make, 'src/roof.o', 'WERROR=1' ], '>', \$output, '2>&1'), 'but for developers') or diag($output);
}

done_testing();
