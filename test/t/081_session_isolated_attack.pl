# Isolated tables, attacked by a role that logs in, and what takes sessions of its own: COPY,
# connection options, statements and cursors that are kept, parallel workers, dumps, views of
# others.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dev = 'd0000000-0000-4000-8000-000000000001';
my $prod = 'a0000000-0000-4000-8000-000000000001';
my $rows = 20000;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', 'pro', '$dev', '$prod', '7', '8');
	SELECT instance_env.set_user_cap('$dev', 100000);
	UPDATE instance_env.instance SET status = 'active';
	CREATE ROLE owner LOGIN;
	CREATE ROLE attacker LOGIN;
	CREATE ROLE backend LOGIN;
	CREATE ROLE prod LOGIN;
	SELECT instance_env.grant_guard('owner'), instance_env.grant_backend('attacker'), instance_env.grant_backend('backend'), instance_env.grant_backend('prod');
	SELECT instance_env.allow_instance('attacker', 'shop', 'development'), instance_env.allow_instance('backend', 'shop'), instance_env.allow_instance('prod', 'shop', 'production');
	CREATE SCHEMA app AUTHORIZATION owner;
	GRANT USAGE ON SCHEMA app TO PUBLIC;
	CREATE SCHEMA evil AUTHORIZATION attacker;
	SET ROLE owner;
	CREATE TABLE app.users (id text PRIMARY KEY, instance_id uuid NOT NULL DEFAULT instance_env.current_instance(), note text);
	CREATE TABLE app.parted (id text, instance_id integer, note text) PARTITION BY LIST (instance_id);
	CREATE TABLE app.parted_7 PARTITION OF app.parted FOR VALUES IN (7);
	CREATE TABLE app.parted_8 PARTITION OF app.parted FOR VALUES IN (8);
	SELECT instance_env.guard(t) FROM unnest('{app.users,app.parted}'::regclass[]) t;
	INSERT INTO app.users SELECT 'd' || i, '$dev', 'open' FROM generate_series(1, $rows) i;
	INSERT INTO app.users SELECT 'p' || i, '$prod', 'secret' FROM generate_series(1, $rows) i;
	INSERT INTO app.parted VALUES ('d', 7, 'open'), ('p', 8, 'secret');
	CREATE VIEW app.of_owner AS SELECT * FROM app.users;
	SELECT instance_env.isolate(t) FROM unnest('{app.users,app.parted}'::regclass[]) t;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO attacker, backend, prod;
	RESET ROLE;
	CREATE VIEW app.of_superuser AS SELECT * FROM app.users;
	GRANT SELECT ON app.of_superuser TO attacker;
	ANALYZE});

# What statements say, all of them, to a role
sub run
{
	my ($role, $sql, %more) = @_;

	local $ENV{PGOPTIONS} = $more{options} if $more{options};
	$node->psql('postgres', "\\set VERBOSITY verbose\n$sql", stdout => \my $out, stderr => \my $err, extra_params => [ '-U', $role ], on_error_stop => 0);
	return "$out\n$err";
}

sub attempt
{
	my ($name, $sql, $expected, %more) = @_;

	my $said = run('attacker', $sql, %more);
	unlike($said, qr/^p\d|\bp\d+\b.*secret|^secret/m, "$name: no row of production");
	like($said, $expected, "$name: what is said");
	return;
}

my $enter = "SELECT instance_env.enter('$dev')\\g /dev/null\n";
my $off = qr/42501: .*would be affected by row-level security/;

# COPY

attempt('COPY TO', "${enter}COPY app.users TO STDOUT", qr/^d$rows\t$dev\topen$/m);
attempt('COPY of a query', "${enter}COPY (SELECT count(*), min(note) FROM app.users) TO STDOUT", qr/^$rows\topen$/m);
attempt('COPY of a partition', "${enter}COPY app.parted_8 TO STDOUT; SELECT 'end'", qr/^\s*end\s/);
attempt('COPY TO with row_security off', "${enter}SET row_security = off; COPY app.parted_8 TO STDOUT", $off);
attempt('COPY FROM', "${enter}COPY app.users FROM STDIN;\nx\t$prod\tx\n\\.\n", qr/0A000: .*COPY FROM not supported with row-level security/);
attempt('COPY to a program', "${enter}COPY app.users TO PROGRAM 'cat > /tmp/x'", qr/42501/);

# how one connects

attempt('nothing entered', 'SELECT count(*) FROM app.users', qr/^0$/m);
attempt('row_security off', 'SELECT * FROM app.users', $off, options => '-c row_security=off');
attempt('the parameter', 'SELECT count(*) FROM app.users', qr/^0$|42501/m, options => "-c instance_env.current_instance=$prod");
attempt('the role', 'SELECT count(*) FROM app.users', qr/permission denied|^0$/m, options => '-c role=prod');
attempt('a search_path', "${enter}CREATE FUNCTION evil.current_instance() RETURNS uuid LANGUAGE sql AS 'SELECT ''$prod''::uuid'; SELECT count(*) FROM app.users",
	qr/^$rows$/m, options => '-c search_path=evil,pg_temp,pg_catalog');
attempt('triggers off', 'SELECT 1', qr/permission denied to set parameter/, options => '-c session_replication_role=replica');

# other roles, and what is forgotten

attempt('SET SESSION AUTHORIZATION', "${enter}SET SESSION AUTHORIZATION prod; SELECT count(*) FROM app.users", qr/^$rows\n.*42501/ms);
attempt('SET ROLE', "${enter}SET ROLE prod; SET ROLE owner; SELECT count(*) FROM app.users", qr/42501.*42501/ms);
attempt($_, "${enter}$_; SELECT count(*) FROM app.users", qr/^0$/m) for 'RESET ALL', 'DISCARD ALL', 'RESET instance_env.current_instance', "SET instance_env.current_instance = ''";
attempt('DISCARD PLANS', "${enter}PREPARE q AS SELECT count(*) FROM app.users; DISCARD PLANS; EXECUTE q", qr/^$rows$/m);
attempt('a subtransaction', "BEGIN; SAVEPOINT a; ${enter}ROLLBACK TO a; SELECT count(*) FROM app.users; COMMIT", qr/^0$/m);
attempt('a local entry', "BEGIN; SELECT instance_env.enter('$dev', true) \\g /dev/null\nSELECT count(*) FROM app.users; COMMIT; SELECT count(*) + 7 FROM app.users", qr/^$rows\n7\n/m);

# cursors and statements that are kept

attempt('a cursor WITH HOLD', "${enter}DECLARE c CURSOR WITH HOLD FOR SELECT note FROM app.users; SELECT instance_env.leave() \\g /dev/null\nFETCH 1 FROM c; MOVE FORWARD ALL IN c", qr/^open$/m);
like(run('backend', "PREPARE q AS SELECT min(note), count(*) FROM app.users;\n"
		. join('', map { "SELECT instance_env.enter('$_') \\g /dev/null\nEXECUTE q; EXECUTE q; EXECUTE q; EXECUTE q; EXECUTE q; EXECUTE q;\n" } $dev, $prod, $dev)
		. "SELECT instance_env.leave() \\g /dev/null\nEXECUTE q"),
	qr/^(open\|$rows\n){6}(secret\|$rows\n){6}(open\|$rows\n){6}\|0\n/, 'a prepared statement follows the instance');
like(run('backend', "SET plan_cache_mode = force_generic_plan; PREPARE q (text) AS DELETE FROM app.parted WHERE note = \$1;
		SELECT instance_env.enter('$dev') \\g /dev/null\nEXECUTE q ('secret'); SELECT instance_env.enter('$prod') \\g /dev/null\nSELECT * FROM app.parted"),
	qr/^p\|8\|secret$/m, 'a generic plan deletes nothing else');
$node->safe_psql('postgres', 'GRANT attacker TO backend');
like(run('backend', "SELECT instance_env.enter('$prod') \\g /dev/null\nPREPARE q AS SELECT min(note), count(*) FROM app.users; EXECUTE q; SET ROLE attacker; EXECUTE q; RESET ROLE; EXECUTE q"),
	qr/^secret\|$rows\n\|0\nsecret\|$rows\n/, 'SET ROLE to one that may not be there');

$node->safe_psql('postgres', "CREATE ROLE boss LOGIN SUPERUSER; CREATE FUNCTION app.by_sql() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM app.users';
	CREATE FUNCTION app.by_plpgsql() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM app.users); END'");
my $both = 'SELECT app.by_sql(), app.by_plpgsql();';
like(run('boss', "SET plan_cache_mode = force_generic_plan; PREPARE q AS SELECT count(*) FROM app.users;
		SET ROLE owner; $both $both EXECUTE q; SET ROLE attacker; $both EXECUTE q; ${enter}$both EXECUTE q; SET ROLE owner; $both EXECUTE q"),
	qr/^(?:@{[2 * $rows]}\|@{[2 * $rows]}\n){2}@{[2 * $rows]}\n0\|0\n0\n$rows\|$rows\n$rows\n@{[2 * $rows]}\|@{[2 * $rows]}\n@{[2 * $rows]}\n/,
	'functions and statements that the owner has planned');

# parallel workers

my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0; SET max_parallel_workers_per_gather = 2;';
attempt('a parallel plan', "${enter}${parallel}EXPLAIN (COSTS OFF) SELECT count(*) FROM app.users", qr/Gather/);
attempt('parallel workers', "${enter}${parallel}SELECT count(*), min(note), max(note) FROM app.users", qr/^$rows\|open\|open$/m);
attempt('parallel workers, none entered', "${parallel}SELECT count(*) FROM app.users", qr/^0$/m);

# who else may be read

$node->safe_psql('postgres', 'GRANT SELECT ON app.of_owner TO attacker');
$node->command_checks_all([ 'pg_dump', '-U', 'attacker', '-n', 'app', '-d', $node->connstr('postgres') ], 1, [qr/\A((?!secret).)*\z/s], [qr/row-level security/], 'pg_dump refuses');
$node->command_checks_all([ 'pg_dump', '-U', 'attacker', '-n', 'app', '--enable-row-security', '-d', $node->connstr('postgres') ], 0, [qr/\A((?!secret).)*\z/s], [qr//], 'or writes nothing of production');
like(run('attacker', "${enter}SELECT count(*) FROM app.of_superuser; SELECT count(*) FROM app.of_owner"), qr/^@{[2 * $rows]}\n@{[2 * $rows]}\n/,
	'what a view shows that a superuser or the owner has granted, is theirs to say');
$node->safe_psql('postgres', "SELECT instance_env.isolate('app.users', true)");
like(run('attacker', "${enter}SELECT count(*) FROM app.of_owner"), qr/^$rows\n/, 'a view of an owner who is isolated, too, shows what was entered');
like(run('owner', "SELECT count(*) FROM app.users; COPY app.users FROM STDIN;\nx\t$dev\tx\n\\.\n"), qr/^0\n.*0A000/s, 'as the owner sees it');

# PostgreSQL lifts FORCE ROW LEVEL SECURITY in what a foreign key's cascade sets off, so that the owner's
# views may show all; those of a role that owns no table never do, nor those with security_invoker
$node->safe_psql('postgres', q{CREATE ROLE viewer; GRANT USAGE, CREATE ON SCHEMA app TO viewer; GRANT SELECT ON app.users TO viewer; SET ROLE viewer;
	CREATE VIEW app.of_viewer AS SELECT * FROM app.users; GRANT SELECT ON app.of_viewer TO attacker;
	CREATE FUNCTION app.of_viewer() RETURNS SETOF app.users LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT * FROM app.users; END';
	RESET ROLE; SET ROLE owner; CREATE VIEW app.of_invoker WITH (security_invoker) AS SELECT * FROM app.users; GRANT SELECT ON app.of_invoker TO attacker});
attempt('a cascade', "${enter}CREATE TABLE evil.parent (id integer PRIMARY KEY); CREATE TABLE evil.child (id integer REFERENCES evil.parent ON DELETE CASCADE);
	CREATE TABLE evil.loot (what text); INSERT INTO evil.parent VALUES (1); INSERT INTO evil.child VALUES (1);
	CREATE FUNCTION evil.take() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
		INSERT INTO evil.loot SELECT note FROM app.users UNION ALL SELECT note FROM app.of_viewer UNION ALL SELECT note FROM app.of_invoker UNION ALL SELECT note FROM app.of_viewer();
		RETURN OLD; END';
	CREATE TRIGGER take BEFORE DELETE ON evil.child FOR EACH ROW EXECUTE FUNCTION evil.take();
	DELETE FROM evil.parent; SELECT what, count(*) FROM evil.loot GROUP BY what", qr/^open\|@{[3 * $rows]}$/m);

# an allowance for all applications, where no index is used
$node->safe_psql('postgres', "SELECT instance_env.allow_instance('prod')");
like(run('prod', "SELECT instance_env.enter('$dev') \\g /dev/null\nSELECT instance_env.current_instance()", options => '-c ignore_system_indexes=on'), qr/^\Q$dev\E$/m,
	'an allowance is found without the index');
attempt('no index', "SELECT instance_env.enter('$prod')", qr/42501/, options => '-c ignore_system_indexes=on');

# with the right to change what is one's own

attempt('writing', "${enter}UPDATE app.users SET note = 'changed' WHERE id < 'd2' OR id LIKE 'p%'; DELETE FROM app.users WHERE id LIKE 'p%'; DELETE FROM app.parted_8", qr//);
is($node->safe_psql('postgres', "SELECT count(*), min(note), max(note) FROM app.users WHERE instance_id = '$prod'"), "$rows|secret|secret", 'all of production is there, and as it was');

$node->stop;
done_testing();
