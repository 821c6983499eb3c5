# Whatever default privileges a database has, each member of the extension may be used by
# those whom the install script names, and by nobody else; and a dump keeps it so.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE report; CREATE ROLE backend; CREATE ROLE maker SUPERUSER LOGIN');

my $tempdir = PostgreSQL::Test::Utils::tempdir;

# Who may do what with the schema and with each thing in it, the owner called so.
sub privileges
{
	my ($db) = @_;

	return $node->safe_psql(
		$db, q{
		SELECT object, string_agg(privilege, ', ' ORDER BY privilege COLLATE "C")
		FROM (
			SELECT 'schema' AS object, nspacl AS acl, nspowner AS owner, 'n'::"char" AS kind
			FROM pg_namespace WHERE nspname = 'instance_env'
			UNION ALL SELECT 'routine ' || oid::regprocedure, proacl, proowner, 'f'
			FROM pg_proc WHERE pronamespace = 'instance_env'::regnamespace
			UNION ALL SELECT 'relation ' || oid::regclass, relacl, relowner, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char"
			FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace AND relkind IN ('r', 'v', 'S')
			UNION ALL SELECT format('column %s.%I', attrelid::regclass, attname), attacl, relowner, 'c'
			FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
			WHERE relnamespace = 'instance_env'::regnamespace AND attacl IS NOT NULL
			UNION ALL SELECT 'type ' || oid::regtype, typacl, typowner, 'T'
			FROM pg_type WHERE typnamespace = 'instance_env'::regnamespace) o,
			LATERAL aclexplode(coalesce(acl, acldefault(kind, owner))) a,
			LATERAL (SELECT CASE a.grantee WHEN owner THEN 'owner' WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
				|| ' ' || privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END
				|| CASE a.grantor WHEN owner THEN '' ELSE ' by ' || a.grantor::regrole END AS privilege) p
		GROUP BY object ORDER BY object COLLATE "C"});
}

# What is in one of two such lists only.
sub differences
{
	my ($got, $expected) = @_;
	my %got = map { $_ => 1 } split /\n/, $got;
	my @missing = grep { !delete $got{$_} } split /\n/, $expected;

	return join '', map { "$_\n" } (map { "is: $_" } sort keys %got), (map { "should be: $_" } @missing);
}

sub install
{
	my ($db, $defaults, @options) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, "$defaults; CREATE EXTENSION instance_env", extra_params => \@options);
	return;
}

sub state_of
{
	my ($db, $role, $sql) = @_;

	$node->psql($db, "SET ROLE $role;\n$sql;\n\\echo :SQLSTATE\n", stdout => \my $stdout, on_error_stop => 0);
	return $stdout =~ /(\w+)\z/ ? $1 : $stdout;
}

install('plain', 'SELECT');
my $plain = privileges('plain');
my %plain = map { split /\|/, $_, 2 } split /\n/, $plain;
is($plain{schema}, 'owner CREATE, owner USAGE', 'in a database with no default privileges: the schema');
is($plain{'routine instance_env.departure_queued()'}, 'PUBLIC EXECUTE, owner EXECUTE', 'a trigger condition');
is($plain{'routine instance_env.set_user_cap(uuid,integer,text)'}, 'owner EXECUTE', 'a function');
is($plain{'type instance_env.plan'}, 'PUBLIC USAGE, owner USAGE', 'a type');
unlike($plain{'relation instance_env.identity_key'}, qr/PUBLIC/, 'a table');

my $hostile = q{
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO report;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO report WITH GRANT OPTION;
	ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO report WITH GRANT OPTION;
	ALTER DEFAULT PRIVILEGES GRANT USAGE ON TYPES TO report;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO report, PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
	ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO PUBLIC};
my %databases = (
	revoked => [ q{
		ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
		ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC} ],
	granted => [$hostile],
	own => [ q{
		ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM CURRENT_USER;
		ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM CURRENT_USER;
		ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM CURRENT_USER;
		ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM CURRENT_USER;
		ALTER DEFAULT PRIVILEGES REVOKE ALL ON SCHEMAS FROM CURRENT_USER} ],
	public => [ q{ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO report} ],
	makers => [ $hostile, '-U', 'maker' ]);
foreach my $db (sort keys %databases)
{
	install($db, @{ $databases{$db} });
	is(differences(privileges($db), $plain), '', "default privileges, $db: all is as without");
}

# what that means
foreach my $db (qw(plain revoked granted))
{
	$node->safe_psql(
		$db, q{
		SELECT instance_env.create_application('shop', development_id => 'd0000000-0000-4000-8000-000000000001');
		CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid);
		SELECT instance_env.guard('users');
		GRANT SELECT, INSERT, UPDATE, DELETE ON users TO report});
	my @states = map { state_of($db, 'report', $_) } (
		q{INSERT INTO users VALUES (1, 'd0000000-0000-4000-8000-000000000001')},
		'UPDATE users SET id = 2', 'DELETE FROM users',
		q{SELECT instance_env.domain_root('www.example.com'), NULL::instance_env.plan},
		'SELECT secret FROM instance_env.identity_key', 'SELECT hash FROM instance_env.api_key',
		q{SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000001', 1000000)},
		'CREATE TABLE instance_env.own ()');
	is("@states", '00000 00000 00000 42501 42501 42501 42501 42501', "default privileges, $db: what a role may and may not do");
}

# A dump says only what has been granted since, and finds a database with the same defaults.
my ($dump, $err) = run_command([ 'pg_dump', '-d', $node->connstr('granted') ]);
my @said = grep { /instance_env/ } $dump =~ /^((?:GRANT|REVOKE) .*)$/mg;
is("@said", '', 'a dump says nothing of the rights that the extension comes with');

$node->safe_psql(
	'granted', q{
	SELECT instance_env.grant_backend('backend'), instance_env.grant_monitor('report');
	ALTER DEFAULT PRIVILEGES IN SCHEMA instance_env GRANT ALL ON TABLES TO report});
my $granted = privileges('granted');
isnt($granted, $plain, 'two roles are let in');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$tempdir/granted.dump", '-d', $node->connstr('granted') ], 'dumped');
foreach my $db (qw(restored restored_into_defaults))
{
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, $hostile) if $db =~ /defaults/;
	$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr($db), "$tempdir/granted.dump" ], "$db");
	is(differences(privileges($db), $granted), '', "$db: and the roles may do the same");
	$node->safe_psql($db, q{SELECT instance_env.revoke_access('backend'), instance_env.revoke_access('report')});
	is(differences(privileges($db), $plain), '', "$db: until that is taken back");
	my @states = map { state_of($db, 'report', $_) } (
		q{INSERT INTO users VALUES (3, 'd0000000-0000-4000-8000-000000000001')},
		q{INSERT INTO users VALUES (4, 'd0000000-0000-4000-8000-000000000002')},
		'UPDATE users SET id = 5', 'DELETE FROM users');
	is("@states", '00000 23I03 00000 00000', "$db: who may not use the schema uses a guarded table");
}

$node->stop;
done_testing();
