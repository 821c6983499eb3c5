# Rules for the source: what no test of the running server can see.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Test::More;

# Whether a backslash in a plain literal is one depends on standard_conforming_strings.  In
# C, where a string is sent as SQL is not to be seen, so none has any but these.
my %allowed = ('src/url.c' => [q("<>\\^`{|})]);
foreach my $file (glob 'src/*.c')
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
	is("@found", "@{ $allowed{$file} // [] }", "$file: no backslash in a string");
}

foreach my $file (glob 'sql/parts/*.sql sql/*.sql')
{
	my $source = slurp_file($file);

	$source =~ s/^\\echo Use "CREATE EXTENSION instance_env" to load this file\. \\quit$//m;
	$source =~ s/--[^\n]*//g;
	$source =~ s/\bE'(?:\\.|''|[^'\\])*'//gs;
	unlike($source, qr/\\/, "$file: no backslash outside of E''");
}

done_testing();
