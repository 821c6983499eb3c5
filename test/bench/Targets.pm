
=pod

=head1 NAME

Targets - what is measured, in words, and what it should come to

=cut

package Targets;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(@workloads more_is_better figure_of is_met targets);

# All that is reported, in the order of the report: workload, unit, description.
our @workloads = (
	[ 'copy', 's', 'COPY of 1 M production rows, two indexes' ],
	[ 'departed', 's', 'COPY of 1 M production rows, 100,000 departed identities present' ],
	[ 'heap_bare', 's', 'COPY of 2 M production rows, unlogged heap, no key, no index (not even the one guard() makes)' ],
	[ 'heap_indexed', 's', 'COPY of 2 M production rows, unlogged heap, no key, index on the instance' ],
	[ 'partitions', 's', '500,000 production rows, 1,000 at a time, each into another one of 1,000 partitions' ],
	[ 'insert', 'tps', 'single-row inserts, production' ],
	[ 'update', 's', 'UPDATE of another column, 1 M production rows' ],
	[ 'delete', 's', 'DELETE of 100,000 production users' ],
	[ 'refusal', 's', 'COPY of 1 M rows into a development instance (unguarded: loaded; others: until refused)' ],
	[ 'registry_copy', 's', 'COPY of 1 M rows of random production instances, of 10 or 1 M instances' ],
	[ 'registry_memory', 'bytes', 'memory left allocated in the backend by that COPY' ],
	[ 'registry_insert', 'tps', 'single-row inserts, random production instances, of 10 or 1 M instances' ]);
foreach my $flush (qw(off on))
{
	foreach my $clients (1, 8)
	{
		push @workloads,
		  map {
			[
				"churn_${_}_${clients}_$flush",
				'tps',
				"delete + insert, development, cap - $_, "
				  . ($clients == 1 ? '1 client' : "$clients clients")
				  . ", synchronous_commit $flush"
			]
		  } 50, 1;
	}
}
push @workloads,
  map {
	[
		"warnings_$_", 'tps',
		'delete + insert, development, cap - 50, ' . ($_ == 1 ? '1 client' : "$_ clients") . ', with and without warnings'
	]
  } 1, 8;
push @workloads,
  map { [ "function_$_->[0]", 'calls/s', "$_->[1], one session" ] }
  [ 'instance_for_host', 'instance_for_host()' ],
  [ 'check_preview', 'check_preview()' ],
  [ 'publishable_key', 'publishable_key()' ],
  [ 'account_portal_url', 'account_portal_url()' ],
  [ 'frontend_api_host', 'frontend_api_host()' ],
  [ 'verify_secret_key', 'verify_secret_key()' ],
  [ 'application_id', 'application_id()' ],
  [ 'instance_id', 'instance_id()' ],
  [ 'instance_by_key', 'instance_by_key()' ],
  [ 'instance_info', 'instance_info()' ],
  [ 'banner', 'banner()' ],
  [ 'message_prefix', 'message_prefix()' ],
  [ 'robots_directive', 'robots_directive()' ],
  [ 'redirect_url_allowed', 'redirect_url_allowed()' ],
  [ 'feature_available', 'feature_available()' ],
  [ 'require_feature', 'require_feature()' ];
push @workloads,
  [ 'instructions_production', 'instructions', 'a production row, INSERT ... SELECT' ],
  [ 'instructions_deleted', 'instructions', 'a deleted production row' ],
  [ 'instructions_development', 'instructions', 'a development row, INSERT ... SELECT' ],
  [ 'instructions_development_each', 'instructions', 'a development row, a statement each' ];

my %unit = map { ($_->[0] => $_->[1]) } @workloads;
my %description = map { ($_->[0] => $_->[2]) } @workloads;

sub more_is_better
{
	my ($workload) = @_;
	return $unit{$workload} =~ m{^(tps|calls/s)$};
}

# What a target can be about: given the results, workload and variant, a figure.
my %figure = (
	'÷ unguarded' => sub { $_[0]->ratio($_[1], $_[2]) },
	'÷ best correct peer' => sub {
		my ($results, $workload, $variant) = @_;
		my $peer = $results->best_peer($workload, more_is_better($workload));
		return defined $peer ? $results->ratio($workload, $variant, $peer) : undef;
	},
	'÷ without warnings' => sub { $_[0]->ratio($_[1], $_[2], 'guarded_quiet') },
	'calls a second' => sub { $_[0]->median($_[1], $_[2]) },
	'more than unguarded' => sub {
		my ($results, $workload, $variant) = @_;
		return undef unless $results->has($workload, $variant);
		return $results->median($workload, $variant) - $results->median($workload, 'unguarded');
	},

	# a table whose rows belong to very many instances is slower, guarded or not
	'÷ unguarded, 1 M over 10' => sub {
		my ($results, $workload, $variant) = @_;
		return undef unless $results->has($workload, $variant);
		my $change = $results->ratio($workload, "${variant}_million", 'unguarded_million') /
		  $results->ratio($workload, $variant);
		return more_is_better($workload) ? 1 / $change : $change;
	},
	'MB more than unguarded' => sub {
		my ($results, $workload, $variant) = @_;
		return undef unless $results->has($workload, $variant);
		return ($results->median($workload, $variant) -
			  $results->median($workload, 'unguarded_million')) / 1024 / 1024;
	});

# Workload, variant, what is limited, <= or >=, limit.
my @targets = (
	[ 'copy', 'guarded', '÷ unguarded', '<=', 1.03 ],
	[ 'copy', 'coded', '÷ unguarded', '<=', 1.03 ],
	[ 'departed', 'guarded', '÷ unguarded', '<=', 1.10 ],
	[ 'heap_bare', 'guarded', '÷ unguarded', '<=', 1.10 ],
	[ 'partitions', 'guarded', '÷ unguarded', '<=', 1.10 ],
	[ 'insert', 'guarded', '÷ unguarded', '>=', 1 / 1.03 ],
	[ 'insert', 'coded', '÷ unguarded', '>=', 1 / 1.03 ],
	[ 'delete', 'coded', '÷ unguarded', '<=', 1.10 ],
	[ 'instructions_production', 'guarded', 'more than unguarded', '<=', 400 ],
	[ 'instructions_production', 'coded', 'more than unguarded', '<=', 460 ],
	[ 'instructions_deleted', 'coded', 'more than unguarded', '<=', 50 ],
	[ 'instructions_development', 'guarded', 'more than unguarded', '<=', 3000 ],
	(map { [ $_, 'guarded', '÷ unguarded', '>=', 0.97 ] } grep { /^churn_\d+_1_/ } map { $_->[0] } @workloads),
	(map { [ $_, 'coded', '÷ unguarded', '>=', 0.97 ] } grep { /^churn_\d+_1_/ } map { $_->[0] } @workloads),
	(map { [ $_, 'guarded_scan', '÷ unguarded', '>=', 0.80 ] } grep { /^churn_\d+_1_/ } map { $_->[0] } @workloads),
	(map { [ $_, 'guarded', '÷ unguarded', '>=', 0.95 ], [ $_, 'guarded', '÷ best correct peer', '>=', 2.5 ] }
	   qw(churn_50_8_on churn_1_8_on)),
	(map { [ "warnings_$_", 'guarded', '÷ without warnings', '>=', 0.98 ] } 1, 8),
	[ 'update', 'guarded', '÷ unguarded', '<=', 1.05 ],
	[ 'function_instance_for_host', 'guarded', 'calls a second', '>=', 100_000 ],
	[ 'function_check_preview', 'guarded', 'calls a second', '>=', 100_000 ],
	[ 'registry_copy', 'guarded', '÷ unguarded, 1 M over 10', '<=', 1.05 ],
	[ 'registry_insert', 'guarded', '÷ unguarded, 1 M over 10', '<=', 1.05 ],
	[ 'registry_memory', 'guarded_million', 'MB more than unguarded', '<=', 8 ],
	[ 'refusal', 'guarded', '÷ unguarded', '<=', 0.05 ]);

sub figure_of
{
	my ($results, $target) = @_;
	return $figure{ $target->{figure} }->($results, $target->{workload}, $target->{variant});
}

sub is_met
{
	my ($target, $figure) = @_;
	return $target->{operator} eq '<=' ? $figure <= $target->{limit} : $figure >= $target->{limit};
}

sub targets
{
	return map {
		my %target;
		@target{qw(workload variant figure operator limit)} = @$_;
		$target{description} = $description{ $_->[0] };
		\%target;
	} @targets;
}

1;
