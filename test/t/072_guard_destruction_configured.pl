# Where the server's configuration, or the database's, allows users of production to be destroyed:
# the owner's rights are needed nevertheless, of the role that acts, and of the session's where
# the setting is the session's.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION instance_env;
	CREATE ROLE keeper;
	CREATE ROLE sweeper LOGIN;
	SELECT instance_env.grant_guard('keeper');
	SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod');
	UPDATE instance_env.instance SET status = 'active' WHERE external_key = 'prod';
	CREATE SCHEMA app AUTHORIZATION keeper;
	SET ROLE keeper;
	CREATE TABLE app.users (id integer PRIMARY KEY, instance_id text NOT NULL);
	SELECT instance_env.guard('app.users');
	CREATE FUNCTION app.sweep() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
		AS 'TRUNCATE app.users';
	GRANT USAGE ON SCHEMA app TO sweeper;
	GRANT TRUNCATE ON app.users TO sweeper;});

sub outcome
{
	my ($role, $statement) = @_;
	$node->safe_psql('postgres', "INSERT INTO app.users VALUES (1, 'prod') ON CONFLICT DO NOTHING");
	my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$statement", extra_params => [ '-U', $role ]);
	my ($state) = $stderr =~ /ERROR:  (\w{5})/;
	my $left = $node->safe_psql('postgres', 'SELECT count(*) FROM app.users');

	is($left, defined $state ? 1 : 0, "$role: $statement: all or nothing");
	return $state // 'done';
}

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
my ($directly, $through) = ('TRUNCATE app.users', 'SELECT app.sweep()');
is(outcome($superuser, $directly), '55I05', 'nobody by default');

$node->append_conf('postgresql.conf', 'instance_env.allow_destructive = on');
$node->restart;
is(outcome($superuser, $directly), 'done', 'if the server allows it, a superuser may');
is(outcome($superuser, "SET ROLE keeper; $directly"), 'done', 'and the owner');
is(outcome('sweeper', $directly), '55I05', 'but no other role');
is(outcome('sweeper', $through), 'done', 'unless it calls a function of the owner');
is(outcome('sweeper', "SET instance_env.allow_destructive = off; $through"), '55I05', 'and has not forbidden it');
is(outcome('sweeper', "SET instance_env.allow_destructive = on; $through"), '55I05', 'or has allowed it to itself');
is($node->safe_psql('postgres', q{SELECT DISTINCT action, item, session_user_name || '/' || current_user_name FROM instance_env.events WHERE action = 'truncate' ORDER BY 3}),
	"truncate|app.users|$superuser/keeper\ntruncate|app.users|$superuser/$superuser\ntruncate|app.users|sweeper/sweeper", 'on record, under the name of who has called');

$node->append_conf('postgresql.conf', 'instance_env.allow_destructive = off');
$node->restart;
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET instance_env.allow_destructive = on');
is(outcome($superuser, $directly), 'done', 'if the database allows it, a superuser may');
is(outcome('sweeper', $through), '55I05', "but no session of a role without the owner's rights");

$node->stop;
done_testing();
