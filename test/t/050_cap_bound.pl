# The bound in shared memory only saves scans: with it and without it, the same history has
# the same answers.  And its setting is refused where it is out of range.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{INSTANCE_ENV_SEED} // time;
my $statements = 3000;
note "INSTANCE_ENV_SEED=$seed repeats this run";
srand $seed;

# One session's history: three instances with small caps, mostly at them, and everything
# that moves the count without the bound's knowledge: rollbacks, savepoints, TRUNCATE,
# disabled triggers, replicated rows, changed caps.
my $key = 0;
my $in_transaction = 0;
my $savepoints = 0;

sub instance { return 'dev' . (1 + int rand 3) }

sub rows
{
	my $n = shift;
	return join ', ', map { my $i = instance(); "('" . $i . '-' . $key++ . "', '$i')" } 1 .. $n;
}

sub statement
{
	my $r = rand 100;
	return 'INSERT INTO users VALUES ' . rows(1) if $r < 40;
	return 'INSERT INTO users VALUES ' . rows(2 + int rand 4) if $r < 50;
	return "DELETE FROM users WHERE id IN (SELECT id FROM users WHERE instance_id = '" . instance()
	  . "' ORDER BY id LIMIT " . (1 + int rand 3) . ')'
	  if $r < 68;
	return "WITH gone AS (DELETE FROM users WHERE id IN (SELECT id FROM users WHERE instance_id = 'dev1'"
	  . " ORDER BY id LIMIT 1) RETURNING instance_id) INSERT INTO users SELECT 'dev1-' || $key + "
	  . $key++ . ', instance_id FROM gone'
	  if $r < 74;
	return 'INSERT INTO users VALUES ' . rows(1) . ' ON CONFLICT DO NOTHING' if $r < 77;
	if ($r < 83)
	{
		$in_transaction = !$in_transaction;
		$savepoints = 0;
		return $in_transaction ? 'BEGIN' : rand() < 0.5 ? 'COMMIT' : 'ROLLBACK';
	}
	if ($r < 93 && $in_transaction)
	{
		return 'SAVEPOINT s' if !$savepoints++;
		return 'ROLLBACK TO SAVEPOINT s';
	}
	return 'TRUNCATE users' if $r < 94;
	return 'ALTER TABLE users DISABLE TRIGGER USER; INSERT INTO users VALUES ' . rows(2)
	  . '; ALTER TABLE users ENABLE TRIGGER USER; ALTER TABLE users ENABLE ALWAYS TRIGGER instance_env_user_cap'
	  if $r < 95;
	return 'SET session_replication_role = replica; INSERT INTO users VALUES ' . rows(1)
	  . '; RESET session_replication_role'
	  if $r < 96;
	return "SELECT instance_env.set_user_cap(instance_env.instance_id('" . instance() . "', 'development'), "
	  . (5 + int rand 10) . ')'
	  if $r < 98;
	return 'UPDATE users SET n = n + 1';
}

my $history = "\\set VERBOSITY sqlstate\n\\set ON_ERROR_ROLLBACK on\n";
for my $i (1 .. $statements)
{
	$history .= statement() . ";\n";
	$history .= "SELECT instance_id, count(*) FROM users GROUP BY 1 ORDER BY 1;\n" if $i % 10 == 0;
}
$history .= "ROLLBACK;\nSELECT instance_id, count(*) FROM users GROUP BY 1 ORDER BY 1;\n";

my $node = PostgreSQL::Test::Cluster->new('bound');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'\n");
$node->start;

sub answers
{
	my ($name, $buckets, $notify) = @_;

	$node->append_conf('postgresql.conf', "instance_env.buckets = $buckets\ninstance_env.notify_thresholds = $notify\n");
	$node->restart;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql(
		$name, q{
		CREATE EXTENSION instance_env;
		CREATE TABLE users (id text PRIMARY KEY, instance_id text NOT NULL, n int NOT NULL DEFAULT 0);
		CREATE INDEX ON users (n);
		CREATE INDEX ON users (instance_id);
		SELECT instance_env.create_application(d, development_key => d) FROM unnest('{dev1,dev2,dev3}'::text[]) d;
		SELECT instance_env.set_user_cap(instance_env.instance_id(d, 'development'), 7) FROM unnest('{dev1,dev2,dev3}'::text[]) d;
		SELECT instance_env.guard('users');});
	my ($stdout, $stderr);
	$node->psql($name, $history, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);

	# line numbers are the same anyway; keep only what was answered
	$stderr =~ s/^psql:<stdin>:(\d+): /$1 /mg;
	return ($stdout, $stderr);
}

my @with = answers('with_bound', 4096, 'on');
my @one = answers('one_bucket', 1, 'on');
my @without = answers('without', 0, 'on');
# what is counted for a warning could hide that a bound is too low
my @quiet = answers('quiet', 4096, 'off');

is($with[0], $without[0], 'the same rows with the bound and without');
is($with[1], $without[1], 'the same errors');
is($one[0], $without[0], 'the same rows with one bucket for all');
is($one[1], $without[1], 'the same errors');
is($quiet[0], $without[0], 'the same rows with the bound, but without warnings');
is($quiet[1], join("\n", grep { !/ WARNING:  01I01$/ } split /\n/, $without[1]), 'the same errors');
my $refused = () = $with[1] =~ /23I01/g;
cmp_ok($refused, '>', $statements / 100, "the cap was reached often ($refused times)");

# It does save them, also after rows have left and inserts were rolled back: one exact count, then
# none until the next time that the bound is too high.
$node->append_conf('postgresql.conf', "instance_env.buckets = 4096\n");
$node->restart;
sub scans
{
	return $node->safe_psql('with_bound', q{SELECT pg_stat_clear_snapshot();
		SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'users_instance_id_idx'}) =~ s/^\n//r;
}
$node->safe_psql('with_bound', q{SELECT instance_env.set_user_cap(instance_env.instance_id('dev1', 'development'), 20);
	DELETE FROM users});
$node->safe_psql('with_bound', q{INSERT INTO users SELECT 'a' || i, 'dev1' FROM generate_series(1, 10) i});
$node->safe_psql('with_bound', q{DELETE FROM users WHERE id = 'a1'});
$node->safe_psql('with_bound', q{BEGIN; INSERT INTO users SELECT 'b' || i, 'dev1' FROM generate_series(1, 11) i; ROLLBACK});
my $before = scans();
$node->safe_psql('with_bound', "INSERT INTO users VALUES ('c$_', 'dev1')") foreach 1 .. 6;
my $scans = scans() - $before;
cmp_ok($scans, '<=', 2, "six admissions after deletes and rollbacks take one exact count ($scans scans)");
cmp_ok($scans, '>=', 1, 'and that is what is counted here');

# out of range
for my $bad ('-1', '1048577', 'many')
{
	$node->stop;
	$node->append_conf('postgresql.conf', "instance_env.buckets = $bad\n");
	is($node->start(fail_ok => 1), 0, "instance_env.buckets = $bad is refused at start");
	$node->append_conf('postgresql.conf', "instance_env.buckets = 1024\n");
	$node->start;
}
is($node->safe_psql('postgres', 'SHOW instance_env.buckets'), '1024', 'and a good one is not');

$node->stop;
done_testing();
