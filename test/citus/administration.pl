# What administration does with distributed guarded tables: exact from every node, while
# clients write from all of them, and refused while a node is down.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";

use Citus ':all';
use List::Util qw(sum);
use Test::More;

my @nodes = nodes();
use_database('administration');

sub dev { return sprintf 'd0000000-0000-4000-8000-%012d', shift }
sub prod { return sprintf 'e0000000-0000-4000-8000-%012d', shift }

# Applications 1 to 6: their instances are in all shards, on all nodes but the coordinator.
psql(0, <<'SQL', must => 1);
SELECT a.* FROM generate_series(1, 6) n CROSS JOIN LATERAL instance_env.create_application('app' || n, 'pro',
	format('d0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid,
	format('e0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'dev' || n, 'live' || n) a;
CREATE TABLE users (instance_id uuid NOT NULL, id bigint NOT NULL, email text, created_at timestamptz DEFAULT now(),
	PRIMARY KEY (instance_id, id));
CREATE TABLE sessions (instance_id uuid NOT NULL, id bigint NOT NULL, user_id bigint NOT NULL,
	PRIMARY KEY (instance_id, id), FOREIGN KEY (instance_id, user_id) REFERENCES users);
CREATE TABLE parts (tenant text NOT NULL, id bigint NOT NULL, PRIMARY KEY (tenant, id)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
SELECT create_distributed_table('users', 'instance_id');
SELECT create_distributed_table('sessions', 'instance_id', colocate_with => 'users');
SELECT create_distributed_table('parts', 'tenant');
SET citus.enable_unsafe_triggers = on;
SELECT instance_env.guard('users', 'instance_id', address_column => 'email', created_column => 'created_at');
SELECT instance_env.guard('sessions', 'instance_id', counted => false);
SELECT instance_env.guard('parts', 'tenant');
SQL
is(value(0, 'SELECT count(*) FROM instance_env.guards WHERE whole'), 3, 'three tables are guarded');

sub fill
{
	my ($n) = @_;
	my $instance = dev($n);
	psql(
		$n % @nodes, "DELETE FROM sessions WHERE instance_id = '$instance'; DELETE FROM users WHERE instance_id = '$instance';
		DELETE FROM parts WHERE tenant = 'dev$n';
		INSERT INTO users SELECT '$instance', n, 'user' || n || CASE WHEN n % 3 = 0 THEN '+clerk_test' ELSE '' END || '\@example.com',
			now() - n * interval '1 day' FROM generate_series(1, 10 + $n) n;
		INSERT INTO sessions SELECT '$instance', n, n FROM generate_series(1, 10 + $n) n;
		INSERT INTO parts SELECT 'dev$n', n * 20 FROM generate_series(0, 5) n;", must => 1);
	return;
}
fill($_) foreach 1 .. 6;

# What is counted is exact from every node

foreach my $node (@nodes)
{
	is(value($node, "SELECT string_agg(users::text, ' ' ORDER BY application) FROM instance_env.usage
		WHERE relation = 'users'::regclass AND type = 'development'"), '11 12 13 14 15 16', "node $node: view usage");
	is(value($node, "SELECT string_agg(DISTINCT relation::text, ' ') FROM instance_env.usage"), 'parts users', 'no shard is a table of its own');
	is(value($node, "SELECT users FROM instance_env.instance_usage('@{[dev(3)]}') WHERE relation = 'users'::regclass"), 13, 'instance_usage()');
	is(value($node, "SELECT string_agg(relation || ' ' || users, ', ') FROM instance_env.user_count('@{[dev(4)]}')"),
		'parts 6, users 14', 'user_count()');
	is(value($node, "SELECT instance_env.seats_left('@{[dev(5)]}'), instance_env.seats_left('@{[dev(5)]}', 'parts')"), '485|494', 'seats_left()');
	is(value($node, "SELECT string_agg(message, ' ' ORDER BY message) FROM instance_env.validate('@{[dev(6)]}') WHERE check_name = 'usage'"),
		'Table "public.parts" holds 6 of at most 500 users. Table "public.users" holds 16 of at most 500 users.', 'validate(): usage');
	is(value($node, "SELECT string_agg(message, ' ' ORDER BY message) FROM instance_env.validate('@{[prod(6)]}') WHERE check_name = 'guard'"),
		'The guard of table "public.parts" is whole. The guard of table "public.sessions" is whole. The guard of table "public.users" is whole.',
		'validate(): guards');
	is(value($node, 'SELECT count(*), count(DISTINCT errors) FROM instance_env.readiness'), '6|6', 'view readiness');
	is(value($node, "SELECT count(*) FROM instance_env.guards WHERE whole AND problems = '{}'"), 3, 'view guards');
}
{
	my $mine = value(1, "BEGIN; INSERT INTO users VALUES ('@{[dev(1)]}', 100); SELECT users FROM instance_env.user_count('@{[dev(1)]}', 'users');
		ROLLBACK; SELECT users FROM instance_env.user_count('@{[dev(1)]}', 'users')");
	is($mine, "12\n11", 'a row of the own transaction counts');
	my $later = value(2, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1;
		SELECT users FROM instance_env.user_count('@{[dev(2)]}', 'users'); COMMIT");
	is($later, "1\n12", 'in a transaction with a snapshot of its own');
}

# Emptying a development instance

foreach my $node (@nodes)
{
	my $instance = dev(1 + $node);
	my $users = 11 + $node;

	my ($out, @notices) = psql($node, "CALL instance_env.reset_development('$instance', batch_size => 4)");
	is($out, 2 * $users + 6, "node $node: reset_development() says how many rows it has deleted");
	like(join("\n", map { $_->{message} } @notices), qr/deleted $users of $users rows .* from table "public\.users"/, 'and of which table');
	is(value(0, "SELECT (SELECT count(*) FROM users WHERE instance_id = '$instance'), (SELECT count(*) FROM sessions WHERE instance_id = '$instance'),
		(SELECT count(*) FROM parts WHERE tenant = 'dev@{[1 + $node]}'), (SELECT count(*) FROM users)"),
		"0|0|0|" . (81 - $users), 'they are gone, and no others');
	is(value($node, "SELECT sum((after->>'deleted')::int) FROM instance_env.events WHERE action = 'reset_development' AND instance_id = '$instance'"),
		2 * $users + 6, 'it is in the audit log');
	fill(1 + $node);

	is(value($node, "BEGIN; CALL instance_env.reset_development('$instance'); SELECT count(*) FROM users WHERE instance_id = '$instance'; ROLLBACK;
		SELECT count(*) FROM users WHERE instance_id = '$instance'; SHOW lock_timeout"), 2 * $users + 6 . "\n0\n$users\n0", 'in a transaction that is rolled back');

	value(0, "DELETE FROM parts WHERE tenant = 'dev@{[1 + $node]}'");
	my (undef, @errors) = psql($node, "CALL instance_env.reset_development('$instance', only_users => 'test_identities')");
	is($errors[-1]{state}, '23503', 'sessions refer to users');
	value(0, "DELETE FROM sessions WHERE instance_id = '$instance' AND user_id % 3 = 0");
	is(value($node, "CALL instance_env.reset_development('$instance', only_users => 'test_identities')"), int($users / 3), 'test identities');
	is(value(0, "SELECT count(*) FROM users WHERE instance_id = '$instance' AND email LIKE '%test%'"), 0, 'are gone');
	fill(1 + $node);
	value(0, "DELETE FROM sessions WHERE instance_id = '$instance'; DELETE FROM parts WHERE tenant = 'dev@{[1 + $node]}'");
	is(value($node, "CALL instance_env.reset_development('$instance', older_than => '8 days')"), $users - 7, 'those who are older');
	is(value(0, "SELECT count(*) FROM users WHERE instance_id = '$instance'"), 7, 'are gone, the others stay');
	fill(1 + $node);
}
psql(0, <<'SQL', must => 1);
ALTER TABLE sessions DROP CONSTRAINT sessions_instance_id_user_id_fkey;
ALTER TABLE sessions ADD CONSTRAINT session_user_key FOREIGN KEY (instance_id, user_id) REFERENCES users ON DELETE CASCADE;
SQL
foreach my $node (@nodes)
{
	my $instance = dev(1 + $node);
	my $users = 11 + $node;

	value(0, "DELETE FROM parts WHERE tenant = 'dev@{[1 + $node]}'");
	is(value($node, "CALL instance_env.reset_development('$instance', only_users => 'test_identities')"), 2 * int($users / 3),
		"node $node: test identities with their sessions");
	is(value($node, "CALL instance_env.reset_development('$instance')"), 2 * ($users - int($users / 3)), 'and the rest');
	is(value(0, "SELECT count(*) FROM users WHERE instance_id = '$instance'"), 0, 'nobody is left');
	fill(1 + $node);
}

# Who may not delete, or cannot see all rows

psql(0, <<'SQL', must => 1);
CREATE ROLE clerk LOGIN;
SQL
value($_, "SELECT instance_env.grant_admin('clerk')") foreach @nodes;
fails(1, "CALL instance_env.reset_development('@{[dev(1)]}')", '42501', qr/permission denied for table/, 'a role that may not delete the rows', role => 'clerk');
is(value(1, "SELECT users FROM instance_env.user_count('@{[dev(1)]}', 'users')", role => 'clerk'), 11, 'but it may know how many they are');

# The lock on all nodes lets nothing through: a transaction that has written to the table on
# another node is waited for, and what it has committed counts.

psql(0, <<'SQL', must => 1);
SELECT instance_env.associate_domain(format('e0000000-0000-4000-8000-%s', lpad(n::text, 12, '0'))::uuid, 'app.example' || n || '.com')
FROM generate_series(1, 6) n;
UPDATE instance_env.domain SET verified_at = now();
UPDATE instance_env.dns_record SET verified_at = now();
SQL
value($_ % @nodes, "SELECT count(*) FROM instance_env.promote('app$_')") foreach 1 .. 6;

# A client with an open transaction; end() it by a statement
sub open_transaction
{
	my ($node, $sql) = @_;
	my $name = "open_$$" . int rand 1e9;
	my $session = start($node, "SET application_name = '$name'; BEGIN; $sql; SELECT 1 FROM pg_sleep(3); COMMIT");
	wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = '$name' AND wait_event = 'PgSleep'");
	return $session;
}

foreach my $node (@nodes)
{
	my $n = 1 + $node;
	my $other = $nodes[($node + 1) % @nodes];
	my $writer = open_transaction($other, "INSERT INTO users VALUES ('@{[prod($n)]}', 1)");

	fails($node, "SELECT count(*) FROM instance_env.rollback_promotion('app$n')", '55P03', qr/could not lock guarded table "public\.users"/,
		"node $node: rollback_promotion() does not wait for long", options => ['lock_timeout=1s']);
	fails($node, "SELECT count(*) FROM instance_env.rollback_promotion('app$n')", '55000', qr/Table "public\.users" has 1 row of instance/,
		'and sees the first user of production');
	finish($writer);
	is(value($other, "SELECT status FROM instance_env.instance WHERE id = '@{[prod($n)]}'"), 'active', 'production is active');
	value($other, "DELETE FROM users WHERE instance_id = '@{[prod($n)]}'");

	$writer = open_transaction($node, "SELECT count(*) FROM instance_env.rollback_promotion('app$n')");
	fails($other, "INSERT INTO users VALUES ('@{[prod($n)]}', 1)", '23I04', qr/not active/, 'a user who comes meanwhile waits, and is refused');
	finish($writer);
	is(value($other, "SELECT (SELECT status FROM instance_env.instance WHERE id = '@{[prod($n)]}'),
		(SELECT count(*) FROM users WHERE instance_id = '@{[prod($n)]}')"), 'inactive|0', 'production is not active, and has no user');
}

# guard() on one node, and what must know all guarded tables on another
psql(0, "CREATE TABLE late (instance_id uuid NOT NULL, id int, PRIMARY KEY (instance_id, id));
	SELECT create_distributed_table('late', 'instance_id'); INSERT INTO late VALUES ('@{[dev(6)]}', 1);
	DELETE FROM sessions WHERE instance_id = '@{[dev(6)]}'; DELETE FROM users WHERE instance_id = '@{[dev(6)]}'; DELETE FROM parts WHERE tenant = 'dev6';", must => 1);
{
	my $guard = open_transaction(0, "SET LOCAL citus.enable_unsafe_triggers = on; SELECT count(*) FROM instance_env.guard('late', 'instance_id')");
	fails(1, "SELECT instance_env.drop_application('app6')", '55P03', qr/./, 'drop_application() does not pass a guard() of another node', options => ['lock_timeout=1s']);
	fails(2, "SELECT instance_env.drop_application('app6')", '55000', qr/Table "public\.late" has rows/, 'and sees its table');
	finish($guard);
	value(0, 'DELETE FROM late');
}

# Many clients at once. Whoever wins, no row is without its instance, and none in an instance
# that is not active.

foreach my $round (1 .. 4)
{
	my @clients;
	foreach my $node (@nodes)
	{
		push @clients, map { start($node, join ' ', map { "INSERT INTO users VALUES ('@{[dev(6)]}', $node$_) ON CONFLICT DO NOTHING;" } ($_ * 100) .. ($_ * 100 + 30)) } 1 .. 4;
	}
	my $dropper = start($round % @nodes, "SELECT pg_sleep(0.2); SELECT instance_env.drop_application('app6')");
	my (undef, @errors) = finish($dropper);
	my ($states, %states) = ('');
	foreach my $client (@clients)
	{
		my (undef, @refused) = finish($client);
		$states{ $_->{state} }++ foreach grep { $_->{severity} eq 'ERROR' } @refused;
	}
	is(join(' ', grep { !/^(?:23I03)$/ } sort keys %states), '', "round $round: inserts succeed, or find the instance unknown");
	is(value(0, "SELECT EXISTS (SELECT FROM users WHERE instance_id = '@{[dev(6)]}') AND NOT EXISTS (SELECT FROM instance_env.instance WHERE id = '@{[dev(6)]}')"),
		'f', 'no user without an instance' . (@errors ? " ($errors[0]{state})" : ' (dropped)'));
	last if !@errors;
	value($round % @nodes, "CALL instance_env.reset_development('@{[dev(6)]}')");
}

foreach my $round (1 .. 3)
{
	fill(5);
	my @clients = map { my $node = $_; start($node, join ' ', map { "INSERT INTO users VALUES ('@{[dev(5)]}', 10$round$node$_);" } 1000 .. 1099) } @nodes;
	my @resets = map { start($_, "SELECT pg_sleep(0.1); CALL instance_env.reset_development('@{[dev(5)]}', batch_size => 7)") } @nodes;
	my $deleted = 0;
	foreach my $reset (@resets)
	{
		my ($out, @messages) = finish($reset);
		is(join(' ', map { "$_->{state} $_->{message}" } grep { $_->{severity} eq 'ERROR' } @messages), '', 'a reset among others');
		$deleted += (split /\n/, $out)[-1];
	}
	my $refused = 0;
	foreach my $client (@clients)
	{
		my (undef, @messages) = finish($client);
		$refused += grep { $_->{severity} eq 'ERROR' } @messages;
	}
	is($refused, 0, "round $round: users came in while the instance was emptied three times");
	is($deleted + value(0, "SELECT (SELECT count(*) FROM users WHERE instance_id = '@{[dev(5)]}')"), 300 + 2 * 15 + 6, 'each was deleted once, or is there');
}
whole();
done_testing();
