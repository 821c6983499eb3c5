
=pod

=head1 NAME

Report - tells the results: a table, a chart, and the verdicts

=cut

package Report;

use strict;
use warnings;

use Exporter 'import';

use Bench;
use Chart;
use Results;
use Targets;
use Variants;

our @EXPORT = qw(report);

my @order = qw(unguarded guarded guarded_quiet coded unkeyed guarded_scan unkeyed_scan);

sub _number
{
	my ($value, $unit) = @_;
	return '–' unless defined $value;
	my $text =
		!defined $unit ? sprintf('%.2f', $value)
	  : $unit eq 's' ? sprintf($value < 0.1 ? '%.4f s' : '%.2f s', $value)
	  : $unit eq 'bytes' ? sprintf('%.1f MB', $value / 1024 / 1024)
	  : $unit eq 'tps' ? sprintf('%.0f tps', $value)
	  : $unit eq 'calls/s' ? sprintf('%.0f calls/s', $value)
	  : sprintf('%.0f', $value);
	1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
	return $text;
}

# A figure of a target, or its limit.
sub _figure
{
	my ($figure, $value) = @_;
	return _number($value, $figure =~ /^(more than unguarded|calls a second)$/ ? 'instructions' : undef);
}

sub _variant
{
	my ($results, $variant) = @_;
	my ($name, $million) = $variant =~ /^(\w+?)(_million)?$/;
	my $title = $title{$name} . ($million ? ', 1 M instances' : '');
	return $title if $name eq 'unguarded' || $results->is_correct($name);
	return "$title (*incorrect*: " . $results->most_users($name) . " of $cap)";
}

sub _wording
{
	my ($target) = @_;
	my $operator = $target->{operator} eq '<=' ? '≤' : '≥';
	return "$operator " . _figure($target->{figure}, $target->{limit});
}

# Every target with the figure: description, what, limit, figure, verdict.  Those of
# workloads that nobody has asked for are left out.
sub _verdicts
{
	my ($results) = @_;
	return grep { !$ENV{ONLY} || $_->[4] ne 'not measured' } map {
		my $figure = figure_of($results, $_);
		[
			$_->{description},
			($_->{variant} =~ /scan/ ? 'no shared memory, ' : '') . $_->{figure},
			_wording($_),
			_figure($_->{figure}, $figure),
			!defined $figure ? 'not measured' : is_met($_, $figure) ? 'met' : '**missed**',
			$_
		]
	} targets();
}

sub _rows
{
	my ($results, @verdicts) = @_;
	my @lines;
	foreach my $workload (@workloads)
	{
		my ($name, $unit, $description) = @$workload;
		next unless $results->has($name);
		my $best = $results->best_peer($name, more_is_better($name));
		foreach my $plain (@order, @peers, 'unguarded_million', 'guarded_million')
		{
			next unless $results->has($name, $plain);
			my $base = $plain =~ /_million$/ ? 'unguarded_million' : 'unguarded';
			my $spread = $results->spread($name, $plain);
			my @own = grep {
				$_->[5]{workload} eq $name && $_->[5]{variant} eq $plain
			} @verdicts;
			push @lines, [
				$description,
				_variant($results, $plain),
				_number($results->median($name, $plain), $unit),
				defined $spread ? sprintf('± %.0f %%', 100 * $spread) : '',
				_number($results->ratio($name, $plain, $base)),
				defined $best && $plain !~ /^unguarded/
				? _number($results->ratio($name, $plain, $best))
				: '–',
				join('; ', map { "$_->[1] $_->[2]" } @own),
				join('; ', map { $_->[4] } @own)
			];
			$description = '';
		}
	}
	return @lines;
}

sub _table
{
	my (@lines) = @_;
	my ($head, @rest) = map { '| ' . join(' | ', @$_) . " |\n" } @lines;
	return $head . '|' . ' --- |' x @{ $lines[0] } . "\n" . join('', @rest);
}

# Where the results come from, in one sentence.
sub caption
{
	my ($results) = @_;
	return
		$results->about
	  . '. Medians of '
	  . $results->repetitions
	  . ', measured in turn.'
	  . ($scale == 1 ? '' : " SCALE=$scale: **not the sizes that are named here.**");
}

sub report
{
	my ($dir) = @_;
	my $results = Results->new("$dir/measured.tsv");
	my @verdicts = _verdicts($results);

	open my $out, '>:encoding(UTF-8)', "$dir/results.md" or die $!;
	my $text = "# What guarding a table costs\n\n" . caption($results) . "\n\n";
	$text .= "![The chart of the main results](results.svg)\n\n"
	  if chart($results, "$dir/results.svg", caption($results));
	$text .= <<'EOT';
Of times (s) and instructions, less is better; of transactions and calls per second (tps, calls/s), more. Ratios are of
medians of what is measured, be it times or transactions. ± is half the distance between the quartiles. Instructions are
counted once.

Without the keys of users who leave ("identities not followed") the extension does what the peers do; by itself it also
keeps those users from coming back in another instance. A peer is *incorrect* where more users got in than may, mostly
when eight signed up at once for the last 20 seats. The peers are in `test/bench/peers`; `make bench` repeats all this.

EOT
	$text .= "## Targets\n\n"
	  . _table([ 'work', 'figure', 'target', 'measured', 'verdict' ], map { [ @$_[ 0 .. 4 ] ] } @verdicts);
	$text .= "\n## Results\n\n"
	  . _table(
		[ 'work', 'variant', 'median', 'spread', '÷ unguarded', '÷ best correct peer', 'target', 'verdict' ],
		_rows($results, @verdicts));
	utf8::decode($text);
	print $out $text;
	close $out or die $!;

	# with the verdicts last
	utf8::encode($text);
	my ($head, $targets, $table) = $text =~ /^(.*?)## Targets\n\n(.*?)\n## Results\n\n(.*)$/s;
	print "$head$table\n";
	foreach my $verdict (@verdicts)
	{
		my ($work, $figure, $limit, $measured, $word) = @$verdict;
		$word =~ s/\*//g;
		printf "%-12s %s: %s %s (target %s)\n", $word, $work, $figure, $measured, $limit;
	}
	my $missed = grep { $_->[4] =~ /missed/ } @verdicts;
	my $met = grep { $_->[4] eq 'met' } @verdicts;
	print "\n$met targets met, $missed missed, ", @verdicts - $met - $missed, " not measured",
	  ($scale == 1 ? '' : "; SCALE=$scale, so times mean little"), "\n";
	return;
}

1;
