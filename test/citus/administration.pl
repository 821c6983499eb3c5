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

# A trigger that one shard lacks, or has disabled, on some node
foreach my $node (1 .. $#nodes)
{
	my $shard = value($node, "SELECT shard_name(logicalrelid, shardid) FROM pg_dist_shard
		WHERE logicalrelid = 'users'::regclass AND to_regclass(shard_name(logicalrelid, shardid)) IS NOT NULL LIMIT 1");
	my $alter = "SET citus.enable_manual_changes_to_shards = on; ALTER TABLE $shard %s TRIGGER ALL";

	value($node, sprintf $alter, 'DISABLE');
	like(value($_, "SELECT problems FROM instance_env.guards WHERE NOT whole AND relation = 'users'::regclass"), qr/is disabled on shards|a shard of table .* has disabled triggers/,
		"a shard of node $node, seen from node $_") foreach @nodes;
	like(value(0, "SELECT message FROM instance_env.validate('@{[prod(1)]}') WHERE check_name = 'guard' AND NOT passed"), qr/is disabled on shards/, 'and by validate()');
	value($node, sprintf $alter, 'ENABLE');
}
is(value(0, "BEGIN; SELECT count(*) FROM instance_env.unguard('parts'); SELECT count(*) > 0 FROM instance_env.guard('parts', 'tenant', user_key => '');
	SELECT whole FROM instance_env.guards WHERE relation = 'parts'::regclass; ROLLBACK"), "1\nt\nt", 'a guard of the own transaction is whole');

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
value($_ % @nodes, "SELECT count(*) FROM instance_env.promote('app$_')") foreach 1 .. 5;

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

# An owner who is no superuser, whose tables a role resets that may delete from them

psql(0, <<'SQL', must => 1);
CREATE ROLE app_owner LOGIN;
GRANT CREATE ON SCHEMA public TO app_owner;
SQL
psql(0, <<'SQL', role => 'app_owner', must => 1);
CREATE TABLE members (instance_id uuid NOT NULL, id bigint NOT NULL, friend bigint, PRIMARY KEY (instance_id, id));
CREATE TABLE badges (instance_id uuid NOT NULL, id bigint NOT NULL, member_id bigint, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('members', 'instance_id');
SELECT create_distributed_table('badges', 'instance_id');
ALTER TABLE badges ADD CONSTRAINT badges_member FOREIGN KEY (instance_id, member_id) REFERENCES members;
ALTER TABLE members ADD CONSTRAINT members_friend FOREIGN KEY (instance_id, friend) REFERENCES members;
GRANT SELECT, DELETE ON members, badges TO clerk;
SQL
psql(0, <<'SQL', must => 1);
SELECT instance_env.guard('members', 'instance_id', user_key => '');
SELECT instance_env.guard('badges', 'instance_id', counted => false);
SQL
foreach my $node (@nodes)
{
	my $instance = dev(4);

	value($node, "INSERT INTO members SELECT '$instance', n, CASE WHEN n > 1 THEN n - 1 END FROM generate_series(1, 9) n;
		INSERT INTO badges SELECT '$instance', n, n FROM generate_series(1, 9) n", role => 'app_owner');
	is(value($node, "SELECT users FROM instance_env.user_count('$instance', 'members')", role => 'clerk'), 9,
		"node $node: users of an owner who is no superuser");
	value(0, "DELETE FROM sessions WHERE instance_id = '$instance'; DELETE FROM users WHERE instance_id = '$instance'; DELETE FROM parts WHERE tenant = 'dev4'");
	is(value($node, "CALL instance_env.reset_development('$instance')", role => 'clerk'), 18, 'their rows, which refer to each other, are deleted');
	is(value(0, "SELECT count(*) FROM members"), 0, 'all of them');
}

# Cascades are followed to users who are to stay
psql(0, <<'SQL', role => 'app_owner', must => 1);
ALTER TABLE badges DROP CONSTRAINT badges_member;
ALTER TABLE members DROP CONSTRAINT members_friend;
ALTER TABLE members ADD CONSTRAINT members_friend FOREIGN KEY (instance_id, friend) REFERENCES members ON DELETE CASCADE;
ALTER TABLE members ADD created_at timestamptz;
SQL
value(0, "SELECT count(*) FROM instance_env.guard('members', 'instance_id', user_key => '', created_column => 'created_at')");
foreach my $node (@nodes)
{
	my $instance = dev(4);

	value($node, "INSERT INTO members VALUES ('$instance', 1, NULL, now() - interval '9 days'), ('$instance', 2, 1, now() - interval '9 days'),
		('$instance', 3, 2, now())");
	fails($node, "CALL instance_env.reset_development('$instance', older_than => '8 days')", '55000',
		qr/would delete other users from table "public\.members"/, "node $node: a cascade that leads to a user who is to stay");
	value($node, "UPDATE members SET friend = NULL WHERE instance_id = '$instance' AND id = 3");
	is(value($node, "CALL instance_env.reset_development('$instance', older_than => '8 days')"), 2, 'and one that leads to those who go');
	value($node, "DELETE FROM members WHERE instance_id = '$instance'");
}

# Nobody counts what row-level security hides from its owner
value(0, "INSERT INTO members VALUES ('@{[dev(4)]}', 1)");
psql(0, 'ALTER TABLE members FORCE ROW LEVEL SECURITY; ALTER TABLE members ENABLE ROW LEVEL SECURITY', role => 'app_owner', must => 1);
foreach my $node (@nodes)
{
	is(value($node, "SELECT users IS NULL FROM instance_env.user_count('@{[dev(4)]}', 'members')"), 't', "node $node: nobody can count what is hidden from the owner");
	fails($node, "SELECT count(*) FROM instance_env.rollback_promotion('app4')", '55000', qr/forced on its owner/, 'so a promotion is not rolled back');
	fails($node, "SELECT instance_env.drop_application('app6')", '55000', qr/rows of distributed table "public\.members" cannot be counted/, 'nor an application dropped')
	  if value(0, "SELECT EXISTS (SELECT FROM instance_env.application WHERE name = 'app6')") eq 't';
}
psql(0, 'ALTER TABLE members NO FORCE ROW LEVEL SECURITY', role => 'app_owner', must => 1);
is(value($_, "SELECT users FROM instance_env.user_count('@{[dev(4)]}', 'members')"), 1, "node $_: row-level security does not hide rows from the owner") foreach @nodes;

# Rows of the own transaction that another role has written
foreach my $node (@nodes)
{
	my (undef, @errors) = psql($node, "BEGIN; INSERT INTO members VALUES ('@{[prod(4)]}', 1); SELECT count(*) FROM instance_env.rollback_promotion('app4')");
	like($errors[-1]{state}, qr/^(?:25001|55000)$/, "node $node: a row of the own transaction is not overlooked");
}
value(0, 'DELETE FROM badges; DELETE FROM members');

# set_user_cap(), suspend_instance(), resume_instance() and admission

foreach my $node (@nodes)
{
	my $other = $nodes[($node + 1) % @nodes];
	my $third = $nodes[($node + 2) % @nodes];
	my $instance = dev(1);

	fill(1);
	my (undef, @warnings) = psql($node, "SELECT instance_env.set_user_cap('$instance', 5)");
	is($warnings[0]{message}, qq{development instance "$instance" is over its cap of 5 in table "public.users"}, "node $node: set_user_cap() counts");
	is(value($third, "SELECT state FROM instance_env.instance_usage('$instance') WHERE relation = 'users'::regclass"), 'full', 'another node knows');
	fails($other, "INSERT INTO users VALUES ('$instance', 1000)", '23I01', qr/cap/, 'and admits nobody');
	value($third, "SELECT instance_env.set_user_cap('$instance', 12)");
	value($other, "INSERT INTO users VALUES ('$instance', 1000)");
	fails($node, "INSERT INTO users VALUES ('$instance', 1001)", '23I01', qr/cap/, 'but for one more');
	value($node, "SELECT instance_env.suspend_instance('$instance')");
	fails($other, "INSERT INTO users VALUES ('$instance', 1002)", '23I04', qr/suspended/, 'suspended');
	is(value($third, "SELECT instance_env.seats_left('$instance')"), 0, 'so there are no seats');
	value($third, "SELECT instance_env.resume_instance('$instance'); SELECT instance_env.set_user_cap('$instance', NULL)");
	value($other, "INSERT INTO users VALUES ('$instance', 1003)");
	is(value($node, "SELECT instance_env.seats_left('$instance', 'users')"), 487, 'resumed, with the default cap');
}

# Estimates of production, and what a node has counted

value(0, "INSERT INTO users SELECT '@{[prod(5)]}', n FROM generate_series(1, 9999) n");
is(value($_, "SELECT users, estimated FROM instance_env.instance_usage('@{[prod(5)]}') WHERE relation = 'users'::regclass"), '9999|t',
	"node $_: few users of production are counted") foreach @nodes;
value(0, "INSERT INTO users SELECT '@{[prod(5)]}', n FROM generate_series(10000, 30000) n; ANALYZE users");
cmp_ok(abs(value($_, "SELECT users FROM instance_env.instance_usage('@{[prod(5)]}') WHERE relation = 'users'::regclass") - 30000), '<', 3000,
	"node $_: many are estimated") foreach @nodes;
is(value($_, "SELECT users FROM instance_env.user_count('@{[prod(5)]}', 'users')"), 30000, 'or counted, if that is asked for') foreach @nodes;
is(value(0, "SELECT string_agg(DISTINCT coalesce(refused::text, '-'), ' ') FROM instance_env.usage WHERE relation = 'users'::regclass"), '-',
	'the coordinator has no shard, so it has counted nothing');
cmp_ok(sum(map { value($_, "SELECT coalesce(sum(refused), 0) FROM instance_env.usage WHERE relation = 'users'::regclass") } 1 .. $#nodes), '>=', 6,
	'what was refused is what the nodes with shards have counted');
is(value(1, "SELECT count(*) FROM instance_env.activity WHERE relation::text ~ '_10'"), 0, 'and it is said of the table');

# rename_instance()

foreach my $node (@nodes)
{
	fill(3);
	fails($node, "SELECT instance_env.rename_instance('@{[dev(3)]}', 'dev3b')", '0A000', qr/rows in distributed table "public\.parts"/,
		"node $node: an instance whose rows have its key in the distribution column is not renamed");
	value(0, "DELETE FROM parts WHERE tenant = 'dev3'");
	value($node, "SELECT instance_env.rename_instance('@{[dev(3)]}', 'dev3b'); SELECT instance_env.rename_instance('@{[dev(3)]}', 'dev3')");
	is(value(0, "SELECT external_key FROM instance_env.instance WHERE id = '@{[dev(3)]}'"), 'dev3', 'without such rows it is');
	fails($node, "UPDATE instance_env.instance SET external_key = 'x' WHERE id = '@{[dev(3)]}'", '55000', qr/cannot be changed by UPDATE/, 'but not by UPDATE');
}

# A guarded table that is local to a node: no other decides without it

psql(0, <<"SQL", must => 1);
SELECT instance_env.create_application('local', development_id => '@{[dev(7)]}', production_id => '@{[prod(7)]}');
CREATE TABLE alone (instance_id uuid NOT NULL, id uuid PRIMARY KEY);
SELECT instance_env.guard('alone');
INSERT INTO alone VALUES ('@{[dev(7)]}', gen_random_uuid());
SQL
my $not_all = qr/not all guarded tables can be looked at from this node.*"public\.alone" of node \S+:$ENV{PGPORT}\.\n/s;
fails(1, "SELECT instance_env.drop_application('local')", '55000', $not_all, 'a worker does not drop an application with users in a local table');
my (undef, @left_out) = psql(2, "CALL instance_env.reset_development('@{[dev(7)]}')");
like("$left_out[0]{severity}: $left_out[0]{message}", qr/^WARNING: not all guarded tables/, 'and warns that it resets without them');
psql(0, "SELECT citus_add_local_table_to_metadata('alone')", must => 1);
is(value(2, "SELECT users FROM instance_env.usage WHERE relation = 'alone'::regclass AND instance_id = '@{[dev(7)]}'"), 1, 'unless Citus has told all nodes of the table');
fails(1, "SELECT instance_env.drop_application('local')", '55000', qr/"public\.alone" has rows/, 'then they count');
psql(1, "DELETE FROM alone; SELECT instance_env.drop_application('local')", must => 1);
psql(0, 'DROP TABLE alone', must => 1);

# A node that is down: an error that says so, and nothing is half done

SKIP: {
	skip 'nobody to stop a node as', 12 if $> == 0;
	my $data = "$ENV{PGHOST}/data2";
	value(1, "SELECT count(*) FROM instance_env.create_application('empty')");
	my $before = value(0, 'SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM sessions), (SELECT count(*) FROM instance_env.event),
		(SELECT count(*) FROM instance_env.instance)');
	system("pg_ctl -D $data -m fast -s stop") == 0 or BAIL_OUT('node 2 does not stop');
	foreach my $node (0, 1)
	{
		foreach my $call ("SELECT * FROM instance_env.usage", "SELECT instance_env.drop_application('empty')",
			"SELECT count(*) FROM instance_env.rollback_promotion('app5')", join ' ', map { "CALL instance_env.reset_development('@{[dev($_)]}');" } 1 .. 5)
		{
			my (undef, @errors) = psql($node, $call);
			like(join(' ', map { "$_->{state} $_->{message}" } grep { $_->{severity} eq 'ERROR' } @errors), qr/^(?:08\d\d\d|57P01)/, "node $node: $call");
		}
	}
	system("pg_ctl -D $data -l $ENV{PGHOST}/log2 -s -w start") == 0 or BAIL_OUT('node 2 does not start');
	is(value(0, 'SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM sessions), (SELECT count(*) FROM instance_env.event),
		(SELECT count(*) FROM instance_env.instance)'), $before, 'nothing has changed');
	is(value($_, 'SELECT count(*) FROM instance_env.usage WHERE users IS NULL'), 0, 'all is there again') foreach @nodes;
}
whole();
done_testing();
