
=pod

=head1 NAME

Chart - draws the main results, with gnuplot

=cut

package Chart;

use strict;
use warnings;

use Exporter 'import';
use List::Util qw(max);

use Targets;
use Variants;

our @EXPORT = qw(chart);

# Of each workload, the throughput as a fraction of the unguarded twin's.
my @bars = (
	[ copy => 'COPY, 1 M\nproduction rows' ],
	[ insert => 'single inserts,\nproduction' ],
	[ update => 'UPDATE, 1 M\nproduction rows' ],
	[ churn_1_1_off => 'delete + insert,\ncap - 1, 1 client' ],
	[ churn_1_8_on => 'delete + insert,\ncap - 1, 8 clients' ]);

my %colour = (
	guarded => '#1a6faf',
	lock_count => '#d98c21',
	counter_row => '#8a6bb1',
	count_trigger => '#999999',
	foreign_key => '#c4c4c4');

# Returns false, and says so, where there is no gnuplot.
sub chart
{
	my ($results, $file, $caption) = @_;
	my @shown = grep { $results->has($_->[0], 'unguarded') && $results->has($_->[0], 'guarded') } @bars;
	return 0 unless @shown;
	if (system('command -v gnuplot >/dev/null') != 0)
	{
		print "chart: skipped: there is no gnuplot\n";
		return 0;
	}

	my @variants = grep {
		my $variant = $_;
		grep { $results->has($_->[0], $variant) } @shown
	} 'guarded', 'lock_count', 'counter_row', 'count_trigger', 'foreign_key';
	my ($data, $top, @plots) = ('', 1.15);
	foreach my $bar (@shown)
	{
		my ($workload, $label) = @$bar;
		my @ratios = map {
			my $ratio = $results->ratio($workload, $_);
			!defined $ratio ? 'NaN' : more_is_better($workload) ? $ratio : 1 / $ratio;
		} @variants;
		$data .= qq("$label" @ratios\n);
		$top = max($top, map { 1.05 * $_ } grep { $_ ne 'NaN' } @ratios);
	}
	foreach my $i (0 .. $#variants)
	{
		my $variant = $variants[$i];
		my $title = $title{$variant} . ($results->is_correct($variant) ? '' : ' (admits too many)');
		my $column = $i + 2;
		push @plots, "\$data using $column:xtic(1) title '$title' linecolor rgb '$colour{$variant}'";
	}

	# what it was measured on, in lines that fit
	$caption =~ s/\*//g;
	$caption =~ s/; |\. (?=\S)/\\n/g;

	open my $gnuplot, '|-', 'gnuplot' or return 0;
	print $gnuplot <<"EOT";
\$data << END
${data}END
set terminal svg size 860,480 enhanced background 'white' font 'sans-serif,13'
set output '$file'
set title 'Throughput, as a fraction of an unguarded table''s' noenhanced
set xlabel "$caption" noenhanced font 'sans-serif,11' offset 0,-1.2
set bmargin 8
set key outside top center horizontal noenhanced maxrows 2
set style data histogram
set style histogram clustered gap 1.2
set style fill solid noborder
set boxwidth 0.92
set xrange [-0.6:@{[@shown - 0.4]}]
set yrange [0:$top]
set ytics 0.25 nomirror
set xtics nomirror scale 0 noenhanced
set grid ytics linecolor rgb '#dddddd'
set border 3
set arrow from graph 0, first 1 to graph 1, first 1 nohead linecolor rgb '#444444' dashtype 2
plot @{[join ', ', @plots]}
EOT
	return close $gnuplot;
}

1;
