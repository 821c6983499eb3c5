# A session that is bound to an instance, as its client sees it: what the server reports, what
# becomes of a parameter that is set before the library is loaded, parallel plans, prepared
# transactions, a hot standby.

use strict;
use warnings;

use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs Unix sockets' unless $PostgreSQL::Test::Utils::use_unix_sockets;

my ($dev, $prod) = ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "max_prepared_transactions = 1\nautovacuum = off");
$node->start;
$node->safe_psql('postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.adopt_application('shop', development_id => '$dev', production_id => '$prod');
	CREATE ROLE backend LOGIN;
	SELECT instance_env.grant_backend('backend'), instance_env.allow_instance('backend', 'shop', 'development')});

# A connection without libpq: connects, with the options given, and returns it with what the
# server has said meanwhile.
sub connect_as
{
	my ($role, $options) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port) or die "cannot connect: $!";
	my $body = pack('N', 196608) . join('', map { "$_\0" } user => $role, database => 'postgres',
		defined $options ? (options => $options) : ()) . "\0";

	print {$socket} pack('N', length($body) + 4) . $body;
	$socket->flush;
	return ($socket, said($socket));
}

# What the server says until it is ready, or has ended the session: what it reports of the
# parameter, notices, errors and rows.
sub said
{
	my ($socket) = @_;
	my @said;

	while (read($socket, my $head, 5) == 5)
	{
		my ($type, $length) = unpack('aN', $head);
		read($socket, my $body, $length - 4);
		last if $type eq 'Z';
		if ($type eq 'S')
		{
			my ($name, $value) = split /\0/, $body;
			push @said, 'reports ' . ($value // '') if $name eq 'instance_env.current_instance';
		}
		elsif ($type eq 'N' || $type eq 'E')
		{
			my %fields = map { substr($_, 0, 1) => substr($_, 1) } split /\0/, $body;
			push @said, "$fields{V} $fields{C} $fields{M}";
		}
		elsif ($type eq 'D')
		{
			my ($columns, $size) = unpack('n N', $body);
			next if $columns == 0;
			push @said, 'row ' . ($size == 0xFFFFFFFF ? 'null' : substr($body, 6, $size));
		}
	}
	return join ', ', map { s/\Q$dev\E/DEV/gr =~ s/\Q$prod\E/PROD/gr } @said;
}

sub ask
{
	my ($socket, $sql) = @_;

	print {$socket} 'Q' . pack('N', length($sql) + 5) . "$sql\0";
	$socket->flush;
	return said($socket);
}

my $banner = $node->safe_psql('postgres', "SELECT instance_env.banner('$dev')");
my $enter = "SELECT FROM instance_env.enter('$dev')";
my $locally = "SELECT FROM instance_env.enter('$dev', local => true)";
my $denied = '42501 permission denied to set parameter "instance_env.current_instance"';
my $where = 'SELECT instance_env.current_instance()';
my ($c, $said);

# What is reported, without and with the library preloaded.
foreach my $preloaded (0, 1)
{
	my $how = $preloaded ? 'preloaded' : 'loaded by its first function';

	if ($preloaded)
	{
		$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
		$node->restart;

		# what was stored below, by a session that had not loaded it
		($c, $said) = connect_as('backend');
		is($said, "WARNING $denied, reports ", "$how: a setting of the role is refused");
		is(ask($c, $where), 'row null', "$how: and of no use");
		close $c;
		$node->safe_psql('postgres', 'ALTER ROLE backend RESET instance_env.current_instance');
	}
	($c, $said) = connect_as('backend');
	is($said, $preloaded ? 'reports ' : '', "$how: at the beginning");
	is(ask($c, $enter), "WARNING 01000 $banner, reports DEV", "$how: the client is told, and shown the banner");
	is(ask($c, 'BEGIN'), '', "$how: nothing more");
	is(ask($c, 'SELECT FROM instance_env.leave()'), 'reports ', "$how: it leaves in a transaction");
	is(ask($c, 'ROLLBACK'), 'reports DEV', "$how: which is rolled back");
	is(ask($c, 'DISCARD ALL'), 'reports ', "$how: DISCARD ALL leaves");
	is(ask($c, 'BEGIN'), '', "$how: a transaction");
	is(ask($c, $locally), 'reports DEV', "$how: enters, without a banner");
	is(ask($c, $where), 'row DEV', "$how: is in the instance");
	is(ask($c, 'COMMIT'), 'reports ', "$how: until it ends");
	is(ask($c, $where), 'row null', "$how: then it is in none");
	is(ask($c, 'BEGIN'), '', "$how: another one");
	is(ask($c, "$locally; SELECT 1/0"), 'ERROR 22012 division by zero', "$how: fails");
	is(ask($c, 'ROLLBACK'), '', "$how: and was in none");
	is(ask($c, "BEGIN; $locally; SAVEPOINT a; SELECT FROM instance_env.leave(); ROLLBACK TO a"), 'reports DEV', "$how: a savepoint");
	is(ask($c, 'COMMIT'), 'reports ', "$how: in a transaction");
	is(ask($c, $enter =~ s/SELECT/EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) SELECT/r) =~ /reports DEV/, 1, "$how: EXPLAIN ANALYZE");
	is(ask($c, 'RESET ALL'), 'reports ', "$how: RESET ALL leaves");
	close $c;

	# in a procedure that commits
	$node->safe_psql('postgres', 'DROP PROCEDURE IF EXISTS p(); CREATE PROCEDURE p() LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM instance_env.enter(\'' . $dev . '\', local => true);
			COMMIT;
			RAISE WARNING \'%\', coalesce(instance_env.current_instance()::text, \'none\');
			PERFORM instance_env.enter(\'' . $dev . '\');
			COMMIT;
			RAISE WARNING \'%\', coalesce(instance_env.current_instance()::text, \'none\');
			PERFORM instance_env.leave();
			ROLLBACK;
			RAISE WARNING \'%\', coalesce(instance_env.current_instance()::text, \'none\');
		END $$');
	($c, $said) = connect_as('backend');
	is(ask($c, 'CALL p()'), "WARNING 01000 none, WARNING 01000 $banner, WARNING 01000 DEV, WARNING 01000 DEV, reports DEV",
		"$how: a procedure that commits and rolls back");
	close $c;

	# set before, or while, the library is loaded
	($c, $said) = connect_as('backend', "-c instance_env.current_instance=$prod");
	if ($preloaded)
	{
		is($said, "FATAL $denied", "$how: not by options of the connection");
	}
	else
	{
		is($said, '', "$how: options of the connection");
		like(ask($c, $where), qr/^WARNING \Q$denied\E, row null/, "$how: are of no use");
		is(ask($c, 'SHOW instance_env.current_instance'), 'row ', "$how: and forgotten");
		is(ask($c, 'RESET instance_env.current_instance'), 'reports ', "$how: also what they would be reset to");
		is(ask($c, 'SHOW instance_env.current_instance'), 'row ', "$how: really");
		close $c;

		($c, $said) = connect_as('backend');
		is(ask($c, "SET instance_env.current_instance = '$prod'"), '', "$how: SET before it is loaded");
		like(ask($c, $where), qr/^WARNING \Q$denied\E, row null/, "$how: is of no use");
		close $c;
		($c, $said) = connect_as('backend');
		is(ask($c, "SET instance_env.current_instance = '$prod'; BEGIN; SET LOCAL instance_env.current_instance = '$prod'; SAVEPOINT a; SET instance_env.current_instance = '$prod'"),
			'', "$how: several of them");
		like(ask($c, $where), qr/^WARNING .*, row null/, "$how: are of no use");
		is(ask($c, "ROLLBACK TO a; $where"), 'row null', "$how: nor what a savepoint brings back");
		is(ask($c, "COMMIT; $where"), 'row null', "$how: nor what a commit does");

		# A session that has not loaded it stores what it would refuse.
		$node->safe_psql('postgres', "ALTER ROLE backend SET instance_env.current_instance = '$prod'");
	}
	close $c;
	if (!$preloaded)
	{
		($c, $said) = connect_as('backend');
		like(ask($c, $where), qr/^WARNING \Q$denied\E, row null/, "$how: a setting of the role is of no use");
		close $c;
		next;
	}
	my ($state, $out, $err) = $node->psql('postgres', "ALTER SYSTEM SET instance_env.current_instance = '$prod'");
	like($err, qr/cannot be changed/, "$how: nor can it be set for the server");
}

# A file that is loaded later cannot set it either.
$node->append_conf('postgresql.conf', "instance_env.current_instance = '$prod'");
$node->reload;
($c, $said) = connect_as('backend');
is(ask($c, $where), 'row null', 'a line in the configuration file is of no use');
close $c;
$node->adjust_conf('postgresql.conf', 'instance_env.current_instance', undef);
$node->reload;

# Parallel plans: workers have the instance, and find out by themselves who may be in it; so does
# the leader, when it has just forgotten.
$node->safe_psql('postgres', "
	CREATE TABLE notes (instance_id uuid, body text);
	INSERT INTO notes SELECT CASE WHEN i % 2 = 0 THEN '$dev'::uuid ELSE '$prod' END, i FROM generate_series(1, 1000) i;
	ALTER TABLE notes SET (parallel_workers = 2); ANALYZE notes; GRANT SELECT ON notes TO backend");
my $parallel = 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SET max_parallel_workers_per_gather = 2';
my $notes = 'SELECT count(*) FROM notes WHERE instance_id = instance_env.current_instance()';
foreach my $leader ('off', 'on')
{
	my $how = "the leader's participation $leader";

	($c, $said) = connect_as('backend');
	ask($c, "$parallel; SET parallel_leader_participation = $leader");
	like(ask($c, "$enter; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $notes"), qr/Gather.*reports DEV/, "$how: a parallel plan");
	is(ask($c, $notes), 'row 500', "$how: sees the instance's rows");
	is(ask($c, 'SELECT count(*) FROM notes WHERE instance_id::text = instance_env.current_instance_key()'), 'row 500', "$how: and by its key");
	$node->safe_psql('postgres', "CREATE ROLE passing; DROP ROLE passing");
	is(ask($c, $notes), 'row 500', "$how: after roles have changed");
	is(ask($c, "BEGIN ISOLATION LEVEL REPEATABLE READ; $notes"), 'row 500', "$how: in a transaction with an old snapshot");
	$node->safe_psql('postgres', "SELECT instance_env.forbid_instance('backend')");
	is(ask($c, $notes), 'row 0', "$how: none as soon as that is forbidden");
	$node->safe_psql('postgres', "SELECT instance_env.allow_instance('backend', 'shop', 'development')");
	is(ask($c, "COMMIT; $notes"), 'row 500', "$how: and again when it is allowed");
	is(ask($c, "$locally; SELECT count(*) FROM notes WHERE instance_id = (SELECT instance_env.current_instance())"), 'row 500',
		"$how: asked once a query");
	close $c;
}
($c, $said) = connect_as('backend');
is(ask($c, "SET parallel_leader_participation = on; $parallel; $notes"), 'row 0', 'in none, workers see none');
my $forced = $node->safe_psql('postgres', 'SHOW server_version_num') < 160000 ? 'force_parallel_mode' : 'debug_parallel_query';
like(ask($c, "SET $forced = on; $enter"), qr/^WARNING .* reports DEV$/, 'enter() is not run in parallel');
is(ask($c, $where), 'row DEV', 'current_instance() is');
close $c;

# PREPARE TRANSACTION
$node->safe_psql('postgres', "
	BEGIN; SELECT instance_env.enter('$dev', local => true); CREATE TABLE t1 (a integer); PREPARE TRANSACTION 'x'");
($c, $said) = connect_as('backend');
is(ask($c, "BEGIN; $locally; SELECT pg_current_xact_id() IS NOT NULL"), 'row t, reports DEV', 'a transaction');
$node->safe_psql('postgres', "COMMIT PREPARED 'x'");
is(ask($c, "PREPARE TRANSACTION 'x'"), 'reports ', 'that is prepared leaves what it has entered locally');
is(ask($c, "COMMIT PREPARED 'x'") . ask($c, $where), 'row null', 'and its commit enters nothing');
is(ask($c, "BEGIN; SELECT pg_current_xact_id() IS NOT NULL; $enter"), "row t, WARNING 01000 $banner, reports DEV", 'a transaction that enters for the session');
is(ask($c, "PREPARE TRANSACTION 'x'"), '', 'keeps it when it is prepared');
is(ask($c, "ROLLBACK PREPARED 'x'") . ask($c, $where), 'row DEV', 'whatever becomes of it');
is(ask($c, "SELECT instance_env.allow_instance('backend')"), 'ERROR 42501 permission denied for function allow_instance', 'nobody allows himself');
close $c;

# A session outlives its role, and its role's allowance.
$node->safe_psql('postgres', "CREATE ROLE passing LOGIN; SELECT instance_env.grant_backend('passing'), instance_env.allow_instance('passing');
	CREATE VIEW visible_instance AS SELECT WHERE instance_env.current_instance() IS NOT NULL; GRANT SELECT ON visible_instance TO PUBLIC");
($c, $said) = connect_as('passing');
is(ask($c, "$locally; $where"), 'row DEV', 'a role');
like(ask($c, $enter), qr/reports DEV$/, 'enters an instance');
$node->safe_psql('postgres', "REVOKE USAGE ON SCHEMA instance_env FROM passing; CREATE ROLE heir; REASSIGN OWNED BY passing TO heir; DROP OWNED BY passing; DROP ROLE passing");
is($node->safe_psql('postgres', 'SELECT count(*) FROM instance_env.instance_allowance'), '2', 'it is dropped, and its allowance is not');
is(ask($c, "SELECT count(*) FROM (SELECT FROM pg_class WHERE oid = 1259 AND '$dev' = current_setting('instance_env.current_instance')) x"), 'row 1', 'its session lasts');
is(ask($c, 'SELECT count(*) FROM visible_instance'), 'row 0', 'but is in no instance any more');
close $c;

# A hot standby
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is( $standby->safe_psql('postgres', "SET client_min_messages = error; SET ROLE backend;
		SELECT FROM instance_env.enter('$dev'); SELECT instance_env.current_instance(); $notes"),
	"$dev\n500", 'a session of a standby enters');
is( $standby->psql('postgres', "SET ROLE backend; SELECT instance_env.enter('$prod')"), 3, 'what it may');
$node->safe_psql('postgres', "SELECT instance_env.forbid_instance('backend')");
$node->wait_for_catchup($standby);
is( $standby->psql('postgres', "SET ROLE backend; SELECT instance_env.enter('$dev')"), 3, 'and no longer than the primary says');

done_testing();
