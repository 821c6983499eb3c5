# Where the server's configuration, or the database's, allows users of production to be destroyed:
# the owner's rights are needed nevertheless, of the role that acts, and of the session's where
# the setting is the session's.  And what destroys them from afar, in sessions that have done
# nothing else, on a server that does not preload the library.

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

$node->safe_psql('postgres', 'ALTER DATABASE postgres RESET instance_env.allow_destructive');

#
# A table goes with what its partition key refers to.
#

my $row_type = 'CREATE FUNCTION p.f(p.%s, integer) RETURNS boolean IMMUTABLE LANGUAGE sql AS $$SELECT $2 > 0$$;';
my $wrapper = 'CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE p.ft (a integer, b integer) SERVER s;';
my $search = 'CREATE TEXT SEARCH TEMPLATE p.template (INIT = dsimple_init, LEXIZE = dsimple_lexize);'
  . 'CREATE TEXT SEARCH DICTIONARY p.dictionary (TEMPLATE = p.template);'
  . 'CREATE TEXT SEARCH PARSER p.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);'
  . 'CREATE TEXT SEARCH CONFIGURATION p.configuration (PARSER = p.parser);'
  . 'ALTER TEXT SEARCH CONFIGURATION p.configuration ADD MAPPING FOR word WITH p.dictionary;';
my $is_word = "(length(to_tsvector('p.configuration', name)) >= 0)";

foreach my $case (
	# what is made before, the key, what drops it
	[ $search, $is_word, 'DROP TEXT SEARCH CONFIGURATION p.configuration' ],
	[ $search, $is_word, 'DROP TEXT SEARCH DICTIONARY p.dictionary' ],
	[ $search, $is_word, 'DROP TEXT SEARCH PARSER p.parser' ],
	[ $search, $is_word, 'DROP TEXT SEARCH TEMPLATE p.template' ],
	[ $wrapper . sprintf($row_type, 'ft'), 'p.f(NULL, id)', 'DROP FOREIGN TABLE p.ft' ],
	[ $wrapper . sprintf($row_type, 'ft'), 'p.f(NULL, id)', 'DROP SERVER s' ],
	[ $wrapper . sprintf($row_type, 'ft'), 'p.f(NULL, id)', 'DROP FOREIGN DATA WRAPPER w' ],
	[ $wrapper . 'CREATE VIEW p.v AS SELECT a FROM p.ft;' . sprintf($row_type, 'v'), 'p.f(NULL, id)', 'ALTER FOREIGN TABLE p.ft DROP COLUMN a' ],
	[ 'CREATE TABLE p.t (a integer, b integer); CREATE VIEW p.v AS SELECT a FROM p.t;' . sprintf($row_type, 'v'), 'p.f(NULL, id)', 'ALTER TABLE p.t DROP COLUMN a' ],
	[ 'CREATE VIEW p.v AS SELECT 1 AS a;' . sprintf($row_type, 'v'), 'p.f(NULL, id)', 'DROP VIEW p.v' ],
	[ 'CREATE MATERIALIZED VIEW p.v AS SELECT 1 AS a;' . sprintf($row_type, 'v'), 'p.f(NULL, id)', 'DROP MATERIALIZED VIEW p.v' ],
	[ 'CREATE SEQUENCE p.q; CREATE VIEW p.v AS SELECT last_value FROM p.q;' . sprintf($row_type, 'v'), 'p.f(NULL, id)', 'DROP SEQUENCE p.q' ],
	[ 'CREATE TYPE p.e AS ENUM (\'one\');' . sprintf($row_type, 'e'), 'p.f(NULL, id)', 'DROP TYPE p.e' ],
	[ 'CREATE DOMAIN p.d AS integer;' . sprintf($row_type, 'd'), 'p.f(NULL::p.d, id)', 'DROP DOMAIN p.d' ],
	[ $row_type =~ s/p\.%s/integer/r, 'p.f(1, id)', 'DROP FUNCTION p.f(integer, integer)' ],
	[ $row_type =~ s/p\.%s/integer/r, 'p.f(1, id)', 'DROP ROUTINE p.f(integer, integer)' ],
	[ 'CREATE COLLATION p.c FROM "C";', '(name COLLATE p.c >= \'\')', 'DROP COLLATION p.c' ],
	[ 'CREATE OPERATOR p.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq);', "(name OPERATOR(p.===) 'x')", 'DROP OPERATOR p.=== (text, text)' ],
	[ '', 'id > 0', 'DROP SCHEMA p' ])
{
	my ($made, $key, $drop) = @$case;

	$node->safe_psql('postgres', "CREATE SCHEMA p; $made"
		  . "CREATE TABLE p.users (id integer, instance_id text NOT NULL, name text) PARTITION BY LIST (($key));"
		  . "CREATE TABLE p.users_all PARTITION OF p.users DEFAULT;"
		  . "SELECT instance_env.guard('p.users', user_key => '');"
		  . "INSERT INTO p.users VALUES (1, 'prod', 'one')");
	my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$drop CASCADE");
	like($stderr, qr/ERROR:  55I05/, "$drop is refused");
	$node->safe_psql('postgres', "BEGIN; SET LOCAL instance_env.allow_destructive = on; $drop CASCADE; COMMIT");
	is($node->safe_psql('postgres', q{SELECT to_regclass('p.users') IS NULL, action || ' ' || item FROM instance_env.events ORDER BY id DESC LIMIT 1}),
		't|drop_table p.users_all', 'and recorded if it was allowed');
	$node->safe_psql('postgres', 'DROP SCHEMA IF EXISTS p CASCADE; DROP FOREIGN DATA WRAPPER IF EXISTS w CASCADE');
}

$node->stop;
done_testing();
