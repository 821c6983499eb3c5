# When secret keys were last used: many sessions at once, a standby, a dump, a crash.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dev = 'd0000000-0000-4000-8000-000000000001';
my $shown = 'SELECT count(*), count(last_used_at) FROM instance_env.secret_keys WHERE valid';

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "autovacuum = off\nmax_connections = 50\nmax_prepared_transactions = 5");
$primary->start;
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

my $key = $primary->safe_psql('postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT FROM instance_env.create_application('shop', development_id => '$dev');
	SELECT instance_env.create_secret_key('$dev', 'a key')});
my $verify = "SELECT instance_env.verify_secret_key('$key')";

# Which writes the table has seen, of transactions that have ended.
sub written
{
	my ($column) = @_;
	my $sql = "SELECT pg_stat_get_tuples_$column('instance_env.secret_key_use'::regclass)";
	my $value = $primary->safe_psql('postgres', $sql);

	# sessions report when they end, which psql does not wait for
	for (1 .. 20)
	{
		select undef, undef, undef, 0.1;
		my $next = $primary->safe_psql('postgres', $sql);
		last if $next == $value && $_ > 5;
		$value = $next;
	}
	return $value;
}

#
# A standby
#

$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', $verify), $dev, 'a key is verified on a standby');
is($standby->safe_psql('postgres', $shown), '1|0', 'where the view works, but nothing is recorded');

# A standby that does not answer holds up the commit of what has written to the log of the server; not of
# this.  (Whoever reads a page with dead rows may clean it up and write that to the log.)
$primary->safe_psql('postgres', 'VACUUM');
$standby->stop;
$primary->append_conf('postgresql.conf', "synchronous_standby_names = '*'");
$primary->reload;
my $out;
$primary->psql('postgres', $verify, stdout => \$out, timeout => 60, timed_out => \my $timed_out);
is($out, $dev, 'a key is verified while no synchronous standby is there');
is($primary->safe_psql('postgres', $shown), '1|1', 'that is recorded');
$primary->append_conf('postgresql.conf', "synchronous_standby_names = ''");
$primary->reload;
$standby->start;

#
# Many sessions: one record a minute
#

$primary->safe_psql('postgres', "UPDATE instance_env.secret_key_use SET used_at = used_at - interval '1 hour'");
my ($inserted, $deleted) = (written('inserted'), written('deleted'));
my $script = $primary->basedir . '/verify.sql';
append_to_file($script, "$verify;\n");
$primary->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '100', '-C', '-f', $script, 'postgres' ],
	'800 sessions, eight at a time');
is(written('inserted') - $inserted, 1, 'have recorded it once');
is(written('deleted') - $deleted, 1, 'in place of what was there');

#
# A prepared transaction
#

$primary->safe_psql('postgres', "UPDATE instance_env.secret_key_use SET used_at = used_at - interval '1 hour'");
is($primary->safe_psql('postgres', "BEGIN; $verify; PREPARE TRANSACTION 'p'"), $dev, 'a prepared transaction');
is($primary->safe_psql('postgres', "SET lock_timeout = '10s'; $verify"), $dev, 'keeps no other waiting');
$primary->safe_psql('postgres', "SET lock_timeout = '10s';
	SELECT instance_env.rotate_secret_key('$key', '1 hour'); SELECT instance_env.revoke_secret_key('$key')");
is($primary->safe_psql('postgres', $verify), '', 'nor administration');
$primary->safe_psql('postgres', "COMMIT PREPARED 'p'");
is($primary->safe_psql('postgres', 'SELECT count(*) FROM instance_env.secret_key_use WHERE used_at > now() - interval \'30 minutes\''),
	'1', 'and is recorded in the end');

#
# A dump, and a crash
#

my $dump = $primary->basedir . '/dump.sql';
$primary->command_ok([ 'pg_dump', '-f', $dump, '-d', $primary->connstr('postgres') ], 'dumped');
$primary->safe_psql('postgres', 'CREATE DATABASE restored');
$primary->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $primary->connstr('restored') ], 'restored');
my $all = 'SELECT hint, name, created_at, expires_at, revoked_at, last_used_at, valid FROM instance_env.secret_keys ORDER BY created_at';
is($primary->safe_psql('restored', $all), $primary->safe_psql('postgres', $all), 'with the times of use');

$primary->stop('immediate');
$primary->start;
is($primary->safe_psql('postgres', 'SELECT count(*), count(last_used_at) FROM instance_env.secret_keys'), '2|0',
	'a crash loses the times, and no key');

$standby->stop;
done_testing();
