# Rules for the source and the tests: what no test of the running server can see.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

# Whether a backslash in a plain literal is one depends on standard_conforming_strings.  In
# C, where a string is sent as SQL is not to be seen, so none has any.
foreach my $file (glob 'src/*.[ch] src/*/*.[ch]')
{
	my $source = slurp_file($file);
	my @found;

	while ($source =~ m{/\*.*?\*/|//[^\n]*|'(?:\\.|[^'\\])+'|"((?:\\.|[^"\\])*)"}sg)
	{
		next unless defined $1;
		my $string = $1;
		$string =~ s/\\(.)/{ n => "\n", t => "\t" }->{$1} \/\/ $1/sge;
		push @found, $string if $string =~ /\\/;
	}
	is("@found", '', "$file: no backslash in a string");
}

foreach my $file (glob 'sql/parts/*.sql sql/*.sql')
{
	my $source = slurp_file($file);

	$source =~ s/^\\echo Use "CREATE EXTENSION instance_env" to load this file\. \\quit$//m;
	$source =~ s/--[^\n]*//g;
	$source =~ s/\bE'(?:\\.|''|[^'\\])*'//gs;
	unlike($source, qr/\\/, "$file: no backslash outside of E''");
}

# A test says by its name which room it is about, or that it is about many of them, and then
# what of it; those in Perl, which run in order, have a number before that.
my %folders = (sql => 'sql', specs => 'spec', pgtap => 'sql', t => 'pl');
my $room = join '|', qw(base registry table config cap transfer domain guard policy session promotion report all);
my (%tests, @misnamed, %numbers);
foreach my $folder (sort keys %folders)
{
	foreach my $file (glob "test/$folder/*")
	{
		my $number = $folder eq 't' ? '\d{3}_' : '';

		if ($file =~ m{/($number)((?:$room)(?:_[a-z0-9]+)+)\.$folders{$folder}$})
		{
			push @{ $tests{$folder} }, $2;
			push @{ $numbers{$1} }, $file if $1;
		}
		else
		{
			push @misnamed, $file;
		}
	}
}
is("@misnamed", '', 'every test is named by its room and its subject');
is(join(' ', map { @$_ > 1 ? @$_ : () } values %numbers), '', 'no number is given twice');

# Those that need a cluster of Citus are apart, each about one subject.
is(join(' ', grep { !m{/(?:[a-z]+\.pl|[a-z_]+\.sql)$} } glob 'test/citus/*'), '', 'every test of a cluster is named by its subject');

# The output of both kinds is in one folder, where there may be alternatives: _1 and so on.
my %sources = map { $_ => 1 } @{ $tests{sql} }, @{ $tests{specs} };
my %outputs;
foreach my $file (glob 'expected/*')
{
	my ($name) = $file =~ m{^expected/(.*?)(?:_\d)?\.out$};
	push @{ $outputs{ $name // $file } }, $file;
}
is(scalar keys %sources, @{ $tests{sql} } + @{ $tests{specs} }, 'no test in SQL is named like a spec');
is(join(' ', map { @{ $outputs{$_} } } grep { !$sources{$_} } sort keys %outputs),
	'', 'every expected output has its test');
is(join(' ', grep { !-e "expected/$_.out" } sort keys %sources),
	'', 'every such test has its expected output');

# One subject may be tested in several ways, under one name; but then it is the same.
my (%alike, %names);
$names{$_} = 1 foreach map { @$_ } values %tests;
push @{ $alike{ s/[-_]//gr } }, $_ foreach sort keys %names;
is(join(' ', map { @$_ > 1 ? @$_ : () } values %alike), '', 'no two names are alike');

done_testing();
