# What the cap has refused is counted exactly, by many sessions at once, whatever they roll
# back; it is gone with a restart; and where there is no room for it, or no shared memory,
# views say so.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('activity');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'\n");
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	CREATE TABLE users (id serial PRIMARY KEY, instance_id text NOT NULL);
	CREATE TABLE members (id serial PRIMARY KEY, instance_id text NOT NULL) PARTITION BY HASH (id);
	CREATE TABLE members0 PARTITION OF members FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE members1 PARTITION OF members FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	SELECT instance_env.create_application('app ' || i, development_key => 'dev' || i) FROM generate_series(1, 3) i;
	SELECT instance_env.set_user_cap(id, 20) FROM instance_env.instance WHERE type = 'development';
	SELECT instance_env.guard('users');
	SELECT instance_env.guard('members');
	CREATE FUNCTION try(n integer, tables integer, OUT admitted integer, OUT refused integer) LANGUAGE plpgsql AS $$
	BEGIN
		admitted := 0;
		refused := 0;
		FOR i IN 1..n LOOP
			BEGIN
				IF i % tables = 0 THEN
					INSERT INTO users (instance_id) VALUES ('dev1');
				ELSE
					INSERT INTO members (instance_id) VALUES ('dev2');
				END IF;
				admitted := admitted + 1;
				IF i % 3 = 0 THEN
					RAISE division_by_zero;
				END IF;
			EXCEPTION
				WHEN SQLSTATE '23I01' THEN refused := refused + 1;
				WHEN division_by_zero THEN NULL;
			END;
		END LOOP;
	END $$;});

sub activity
{
	return $node->safe_psql('postgres',
		'SELECT relation, sum(admitted_by_bound + admitted_by_scan), sum(refused) FROM instance_env.activity GROUP BY relation ORDER BY relation::text');
}

# Eight sessions, of which every other rolls everything back
my @sessions;
foreach my $i (1 .. 8)
{
	my %session = (out => '', err => '');
	my $end = $i % 2 ? 'ROLLBACK' : 'COMMIT';
	my $sql = 'SET client_min_messages = error;' . "BEGIN; SELECT * FROM try(300, 2); $end;" x 3;
	$session{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \undef, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	push @sessions, \%session;
}
my ($admitted, $refused) = (0, 0);
foreach my $session (@sessions)
{
	$session->{handle}->finish;
	is($session->{err}, '', 'no other error');
	foreach ($session->{out} =~ /^(.+)$/mg)
	{
		my ($in, $out) = split /\|/;
		$admitted += $in;
		$refused += $out;
	}
}
is($admitted + $refused, 7200 * 1, 'all attempts have an answer');
cmp_ok($refused, '>', 1000, "many were refused ($refused)");
my $sums = 'SELECT sum(admitted_by_bound + admitted_by_scan), sum(refused), sum(refused_today) FROM instance_env.activity';
like($node->safe_psql('postgres', $sums), qr/^$admitted\|$refused\|/, 'and each answer was counted once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM instance_env.activity WHERE refused > 0 AND refused_today BETWEEN 1 AND refused'),
	2, 'for each table');
is($node->safe_psql('postgres', 'SELECT sum(refused) FROM instance_env.usage'), $refused, 'view usage adds up to the same');

# statements outside of a block; nothing of what there was before is left in a slot that is used again
$node->safe_psql('postgres', "INSERT INTO users (instance_id) VALUES ('dev3')") foreach 1 .. 3;
is($node->safe_psql('postgres', q{SELECT admitted_by_bound > 0, admitted_by_scan > 0 FROM instance_env.activity WHERE application = 'app 3'}),
	't|t', 'by bound and by scan');
$node->safe_psql('postgres', 'SELECT instance_env.reset_activity()');
is(activity(), '', 'reset_activity() begins anew');
is($node->psql('postgres', "INSERT INTO users (instance_id) SELECT 'dev3' FROM generate_series(1, 100)"), 3, 'too many');
is(activity(), 'users|0|1', 'a transaction that failed');
$node->safe_psql('postgres', "INSERT INTO users (instance_id) SELECT 'dev3' FROM generate_series(1, 10)");
is(activity(), 'users|10|1', 'a statement of many rows');

# another database has counts of its own
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql(
	'other', q{
	CREATE EXTENSION instance_env;
	CREATE TABLE users (id serial PRIMARY KEY, instance_id text NOT NULL);
	SELECT instance_env.create_application('app', development_key => 'dev');
	SELECT instance_env.guard('users');
	INSERT INTO users (instance_id) VALUES ('dev');});
is($node->safe_psql('other', 'SELECT relation, admitted_by_scan FROM instance_env.activity'), 'users|1', 'another database');
$node->safe_psql('other', 'SELECT instance_env.reset_activity()');
is(activity(), 'users|10|1', 'which resets only its own');
$node->safe_psql('other', "INSERT INTO users (instance_id) VALUES ('dev')");
is($node->safe_psql('postgres', 'SELECT used FROM instance_env.activity_status()'), 2, 'both take room');
$node->safe_psql('postgres', 'DROP DATABASE other');
$node->safe_psql('postgres', 'SELECT instance_env.reset_activity()');
is($node->safe_psql('postgres', 'SELECT used FROM instance_env.activity_status()'), 0, 'a database that was dropped gives it back, too');

# a standby counts nothing, and says so by nothing
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->safe_psql('postgres', "INSERT INTO users (instance_id) VALUES ('dev3')");
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', 'SELECT count(*) FROM instance_env.activity'), 0, 'a standby');
is($standby->safe_psql('postgres', 'SELECT counting, slots, used FROM instance_env.activity_status()'), 't|4096|0', 'is ready to count');
is($standby->safe_psql('postgres', "SELECT instance_env.seats_left(instance_env.instance_id('app 3', 'development'), 'users')"), 6,
	'seats_left() there');
is($standby->safe_psql('postgres', "SELECT users FROM instance_env.user_count(instance_env.instance_id('app 3', 'development'), 'users')"), 14,
	'user_count() there');
my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT instance_env.reset_activity()");
like($err, qr/25006/, 'reset_activity() is refused there');
$standby->promote;
$standby->safe_psql('postgres', "INSERT INTO users (instance_id) VALUES ('dev3')");
is($standby->safe_psql('postgres', 'SELECT admitted_by_bound + admitted_by_scan FROM instance_env.activity'), 1, 'once promoted, it counts');
$standby->stop;

# a table that somebody has locked
my $locked = IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', 'BEGIN; LOCK TABLE users; SELECT pg_sleep(1000)' ],
	'<', \undef, '>', \my $locked_out, '2>', \my $locked_err);
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'users'::regclass AND mode = 'AccessExclusiveLock' AND granted")
  or die 'the table was not locked';
($rc, $out, $err) = $node->psql('postgres', "SET statement_timeout = '60s';\n\\set VERBOSITY sqlstate\n"
	. "SELECT instance_env.seats_left(instance_env.instance_id('app 3', 'development'), 'users')");
like($err, qr/55P03/, 'seats_left() does not wait for it');
is($node->safe_psql('postgres', "SET statement_timeout = '60s'; SELECT relation, users IS NULL FROM instance_env.usage WHERE application = 'app 3' AND NOT estimated ORDER BY relation::text"),
	"members|f\nusers|t", 'nor does view usage');
is($node->safe_psql('postgres', "SET statement_timeout = '60s'; SELECT users IS NULL FROM instance_env.user_count(instance_env.instance_id('app 3', 'development'), 'users')"),
	't', 'nor user_count()');
is($node->safe_psql('postgres', "SET statement_timeout = '60s'; SELECT relation FROM instance_env.activity"), 'users', 'nor view activity');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE users%' AND pid <> pg_backend_pid()");
$locked->finish;

# gone with a restart, and with a crash
$node->restart;
is(activity(), '', 'a restart empties it');
$node->safe_psql('postgres', "INSERT INTO users (instance_id) VALUES ('dev2')");
is(activity(), 'users|1|0', 'and counts on');
$node->stop('immediate');
$node->start;
is(activity(), '', 'so does a crash');

# no room
$node->append_conf('postgresql.conf', "instance_env.buckets = 8\n");
$node->restart;
$node->safe_psql('postgres', "SELECT instance_env.create_application('app ' || i, development_key => 'dev' || i) FROM generate_series(4, 13) i");
foreach my $i (4 .. 13)
{
	$node->safe_psql('postgres', "INSERT INTO users (instance_id) SELECT 'dev$i' FROM generate_series(1, 2)");
}
is($node->safe_psql('postgres', 'SELECT * FROM instance_env.activity_status()'), 't|8|8|4', 'eight pairs are counted, and four rows of others are not');
is($node->safe_psql('postgres', 'SELECT count(*), sum(admitted_by_bound + admitted_by_scan) FROM instance_env.activity'), '8|16', 'no pair has the counts of two');
is($node->safe_psql('postgres', "SELECT count(*) FROM instance_env.usage WHERE relation = 'users'::regclass AND NOT estimated AND refused IS NULL"),
	5, 'view usage does not say 0 for the others');
$node->safe_psql('postgres', 'SELECT instance_env.reset_activity()');
$node->safe_psql('postgres', "INSERT INTO users (instance_id) VALUES ('dev13')");
is(activity(), 'users|1|0', 'after a reset there is room');
is($node->safe_psql('postgres', 'SELECT * FROM instance_env.activity_status()'), 't|8|1|4', 'and it is used again');

# no shared memory
$node->append_conf('postgresql.conf', "instance_env.buckets = 0\n");
$node->restart;
is($node->psql('postgres', "INSERT INTO users (instance_id) SELECT 'dev1' FROM generate_series(1, 100)"), 3, 'without buckets, too, too many are refused');
is(activity(), '', 'and not counted');
is($node->safe_psql('postgres', 'SELECT * FROM instance_env.activity_status()'), 'f|0|0|', 'which can be told');
is($node->safe_psql('postgres', 'SELECT count(*) FROM instance_env.usage WHERE refused IS NOT NULL OR refused_today IS NOT NULL OR last_refused_at IS NOT NULL'),
	0, 'from view usage as well');
$node->safe_psql('postgres', 'SELECT instance_env.reset_activity()');

$node->stop;
done_testing();
