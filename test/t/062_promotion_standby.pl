# validate() and the monitoring views give the same answers on a hot standby.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($dev, $prod) = ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');

# A psql that stays connected.  (BackgroundPsql is not the same in all versions.)
sub session
{
	my ($node) = @_;
	my %session = (in => '', out => '', err => '');

	$session{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

sub ask
{
	my ($session, $sql) = @_;

	$session->{out} = '';
	$session->{in} .= "$sql;\n\\echo done\n";
	$session->{handle}->pump until $session->{out} =~ /^done$/m;
	return $session->{out};
}

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'\nautovacuum = off");
$primary->start;
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

$primary->safe_psql('postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', development_id => '$dev', production_id => '$prod');
	CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid NOT NULL);
	CREATE TABLE parts (id integer PRIMARY KEY, instance_id uuid NOT NULL) PARTITION BY HASH (id);
	CREATE TABLE part0 PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
	SELECT instance_env.guard('users'), instance_env.guard('parts');
	INSERT INTO users SELECT i, '$dev' FROM generate_series(1, 480) i;
	DELETE FROM users WHERE id <= 30;
	UPDATE users SET id = -id WHERE id > 470;
	INSERT INTO instance_env.social_connection (instance, provider, instance_type, source)
		VALUES ('$dev', 'github', 'development', 'shared');
});

my %queries = (
	'validate(), production' => "SELECT * FROM instance_env.validate('$prod')",
	'validate(), development' => "SELECT * FROM instance_env.validate('$dev')",
	'view applications' => 'SELECT * FROM instance_env.applications',
	'view instances' => 'SELECT * FROM instance_env.instances',
	'view guards' => 'SELECT * FROM instance_env.guards',
	'view readiness' => 'SELECT * FROM instance_env.readiness',
	'view message_usage' => 'SELECT * FROM instance_env.message_usage ORDER BY instance_id, channel',
	'is_test_identity()' => "SELECT instance_env.is_test_identity('$dev', '+12015550100'), instance_env.is_test_identity('$prod', '+12015550100')",
	'view usage' => 'SELECT application, type, relation, users, estimated, user_cap, cap_mode, percent, state, soft_deletion, instance_id
		FROM instance_env.usage ORDER BY relation::text, type');

sub same_answers
{
	my $when = shift;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	foreach my $name (sort keys %queries)
	{
		is($standby->safe_psql('postgres', $queries{$name}), $primary->safe_psql('postgres', $queries{$name}),
			"$when: $name");
	}
}

same_answers('on a standby');
like($standby->safe_psql('postgres', $queries{'view usage'}), qr/users\|450\|f\|500\|hard\|90\.0\|warning/, 'users are counted there');
my ($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT instance_env.assert_valid('$prod')");
like($err, qr/55I01/, 'assert_valid() refuses there');
is($standby->psql('postgres', "SELECT instance_env.assert_valid('$dev')"), 0, 'and passes');

($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT instance_env.consume_message('$dev', 'sms', '+491')");
like($err, qr/25006/, 'consume_message() cannot count there');
($rc, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT instance_env.forget_events(now())");
like($err, qr/25006/, 'nor can forget_events() forget');

# one session there hears of what changes
my $session = session($standby);
like(ask($session, "SELECT message FROM instance_env.validate('$dev') WHERE check_name = 'usage' AND subject = 'public.users'"),
	qr/450 of at most 500/, 'a session on the standby');
my $names = "SELECT coalesce(instance_env.instance_id('shop', 'development')::text, 'none'),
	coalesce(instance_env.application_id('store')::text, 'none') = 'none', (instance_env.instance_info('$dev')).application";
like(ask($session, $names), qr/^\Q$dev\E\|t\|shop$/m, 'knows names');
$primary->safe_psql('postgres', qq{
	SELECT instance_env.rename_application('shop', 'store');
	SELECT instance_env.set_user_cap('$dev', 460);
	SELECT instance_env.consume_message('$dev', 'sms', '+491');
	ALTER TABLE users DISABLE TRIGGER "Instance_env_no_transfer";
	SELECT instance_env.associate_domain('$prod', 'shop.example.com');
	DELETE FROM users WHERE id < 100;
});
same_answers('after changes');
like(ask($session, "SELECT message FROM instance_env.validate('$dev') WHERE check_name = 'usage' AND subject = 'public.users'"),
	qr/of at most 460/, 'hears of another cap');
like(ask($session, $names), qr/^none\|f\|store$/m, 'of another name');
like(ask($session, "SELECT message FROM instance_env.validate('$dev') WHERE check_name = 'guard' AND subject = 'public.users'"),
	qr/Instance_env_no_transfer is disabled/, 'and of a disabled trigger');
$session->{in} = "\\q\n";
$session->{handle}->finish;

# with a transaction open on the primary, and an exclusive lock that the standby has replayed
my $other = session($primary);
ask($other, "BEGIN; INSERT INTO parts VALUES (1, '$dev'); LOCK TABLE users; SELECT pg_current_xact_id()");
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
like($standby->safe_psql('postgres', "SET statement_timeout = '60s'; $queries{'view usage'}"), qr/users\|\|f\|460\|hard\|\|unknown/,
	'a table that is locked on the primary is not waited for');
ask($other, 'ROLLBACK');
$other->{in} = "\\q\n";
$other->{handle}->finish;
same_answers('after a rollback');

$standby->stop;
$primary->stop;
done_testing();
