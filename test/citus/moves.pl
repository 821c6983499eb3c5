# Shards that move, are divided or made anew, with rows of guarded tables: the cap stays exact,
# users stay in their instance, and no user of production is lost.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Citus ':all';
use Test::More;

my $id = "instance_env.new_user_id";

use_database('moves');
psql(0, <<'SQL', must => 1);
CREATE ROLE mover LOGIN;
GRANT CREATE ON SCHEMA public TO mover;
SQL
psql(0, "GRANT CREATE ON DATABASE moves TO mover", must => 1);

# Dividing shards without blocking writers takes a plugin that a server may refuse to load.
foreach my $node (nodes())
{
	psql($node, "ALTER SYSTEM SET output_plugin_libraries = citus, pgoutput, test_decoding;\nSELECT pg_reload_conf();")
	  if value($node, "SELECT count(*) FROM pg_settings WHERE name = 'output_plugin_libraries'");
}

my ($development, $production) = split /\|/, value(0, "SELECT development_id, production_id FROM instance_env.create_application('shop')");
value(0, "UPDATE instance_env.instance SET user_cap = 10 WHERE id = '$development'");
value(0, "UPDATE instance_env.instance SET status = 'active' WHERE id = '$production'");

my @mover = (role => 'mover');
psql(0, <<'SQL', @mover, must => 1);
CREATE TABLE users (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('users', 'instance_id', shard_count => 4);
SQL
psql(0, "SELECT instance_env.guard('users', coded => true)", must => 1);
psql(0, "INSERT INTO users SELECT '$development', $id('$development') FROM generate_series(1, 9)", @mover, must => 1);
psql(0, "INSERT INTO users SELECT '$production', $id('$production') FROM generate_series(1, 50)", @mover, must => 1);

# One seat of ten is free: one user comes in, and no other, whichever node is asked.  Then one
# leaves again.
sub exact
{
	my ($name, $table) = @_;
	$table ||= 'users';

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my (undef, @first) = psql(1, "INSERT INTO $table VALUES ('$development', $id('$development'))", @mover);
	is(join(' ', map { $_->{message} } grep { $_->{severity} eq 'ERROR' } @first), '', "$name: the last seat is free");
	fails($_, "INSERT INTO $table VALUES ('$development', $id('$development'))", '23I01', qr/cap of 10/, "$name: and no other, node $_", @mover)
	  foreach nodes();
	fails(2, "INSERT INTO $table VALUES ('$production', $id('$development'))", '23I02', qr/table "\w+\.\w+"/, "$name: users stay", @mover);
	value(0, "DELETE FROM $table WHERE instance_id = '$development' AND id = (SELECT id FROM $table WHERE instance_id = '$development' LIMIT 1)", @mover);
	is(value(0, "SELECT string_agg(n, ',' ORDER BY n) FROM (SELECT count(*)::text n FROM $table GROUP BY instance_id) x", @mover), '50,9', "$name: all are there");
	is(value($_, "SELECT whole, problems FROM instance_env.guards WHERE relation = '$table'::regclass"), 't|{}', "$name: the guard is whole, node $_")
	  foreach nodes();
	return;
}

sub shard
{
	my ($table) = @_;
	return split /\|/, value(0, "SELECT shardid, nodename, nodeport FROM citus_shards"
		  . " WHERE shardid = get_shard_id_for_distribution_column('$table', '$development'::uuid)");
}

sub move
{
	my ($table, $mode) = @_;
	my ($shard, $host, $from) = shard($table);
	my $to = $from == $ENV{PGPORT} + 1 ? $from + 1 : $ENV{PGPORT} + 1;
	value(0, "SELECT citus_move_shard_placement($shard, '$host', $from, '$host', $to, '$mode')");
	return;
}

exact('where they were made');
move('users', 'block_writes');
exact('moved, writers blocked');
move('users', 'force_logical');
exact('moved by logical replication');

# While rows come and go
my $script = join '', map { "INSERT INTO users VALUES ('$development', $id('$development'));\n" } 1 .. 150;
my @clients = map { start($_ % 3, $script, @mover) } 1 .. 4;
move('users', 'force_logical');
finish($_) foreach @clients;
is(value(0, "SELECT count(*) FROM users WHERE instance_id = '$development'"), 10, 'a move while four clients ask for seats: ten of them');
value(0, "DELETE FROM users WHERE instance_id = '$development' AND id = (SELECT id FROM users WHERE instance_id = '$development' LIMIT 1)");

value(0, "SELECT isolate_tenant_to_new_shard('users', '$development', shard_transfer_mode => 'block_writes')");
exact('isolated, writers blocked');
value(0, "SELECT isolate_tenant_to_new_shard('users', '$production', shard_transfer_mode => 'force_logical')");
exact('isolated by logical replication');
value(0, "SELECT rebalance_table_shards('users', shard_transfer_mode => 'block_writes')");
psql(0, 'CALL citus_cleanup_orphaned_resources()', must => 1);
is(value(0, 'SELECT count(*) FROM pg_dist_cleanup'), 0, 'what is left of shards goes, with its users of production');
exact('rebalanced');
psql(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; TRUNCATE users; ROLLBACK", @mover, must => 1);
fails(0, 'TRUNCATE users', '55I05', qr/production/, 'after a move, too, users of production are kept', @mover);

# A table that is made anew: Citus drops the old one, of which it says that it holds users.
fails(0, "SELECT alter_distributed_table('users', shard_count => 12)", '55I05', qr/cannot drop table "public.users"/, 'another number of shards',
	@mover, options => ['citus.enable_unsafe_triggers=on']);
psql(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; SELECT alter_distributed_table('users', shard_count => 12); COMMIT", @mover, must => 1,
	options => ['citus.enable_unsafe_triggers=on']);
exact('another number of shards');
psql(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; SELECT undistribute_table('users'); COMMIT", @mover, must => 1);
is(value(0, "SELECT whole FROM instance_env.guards WHERE relation = 'users'::regclass"), 't', 'no longer distributed');
fails(0, "INSERT INTO users SELECT '$development', $id('$development') FROM generate_series(1, 2)", '23I01', qr/cap of 10/, 'the cap holds', @mover);
psql(0, "SELECT create_distributed_table_concurrently('users', 'instance_id')", must => 1, options => ['citus.enable_unsafe_triggers=on']);
exact('distributed while in use');

# A suspended instance takes no rows, not even copies that Citus makes.
psql(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; SELECT undistribute_table('users'); COMMIT", @mover, must => 1);
value(0, "UPDATE instance_env.instance SET status = 'suspended' WHERE id = '$production'");
fails(0, "SELECT create_distributed_table('users', 'instance_id')", 'XX000', qr/is not active/, 'with a suspended instance, it is not distributed',
	@mover, options => ['citus.enable_unsafe_triggers=on']);
psql(0, "SELECT instance_env.unguard('users')", must => 1);
psql(0, "SELECT create_distributed_table('users', 'instance_id')", @mover, must => 1);
psql(0, "SELECT instance_env.guard('users', coded => true)", must => 1);
move('users', 'force_logical');
value(0, "UPDATE instance_env.instance SET status = 'active' WHERE id = '$production'");
exact('distributed while it was not guarded, and moved');

# Sharding by schema
psql(0, <<'SQL', @mover, must => 1, options => ['citus.enable_schema_based_sharding=on']);
CREATE SCHEMA tenant;
CREATE TABLE tenant.users (instance_id uuid NOT NULL, id uuid PRIMARY KEY);
SQL
fails(0, "SELECT instance_env.guard('tenant.users')", '0A000', qr/coded ids only/, 'in a schema that is distributed: users by a record of departures');
psql(0, "SELECT instance_env.guard('tenant.users', coded => true)", must => 1);
psql(0, "INSERT INTO tenant.users SELECT '$development', $id('$development') FROM generate_series(1, 9)", @mover, must => 1);
psql(0, "INSERT INTO tenant.users SELECT '$production', $id('$production') FROM generate_series(1, 50)", @mover, must => 1);
exact('in a schema that is distributed', 'tenant.users');
my ($host, $from) = split /\|/, value(0, "SELECT nodename, nodeport FROM citus_shards WHERE table_name = 'tenant.users'::regclass");
my $to = $from == $ENV{PGPORT} + 1 ? $from + 1 : $ENV{PGPORT} + 1;
value(0, "SELECT citus_schema_move('tenant', '$host', $to, 'force_logical')");
exact('in a schema that was moved', 'tenant.users');

# One node only
psql(0, "SET citus.enable_create_database_propagation = off;\nCREATE DATABASE alone;", database => 'postgres', must => 1);
psql(0, "CREATE EXTENSION citus; CREATE EXTENSION instance_env", database => 'alone', must => 1);
$Citus::database = 'alone';
psql(0, "SELECT citus_set_coordinator_host('$ENV{PGHOST}', $ENV{PGPORT}); SELECT citus_set_node_property('$ENV{PGHOST}', $ENV{PGPORT}, 'shouldhaveshards', true); SELECT count(*) FROM instance_env.distribute();", must => 1);
psql(0, 'GRANT CREATE ON SCHEMA public TO mover', must => 1);
($development, $production) = split /\|/, value(0, "SELECT development_id, production_id FROM instance_env.create_application('shop')");
value(0, "UPDATE instance_env.instance SET user_cap = 10 WHERE id = '$development'");
value(0, "UPDATE instance_env.instance SET status = 'active' WHERE id = '$production'");
psql(0, <<'SQL', @mover, must => 1);
CREATE TABLE users (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('users', 'instance_id', shard_count => 4);
SQL
psql(0, "SELECT instance_env.guard('users', coded => true)", must => 1);
psql(0, "INSERT INTO users SELECT '$development', $id('$development') FROM generate_series(1, 10)", @mover, must => 1);
psql(0, "INSERT INTO users SELECT '$production', $id('$production') FROM generate_series(1, 10)", @mover, must => 1);
fails(0, "INSERT INTO users VALUES ('$development', $id('$development'))", '23I01', qr/cap of 10/, 'one node: the cap', @mover);
fails(0, "INSERT INTO users VALUES ('$production', $id('$development'))", '23I02', qr/"public.users"/, 'one node: users stay', @mover);
is(value(0, 'SELECT relation, whole, problems FROM instance_env.guards'), 'users|t|{}', 'one node: the table is listed once');
fails(0, 'DROP TABLE users', '55I05', qr/"public.users"/, 'one node: users of production', @mover);
is(value(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; DROP TABLE users; COMMIT; SELECT count(*) FROM pg_class WHERE relname LIKE 'users%'", @mover),
	0, 'one node: are dropped by who wants that');

$Citus::database = 'moves';
whole();
done_testing();
