# A transaction that has a subtransaction for each of many rows costs those who count no more
# than to look at each.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rows = 200_000;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "autovacuum = off\nfsync = off");
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod');
	CREATE TABLE users (id integer PRIMARY KEY, instance_id text NOT NULL);
	INSERT INTO users SELECT g, 'dev' FROM generate_series(1, $rows) g;
	SELECT instance_env.guard('users', user_key => '')});

my ($in, $out) = ("BEGIN;
	DO \$\$
	BEGIN
		FOR i IN 1..$rows LOOP
			BEGIN
				DELETE FROM users WHERE id = i;
			EXCEPTION WHEN division_by_zero THEN
			END;
		END LOOP;
	END \$\$;
	SELECT 'deleted';\n", '');
my $session = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$in, '>', \$out, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$session->pump until $out =~ /deleted/;

# takes a twentieth of a second; to search for each claim among all takes ten
is( $node->safe_psql(
		'postgres', q{
		SET statement_timeout = '4s';
		SELECT users FROM instance_env.usage WHERE NOT estimated;
		SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 300000) \gset
		INSERT INTO users VALUES (0, 'dev') RETURNING 'admitted'}),
	"$rows\nadmitted", "$rows claims");

$in .= "ROLLBACK;\n\\q\n";
$session->finish;
$node->stop;
done_testing();
