# Allowances travel with a dump: by the names of their roles, and not those of roles that are gone.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $tempdir = PostgreSQL::Test::Utils::tempdir;
my ($dev, $prod) = ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');

$node->safe_psql('postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.adopt_application('shop', development_id => '$dev', production_id => '$prod');
	CREATE ROLE "the ""backend"; CREATE ROLE "16384"; CREATE ROLE passing; CREATE ROLE "-";
	SELECT instance_env.grant_backend('"the ""backend"');
	SELECT instance_env.allow_instance('"the ""backend"', 'shop', 'development'), instance_env.allow_instance('"16384"'),
		instance_env.allow_instance('passing', 'shop'), instance_env.allow_instance('"-"', type => 'production');
	DROP ROLE passing});

my $access = 'SELECT * FROM instance_env.instance_access ORDER BY role COLLATE "C"';
my $rows = 'SELECT count(*) FROM instance_env.instance_allowance';
my $before = $node->safe_psql('postgres', $access);
is($node->safe_psql('postgres', $rows), '4', 'a role that is dropped leaves a row');

foreach my $format ('plain', 'custom', 'directory')
{
	my $file = "$tempdir/$format";

	$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), "--format=$format", "--file=$file" ], "dumped: $format");
	$node->safe_psql('postgres', "CREATE DATABASE $format");
	$node->command_ok(
		$format eq 'plain'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($format), '-f', $file ]
		: [ 'pg_restore', '--jobs=2', '--exit-on-error', '-d', $node->connstr($format), $file ],
		"restored: $format");
	is($node->safe_psql($format, $access), $before, "$format: the allowances are the same");
	is($node->safe_psql($format, $rows), '3', "$format: without the one that is nobody's");
	is( $node->safe_psql($format, qq{SET client_min_messages = error; SET ROLE "the ""backend";
			SELECT FROM instance_env.enter('$dev'); SELECT instance_env.current_instance()}),
		$dev, "$format: a role enters what it is allowed");
	is($node->psql($format, qq{SET ROLE "the ""backend"; SELECT instance_env.enter('$prod')}), 3, "$format: and nothing else");
}

# Where the roles do not exist, as the grants that fail there too: nobody may enter anything.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init;
$other->start;
$other->command_fails([ 'pg_restore', '-d', $other->connstr('postgres'), "$tempdir/custom" ], 'restored where there are no such roles');
is($other->safe_psql('postgres', $rows), '0', 'no allowance is restored');
is($other->safe_psql('postgres', 'SELECT count(*) FROM instance_env.instance'), '2', 'though the instances are');

# The roles first, as pg_dumpall has it.
$node->command_ok([ 'pg_dumpall', '--roles-only', '-d', $node->connstr('postgres'), '-f', "$tempdir/roles" ], 'the roles are dumped');
# (the role that runs this exists already)
run_log([ 'psql', '-X', '-q', '-d', $other->connstr('postgres'), '-f', "$tempdir/roles" ]);
$other->safe_psql('postgres', 'CREATE DATABASE again');
$other->command_ok([ 'pg_restore', '--exit-on-error', '-d', $other->connstr('again'), "$tempdir/custom" ], 'restored where there are');
is($other->safe_psql('again', $access), $before, 'the allowances are the same, whatever numbers the roles have');

done_testing();
