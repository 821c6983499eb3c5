# Tables as auth servers make them, guarded by an owner who is no superuser: what is refused and
# what is admitted, before a dump and after it has been restored.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

# The SQLSTATE of a statement as the owner, which is undone
sub outcome
{
	my ($db, $statement) = @_;
	$node->psql($db, "SET ROLE owner;\nBEGIN;\n$statement;\n\\echo :SQLSTATE\nROLLBACK;\n",
		stdout => \my $stdout, on_error_stop => 0);
	return (split /\n/, $stdout)[-1];
}

$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE DATABASE before; CREATE DATABASE after;');
$node->safe_psql(
	'before', q{
	CREATE EXTENSION instance_env;
	SELECT instance_env.grant_guard('owner');
	GRANT CREATE ON SCHEMA public TO owner;
	SELECT instance_env.create_application('one', 'pro', development_key => 'dev', production_key => 'prod');
	SELECT instance_env.create_application('two', 'pro', development_key => 'dev2', production_key => 'prod2');
	SELECT instance_env.create_application('pair', 'pro', development_key => 'app/dev', production_key => 'app/prod');
	SELECT instance_env.create_application('number', 'pro', development_key => '7', production_key => '8');
	SELECT instance_env.create_application('long', 'pro', development_key => repeat('d', 63), production_key => repeat('p', 63));
	SELECT instance_env.set_user_cap(instance_id, 2) FROM instance_env.instances WHERE type = 'development';

	SET ROLE owner;
	-- names that repeat
	CREATE TABLE names (owner varchar(100), name varchar(100), PRIMARY KEY (owner, name));
	SELECT FROM instance_env.guard('names', 'owner');
	INSERT INTO names VALUES ('dev', 'admin'), ('dev2', 'admin');
	-- an instance of two columns
	CREATE TABLE pairs (app_id varchar(64), tenant_id varchar(64), user_id char(36),
		instance_key text GENERATED ALWAYS AS (app_id || '/' || tenant_id) STORED, PRIMARY KEY (app_id, tenant_id, user_id));
	CREATE TABLE mails (app_id varchar(64), tenant_id varchar(64), user_id char(36), mail text,
		instance_key text GENERATED ALWAYS AS (app_id || '/' || tenant_id) STORED,
		FOREIGN KEY (app_id, tenant_id, user_id) REFERENCES pairs ON DELETE CASCADE);
	ALTER TABLE mails ALTER app_id SET NOT NULL, ALTER tenant_id SET NOT NULL;
	SELECT FROM instance_env.guard('pairs', 'instance_key', user_key => 'user_id');
	SELECT FROM instance_env.guard('mails', 'instance_key', user_key => 'user_id', counted => false, user_table => 'pairs');
	INSERT INTO pairs VALUES ('app', 'dev', 'u1'), ('app', 'dev', 'u2');
	INSERT INTO mails VALUES ('app', 'dev', 'u1', 'm');
	CREATE TABLE pairs_parted (LIKE pairs INCLUDING ALL) PARTITION BY HASH (app_id);
	CREATE TABLE pairs_parted0 PARTITION OF pairs_parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	SELECT FROM instance_env.guard('pairs_parted', 'instance_key', user_key => 'user_id');
	INSERT INTO pairs_parted VALUES ('app', 'dev', 'u1'), ('app', 'dev', 'u2');
	-- integers and char(n)
	CREATE TABLE numbers (id bigserial PRIMARY KEY, account_id bigint, "e 'mail" varchar(100), created date);
	SELECT FROM instance_env.guard('numbers', 'account_id', address_column => 'e ''mail', created_column => 'created');
	INSERT INTO numbers VALUES (1, 7), (2, 7);
	CREATE TABLE padded (tenant char(36), id char(36) PRIMARY KEY);
	SELECT FROM instance_env.guard('padded', 'tenant');
	INSERT INTO padded VALUES ('dev', 'abc'), ('dev', 'gone');
	DELETE FROM padded WHERE id = 'gone';
	-- a user key of two columns
	CREATE TABLE keys (app_id text, user_id text, tenant text NOT NULL, PRIMARY KEY (app_id, user_id));
	SELECT FROM instance_env.guard('keys', 'tenant');
	INSERT INTO keys VALUES ('a', 'u1', 'dev'), ('a', 'gone', 'dev');
	DELETE FROM keys WHERE user_id = 'gone';
	-- departures that are not followed
	CREATE TABLE tests (id integer PRIMARY KEY, tenant text);
	SELECT FROM instance_env.guard('tests', 'tenant', follow_departures => false);
	INSERT INTO tests VALUES (1, 'dev'), (2, 'dev');
	DELETE FROM tests WHERE id = 2;
	-- a long external key
	CREATE TABLE longs (id integer PRIMARY KEY, tenant varchar(255) NOT NULL);
	SELECT FROM instance_env.guard('longs', 'tenant');
	INSERT INTO longs SELECT i, repeat('d', 63) FROM generate_series(1, 2) i;
});

my @expected = (
	"INSERT INTO names VALUES ('prod2', 'admin')" => '23I04',
	"INSERT INTO names VALUES ('dev2', 'other')" => '00000',
	"UPDATE names SET owner = 'dev2', name = 'x' WHERE owner = 'dev'" => '23I02',
	"INSERT INTO names VALUES ('dev', 'b'), ('dev', 'c')" => '23I01',
	"INSERT INTO pairs VALUES ('app', 'dev', 'u3')" => '23I01',
	"INSERT INTO pairs VALUES ('app', 'nowhere', 'u3')" => '23I03',
	"UPDATE pairs SET tenant_id = 'prod' WHERE user_id = 'u1'" => '23I02',
	"DELETE FROM pairs WHERE user_id = 'u1'; SELECT 1 / (1 - count(*)) FROM mails" => '00000',
	"INSERT INTO mails VALUES ('app', 'dev', 'nobody', 'm')" => '23503',
	"INSERT INTO pairs_parted VALUES ('app', 'dev', 'u3')" => '23I01',
	"UPDATE pairs_parted SET tenant_id = 'prod'" => '23I02',
	"INSERT INTO numbers (id, account_id) VALUES (3, 7)" => '23I01',
	"INSERT INTO numbers (id, account_id) VALUES (3, 6)" => '23I03',
	"UPDATE numbers SET account_id = 8" => '23I02',
	"INSERT INTO padded VALUES ('dev ', 'd')" => '00000',
	"INSERT INTO padded VALUES ('dev2', 'gone  ')" => '23I02',
	"INSERT INTO padded VALUES ('dev', 'd'), ('dev  ', 'e')" => '23I01',
	"INSERT INTO keys VALUES ('a', 'gone', 'dev2')" => '23I02',
	"INSERT INTO keys VALUES ('b', 'gone', 'dev2')" => '00000',
	"UPDATE keys SET user_id = 'u9'" => '00000',
	"INSERT INTO tests VALUES (2, 'dev2')" => '00000',
	"INSERT INTO tests VALUES (3, 'dev'), (4, 'dev')" => '23I01',
	"INSERT INTO longs VALUES (3, repeat('d', 63))" => '23I01',
	"INSERT INTO longs VALUES (3, repeat('d', 64))" => '23I03');

sub check
{
	my ($db) = @_;
	my @rest = @expected;
	while (my ($statement, $state) = splice @rest, 0, 2)
	{
		is(outcome($db, $statement), $state, "$db: $statement");
	}
	is($node->safe_psql($db, 'SELECT string_agg(relation::text || problems::text, $$ $$) FROM instance_env.guards WHERE NOT whole'),
		'', "$db: the guards are whole");
	return;
}

check('before');
my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('before') ], 'pg_dump');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('after'), '--exit-on-error', $dump ], 'pg_restore');
check('after');
is($node->safe_psql('before', 'SELECT relation, instance_column, user_key, user_table, counted, label, address_column, created_column FROM instance_env.guards ORDER BY relation::text'),
	$node->safe_psql('after', 'SELECT relation, instance_column, user_key, user_table, counted, label, address_column, created_column FROM instance_env.guards ORDER BY relation::text'),
	'and the same');

$node->stop;
done_testing();
