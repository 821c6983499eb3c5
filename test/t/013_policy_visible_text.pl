# What counts as a letter or a digit in a text that people see: the table in the source has
# the categories that Unicode gives, and is read in databases of any encoding.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

#
# The table, against Perl's of the same version
#

my ($table) = slurp_file('src/policy/visible.c') =~ /CodeRange visible\[\] = \{(.*?)\n\};/s;
my @ranges = map { [ map { hex } @$_ ] } map { [ split /, / ] } $table =~ /\{(0x\w+, 0x\w+)\}/g;
cmp_ok(scalar @ranges, '>', 300, 'there is a table');
is(scalar(grep { $ranges[$_][0] <= $ranges[ $_ - 1 ][1] + 1 } 1 .. $#ranges), 0, 'it is sorted, and nothing is there twice');
is(scalar(grep { $_->[0] > $_->[1] } @ranges), 0, 'no range is empty');

my %blank = map { $_ => 1 } 0x115F, 0x1160, 0x3164, 0xFFA0;
my ($i, @wrong) = (0);
foreach my $code (0x80 .. 0x10FFFF)
{
	$i++ while $i < @ranges and $ranges[$i][1] < $code;
	next if $code >= 0xD800 and $code <= 0xDFFF;
	my $listed = ($i < @ranges and $ranges[$i][0] <= $code);
	my $char = chr $code;

	# what has been assigned since is not in the table, or in a gap
	next if $char !~ /\p{Present_In: 14.0}/;
	push @wrong, sprintf('%04X', $code) if $listed != ($char =~ /[\p{L}\p{N}]/ && !$blank{$code});
}
is("@wrong[0 .. ($#wrong > 20 ? 20 : $#wrong)]", '', 'it has the letters and numbers of Unicode 14.0, but for the four fillers');

#
# Encodings
#

my $node = PostgreSQL::Test::Cluster->new('encodings');
$node->init;
$node->start;

# What set_policy() says of bytes in the encoding of a database
sub problem
{
	my ($database, $bytes) = @_;
	my ($stdout, $stderr);
	$node->psql($database,
		"SELECT instance_env.set_policy(instance_env.instance_id('shop', 'development'), 'banner',"
		  . " to_jsonb(convert_from('\\x$bytes', getdatabaseencoding())))",
		stdout => \$stdout, stderr => \$stderr);
	return $stderr =~ /DETAIL:  (.*)/ ? $1 : $stderr =~ /ERROR:  (.*)/ ? $1 : '';
}

my %none = (none => 'It must contain a letter or a digit.',
	hidden => 'It must not contain characters that are invisible or change the direction of text.');
my @cases = (
	[ 'LATIN1', 'e9', '', 'a letter' ],
	[ 'LATIN1', 'a0', $none{none}, 'a no-break space' ],
	[ 'LATIN1', 'b2', '', 'a superscript digit' ],
	[ 'LATIN1', 'd7', $none{none}, 'a multiplication sign' ],
	[ 'LATIN1', 'ad', $none{hidden}, 'a soft hyphen' ],
	[ 'LATIN1', '4485', $none{hidden}, 'a control character of C1' ],
	[ 'WIN1252', '8a', '', 'a letter' ],
	[ 'WIN1252', '80', $none{none}, 'a currency sign' ],
	[ 'WIN1252', '81', $none{none}, 'a byte that Unicode does not have' ],
	[ 'WIN1252', '8181e9', '', 'such bytes, and a letter' ],
	[ 'EUC_JP', 'b3abc8af', '', 'kanji' ],
	[ 'EUC_JP', 'a1a1', $none{none}, 'an ideographic space' ],
	[ 'EUC_JP', 'a1a1a4ab', '', 'and hiragana' ],
	[ 'EUC_KR', 'a4d4', $none{none}, 'the filler of Hangul' ],
	[ 'EUC_KR', 'b0b3', '', 'Hangul' ],
	[ 'KOI8R', 'd2', '', 'a Cyrillic letter' ],
	[ 'MULE_INTERNAL', '81e9', $none{none}, 'a letter, of an encoding without conversion' ],
	[ 'MULE_INTERNAL', '81e961', '', 'and one in ASCII' ],
	[ 'SQL_ASCII', 'c3a9', '', 'a letter in UTF-8' ],
	[ 'SQL_ASCII', 'c2a0', $none{none}, 'a no-break space in UTF-8' ],
	[ 'SQL_ASCII', '41e2808b', $none{hidden}, 'a zero-width space in UTF-8' ],
	[ 'SQL_ASCII', 'e9', $none{none}, 'a byte that is no UTF-8' ],
	[ 'SQL_ASCII', 'e941', '', 'and a letter' ],
	[ 'SQL_ASCII', '41e2', '', 'the beginning of a character at the end' ],
	[ 'SQL_ASCII', 'ffffff', $none{none}, 'bytes of no encoding' ],
	[ 'UTF8', 'c3a9', '', 'a letter' ],
	[ 'UTF8', 'c2a0', $none{none}, 'a no-break space' ]);
my %made;
foreach my $case (@cases)
{
	my ($encoding, $bytes, $problem, $what) = @$case;
	my $database = lc "text_$encoding";
	$node->safe_psql('postgres', "CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0"),
	  $node->safe_psql($database, "CREATE EXTENSION instance_env; SELECT instance_env.create_application('shop')")
	  if !$made{$encoding}++;
	is(problem($database, $bytes), $problem, "$encoding: $what");
}

$node->stop;
done_testing();
