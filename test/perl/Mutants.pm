=pod

=head1 NAME

Mutants - what test/bin/mutate changes in a source in C

The patterns look at a copy of the source, as long as the source, in which comments and the
insides of texts are blank.

=cut

package Mutants;

use strict;
use warnings;

use Exporter 'import';
our @EXPORT = qw(mutants_of);

my $parens = qr/(\((?:[^()]++|(?-1))*+\))/;
my $braces = qr/(\{(?:[^{}]++|(?-1))*+\})/;
my %other = (
	'==' => '!=', '!=' => '==', '<' => '<=', '<=' => '<', '>' => '>=', '>=' => '>',
	'&&' => '||', '||' => '&&', '!' => '', true => 'false', false => 'true');
# no test can see what these do, or what they say cannot happen
my $unseen = qr/(?:elog|Assert\w*|StaticAssert\w*|PG_FUNCTION_INFO_V1|CHECK_FOR_INTERRUPTS|pfree|list_free\w*|bms_free)/;
my $compares = qr/\b(?:strn?cmp|strstr|strchr|strn?casecmp|pg_strn?casecmp|strspn|strcspn|strpbrk)\s*$parens/;

sub blank { return $_[0] =~ s/[^\n]/ /gr }
sub newlines { return "\n" x ($_[0] =~ tr/\n//) }

sub blanked
{
	my $code = shift;
	$code =~ s{(/\*.*?\*/)|("(?:\\.|[^"\\])*")|('(?:\\.|[^'\\])+')|^(\#(?:/\*.*?\*/|\\\n|[^\n])*)}{
		my ($comment, $text, $char, $directive) = ($1, $2, $3, $4);
		defined $comment ? blank($comment)
		: defined $text ? '"' . ('s' x (length($text) - 2)) . '"'
		: defined $char ? "'" . ('c' x (length($char) - 2)) . "'"
		: $directive =~ m{^(\#define\s+\w+\s+)(\(?[\d.]+\)?)(.*)$}s ? blank($1) . $2 . blank($3)
		: blank($directive)
	}gmsex;
	$code =~ s{((?:\bif\s*$parens\s*)?\b$unseen\s*$parens\s*;?)}{blank($1)}ge;
	return $code;
}

# All mutants of a source: each is [offset, length, replacement].  No line comes or goes.
sub mutants_of
{
	my $source = shift;
	my $code = blanked($source);
	my @found;
	my $add = sub {
		my ($start, $end, $new) = @_;
		push @found, [ $start, $end - $start, $new . newlines(substr $source, $start, $end - $start) ];
	};

	# operators and constants, but no lengths of arrays
	$add->($-[1], $+[1], $other{$1})
	  while $code =~ /(?<![-<>=!+*\/&|^%])(==|!=|<=|>=|<(?!<)|>(?!>))(?!=)/g;
	$add->($-[1], $+[1], $other{$1}) while $code =~ /(&&|\|\||!(?!=)|\b(?:true|false)\b)/g;
	while ($code =~ /(?<![\w.])(0x[0-9A-Fa-f]+|\d+|\d+\.\d+)(?![\w.])/g)
	{
		my ($start, $end, $n) = ($-[1], $+[1], $1);
		next if substr($code, 0, $start) =~ /^\s+(?:\w+ )*\w+\s+\**\w+\[\z/m && substr($code, $end) =~ /^\]/;
		$add->($start, $end, $n =~ /^0x/ ? "($n + 1)" : $n == 0 ? 1 : $n == 1 ? 0 : $n < 1000 ? $n + 1 : 2 * $n);
	}
	while ($code =~ /'(c+)'/g)
	{
		my ($start, $end) = ($-[1], $+[1]);
		my $char = substr $source, $start, $end - $start;
		$add->($start, $end, $char eq '\\0' ? 'x' : $char =~ /^[0-9A-Za-z]$/ ? chr(1 + ord $char) : '\\1');
	}
	$add->($-[1], $+[1], 'ERRCODE_INTERNAL_ERROR') while $code =~ /\berrcode\((ERRCODE_\w+)\)/g;

	# texts that are compared, and lists: an entry less, or another, or a word less in one
	my $texts = sub {
		my ($start, $end) = @_;
		my $part = substr $code, $start, $end - $start;
		while ($part =~ /"(s*)"/g)
		{
			my ($from, $to) = ($start + $-[1], $start + $+[1]);
			next if substr($code, $start, $from - 1 - $start) =~ /"\s*\z/;		# goes on with it
			my $text = substr $source, $from, $to - $from;
			my @words = $text =~ /^[ \w.-]+$/ ? $text =~ /\S+/g : ();
			if (@words < 2)
			{
				$add->($from, $to, "x$text");
				next;
			}
			while ($text =~ /\S+/g)
			{
				$add->($from + $-[0], $from + $+[0], '');
			}
		}
	};
	$texts->($-[1], $+[1]) while $code =~ /$compares/g;
	while ($code =~ /\[\w*\]\s*=\s*$braces/g)
	{
		my ($start, $end) = ($-[1] + 1, $+[1] - 1);
		next unless substr($code, 0, $start) =~ /\bstatic\b(?:(?!\n\n).)*\z/s;
		my $list = substr $code, $start, $end - $start;
		while ($list =~ /\G\s*((?:$braces|$parens|[^,{}()])+),?/g)
		{
			my ($from, $to, $end) = ($start + $-[1], $start + $+[1], $start + $+[0]);
			next unless substr($code, $from, $to - $from) =~ /\S/;
			$add->($from, $end, '');
			$texts->($from, $to);
		}
	}

	# what is returned, which way it goes, what is called
	while ($code =~ /\breturn\b\s*([^;]+);/g)
	{
		$add->($-[1], $+[1], '0') unless $1 =~ /^\(?(?:NULL|true|false|-?\d+)\)?$/;
	}
	$add->($-[0], $+[0], 'PG_RETURN_BOOL(!' . substr($source, $-[1], $+[1] - $-[1]) . ')')
	  while $code =~ /\bPG_RETURN_BOOL$parens/g;
	$add->($-[0], $+[0], 'PG_RETURN_NULL()')
	  while $code =~ /\bPG_RETURN_(?!NULL|VOID|BOOL)\w+$parens/g;
	while ($code =~ /\bif\s*$parens/g)
	{
		$add->($-[1], $+[1], $_) foreach '(true)', '(false)';
	}
	while ($code =~ /^[ \t]+((?!(?:if|for|while|switch|return|sizeof)\b|PG_RETURN)\w+\s*$parens)\s*;/mg)
	{
		$add->($-[1], $+[1], '');
	}
	return @found;
}

1;
