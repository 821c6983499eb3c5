# ORMs synchronise tables with their models, and drop what these do not have: the indexes and
# foreign keys that guard() makes.  With models that declare them, as "Adopting" has it,
# synchronisation changes nothing.  The clients are installed from npm; where that cannot be
# done, all of this is skipped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Clients;

# The models that the document shows for each client, as JavaScript in the folder
sub document_models
{
	my ($folder) = @_;
	my $document = slurp_file('doc/adopting.md');

	foreach my $client ('TypeORM', 'Drizzle', 'Sequelize')
	{
		my ($section) = "$document## " =~ /^### $client\n(.*?)^##/ms or die "there is no section $client";
		my ($models, $between) = $section =~ /^```[jt]s\n(.*?)^```$/msg;
		my $file = "$folder/" . lc($client) . '_documented';

		append_to_file("$file.ts", $models);
		append_to_file("$file.js", $models) if $client eq 'Sequelize';
		append_to_file("$folder/sequelize_between.js", $between) if $between;
		next if $client eq 'Sequelize';
		my ($output, $succeeded) = output_of(20, "$folder/node_modules/.bin/esbuild", "$file.ts", "--outfile=$file.js",
			'--format=cjs', '--tsconfig-raw={"compilerOptions":{"experimentalDecorators":true}}');
		die "$client: $output" unless $succeeded;
	}
	return;
}

my ($clients, $why_not) = install_from_npm();
plan(skip_all => $why_not) unless $clients;
document_models($clients);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;

my $shop = '00000000-0000-4000-8000-00000000000d';
my $bank = '10000000-0000-4000-8000-00000000000d';
my $ada = '20000000-0000-4000-8000-000000000001';
my $grace = '20000000-0000-4000-8000-000000000002';
my $edsger = '20000000-0000-4000-8000-000000000003';

$node->safe_psql(
	'postgres', qq{
	CREATE ROLE app LOGIN;
	CREATE DATABASE template OWNER app;
	\\c template
	CREATE EXTENSION instance_env;
	ALTER SCHEMA public OWNER TO app;
	SELECT instance_env.create_application('shop', development_id => '$shop'),
		instance_env.create_application('bank', development_id => '$bank');
	SELECT instance_env.set_user_cap('$shop', 2);
	SELECT instance_env.grant_guard('app');
	GRANT SELECT ON instance_env.guards TO app;});

# What the client says of actions, in this database
sub client
{
	my ($client, $variant, $db, @actions) = @_;
	local @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->host, $node->port, 'app', $db);
	my ($output) = output_of(60, 'node', "$clients/run.js", $client, $variant, @actions);

	note("$client $variant @actions: $output");
	return $output;
}

# Run by the owner, who is no superuser
sub sql
{
	my ($db, $sql) = @_;
	return $node->safe_psql($db, $sql, extra_params => [ '-U', 'app' ]);
}

# Guards the tables of the models, and returns which indexes and constraints that has made.
sub guard
{
	my ($db) = @_;
	my $objects = q{SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'i'
		UNION ALL SELECT conname FROM pg_constraint WHERE contype = 'f' ORDER BY 1};
	my %before = map { $_ => 1 } split /\n/, sql($db, $objects);

	sql($db, q{
		SELECT instance_env.guard('users');
		SELECT instance_env.guard('sessions', user_key => 'user_id', counted => false, user_table => 'users');});
	return join ' ', grep { !$before{$_} } split /\n/, sql($db, $objects);
}

# The guards, and what is wrong with them
sub problems
{
	my ($db) = @_;
	return $node->safe_psql($db,
		q{SELECT relation, array_to_string(problems, '; ') FROM instance_env.guards ORDER BY relation::text});
}

my $whole = "sessions|\nusers|";

# What guard() has made in a database, as the models declare it, in JSON
sub objects
{
	my ($db) = @_;
	return $node->safe_psql($db, q{
		SELECT json_build_object('users', pg_temp.indexes('users'), 'sessions', pg_temp.indexes('sessions'), 'sessionsUser',
			(SELECT conname FROM pg_constraint
			 WHERE contype = 'f' AND conrelid = 'sessions'::regclass AND array_length(conkey, 1) = 2))}
		=~ s/pg_temp\.indexes\(('\w+')\)/(SELECT coalesce(json_agg(json_build_object('name', indexrelid::regclass::text,
				'columns', (SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid),
				'unique', indisunique,
				'constraint', EXISTS (SELECT FROM pg_constraint WHERE contype = 'u' AND conindid = indexrelid))), '[]')
			FROM pg_index WHERE NOT indisprimary AND indrelid = $1::regclass)/gr);
}

sub create_database
{
	my ($db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template OWNER app");
	return $db;
}

#
# With models that know nothing of it
#

foreach my $client ('typeorm', 'drizzle')
{
	my $db = create_database("${client}_plain");

	client($client, 'plain', $db, 'sync');
	like(guard($db), qr/^(?:\S+ ){2,}\S+$/, "$client: guard() makes indexes and a foreign key");
	is(problems($db), $whole, "$client: the guards are whole");

	my $done = client($client, 'plain', $db, 'sync');
	like($done, qr/DROP CONSTRAINT/, "$client, plain: synchronisation drops the foreign key");
	like($done, qr/DROP INDEX/, "$client, plain: and indexes");
	like(problems($db), qr/no index serves column "instance_id"/, "$client, plain: the guard lacks an index");
	like(problems($db), qr/lets a row refer to a user of another instance/, "$client, plain: and the foreign key");
	guard($db);
	is(problems($db), $whole, "$client, plain: guard() repairs it");
}

# Sequelize alters every column each time, unless told not to.
{
	my $db = create_database('sequelize_plain');

	client('sequelize', 'plain', $db, 'sync');
	guard($db);
	is(client('sequelize', 'plain', $db, 'sync', 'sync'), "sync: done\nsync: done\n", 'sequelize, { drop: false }: nothing is dropped');
	is(problems($db), $whole, 'sequelize, { drop: false }: the guards are whole');
	like(client('sequelize', 'alter', $db, 'sync'), qr/^sync: 0A000 /, 'sequelize, alter: true: refused at the instance column');
	is(problems($db), $whole, 'sequelize, alter: true: the guards are whole');
	like(client('sequelize', 'session', $db, 'sync'), qr/^sync: 0A000 /, 'sequelize, alter: true of sessions: refused');
	like(problems($db), qr/lets a row refer to a user of another instance/, 'but the foreign key is gone by then');
	guard($db);
	is(problems($db), $whole, 'guard() repairs it');
	is(client('sequelize', 'plain', $db, 'between'), "between: done\n", 'sequelize, alter: true between unguard() and guard(): it works');
	is(problems($db), $whole, 'the guards are whole again');
}

#
# With models that declare it
#

foreach my $client ('typeorm', 'drizzle', 'sequelize')
{
	my $db = create_database("${client}_declared");

	client($client, 'declared', $db, 'sync');
	my $made = guard($db);
	like($made, $client eq 'sequelize' ? qr/^\S+$/ : qr/^$/,
		"$client, declared: guard() makes nothing" . ($client eq 'sequelize' ? ' but a foreign key' : ''));
	is(client($client, 'declared', $db, 'sync', 'sync'), "sync: done\nsync: done\n",
		"$client, declared: synchronisation changes nothing, twice");
	is(client($client, 'documented', $db, 'sync'), "sync: done\n", "$client, as documented: nor does it");
	is(problems($db), $whole, "$client, declared: the guards are whole");

	is(client($client, 'declared', $db, 'user', $shop, $ada, 'user', $bank, $grace, 'session', $shop, $ada),
		"user: done\nuser: done\nsession: done\n", "$client: users of two instances");
	my $refused = client($client, 'declared', $db, 'session', $shop, $grace, 'user', $shop, $edsger, 'user', $shop,
		'20000000-0000-4000-8000-000000000004', 'user', '30000000-0000-4000-8000-00000000000d',
		'20000000-0000-4000-8000-000000000005');
	like($refused, qr/^session: 23503 /m, "$client: a session of another instance's user is refused");
	like($refused, qr/^user: done$/m, "$client: a second user is admitted");
	like($refused, qr/^user: 23I01 .* has reached its cap of 2 users \(instance_env_user_cap\)$/m,
		"$client: the cap holds, and the error has its SQLSTATE and its constraint");
	like($refused, qr/^user: 23I03 /m, "$client: so has that of an instance that does not exist");
	sql($db, "DELETE FROM users WHERE id = '$grace'");
	like(client($client, 'declared', $db, 'user', $shop, $grace), qr/^user: 23I0[12] /, "$client: nobody returns elsewhere");
}

# Tables that were guarded first: the models declare what guard() has made.
foreach my $client ('typeorm', 'sequelize')
{
	my $db = create_database("${client}_named");

	client($client, 'plain', $db, 'sync');
	guard($db);
	# instead of the one that the plain models have
	sql($db, q{DO $$
		BEGIN
			EXECUTE (SELECT format('ALTER TABLE sessions DROP CONSTRAINT %I', conname) FROM pg_constraint
				WHERE contype = 'f' AND conrelid = 'sessions'::regclass AND array_length(conkey, 1) = 1);
		END $$}) if $client eq 'typeorm';
	local $ENV{GUARD_OBJECTS} = objects($db);
	is(client($client, 'declared', $db, 'sync', 'sync'), "sync: done\nsync: done\n",
		"$client, declared as guard() has made it: nothing changes");
	is(problems($db), $whole, "$client, declared as guard() has made it: the guards are whole");
}

#
# Migrations
#

# Another type of column is, to TypeORM, another column.
my $db = 'typeorm_declared';
my $rows = sql($db, 'SELECT count(*) FROM users');
like(client('typeorm', 'retyped', $db, 'plan'), qr/DROP COLUMN "instance_id"/, 'another type: it plans to drop the instance column');
like(client('typeorm', 'retyped', $db, 'sync'), qr/^sync: (?:2BP01|0A000) /, 'which is refused');
is(problems($db), $whole, 'and has changed nothing');
is(sql($db, 'SELECT count(*) FROM users'), $rows, 'no row is lost');

# A table that is created anew, filled and renamed is another table, without a guard.
my $again = q{SELECT instance_env.guard('users');
	SELECT instance_env.guard('sessions', user_key => 'user_id', counted => false, user_table => 'users');};
my $anew = q{
	CREATE TABLE users_new (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), instance_id uuid NOT NULL, email varchar(100));
	INSERT INTO users_new SELECT id, instance_id, email FROM users;
	DROP TABLE users CASCADE;
	ALTER TABLE users_new RENAME TO users;};
sql($db, "BEGIN; $anew COMMIT");
is(problems($db), 'sessions|the table of users that rows refer to is not guarded any more', 'a table that is created anew has no guard');
sql($db, $again);
is(problems($db), $whole, 'until guard() is called');
sql($db, "DELETE FROM users WHERE id = '$edsger'");
sql($db, "BEGIN; $anew $again COMMIT");
is(problems($db), $whole, 'which belongs into the same transaction');
is(client('typeorm', 'declared', $db, 'user', $bank, $edsger, 'user', $shop, $edsger, 'user', $shop,
		'20000000-0000-4000-8000-000000000006')
	  =~ s/^(user: \w+).*/$1/mgr, "user: 23I02\nuser: done\nuser: 23I01\n",
	'who had left before is remembered, and the cap holds');

$node->stop;
done_testing();
