# Dumps that are not of everything, or not made by a superuser, and what can be restored in
# spite of a cap that was lowered or an instance that was suspended since.  And other tools
# that rewrite a database: all of it is still there, and still holds.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dev = '00000000-0000-4000-8000-00000000000d';
my $suspended = '00000000-0000-4000-8000-00000000001d';
my $other = '00000000-0000-4000-8000-00000000002d';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $tempdir = PostgreSQL::Test::Utils::tempdir;

# The owner of a database, who is no superuser, and guards his tables: one schema sorts before
# instance_env, one after it.
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN');
$node->safe_psql('postgres', 'CREATE DATABASE source OWNER owner');
$node->safe_psql(
	'source', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', development_id => '$dev');
	SELECT instance_env.create_application('bank', development_id => '$suspended');
	SELECT instance_env.create_application('idle', development_id => '$other');
	UPDATE instance_env.feature SET plan = 'free' WHERE name = 'passkeys';
	UPDATE instance_env.policy_default SET description = 'in other words' WHERE name = 'plan_required';
	SELECT instance_env.grant_guard('owner');
	SET ROLE owner;
	CREATE SCHEMA app;
	CREATE SCHEMA store;
	CREATE TABLE app.users (id integer, instance_id uuid, PRIMARY KEY (instance_id, id));
	CREATE TABLE store.visits (id integer PRIMARY KEY, instance_id uuid NOT NULL, user_id integer NOT NULL);
	SELECT instance_env.guard('app.users', user_key => 'id');
	SELECT instance_env.guard('store.visits', user_key => 'user_id', counted => false, user_table => 'app.users');
	INSERT INTO app.users SELECT i, '$dev' FROM generate_series(1, 4) i;
	INSERT INTO app.users VALUES (11, '$suspended');
	INSERT INTO store.visits VALUES (1, '$dev', 1), (2, '$suspended', 11);
	DELETE FROM app.users WHERE id = 4;
	RESET ROLE;
	SELECT instance_env.set_user_cap('$dev', 2);
	SELECT instance_env.suspend_instance('$suspended')});

sub next_copy
{
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS copy');
	$node->safe_psql('postgres', 'CREATE DATABASE copy OWNER owner');
	return;
}

sub dump_ok
{
	my ($file, @options) = @_;
	return $node->command_ok([ 'pg_dump', '--format=custom', "--file=$tempdir/$file", @options, 'source' ], "pg_dump @options");
}

sub restore_ok
{
	my ($file, @options) = @_;
	return $node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname=copy', @options, "$tempdir/$file" ], "pg_restore @options");
}

# Which SQLSTATE a statement leads to
sub state_of
{
	my ($sql, $database) = @_;

	$node->psql($database // 'copy', "SET client_min_messages = error;\n$sql;\n\\echo :SQLSTATE", stdout => \my $state, on_error_stop => 0);
	return $state =~ s/.*\n//sr;
}

# What must hold in the copy.  Changes it.
sub check
{
	my ($name) = @_;

	is($node->safe_psql('copy', q{SELECT relation, label, whole, problems FROM instance_env.guards ORDER BY 1}),
		"app.users|owner/app.users|t|{}\nstore.visits|owner/store.visits|t|{}", "$name: the guards are whole");
	is($node->safe_psql('copy', 'TABLE app.users ORDER BY id'), "1|$dev\n2|$dev\n3|$dev\n11|$suspended", 'users are back');
	is($node->safe_psql('copy', 'SELECT count(*) FROM store.visits'), '2', 'and what belongs to them');
	my $registry = q{SELECT plan FROM instance_env.feature WHERE name = 'passkeys';
		SELECT DISTINCT description FROM instance_env.policy_default WHERE name = 'plan_required';
		SELECT application, type, status, user_cap, instance_id FROM instance_env.instances ORDER BY 1, 2;
		SELECT count(*) FROM instance_env.departed_user};
	is($node->safe_psql('copy', $registry), $node->safe_psql('source', $registry), 'so is the registry');
	is( join(' ', map { state_of($_) } "INSERT INTO app.users VALUES (5, '$dev')", "INSERT INTO app.users VALUES (5, '$suspended')",
			"INSERT INTO app.users VALUES (1, '$other')", "INSERT INTO app.users VALUES (4, '$other')",
			"INSERT INTO store.visits VALUES (3, '$other', 1)", 'DELETE FROM app.users WHERE id = 2',
			"INSERT INTO app.users VALUES (2, '$other')",
			'TRUNCATE app.users, store.visits', "INSERT INTO app.users VALUES (3, '$other')", "INSERT INTO app.users VALUES (1, '$dev')"),
		'23I01 23I04 23I02 23I02 23503 00000 23I02 00000 23I02 00000', 'and the rules hold');
	return;
}

#
# More users than the cap, and some of a suspended instance
#

dump_ok('full');
dump_ok('data', '--data-only');

next_copy();
restore_ok('full');
check('everything');

next_copy();
restore_ok('full', '--section=pre-data');
restore_ok('full', '--section=data', '--schema=instance_env');
restore_ok('full', '--section=data', '--exclude-schema=instance_env');
restore_ok('full', '--section=post-data');
check('the registry first, triggers last');

# Where the triggers are there already, they refuse such users, in whatever order.
next_copy();
restore_ok('full', '--schema-only');
restore_ok('data', '--schema=instance_env');
$node->command_checks_all([ 'pg_restore', '--single-transaction', '--dbname=copy', '--exclude-schema=instance_env', "$tempdir/data" ],
	1, [qr/^$/], [qr/ERROR: .* has reached its cap of 2 users/], 'data after the registry, triggers in force: refused');

# Replication is not refused, and neither is who says that he replicates.
{
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
	next_copy();
	restore_ok('full', '--schema-only');
	restore_ok('data', '--jobs=2');
}
check('data in any order, as if replicated');

# Over what is there
next_copy();
restore_ok('full');
restore_ok('full', '--clean', '--if-exists');
check('--clean');
$node->command_ok([ 'pg_dump', '--format=directory', '--jobs=2', "--file=$tempdir/folder", 'source' ], 'pg_dump --jobs');
next_copy();
restore_ok('folder', '--jobs=2');
check('a directory');

#
# The owner
#

my @as_owner = ('--username=owner');
$node->command_checks_all([ 'pg_dump', @as_owner, '--file=/dev/null', 'source' ],
	1, [qr/^$/], [qr/permission denied for .*event|lack SELECT privilege/], 'the owner may not read the registry');
$node->safe_psql('postgres', 'GRANT pg_read_all_data TO owner');
dump_ok('full', @as_owner);
$node->safe_psql('postgres', 'REVOKE pg_read_all_data FROM owner');
next_copy();
restore_ok('full');
check('a dump by the owner, who may read all');

dump_ok('registry', '--extension=instance_env', '--schema=instance_env');
dump_ok('app', @as_owner, '--schema=app', '--schema=store');
next_copy();
restore_ok('registry');
restore_ok('app', @as_owner);
check('the schemas of the owner, after the registry');

SKIP:
{
	skip 'pg_dump cannot leave an extension out before PostgreSQL 17', 8 if $node->pg_version < 17;
	dump_ok('app', @as_owner, '--exclude-extension=instance_env');
	next_copy();
	restore_ok('registry');
	restore_ok('app', @as_owner);
	check('all but the extension, after the registry');
}

#
# The registry alone
#

dump_ok('alone', '--schema=instance_env');
my ($list) = run_command([ 'pg_restore', '--list', "$tempdir/alone" ]);
unlike($list, qr/^[^;]/m, 'a dump of the schema alone is empty');
dump_ok('alone', '--data-only', '--table=instance_env.*');
next_copy();
$node->safe_psql('copy', 'CREATE EXTENSION instance_env');
restore_ok('alone');
is($node->safe_psql('copy', 'SELECT count(*) FROM instance_env.event'),
	$node->safe_psql('source', 'SELECT count(*) FROM instance_env.event'), 'that of its tables is not');

#
# Tools that rewrite tables and indexes
#

next_copy();
restore_ok('full');
foreach my $command ([qw(vacuumdb --full --freeze)], ['reindexdb'], [qw(reindexdb --concurrently --schema=app)], ['clusterdb'])
{
	$node->command_ok([ @$command, '--quiet', 'copy' ], "@$command");
}
$node->safe_psql('copy', 'CLUSTER app.users USING users_pkey');
is($node->safe_psql('copy', 'CREATE TABLE app.twin (LIKE app.users INCLUDING ALL);
	SELECT count(*) FROM pg_trigger WHERE tgrelid = $$app.twin$$::regclass; DROP TABLE app.twin'), '0', 'a table like a guarded one is not guarded');
check('rewritten');

# pg_upgrade, to the same version, since there is no other
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init;
$node->safe_psql('postgres', 'DROP DATABASE copy');
$node->safe_psql('postgres', 'ALTER DATABASE source RENAME TO copy');
$node->stop;
my $bin = $node->config_data('--bindir');
chdir $tempdir;
command_ok(
	[
		"$bin/pg_upgrade", '--no-sync', '--old-datadir', $node->data_dir, '--new-datadir', $new->data_dir,
		'--old-bindir', $bin, '--new-bindir', $bin, '--socketdir', $new->host, '--old-port', $node->port, '--new-port', $new->port,
	],
	'pg_upgrade');
$new->start;
$node = $new;
is($node->safe_psql('copy', 'SELECT string_agg(relation::text, $$ $$ ORDER BY relation::text), bool_and(whole) FROM instance_env.guards'),
	'app.users store.visits|t', 'the guards are whole');
is( join(' ', map { state_of($_) } "INSERT INTO app.users VALUES (5, '$dev')", "INSERT INTO app.users VALUES (5, '$suspended')",
		"INSERT INTO app.users VALUES (1, '$other')", "INSERT INTO app.users VALUES (4, '$other')", "INSERT INTO app.users VALUES (6, '$other')"),
	'23I01 23I04 23I02 23I02 00000', 'and the rules hold');

$node->stop;
done_testing();
