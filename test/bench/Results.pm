
=pod

=head1 NAME

Results - what has been measured, and figures drawn from it

=cut

package Results;

use strict;
use warnings;

use List::Util qw(max min);

use Variants;

sub new
{
	my ($class, $file) = @_;
	my $self = bless { value => {}, about => '' }, $class;
	open my $handle, '<', $file or die "$file: $!";
	while (<$handle>)
	{
		chomp;
		my ($workload, $variant, undef, $value) = split /\t/;
		if ($workload eq 'about')
		{
			$self->{about} = $variant;
			next;
		}
		push @{ $self->{value}{$workload}{$variant} }, $value;
	}
	close $handle;
	return $self;
}

sub about { return $_[0]{about} }

sub has
{
	my ($self, $workload, $variant) = @_;
	return exists $self->{value}{$workload} unless defined $variant;
	return exists $self->{value}{$workload}{$variant};
}

sub values_of
{
	my ($self, $workload, $variant) = @_;
	return @{ $self->{value}{$workload}{$variant} || [] };
}

# undef if there is none
sub median
{
	my ($self, $workload, $variant) = @_;
	my @sorted = sort { $a <=> $b } $self->values_of($workload, $variant);
	return undef unless @sorted;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# How far the quarters in the middle reach, as a fraction of the median.
sub spread
{
	my ($self, $workload, $variant) = @_;
	my @sorted = sort { $a <=> $b } $self->values_of($workload, $variant);
	my $median = $self->median($workload, $variant);
	return undef unless @sorted > 2 && $median;
	my $out = int(@sorted / 4);
	return ($sorted[ -1 - $out ] - $sorted[$out]) / 2 / $median;
}

# The most repetitions that anything has had.
sub repetitions
{
	my ($self) = @_;
	return max map {
		map { scalar @$_ }
		  values %$_
	} @{ $self->{value} }{ grep { !/^(race|users)$/ } keys %{ $self->{value} } };
}

# What the variant did to the unguarded twin's figure.
sub ratio
{
	my ($self, $workload, $variant, $base) = @_;
	my $value = $self->median($workload, $variant);
	my $unguarded = $self->median($workload, $base || 'unguarded');
	return undef unless defined $value && $unguarded;
	return $value / $unguarded;
}

# The most users that anybody has seen in an instance that may have only so many.
sub most_users
{
	my ($self, $variant) = @_;
	return max $self->values_of('race', $variant), $self->values_of('users', $variant);
}

sub is_correct
{
	my ($self, $variant) = @_;
	my $most = $self->most_users($variant);
	return defined $most && $most <= $cap;
}

# The best of the peers that hold the cap, or undef.
sub best_peer
{
	my ($self, $workload, $more_is_better) = @_;
	my @peers = sort {
		$self->median($workload, $a) <=> $self->median($workload, $b)
	} grep { $self->has($workload, $_) && $self->is_correct($_) } @peers;
	return $more_is_better ? $peers[-1] : $peers[0];
}

1;
