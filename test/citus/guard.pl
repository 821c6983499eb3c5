# guard() and unguard() on distributed tables, by an owner who is no superuser: which ones can
# be guarded, what their shards have, what is said, and what keeps users of production.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Citus ':all';
use Test::More;

use_database('guard_shards');
psql(0, <<'SQL', must => 1);
CREATE ROLE owner LOGIN;
CREATE ROLE guardian LOGIN;
GRANT owner TO guardian;
CREATE ROLE stranger LOGIN;
GRANT CREATE ON SCHEMA public TO owner, stranger;
SQL
value(0, "SELECT instance_env.grant_guard('guardian')");
my ($development, $production) = split /\|/, value(0, "SELECT development_id, production_id FROM instance_env.create_application('shop')");
value(0, "UPDATE instance_env.instance SET user_cap = 4 WHERE id = '$development'");
value(0, "UPDATE instance_env.instance SET status = 'active' WHERE id = '$production'");

my @owner = (role => 'owner');
my @guardian = (role => 'guardian');
my $id = "instance_env.new_user_id";

# What the shards of a table have, all alike
sub of_shards
{
	my ($table, $query) = @_;
	return value(0, "SELECT string_agg(DISTINCT regexp_replace(result, '_\\d{6,}', '', 'g'), ' or ')"
		  . " FROM run_command_on_shards('$table', \$\$$query\$\$)");
}

my $triggers = "SELECT string_agg(tgname::text || ' ' || tgenabled::text, ', ' ORDER BY tgname) FROM pg_trigger WHERE tgrelid = '%s'::regclass AND NOT tgisinternal";
my $indexes = "SELECT string_agg(indexrelid::regclass::text, ', ' ORDER BY 1) FROM pg_index WHERE indrelid = '%s'::regclass";

#
# By an owner whose rights guard() extends to all nodes
#
psql(0, <<'SQL', @owner, must => 1);
CREATE TABLE users (instance_id uuid NOT NULL, id uuid NOT NULL, name text, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('users', 'instance_id');
SQL
fails(0, "SELECT instance_env.guard('users', coded => true)", '42501', qr/permission denied/, 'who may not guard', @owner);
fails(0, "SELECT instance_env.guard('users', user_key => 'id')", '0A000', qr/by coded ids only.*coded => true/s, 'users by a record of departures', @guardian);
is(value(0, "SELECT string_agg(name || ' ' || action, ', ') FROM instance_env.guard('users', coded => true)", @guardian),
	'users_pkey found, instance_env_user_cap created, Instance_env_no_transfer created, instance_env_truncate created',
	'a role that may guard, guards the table of its owner');
is(of_shards('users', $triggers), 'Instance_env_no_transfer O, instance_env_user_cap A', 'each shard has the triggers');
is(value(0, "SHOW citus.enable_unsafe_triggers", @guardian), 'off', 'triggers of others are as unsafe as before');
foreach my $node (nodes())
{
	is(value($node, 'SELECT relation, coded, whole, problems FROM instance_env.guards'), 'users|t|t|{}', "node $node lists the table once");
	fails($node, "INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000001', gen_random_uuid())", '23I03', qr/table "public.users"/,
		"node $node: an instance that does not exist", @owner);
	fails($node, "INSERT INTO users VALUES ('$development', $id('$production'))", '23I02', qr/table "public.users"/, "node $node: an id of another", @owner);
	is(value($node, "WITH n AS (INSERT INTO users SELECT '$development', $id('$development') FROM generate_series(1, 4) RETURNING 1) SELECT count(*) FROM n", @owner),
		4, "node $node: as many users as the cap allows");
	fails($node, "INSERT INTO users VALUES ('$development', $id('$development'))", '23I01', qr/cap of 4/, "node $node: and no more", @owner);
	my (undef, $error) = grep { !ref || $_->{severity} eq 'ERROR' } psql($node, "INSERT INTO users SELECT '$development', $id('$development') FROM generate_series(1, 9)", @owner);
	like("$error->{message}", qr/has reached its cap of 4/, "node $node: nor by INSERT ... SELECT, where Citus has taken the SQLSTATE away");
	value($node, "DELETE FROM users WHERE instance_id = '$development'", @owner);
}

#
# Which tables can be guarded
#
psql(0, <<'SQL', @owner, must => 1);
CREATE TABLE by_id (instance_id uuid NOT NULL, id uuid NOT NULL);
SELECT create_distributed_table('by_id', 'id');
CREATE TABLE everywhere (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT create_reference_table('everywhere');
CREATE TABLE appended (instance_id uuid NOT NULL, id uuid NOT NULL);
SELECT create_distributed_table('appended', 'instance_id', 'append');
CREATE TABLE undivided (instance_id uuid NOT NULL, id uuid NOT NULL);
SELECT create_distributed_table('undivided', NULL, colocate_with => 'none');
CREATE TABLE here (instance_id uuid NOT NULL, id uuid PRIMARY KEY);
CREATE TABLE logins (instance_id uuid NOT NULL, id int NOT NULL, user_id uuid, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('logins', 'instance_id', colocate_with => 'users');
CREATE TABLE parted (instance_id uuid NOT NULL, id uuid NOT NULL, year int NOT NULL) PARTITION BY LIST (year);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
SELECT create_distributed_table('parted', 'instance_id');
SQL
fails(0, "SELECT instance_env.guard('by_id', user_key => '')", '0A000', qr/distributed by column "id".*Distribute it by its instance column, "instance_id"/s,
	'a table that is distributed by another column', @guardian);
fails(0, "SELECT instance_env.guard('everywhere', user_key => '')", '0A000', qr/reference table/, 'a reference table', @guardian);
fails(0, "SELECT instance_env.guard('appended', user_key => '')", '0A000', qr/neither by hash/, 'one that is distributed by ranges', @guardian);
psql(0, "SELECT instance_env.guard('undivided', coded => true, user_key => 'id')", @guardian, must => 1);
is(of_shards('undivided', "$indexes"), 'instance_env_undivided_instance_id_idx', 'a table with one shard, and an index of it');
psql(0, "SELECT instance_env.guard('here', user_key => 'id')", @guardian, must => 1);
psql(0, "INSERT INTO here SELECT '$development', gen_random_uuid() FROM generate_series(1, 3)", @owner, must => 1);
fails(0, "WITH gone AS (DELETE FROM here RETURNING id) INSERT INTO here SELECT '$production', id FROM gone", '23I02', qr/./, 'a local table follows users as before', @owner);
is(value(0, "SELECT string_agg(action || ' ' || name, ', ') FROM instance_env.guard('logins', counted => false, user_key => 'user_id', user_table => 'users')", @guardian),
	'created instance_env_logins_instance_id_user_id_fkey, created instance_env_logins_instance_id_user_id_idx, created instance_env_active, created Instance_env_no_transfer',
	'a table that refers to users');
is(value(0, "SELECT user_table, whole FROM instance_env.guards WHERE relation = 'logins'::regclass"), 'users|t', 'which is known');
my (undef, @messages) = psql(0, "INSERT INTO logins VALUES ('$development', 1, gen_random_uuid())", @owner);
is($messages[0]{state}, '23503', 'to nobody else, in the words of PostgreSQL, which name the shard');

psql(0, "SELECT instance_env.guard('parted', user_key => '')", @guardian, must => 1);
is(of_shards('parted_1', $indexes), 'instance_env_parted_1_instance_id_idx', 'the index of a partition has our name on shards, too');
fails(0, 'CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2)', 'XX000', qr/has triggers/, 'a new partition has triggers, which Citus refuses', @owner);
psql(0, 'CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2)', @owner, must => 1, options => ['citus.enable_unsafe_triggers=on']);
psql(1, "INSERT INTO parted VALUES ('$development', gen_random_uuid(), 1), ('$development', gen_random_uuid(), 2), ('$development', gen_random_uuid(), 2)", @owner, must => 1);
psql(2, "INSERT INTO parted VALUES ('$development', gen_random_uuid(), 1)", @owner, must => 1);
fails(1, "INSERT INTO parted VALUES ('$development', gen_random_uuid(), 2)", '23I01', qr/cap of 4/, 'the cap counts over partitions', @owner);
is(value(2, "SELECT whole, problems FROM instance_env.guards WHERE relation = 'parted'::regclass"), 't|{}', 'of which all have what they need');
psql(0, "SELECT instance_env.unguard('parted', true)", @guardian, must => 1);
is(of_shards('parted_1', $triggers) . of_shards('parted_2', $indexes), '', 'and nothing is left of it by unguard()');
psql(0, "SELECT instance_env.unguard('logins', true)", @guardian, must => 1);
is(of_shards('logins', $triggers) . of_shards('logins', $indexes), 'logins_pkey', 'nor on shards that refer to users');

#
# Guarded first, distributed then
#
foreach my $table (qw(first wrong recorded))
{
	my $key = $table eq 'recorded' ? 'id' : '';
	my $column = $table eq 'wrong' ? 'id' : 'instance_id';

	psql(0, "CREATE TABLE $table (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id))", @owner, must => 1);
	psql(0, "SELECT instance_env.guard('$table', user_key => '$key')", @guardian, must => 1);
	psql(0, "INSERT INTO $table SELECT '$development', $id('$development') FROM generate_series(1, 2)", @owner, must => 1) if $table eq 'first';
	fails(0, "SELECT create_distributed_table('$table', '$column')", 'XX000', qr/has triggers/, "$table: Citus refuses triggers", @owner);
	psql(0, "SELECT create_distributed_table('$table', '$column')", @owner, must => 1, options => ['citus.enable_unsafe_triggers=on']);
}
psql(1, "INSERT INTO first SELECT '$development', $id('$development') FROM generate_series(1, 2)", @owner, must => 1);
fails(2, "INSERT INTO first VALUES ('$development', $id('$development'))", '23I01', qr/cap of 4/, 'rows that Citus has copied count', @owner);
fails(1, "INSERT INTO wrong VALUES ('$development', $id('$development'))", '0A000', qr/takes no rows.*distributed by column "id"/s, 'wrong: not a row comes in', @owner);
fails(1, "INSERT INTO recorded VALUES ('$production', $id('$production'))", '0A000', qr/takes no rows.*coded ids only/s, 'recorded: not a row comes in', @owner);
is(value(0, "SELECT count(*) FROM instance_env.guards WHERE relation IN ('wrong'::regclass, 'recorded'::regclass) AND NOT whole"), 2, 'which view guards says');
psql(0, "SELECT instance_env.unguard('recorded', true)", @guardian, must => 1);
psql(0, "SELECT instance_env.guard('recorded', coded => true)", @guardian, must => 1);
psql(1, "INSERT INTO recorded VALUES ('$production', $id('$production'))", @owner, must => 1);

#
# A stranger's table that is called like a shard
#
my ($shard, $port) = split /\|/, value(0, "SELECT shardid, nodeport - $ENV{PGPORT} FROM citus_shards WHERE table_name = 'users'::regclass ORDER BY 1 LIMIT 1");
my $elsewhere = $port == 1 ? 2 : 1;
psql($elsewhere, <<"SQL", role => 'stranger', must => 1);
SET citus.enable_ddl_propagation = off;
CREATE TABLE users_$shard (instance_id uuid NOT NULL, id uuid NOT NULL);
SQL
psql($elsewhere, "GRANT EXECUTE ON FUNCTION instance_env.check_user_cap() TO stranger; GRANT USAGE ON SCHEMA instance_env TO stranger;", must => 1);
my (undef, $refused) = grep { !ref || $_->{severity} eq 'ERROR' } psql($elsewhere, <<"SQL", role => 'stranger');
SET citus.enable_ddl_propagation = off;
SET citus.enable_manual_changes_to_shards = on;
CREATE TRIGGER instance_env_user_cap AFTER INSERT ON users_$shard FOR EACH ROW
WHEN (instance_env.admission_required(NEW.instance_id, NEW.tableoid))
EXECUTE FUNCTION instance_env.check_user_cap('owner/public.users');
SQL
is($refused->{state}, '42501', 'has not the label of the table');

#
# Rows that are brought into another shard than that of their instance, where they would not be
# counted, by a role that may only insert
#
psql(0, 'CREATE ROLE backend LOGIN', must => 1);
psql(0, "SELECT instance_env.grant_backend('backend')", must => 1);
psql(0, <<"SQL", @owner, must => 1);
GRANT SELECT, INSERT, UPDATE ON users, parted TO backend;
CREATE TABLE by_key (instance char(8), id int);
SELECT create_distributed_table('by_key', 'instance');
GRANT SELECT, INSERT ON by_key TO backend;
SQL
my ($keyed) = split /\|/, value(0, "SELECT development_id FROM instance_env.create_application('keyed')");
value(0, "SELECT instance_env.rename_instance('$keyed', 'key')");
value(0, "DELETE FROM parted", @owner);
value(0, "UPDATE instance_env.instance SET user_cap = 4 WHERE id = '$keyed'");
psql(0, "SELECT instance_env.guard('parted', user_key => ''); SELECT instance_env.guard('by_key', 'instance', user_key => '')", @guardian, must => 1);
foreach my $what (["users", "('$development', $id('$development'))", "'$development'::uuid"],
	["users", "('$production', $id('$production'))", "'$production'::uuid"],
	["parted", "('$development', gen_random_uuid(), 1)", "'$development'::uuid"],
	["by_key", "('key', 1)", "'key'::char(8)"])
{
	my ($table, $row, $value) = @$what;
	my %wrong;
	my @by_hand = (role => 'backend', options => ['citus.enable_manual_changes_to_shards=on']);

	foreach (split /\n/, value(0, "SELECT shard_name, nodeport - $ENV{PGPORT}, shardid = get_shard_id_for_distribution_column('$table', $value) FROM citus_shards WHERE table_name = '$table'::regclass"))
	{
		my ($shard_name, $node, $right) = split /\|/;
		my (undef, @said) = psql($node, "INSERT INTO $shard_name VALUES $row", @by_hand);
		my $state = join ' ', map { $_->{state} } grep { $_->{severity} eq 'ERROR' } @said;

		is($state, '', "$table: a row comes into its shard by the shard's name") if $right eq 't';
		$wrong{$state}++ if $right ne 't';
	}
	is(join(',', keys %wrong), '23514', "$table: and into no other");
}
fails(0, "SELECT instance_env.isolate('parted')", '0A000', qr/cannot be isolated.*Citus/s, 'Citus takes no policies with subqueries');
psql(1, "INSERT INTO parted VALUES ('$production', gen_random_uuid(), 1), ('$production', gen_random_uuid(), 2)", @owner, must => 1);
fails(0, 'DROP TABLE parted_1', '55I05', qr/"public.parted_1".*production/s, 'a partition with users of production is kept', @owner);
is(value(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; DROP TABLE parted_1; COMMIT; SELECT count(*) FROM parted", @owner), 1, 'or dropped');
psql(0, "SELECT instance_env.unguard('by_key'); SELECT instance_env.unguard('parted')", @guardian, must => 1);
psql(0, 'DROP TABLE by_key', @owner, must => 1);
value(0, "DELETE FROM users", @owner);

#
# Users of production
#
psql(0, "INSERT INTO users SELECT '$production', $id('$production') FROM generate_series(1, 3)", @owner, must => 1);
foreach my $node (nodes())
{
	fails($node, 'TRUNCATE users CASCADE', '55I05', qr/table "public.users".*production/s, "node $node: are not truncated", @owner);
}
foreach my $line (split /\n/, value(0, "SELECT shard_name, nodeport - $ENV{PGPORT} FROM citus_shards WHERE shardid = get_shard_id_for_distribution_column('users', '$production'::uuid)"))
{
	my ($name, $node) = split /\|/, $line;
	my @by_hand = (@owner, options => ['citus.enable_manual_changes_to_shards=on']);

	my (undef, $unguard) = psql($node, "SELECT instance_env.unguard('$name')", options => ['citus.override_table_visibility=off']);
	is("$unguard->{state}: $unguard->{message}", qq(42809: relation "$name" is a shard of table "public.users"), 'a shard keeps its guard');
	fails($node, "TRUNCATE $name", '55I05', qr/table "public.users".*production/s, 'by the name of a shard: not truncated', @by_hand);
	fails($node, "DROP TABLE $name", '55I05', qr/table "public.users".*production/s, 'by the name of a shard: not dropped', @by_hand);
	fails($node, "ALTER TABLE $name DROP COLUMN instance_id CASCADE", '55I05', qr/table "public.users".*production/s, 'by the name of a shard: nor does its column go', @by_hand);
	is(value($node, "BEGIN; SET LOCAL instance_env.allow_destructive = on; TRUNCATE $name; SELECT count(*) FROM $name; DROP TABLE $name; ROLLBACK;", @by_hand), 0,
		'unless the owner wants that');
}
fails(0, "SELECT citus_drop_all_shards('users', 'public', 'users')", '55I05', qr/production/s, 'nor are all shards dropped from under it', @owner);
fails(0, 'DROP TABLE users CASCADE', '55I05', qr/table "public.users".*production/s, 'or dropped', @owner);
fails(0, 'DROP OWNED BY owner CASCADE', '55I05', qr/production/s, 'in whatever way');
fails(0, 'DROP EXTENSION instance_env CASCADE', '55I05', qr/production/s, 'nor is the extension');
is(value(1, 'SELECT count(*) FROM users'), 3, 'all are there');
is(value(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; TRUNCATE users CASCADE; SELECT count(*) FROM users; ROLLBACK;", @owner), 0, 'unless the owner wants that');
is(value(0, "BEGIN; SET LOCAL instance_env.allow_destructive = on; DROP TABLE users CASCADE; COMMIT; SELECT to_regclass('users') IS NULL", @owner), 't', 'and drops the table');
is(value(0, "SELECT string_agg(DISTINCT result, ',') FROM run_command_on_all_nodes(\$\$SELECT count(*) FROM pg_class c WHERE relname ~ '^users_1' AND pg_get_userbyid(relowner) = 'owner'\$\$)"),
	0, 'with its shards');
is(value(0, "SELECT action, item FROM instance_env.events WHERE action = 'drop_table' ORDER BY item"), "drop_table|public.parted_1\ndrop_table|public.users", 'which the audit log has');

whole();
done_testing();
