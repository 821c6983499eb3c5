# Isolation after a dump and restore: the same policies, complete, whoever restores them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $tempdir = PostgreSQL::Test::Utils::tempdir;
my $dev = 'd0000000-0000-4000-8000-000000000001';

$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE ROLE backend LOGIN; CREATE DATABASE source');
$node->safe_psql(
	'source', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', 'pro', '$dev', 'a0000000-0000-4000-8000-000000000001', '7', '8');
	UPDATE instance_env.instance SET status = 'active';
	SELECT instance_env.grant_guard('owner'), instance_env.grant_backend('backend'), instance_env.allow_instance('backend', 'shop', 'development');
	CREATE SCHEMA app AUTHORIZATION owner;
	GRANT USAGE ON SCHEMA app TO backend;
	SET ROLE owner;
	CREATE DOMAIN app.key AS varchar(21);
	CREATE TABLE app.by_uuid (id text, instance_id uuid DEFAULT instance_env.current_instance());
	CREATE TABLE app.by_varchar (id text, instance_id varchar(21));
	CREATE TABLE app.by_domain (id text, instance_id app.key);
	CREATE TABLE app.by_char (id text, instance_id char(10));
	CREATE TABLE app.by_integer (id text, instance_id integer);
	CREATE TABLE app.own (id text, instance_id text);
	CREATE TABLE app.parted (region text, id text, instance_id text) PARTITION BY LIST (region);
	CREATE TABLE app.parted_eu PARTITION OF app.parted FOR VALUES IN ('eu');
	CREATE TABLE app.parted_us (id text, instance_id text, region text);
	ALTER TABLE app.own ENABLE ROW LEVEL SECURITY;
	CREATE POLICY mine ON app.own USING (true);
	SELECT instance_env.guard(t) FROM unnest('{app.by_uuid,app.by_varchar,app.by_domain,app.by_char,app.by_integer,app.own,app.parted}'::regclass[]) t;
	ALTER TABLE app.parted ATTACH PARTITION app.parted_us FOR VALUES IN ('us');
	INSERT INTO app.by_uuid VALUES ('d', '$dev'), ('p', 'a0000000-0000-4000-8000-000000000001');
	INSERT INTO app.by_varchar VALUES ('d', '7'), ('p', '8');
	INSERT INTO app.by_domain VALUES ('d', '7'), ('p', '8');
	INSERT INTO app.by_char VALUES ('d', '7'), ('p', '8');
	INSERT INTO app.by_integer VALUES ('d', 7), ('p', 8);
	INSERT INTO app.own VALUES ('d', '7'), ('p', '8');
	INSERT INTO app.parted VALUES ('eu', 'd', '7'), ('us', 'p', '8');
	SELECT instance_env.isolate(t, t IN ('app.by_char'::regclass, 'app.parted'::regclass))
	FROM unnest('{app.by_uuid,app.by_varchar,app.by_domain,app.by_char,app.by_integer,app.own,app.parted}'::regclass[]) t;
	GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA app TO backend});

my $state = q{SELECT relation, isolated, whole FROM instance_env.guards ORDER BY relation::text COLLATE "C"};
my $policies = q{SELECT c.oid::regclass, relrowsecurity, relforcerowsecurity, string_agg(format('%s %s', polname, pg_get_expr(polqual, c.oid)), E'\t' ORDER BY polname)
	FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid WHERE relnamespace = 'app'::regnamespace GROUP BY c.oid ORDER BY c.oid::regclass::text COLLATE "C"};
my $seen = join ' UNION ALL ', map { "SELECT string_agg('$_ ' || id, ' ') FROM app.$_" } qw(by_uuid by_varchar by_domain by_char by_integer own parted parted_eu parted_us);

# What a role sees that has entered development
sub seen
{
	my ($db, $enter) = @_;

	return $node->safe_psql($db, ($enter ? "SELECT instance_env.enter('$dev', true)\\g /dev/null\n" : '') . $seen, extra_params => [ '-U', 'backend', '-1' ]);
}

my $expected = $node->safe_psql('source', $state);
my $expected_policies = $node->safe_psql('source', $policies);
is($expected, "app.by_char|owner|t\napp.by_domain|rows|t\napp.by_integer|rows|t\napp.by_uuid|rows|t\napp.by_varchar|rows|t\napp.own|rows|t\napp.parted|owner|t", 'before');
my $development = seen('source', 1);
is($development, join("\n", 'by_uuid d', 'by_varchar d', 'by_domain d', 'by_char d', 'by_integer d', 'own d', 'parted d', 'parted_eu d', ''), 'nothing of production is seen');
is(seen('source', 0), "\n" x 8, 'and nothing at all where none is entered');

for my $format (qw(plain custom))
{
	my $db = "restored_$format";

	$node->command_ok([ 'pg_dump', '-F', $format, '-f', "$tempdir/$format", '-d', $node->connstr('source') ], "a dump, $format");
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->command_ok($format eq 'plain' ? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$tempdir/$format", '-d', $node->connstr($db) ] :
		[ 'pg_restore', '-e', '-d', $node->connstr($db), "$tempdir/$format" ], 'restored');
	is($node->safe_psql($db, $state), $expected, 'as isolated as before');
	is($node->safe_psql($db, $policies), $expected_policies, 'by the same policies');
	is(seen($db, 1), $development, 'which show the same');
	is(seen($db, 0), "\n" x 8, 'and nothing where none is entered');
	is($node->safe_psql($db, "SET client_min_messages = error; SELECT DISTINCT action FROM instance_env.guards, instance_env.isolate(relation)"), 'found', 'nothing needs repair');
	$node->safe_psql($db, "CREATE TABLE app.parted_as PARTITION OF app.parted FOR VALUES IN ('as')");
	is($node->safe_psql($db, $state), $expected, 'new partitions are isolated');
	$node->safe_psql($db, "SELECT instance_env.unisolate(relation) FROM instance_env.guards");
	is($node->safe_psql($db, "SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c WHERE relnamespace = 'app'::regnamespace AND (relrowsecurity OR relforcerowsecurity)"),
		'app.own', 'unisolate() knows what isolate() did there');
	is($node->safe_psql($db, 'SELECT string_agg(polname, \' \') FROM pg_policy'), 'mine', 'and leaves what it did not');
}

# The owner dumps its schema, and restores it elsewhere.  Of tables that are isolated from the
# owner, pg_dump refuses to write only some rows.

my ($out, $err);
$node->command_checks_all([ 'pg_dump', '-U', 'owner', '-n', 'app', '-f', "$tempdir/refused", '-d', $node->connstr('source') ], 1, [],
	[qr/row-level security/], 'a dump by an owner who is isolated');
$node->safe_psql('source', 'SET ROLE owner; ALTER TABLE app.by_char NO FORCE ROW LEVEL SECURITY; ALTER TABLE app.parted NO FORCE ROW LEVEL SECURITY;
	ALTER TABLE app.parted_eu NO FORCE ROW LEVEL SECURITY; ALTER TABLE app.parted_us NO FORCE ROW LEVEL SECURITY');
$node->command_ok([ 'pg_dump', '-U', 'owner', '-F', 'custom', '-n', 'app', '-f', "$tempdir/owners", '-d', $node->connstr('source') ], 'by one who is not');
$node->safe_psql('source', 'SELECT instance_env.isolate(relation) FROM instance_env.guards');
is($node->safe_psql('source', $state), $expected, 'isolate() forces again what it had forced');
$node->safe_psql('postgres', 'CREATE DATABASE owners');
$node->command_ok([ 'pg_dump', '-f', "$tempdir/registry", '-n', 'instance_env', '-e', 'instance_env', '-d', $node->connstr('source') ], 'the registry alone');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$tempdir/registry", '-d', $node->connstr('owners') ], 'restored');
$node->safe_psql('owners', "GRANT CREATE ON DATABASE owners TO owner; SELECT instance_env.grant_guard('owner'), instance_env.grant_backend('backend'),
	instance_env.allow_instance('backend', 'shop', 'development')");
$node->command_ok([ 'pg_restore', '-e', '-U', 'owner', '-d', $node->connstr('owners'), "$tempdir/owners" ], 'the owner restores the tables');
is($node->safe_psql('owners', 'SELECT DISTINCT isolated FROM instance_env.guards ORDER BY 1'), "partly\nrows", 'isolated, but what was not forced');
$node->safe_psql('owners', 'SELECT instance_env.isolate(relation) FROM instance_env.guards');
is($node->safe_psql('owners', $state), $expected, 'is again by isolate()');
is(seen('owners', 1), $development, 'the same is seen');

$node->stop;
done_testing();
