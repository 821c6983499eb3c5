# drop_application() gives up after some seconds where a table stays locked, and meanwhile no
# insert into another table has to wait for long.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

# the first table is locked first, the last one is what has to be waited for
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application(a, development_key => a, production_key => a || ' live')
	FROM unnest('{shop,blog}'::text[]) AS a;
	CREATE TABLE users (instance_id text NOT NULL, id text PRIMARY KEY);
	CREATE TABLE others (instance_id text NOT NULL, id text PRIMARY KEY);
	SELECT instance_env.guard('users'), instance_env.guard('others');
});

sub session
{
	my %session = (in => '', out => '', err => '');
	$session{handle} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($timeout));
	return \%session;
}

my $owner = session();
$owner->{in} .= "BEGIN;\nLOCK TABLE others;\nSELECT 'locked';\n";
$owner->{handle}->pump until $owner->{out} =~ /locked/;

my $begin = time;
my $admin = session();
$admin->{in} .= "SELECT instance_env.drop_application(instance_env.application_id('shop'));\n\\q\n";
$admin->{handle}->pump_nb;

my $slowest = 0;
my $inserts = 0;
while (time - $begin < 4)
{
	my $before = time;
	$node->safe_psql('postgres',
		"INSERT INTO users VALUES ('blog', gen_random_uuid())");
	my $took = time - $before;
	$slowest = $took if $took > $slowest;
	$inserts++;
	$admin->{handle}->pump_nb;
	last if $inserts == 400;
	usleep(10_000);
}
$admin->{handle}->finish;
my $took = time - $begin;

ok($inserts > 5, "others insert meanwhile ($inserts times)");
ok($slowest < 2, sprintf('and none waits for long (%.2f s)', $slowest));
like($admin->{err}, qr/ERROR:  could not lock guarded table "public.others"/, 'the drop gives up');
like($admin->{err}, qr/HINT:  Try again when no other session/, 'and says what to do');
ok($took > 3 && $took < 30, sprintf('after some seconds (%.1f s)', $took));

$owner->{in} .= "COMMIT;\n\\q\n";
$owner->{handle}->finish;
is($node->safe_psql('postgres', "SELECT count(*) FROM instance_env.application"), 2, 'nothing is dropped');
$node->safe_psql('postgres', "SELECT instance_env.drop_application(instance_env.application_id('shop'))");
is($node->safe_psql('postgres', "SELECT count(*) FROM instance_env.application"), 1, 'later it is');

# who is impatient is told at once
$owner = session();
$owner->{in} .= "BEGIN;\nLOCK TABLE others;\nSELECT 'locked';\n";
$owner->{handle}->pump until $owner->{out} =~ /locked/;
$begin = time;
my ($code, $out, $err) = $node->psql('postgres', q{
	SET lock_timeout = '10ms';
	DELETE FROM users;
	SELECT instance_env.drop_application(instance_env.application_id('blog'));
});
like($err, qr/could not lock guarded table "public.others"/, 'lock_timeout is minded');
ok(time - $begin < 3, sprintf('(%.2f s)', time - $begin));

# and who cancels is heard
$begin = time;
($code, $out, $err) = $node->psql('postgres', q{
	SET statement_timeout = '700ms';
	SELECT instance_env.drop_application(instance_env.application_id('blog'));
});
like($err, qr/canceling statement due to statement timeout/, 'it can be cancelled');
ok(time - $begin < 4, sprintf('(%.2f s)', time - $begin));
$owner->{in} .= "COMMIT;\n\\q\n";
$owner->{handle}->finish;

$node->stop;
done_testing();
