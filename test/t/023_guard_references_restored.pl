# The foreign keys that guard() makes for user_table, after dump and restore: deletes and
# inserts work as they did before guard(), for an owner who is no superuser, in whatever
# order the keys are created.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN');

my $tempdir = PostgreSQL::Test::Utils::tempdir;

sub as_owner
{
	my ($db, $sql) = @_;
	return $node->safe_psql($db, $sql, extra_params => [ '--username' => 'owner' ]);
}

# What each statement leaves in the tables, or its SQLSTATE.  What is deferred is checked, and
# then all of it is rolled back.
sub outcomes
{
	my ($db, @statements) = @_;
	my $result = '';

	foreach my $sql (@statements)
	{
		$node->psql(
			$db,
			"\\set VERBOSITY sqlstate\nBEGIN;\n$sql;\nSET CONSTRAINTS ALL IMMEDIATE;\nSELECT * FROM app.numbers;\nROLLBACK;\n",
			stdout => \my $stdout,
			stderr => \my $stderr,
			extra_params => [ '--username' => 'owner' ]);
		$result .= "$sql\n" . ($stderr =~ /ERROR:  (\w+)$/ ? $1 : $stdout) . "\n";
	}
	return $result;
}

# Keys whose names put the application's first, or guard()'s, when a dump is restored: it
# creates them by name.
foreach my $first ('', 'z')
{
	my $db = "source$first";

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql(
		$db, q{
		CREATE EXTENSION instance_env;
		SELECT instance_env.grant_guard('owner'), instance_env.grant_monitor('owner');
		CREATE SCHEMA app AUTHORIZATION owner;
		SELECT FROM instance_env.create_application('shop', 'pro', development_key => 'dev', production_key => 'prod');
		SELECT FROM instance_env.create_application('blog', 'pro', development_key => 'dev2', production_key => 'prod2')});
	as_owner(
		$db, q{
		CREATE TABLE app.users (id text PRIMARY KEY, instance_id text NOT NULL);
		CREATE TABLE app.emails (id text PRIMARY KEY, instance_id text NOT NULL, user_id text NOT NULL,
			CONSTRAINT FIRSTemails FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE);
		CREATE TABLE app.tokens (id text PRIMARY KEY, instance_id text NOT NULL, user_id text NOT NULL, email_id text NOT NULL,
			CONSTRAINT FIRSTtokens FOREIGN KEY (email_id) REFERENCES app.emails ON DELETE CASCADE);
		CREATE TABLE app.sessions (id text PRIMARY KEY, instance_id text NOT NULL, user_id text NOT NULL,
			CONSTRAINT FIRSTsessions FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
		CREATE TABLE app.keys (id text PRIMARY KEY, instance_id text NOT NULL, user_id text NOT NULL,
			CONSTRAINT FIRSTkeys FOREIGN KEY (user_id) REFERENCES app.users ON UPDATE CASCADE ON DELETE CASCADE);
		CREATE TABLE app.logs (id text PRIMARY KEY, instance_id text NOT NULL, user_id text DEFAULT 'zero',
			CONSTRAINT FIRSTlogs FOREIGN KEY (user_id) REFERENCES app.users ON UPDATE CASCADE ON DELETE SET DEFAULT);
		CREATE TABLE app.notes (id text PRIMARY KEY, instance_id text NOT NULL, user_id text,
			CONSTRAINT FIRSTnotes FOREIGN KEY (user_id) REFERENCES app.users ON UPDATE SET NULL ON DELETE SET NULL);
		CREATE TABLE app.bills (id text PRIMARY KEY, instance_id text NOT NULL, user_id text,
			CONSTRAINT FIRSTbills FOREIGN KEY (user_id) REFERENCES app.users);
		CREATE TABLE app.accounts (app_id text, tenant_id text, user_id text, PRIMARY KEY (app_id, tenant_id, user_id));
		CREATE TABLE app.mails (app_id text, tenant_id text, user_id text, mail text, PRIMARY KEY (app_id, tenant_id, user_id),
			CONSTRAINT FIRSTmails FOREIGN KEY (app_id, tenant_id, user_id) REFERENCES app.accounts ON DELETE CASCADE);
		CREATE TABLE app.parts (id text, instance_id text, user_id text,
			CONSTRAINT FIRSTparts FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE) PARTITION BY LIST (instance_id);
		CREATE TABLE app.part PARTITION OF app.parts FOR VALUES IN ('dev');
		CREATE TABLE app.rest PARTITION OF app.parts DEFAULT;
		CREATE TABLE app.shards (id integer, instance_id text NOT NULL, user_id text) PARTITION BY RANGE (id);
		CREATE TABLE app.shard PARTITION OF app.shards FOR VALUES FROM (0) TO (10);
		CREATE TABLE app.others PARTITION OF app.shards DEFAULT;
		ALTER TABLE app.shard ADD CONSTRAINT FIRSTshard FOREIGN KEY (user_id) REFERENCES app.users ON DELETE CASCADE;
		CREATE VIEW app.numbers AS SELECT (SELECT count(*) FROM app.users) AS users, (SELECT count(*) FROM app.emails) AS emails,
			(SELECT count(*) FROM app.tokens) AS tokens, (SELECT count(*) FROM app.sessions) AS sessions,
			(SELECT string_agg(user_id, ' ') FROM app.keys) AS keys, (SELECT string_agg(user_id, ' ') FROM app.logs) AS logs,
			(SELECT string_agg(coalesce(user_id, '-'), ' ') FROM app.notes) AS notes, (SELECT count(*) FROM app.bills) AS bills,
			(SELECT count(*) FROM app.accounts) AS accounts, (SELECT count(*) FROM app.mails) AS mails,
			(SELECT count(*) FROM app.parts) AS parts, (SELECT count(*) FROM app.shards) AS shards;
		INSERT INTO app.users VALUES ('zero', 'dev'), ('ann', 'dev'), ('bob', 'dev'), ('eve', 'dev2');
		INSERT INTO app.emails VALUES ('a@', 'dev', 'ann'), ('b@', 'dev', 'bob');
		INSERT INTO app.tokens VALUES ('1', 'dev', 'ann', 'a@'), ('2', 'dev', 'bob', 'b@');
		INSERT INTO app.sessions VALUES ('1', 'dev', 'ann'), ('2', 'dev', 'bob');
		INSERT INTO app.keys VALUES ('1', 'dev', 'ann');
		INSERT INTO app.logs VALUES ('1', 'dev', 'ann');
		INSERT INTO app.notes VALUES ('1', 'dev', 'ann');
		INSERT INTO app.bills VALUES ('1', 'dev', 'bob');
		INSERT INTO app.accounts VALUES ('x', 'dev', 'u');
		INSERT INTO app.mails VALUES ('x', 'dev', 'u', 'u@');
		INSERT INTO app.parts VALUES ('1', 'dev', 'ann'), ('2', 'dev2', 'eve');
		INSERT INTO app.shards VALUES (1, 'dev', 'ann'), (2, 'dev', 'bob'), (11, 'dev2', NULL);
	} =~ s/FIRST/$first/gr);

	my @as_before = (
		q{DELETE FROM app.users WHERE id = 'ann'},
		q{DELETE FROM app.users WHERE id = 'bob'},
		q{DELETE FROM app.bills; DELETE FROM app.users WHERE instance_id = 'dev' AND id <> 'zero'},
		q{DELETE FROM app.emails},
		q{DELETE FROM app.accounts},
		q{INSERT INTO app.sessions VALUES ('9', 'dev', 'new'); INSERT INTO app.users VALUES ('new', 'dev')},
		q{INSERT INTO app.keys VALUES ('9', 'dev', 'new'); INSERT INTO app.users VALUES ('new', 'dev')},
		q{INSERT INTO app.bills VALUES ('9', 'dev', NULL)},
		q{DELETE FROM app.sessions; DELETE FROM app.parts; DELETE FROM app.shards; DELETE FROM app.tokens; DELETE FROM app.emails; UPDATE app.users SET id = 'amy' WHERE id = 'ann'},
		q{UPDATE app.notes SET user_id = 'bob'},
		q{DELETE FROM app.users WHERE id = 'eve'});
	my @refused = map { "INSERT INTO app.$_" } (
		q{emails VALUES ('9', 'dev', 'eve')}, q{tokens VALUES ('9', 'dev2', 'ann', 'a@')}, q{sessions VALUES ('9', 'dev', 'eve')},
		q{keys VALUES ('9', 'dev', 'eve')}, q{logs VALUES ('9', 'dev', 'eve')}, q{notes VALUES ('9', 'dev', 'eve')},
		q{bills VALUES ('9', 'dev', 'eve')}, q{shards VALUES (9, 'dev', 'eve')}, q{mails VALUES ('x', 'dev2', 'u', 'u@')}, q{parts VALUES ('9', 'dev', 'eve')});

	my $before = outcomes($db, @as_before);
	as_owner($db, q{SELECT FROM instance_env.guard('app.users'); SELECT FROM instance_env.guard('app.accounts', 'tenant_id', 'user_id')});
	as_owner($db, "SELECT FROM instance_env.guard('app.$_', user_key => 'user_id', counted => false, user_table => 'app.users')")
	  foreach qw(emails tokens sessions keys logs notes bills parts shards);
	as_owner($db, q{SELECT FROM instance_env.guard('app.mails', 'tenant_id', 'user_id', false, 'app.accounts')});
	is(outcomes($db, @as_before), $before, "keys named ${first}…: guarded, everything is as before");
	is(outcomes($db, @refused), join('', map { "$_\n23503\n" } @refused), '… and nobody refers to users of other instances');
	is($node->safe_psql($db, "SELECT count(*) FROM pg_constraint WHERE conrelid = 'app.mails'::regclass AND contype = 'f'"),
		'1', '… and a key that has the instance is enough');

	command_ok([ 'pg_dump', '--format=custom', "--file=$tempdir/$db.dump", '--dbname' => $node->connstr($db) ], 'pg_dump');
	foreach my $jobs (1, 3)
	{
		my $copy = "${db}_$jobs";

		$node->safe_psql('postgres', "CREATE DATABASE $copy");
		command_ok([ 'pg_restore', '--exit-on-error', "--jobs=$jobs", '--dbname' => $node->connstr($copy), "$tempdir/$db.dump" ],
			"pg_restore with $jobs jobs");
		is(outcomes($copy, @as_before), $before, '… everything is as before');
		is(outcomes($copy, @refused), join('', map { "$_\n23503\n" } @refused), '… and nobody refers to users of other instances');
		is(as_owner($copy, 'SELECT count(*) FROM instance_env.guards WHERE NOT whole OR whole IS NULL'), '0', '… and the guards are whole');
		is( as_owner(
				$copy, q{SELECT count(*) FROM instance_env.guards, instance_env.guard(relation, instance_column,
				CASE WHEN counted THEN user_key ELSE 'user_id' END, counted,
				CASE WHEN counted THEN NULL WHEN relation = 'app.mails'::regclass THEN 'app.accounts' ELSE 'app.users' END::regclass)
				WHERE action <> 'found'}),
			'0',
			'… and guard() finds nothing to do');
		as_owner($copy, q{DELETE FROM app.users WHERE id = 'ann'});
		like(as_owner($copy, 'SELECT * FROM app.numbers'), qr/^3\|1\|1\|1\|\|zero\|-\|1\|1\|1\|1\|2$/, '… also at commit');
	}
}

# As the owner, who is no superuser, restores the tables alone
$node->safe_psql('postgres', 'CREATE DATABASE own');
$node->safe_psql(
	'own', q{
	CREATE EXTENSION instance_env;
	SELECT instance_env.grant_guard('owner'), instance_env.grant_monitor('owner');
	SELECT FROM instance_env.create_application('shop', 'pro', development_key => 'dev', production_key => 'prod');
	SELECT FROM instance_env.create_application('blog', 'pro', development_key => 'dev2', production_key => 'prod2');
	GRANT CREATE ON DATABASE own TO owner});
as_owner('own', 'CREATE SCHEMA app');
command_ok(
	[ 'pg_restore', '--exit-on-error', '--schema=app', '--username' => 'owner', '--dbname' => $node->connstr('own'), "$tempdir/source.dump" ],
	'restored by the owner');
is(as_owner('own', 'SELECT count(*) FROM instance_env.guards WHERE NOT whole OR whole IS NULL'), '0', '… the guards are whole');
as_owner('own', q{DELETE FROM app.users WHERE id = 'ann'});
like(as_owner('own', 'SELECT * FROM app.numbers'), qr/^3\|1\|1\|1\|\|zero\|-\|1\|1\|1\|1\|2$/, '… and at work');


# There, too, the names that PostgreSQL would choose are free, and a foreign key that a
# migration drops is made again.
as_owner('own', 'CREATE INDEX users_instance_id_idx ON app.users (instance_id); CREATE INDEX parts_instance_id_user_id_idx ON app.parts (id)');
as_owner('own', 'ALTER TABLE app.bills DROP CONSTRAINT instance_env_bills_instance_id_user_id_fkey');
is( as_owner(
		'own', q{SELECT name || ' ' || action FROM instance_env.guard('app.bills', user_key => 'user_id', counted => false, user_table => 'app.users')
		WHERE object = 'foreign key'}),
	'instance_env_bills_instance_id_user_id_fkey created',
	'… guard() makes a lost foreign key again');

$node->stop;

done_testing();
