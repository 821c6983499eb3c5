# Many senders at once: exactly as many messages as the limit allows are committed, whatever
# is rolled back on the way, and a prepared transaction keeps what it has counted.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dev = 'd0000000-0000-4000-8000-000000000001';
my $other = 'd0000000-0000-4000-8000-000000000002';
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 4\ndeadlock_timeout = 100ms");
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application('shop', development_id => '$dev'),
		instance_env.create_application('other', development_id => '$other');
	CREATE TABLE sent (instance uuid, n integer);
	CREATE FUNCTION send(instance uuid, n integer) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		FOR i IN 1..n LOOP
			PERFORM instance_env.consume_message(instance, 'sms', '+491');
		END LOOP;
		INSERT INTO sent VALUES (instance, n);
	EXCEPTION WHEN SQLSTATE '55I04' THEN
		NULL;
	END \$\$});

sub usage
{
	return $node->safe_psql('postgres', qq{SELECT sent FROM instance_env.message_usage
		WHERE instance_id = '$_[0]' AND channel = 'sms'});
}

my $file = $node->basedir . '/send.pgbench';

sub bench
{
	my ($level, $script) = @_;

	append_to_file($file, $script);
	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . $level =~ s/ /\\ /r;
	$node->command_checks_all(
		[ 'pgbench', '-n', '-c', 8, '-j', 2, '-t', 60, '-f', $file, $node->connstr('postgres') ],
		0, [qr{processed: 480/480}], [qr{^(?!.*(?:ERROR|FATAL))}s], "senders at $level");
	unlink $file;
	return;
}

my $send = "SELECT send('$dev', 1);\n";
my $undo = "BEGIN;\nSELECT send('$dev', 2);\nROLLBACK;\n";
my $limit = 0;

foreach my $level ('read committed', 'repeatable read', 'serializable')
{
	$limit += 150;
	$node->safe_psql('postgres', "SELECT instance_env.set_policy('$dev', 'sms_per_month', '$limit')");
	bench($level, $send . $undo . "BEGIN;\nSAVEPOINT a;\n${send}ROLLBACK TO a;\n${send}COMMIT;\n");
	is(usage($dev), $limit, 'as many as the limit allows');
	is($node->safe_psql('postgres', "SELECT sum(n) FROM sent WHERE instance = '$dev'"), $limit, 'are what was sent');
}
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM instance_env.message_count'), '<=', 8, 'in no more slots than senders');

# several messages for two instances in one transaction, in any order
$limit += 300;
$node->safe_psql('postgres', qq{
	SELECT instance_env.set_policy('$dev', 'sms_per_month', '$limit');
	SELECT instance_env.set_policy('$other', 'sms_per_month', '300')});
bench('read committed', "\\set order random(0, 1)\n\\if :order\n"
	. "BEGIN;\nSELECT send('$dev', 2);\nSELECT send('$other', 2);\nCOMMIT;\n\\else\n"
	. "BEGIN;\nSELECT send('$other', 2);\nSELECT send('$dev', 2);\nCOMMIT;\n\\endif\n");
foreach my $instance ($dev, $other)
{
	my $sent = $node->safe_psql('postgres', "SELECT sum(n) FROM sent WHERE instance = '$instance'");

	is(usage($instance), $sent, 'the count is what was sent');
	cmp_ok($sent, '<=', $instance eq $dev ? $limit : 300, 'and no more than the limit');
}
unlike(slurp_file($node->logfile), qr/deadlock detected|could not serialize|XX000/, 'no deadlock and no other failure');

# no limit: a count nevertheless
$node->safe_psql('postgres', qq{
	UPDATE instance_env.policy_default SET value = 'null' WHERE name = 'sms_per_month';
	SELECT instance_env.reset_policy('$dev', 'sms_per_month')});
my $before = usage($dev);
bench('serializable', $send);
is(usage($dev), $before + 480, 'all are counted if there is no limit');

# a prepared transaction
$node->safe_psql('postgres', qq{
	UPDATE instance_env.policy_default SET value = '2' WHERE name = 'sms_per_month' AND instance_type = 'development';
	SELECT instance_env.reset_policy('$other', 'sms_per_month');
	DELETE FROM instance_env.message_count;
	BEGIN;
	SELECT instance_env.consume_message('$other', 'sms', '+491');
	PREPARE TRANSACTION 'message'});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', "SELECT instance_env.consume_message('$other', 'sms', '+491')"), 't', 'nobody waits while another is left');
my ($status, $out, $err) = $node->psql('postgres', "SET lock_timeout = '200ms'; SELECT instance_env.consume_message('$other', 'sms', '+491')");
like($err, qr/lock timeout/, 'but then for the prepared transaction');
($status, $out, $err) = $node->psql('postgres', "SELECT instance_env.drop_application('other')");
like($err, qr/(?:lock timeout|could not stop).*DETAIL:  Open or prepared transactions have called consume_message\(\)/s, 'which also stops drop_application(), that does not wait for long');
is($node->safe_psql('postgres', "SELECT instance_env.consume_message('$dev', 'sms', '+491')"), 't', 'other instances send');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'message'");
is($node->safe_psql('postgres', "SELECT instance_env.consume_message('$other', 'sms', '+491')"), 't', 'what it held is free when it is rolled back');
is(usage($other), 2, 'two were sent');

$node->stop;
done_testing();
