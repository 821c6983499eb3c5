
# The cap and the transfer prohibition under load, judged by replaying every
# commit from the WAL.
#
# By hand:
#   INSTANCE_ENV_STRESS_SECONDS     how long each load runs, 20 by default
#   INSTANCE_ENV_STRESS_SESSIONS    sessions of each load, 12 by default
#   INSTANCE_ENV_STRESS_SEED        to repeat the scripts (not their timing)
#   INSTANCE_ENV_STRESS_LOADS       which loads, "1 2" by default
#   INSTANCE_ENV_STRESS_PARTITIONS  load 1 on a table of so many partitions
#   INSTANCE_ENV_STRESS_PRELOAD     shared_preload_libraries, "instance_env" for
#                                   admission by shared memory
#   INSTANCE_ENV_STRESS_SETUP       psql script to run in place of CREATE
#                                   EXTENSION: to put something to the test that
#                                   ought to fail

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use StressClients;
use StressLoad;
use StressTrial;

my $seconds = $ENV{INSTANCE_ENV_STRESS_SECONDS} || 20;
my $sessions = $ENV{INSTANCE_ENV_STRESS_SESSIONS} || 12;
my $seed = $ENV{INSTANCE_ENV_STRESS_SEED} || int rand 1_000_000_000;
my $partitions = $ENV{INSTANCE_ENV_STRESS_PARTITIONS} || 0;
my %wanted =
  map { $_ => 1 } split ' ', $ENV{INSTANCE_ENV_STRESS_LOADS} || '1 2';

note "INSTANCE_ENV_STRESS_SEED=$seed";

my $node = PostgreSQL::Test::Cluster->new('stress');
$node->init(allows_streaming => 'logical');
$node->append_conf('postgresql.conf', <<"CONF");
max_connections = 100
max_prepared_transactions = 50
autovacuum = on
autovacuum_naptime = 1s
autovacuum_vacuum_cost_delay = 0
synchronous_commit = off
deadlock_timeout = 100ms
log_line_prefix = '$StressClients::log_line_prefix'
log_min_messages = warning
log_min_error_statement = panic
log_statement = none
log_replication_commands = off
restart_after_crash = on
CONF
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = '$ENV{INSTANCE_ENV_STRESS_PRELOAD}'")
  if $ENV{INSTANCE_ENV_STRESS_PRELOAD};
$node->start;

$node->safe_psql('postgres',
	$ENV{INSTANCE_ENV_STRESS_SETUP}
	? slurp_file($ENV{INSTANCE_ENV_STRESS_SETUP})
	: 'CREATE EXTENSION instance_env;');

# as test_decoding, one of PostgreSQL's contrib modules
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck;');

# Every version that autovacuum can remove makes room for the next one, before
# or behind a running scan.
my $eager = 'WITH (fillfactor = 100, '
  . join(', ', map { "autovacuum_vacuum_$_" }
	  'threshold = 20', 'scale_factor = 0',
	'insert_threshold = 20', 'insert_scale_factor = 0')
  . ', autovacuum_freeze_min_age = 0)';

# Make applications, and return what names their development instances in a
# column of a type, each with its cap.  Every second one has no thresholds: what
# is counted for a warning could hide that a bound is too low.
sub applications
{
	my ($load, $type, @cap) = @_;
	my %cap;
	foreach my $n (0 .. $#cap)
	{
		my $name = "load$load-$n";
		my $id = $node->safe_psql('postgres',
			"SELECT development_id FROM instance_env.create_application('$name', development_key => '$name')"
		);
		$node->safe_psql('postgres',
			"SELECT instance_env.set_user_cap('$id', $cap[$n])");
		$node->safe_psql('postgres',
			"SELECT instance_env.set_policy('$id', 'user_cap_thresholds', '[]')")
		  if $n % 2;
		$cap{ $type eq 'uuid' ? $id : $name } = $cap[$n];
	}
	return \%cap;
}

# A session that runs scripts of n transactions of one kind.
sub scripts
{
	my ($kind, $n, %arg) = @_;
	return sub {
		return StressLoad->new(seed => $seed, round => $_[0], %arg)
		  ->script($kind, $n);
	};
}

#
# Load 1: everything at once
#

if ($wanted{1})
{
	my $caps = applications(1, 'uuid', 10, 12, 15, 20, 25, 30, 40, 50);
	my %table = (table => 'member', instances => [ sort keys %$caps ]);
	my %session;

	# The primary key is made before any other index, see StressLoad.
	$node->safe_psql('postgres', join ' ',
		'CREATE TABLE member (',
		"	instance_id uuid,",
		"	id text DEFAULT gen_random_uuid()::text,",
		"	seen integer NOT NULL DEFAULT 0,",
		"	owner text,",
		"	PRIMARY KEY (instance_id, id))",
		$partitions ? 'PARTITION BY HASH (id);' : "$eager;",
		(map {
				"CREATE TABLE member_$_ PARTITION OF member"
				  . " FOR VALUES WITH (modulus $partitions, remainder $_) $eager;"
			} 0 .. $partitions - 1),
		'CREATE INDEX ON member (seen);',
		"SELECT instance_env.guard('member', user_key => 'id');");

	foreach my $n (1 .. $sessions)
	{
		my $name = sprintf 'load1-s%02d', $n;
		$session{$name} = scripts('mixed', 80,
			%table,
			name => $name,
			prepares => $n % 3 == 0);
	}
	$session{trouble} = sub {
		return StressLoad->new(
			seed => $seed,
			name => 'trouble',
			round => $_[0],
			%table)->trouble('load1-');
	};
	$session{unrest} = \&StressLoad::unrest;

	# A deadlock is not among the errors that the load brings about by itself.
	my ($judge, $tally, $errors) = StressTrial::run(
		node => $node,
		seconds => $seconds,
		table => 'member',
		caps => $caps,
		identity => [ 'instance_id', 'id' ],
		session => \%session,
		support => { resolve => \&StressLoad::resolve },
		errors => {
			'01I01' => qr/^(?:load1|trouble|resolve)/,	# near the cap
			'23I01' => qr/^(?:load1|trouble)/,
			'23I02' => qr/^load1/,    # keys that several instances want
			'23505' => qr/^load1/,    # keys that several sessions want
			'40001' => qr/^(?:load1|trouble)/,
			'57P01' => qr/^load1/,    # killed
			'55P03' => qr/^trouble/,  # TRUNCATE gave up
			'01000' => qr/^trouble/,  # whom it wanted to kill was gone
			# psql goes on after an error
			'25P01' => qr/^(?:load1|trouble)/,
			'25P02' => qr/^(?:load1|trouble)/,
			'3B001' => qr/^load1/,
			# two sessions wanted to end the same prepared transaction
			'42704' => qr/^(?:load1|resolve)/,
			'55000' => qr/^(?:load1|resolve)/,
		});

	# A load that never meets the cap proves nothing.
	my $stat = $judge->{stat};
	my $prepared = StressClients::total($tally, 'COMMIT PREPARED');
	cmp_ok($stat->{inserts}, '>', 50 * $seconds, 'member: many users were admitted');
	cmp_ok($errors->{'23I01'} || 0, '>', 20 * $seconds, 'member: many users were refused');
	cmp_ok($errors->{'23I02'} || 0, '>', $seconds, 'member: many transfers were refused');
	cmp_ok($stat->{at_cap}, '>', 10 * $seconds, 'member: many commits filled the last seat');
	cmp_ok($errors->{'57P01'} || 0, '>', $seconds, 'member: backends were killed');
	cmp_ok($prepared, '>', $seconds, 'member: prepared transactions were committed');
	cmp_ok($stat->{truncates}, '>', 0, 'member: TRUNCATE was committed');

	StressTrial::aftermath($node, 'member', $caps);
}

#
# Load 2: two updates for each insert or delete, at the cap
#

if ($wanted{2})
{
	my $caps = applications(2, 'text', 20, 25, 30, 40, 48, 50);
	my @instance = sort { $caps->{$a} <=> $caps->{$b} } keys %$caps;
	my @own = @instance[ 4, 5 ];
	my %table = (
		table => 'account',
		instances => \@instance,
		contended => [ @instance[ 0 .. 3 ] ]);
	my %session;

	$node->safe_psql('postgres', join ' ',
		'CREATE TABLE account (',
		'	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),',
		'	instance_id text NOT NULL,',
		"	seen integer NOT NULL DEFAULT 0) $eager;",
		'CREATE INDEX ON account (instance_id);',
		'CREATE INDEX ON account (seen);',
		"SELECT instance_env.guard('account');");

	foreach my $n (1 .. $sessions)
	{
		my $name = sprintf 'load2-s%02d', $n;
		$session{$name} = scripts('updates', 100, %table, name => $name);
	}
	$session{unrest} = \&StressLoad::unrest;
	foreach my $n (0 .. $#own)
	{
		my $name = "load2-own$n";
		$session{$name} = scripts('own', 50, %table,
			name => $name,
			own => $own[$n]);
	}

	my ($judge, $tally, $errors) = StressTrial::run(
		node => $node,
		seconds => $seconds,
		table => 'account',
		caps => $caps,
		identity => ['id'],
		session => \%session,
		fill => join("\n",
			map {
				"INSERT INTO account (instance_id) SELECT '$_' FROM generate_series(1, $caps->{$_});"
			} @instance),

		# not among the errors of sessions that have an instance to themselves:
		# there is a seat for whatever they insert
		errors => {
			'01I01' => qr/^load2/,    # a threshold was passed, again and again
			'23I01' => qr/^load2-s/,
			'25P02' => qr/^load2-s/,
			'40001' => qr/^load2-s/,
		});

	my $stat = $judge->{stat};
	cmp_ok($stat->{inserts}, '>', 20 * $seconds, 'account: many users were admitted');
	cmp_ok($errors->{'23I01'} || 0, '>', 20 * $seconds, 'account: many users were refused');
	cmp_ok($stat->{at_cap}, '>', 20 * $seconds, 'account: many commits filled the last seat');
	cmp_ok($stat->{updates}, '>', 1.5 * ($stat->{inserts} + $stat->{deletes}),
		'account: most changes are updates');
	is(StressClients::total($tally, '23I01', qr/own/),
		0, 'account: no refusal where there was a seat');
	is( join(' ', @{ $judge->{count} }{@own}),
		join(' ', @{$caps}{@own}),
		'account: what was full is full');

	StressTrial::aftermath($node, 'account', $caps);
}

$node->stop;
done_testing();
