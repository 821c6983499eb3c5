# One session outlives the extension: nothing that a backend has cached survives what it
# was read from.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 1');
$node->start;

my @sessions;

# A psql that stays connected.  (BackgroundPsql is not the same in all versions.)
sub session
{
	my ($db) = @_;
	my %session = (in => '', out => '', err => '');

	$session{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr($db), '-f', '-' ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	push @sessions, \%session;
	return \%session;
}

# The SQLSTATE of each statement.
sub states
{
	my ($session, @statements) = @_;
	my @states;

	foreach my $sql (@statements)
	{
		$session->{out} = '';
		$session->{in} .= "$sql;\n\\echo state :SQLSTATE\n";
		$session->{handle}->pump until $session->{out} =~ /^state (\w{5})$/m;
		push @states, $1;
	}
	return join ' ', @states;
}

# What one query for one value returns.
sub answer
{
	my ($session, $sql) = @_;

	states($session, $sql);
	return $session->{out} =~ /^(.*)\nstate 00000$/m ? $1 : $session->{out};
}

my $dev = q{'dddddddd-0000-0000-0000-000000000001'};
my $dev2 = q{'dddddddd-0000-0000-0000-000000000002'};

# The extension, two instances and a guarded table.
sub set_up
{
	my ($cap) = @_;
	return (
		'CREATE EXTENSION instance_env',
		"SELECT instance_env.create_application('shop', development_id => $dev, development_key => 'dev')",
		"SELECT instance_env.create_application('bank', development_id => $dev2, development_key => 'dev2')",
		"SELECT instance_env.set_user_cap($dev, $cap)",
		'CREATE TABLE IF NOT EXISTS users (instance_id uuid, id text, PRIMARY KEY (instance_id, id))',
		'CREATE TABLE IF NOT EXISTS members (instance_id text, id text, PRIMARY KEY (instance_id, id))',
		"SELECT instance_env.guard('users', user_key => 'id')",
		"SELECT instance_env.guard('members', user_key => 'id')");
}
my $set_up_ok = join ' ', ('00000') x 8;

# Inserts that leave something in every cache, with a cap of one; and with what they answer.
my @work = (
	"INSERT INTO users VALUES ($dev, 'a')",
	"INSERT INTO users VALUES ($dev, 'b')",
	"INSERT INTO users VALUES ($dev2, 'a')",
	"INSERT INTO users VALUES ('00000000-0000-0000-0000-000000000000', 'x')",
	"INSERT INTO members VALUES ('dev', 'a')",
	"INSERT INTO members VALUES ('dev', 'b')",
	"UPDATE members SET instance_id = 'dev2'",
	'DELETE FROM members',
	"INSERT INTO members VALUES ('dev2', 'a')",
	'DELETE FROM users',
	"INSERT INTO users VALUES ($dev2, 'a')");
my $work_ok = '00000 23I01 23I02 23I03 00000 23I01 23I02 00000 23I02 00000 23I02';

# DROP EXTENSION, CREATE EXTENSION.

$node->safe_psql('postgres', 'CREATE DATABASE again');
my $s = session('again');
is(states($s, set_up(1)), $set_up_ok, 'set up');
is(states($s, @work), $work_ok, 'the extension works');
is(states($s, 'DROP EXTENSION instance_env'), '2BP01', 'it cannot be dropped from under its guards');
is(states($s, 'DROP EXTENSION instance_env CASCADE'), '00000', 'it can with CASCADE');
is( states($s,
		"INSERT INTO users VALUES ($dev, 'a'), ($dev, 'b'), (NULL, 'x')"),
	'23502',
	'without it, a primary key is a primary key');
is( states($s,
		"INSERT INTO users VALUES ($dev, 'a'), ($dev2, 'a')", 'DELETE FROM users', 'TRUNCATE members'),
	'00000 00000 00000',
	'and nothing else is guarded');
is(states($s, set_up(1)), $set_up_ok, 'created again in the same session');
is(states($s, @work), $work_ok, 'it works again, and remembers nothing from before');
is(states($s, 'DROP SCHEMA instance_env CASCADE'), '2BP01', 'its schema belongs to it');
is( states($s,
		'BEGIN', 'DROP EXTENSION instance_env CASCADE',
		"INSERT INTO users VALUES ($dev, 'a'), ($dev, 'b')", 'ROLLBACK',
		"INSERT INTO users VALUES ($dev, 'a'), ($dev, 'b')"),
	'00000 00000 00000 00000 23I01',
	'a drop that is rolled back leaves everything guarded');

# In one transaction.

is( states($s,
		'BEGIN', 'DROP EXTENSION instance_env CASCADE', 'DROP TABLE users, members', set_up(2),
		"INSERT INTO users VALUES ($dev, 'a')", "INSERT INTO users VALUES ($dev, 'b')",
		'SAVEPOINT s', "INSERT INTO users VALUES ($dev, 'c')", 'ROLLBACK TO s', 'COMMIT',
		"INSERT INTO users VALUES ($dev, 'c')"),
	"00000 00000 00000 $set_up_ok 00000 00000 00000 23I01 00000 00000 23I01",
	'dropped and created in one transaction');

# CREATE EXTENSION, rolled back and repeated.

$node->safe_psql('postgres', 'CREATE DATABASE rolled_back');
$s = session('rolled_back');
is( states($s, 'BEGIN', set_up(1), @work[ 0, 4 ], 'ROLLBACK'),
	"00000 $set_up_ok 00000 00000 00000",
	'created, used and rolled back');
is(states($s, set_up(1)), $set_up_ok, 'created again');
is(states($s, @work), $work_ok, 'it works');

$node->safe_psql('postgres', 'CREATE DATABASE savepoint');
$s = session('savepoint');
is( states($s,
		'BEGIN', 'SAVEPOINT s', set_up(1), @work[ 0, 4 ], 'ROLLBACK TO s', set_up(1), 'COMMIT'),
	"00000 00000 $set_up_ok 00000 00000 00000 $set_up_ok 00000",
	'created, rolled back to a savepoint, and created again in one transaction');
is(states($s, @work), $work_ok, 'it works');

# An error in the middle of set-up, with the instance cached, leaves no trace either.
is( states($s,
		'BEGIN', "SELECT instance_env.set_user_cap($dev, 3)",
		"INSERT INTO users VALUES ($dev, 'p'), ($dev, 'q'), ($dev, 'r')",
		"SELECT instance_env.suspend_instance($dev)",
		"INSERT INTO users VALUES ($dev, 's')", 'ROLLBACK',
		"INSERT INTO users VALUES ($dev, 'p')",
		"INSERT INTO users VALUES ($dev, 'q')"),
	'00000 00000 00000 00000 23I04 00000 00000 23I01',
	"a transaction's own changes of an instance hold for itself, and end with it");

# Two sessions: what one changes, the other knows, without a transaction of its own between.

$node->safe_psql('postgres', 'CREATE DATABASE two');
my $one = session('two');
my $two = session('two');
is(states($one, set_up(1)), $set_up_ok, 'set up for two sessions');
is(states($two, @work), $work_ok, 'the other session works');
is( states($one, 'DROP EXTENSION instance_env CASCADE', 'TRUNCATE users, members', set_up(2)),
	"00000 00000 $set_up_ok",
	'the one drops and creates the extension');
is( states($two,
		"INSERT INTO users VALUES ($dev, 'a')", "INSERT INTO users VALUES ($dev, 'b')",
		"INSERT INTO users VALUES ($dev, 'c')", "INSERT INTO members VALUES ('dev', 'a'), ('dev', 'b')",
		"INSERT INTO members VALUES ('dev', 'c')", "INSERT INTO users VALUES ($dev2, 'a')"),
	'00000 00000 23I01 00000 23I01 23I02',
	'the other session works with the new one');
is( states($one, "UPDATE instance_env.policy_default SET value = '3' WHERE instance_type = 'development' AND name = 'user_cap'")
	  . ' '
	  . states($two, "INSERT INTO users SELECT $dev2, 'd' || x FROM generate_series(1, 4) AS x")
	  . ' '
	  . states($two, "INSERT INTO users SELECT $dev2, 'd' || x FROM generate_series(1, 3) AS x"),
	'00000 23I01 00000',
	'a default that changes');
is( states($two, 'BEGIN', "INSERT INTO users VALUES ($dev, 'c')") . ' '
	  . states($one, "SELECT instance_env.set_user_cap($dev, 3)") . ' '
	  . states($two, 'ROLLBACK', "INSERT INTO users VALUES ($dev, 'c')"),
	'00000 23I01 00000 00000 00000',
	'a cap that changes while the other is in a failed transaction');
is( states($one, "DELETE FROM users WHERE id = 'c'",
		"SELECT instance_env.suspend_instance($dev)") . ' '
	  . states($two, "INSERT INTO users VALUES ($dev, 'c')", "INSERT INTO members VALUES ('dev', 'c')") . ' '
	  . states($one, "SELECT instance_env.resume_instance($dev)") . ' '
	  . states($two, "INSERT INTO users VALUES ($dev, 'c')", "INSERT INTO members VALUES ('dev', 'c')"),
	'00000 00000 23I04 23I04 00000 00000 00000',
	'an instance that is suspended and resumed');
is( states($two, "INSERT INTO users VALUES ('dddddddd-0000-0000-0000-000000000003', 'e')") . ' '
	  . states($one,
		"SELECT instance_env.create_application('late', development_id => 'dddddddd-0000-0000-0000-000000000003')") . ' '
	  . states($two, "INSERT INTO users VALUES ('dddddddd-0000-0000-0000-000000000003', 'e')",
		"INSERT INTO members VALUES ('dddddddd-0000-0000-0000-000000000003', 'e')"),
	'23I03 00000 00000 00000',
	'an instance that comes into being');
is( states($one, "DELETE FROM users WHERE id = 'e'", "DELETE FROM members WHERE id = 'e'",
		"SELECT instance_env.drop_application(instance_env.application_id('late'))") . ' '
	  . states($two, "INSERT INTO users VALUES ('dddddddd-0000-0000-0000-000000000003', 'e')",
		"INSERT INTO members VALUES ('dddddddd-0000-0000-0000-000000000003', 'e')"),
	'00000 00000 00000 23I03 23I03',
	'an instance that is dropped');

# The same with what an application asks on a request: answers that each backend keeps.

my $app = q{'aaaaaaaa-0000-0000-0000-000000000001'};
my $prod = q{'eeeeeeee-0000-0000-0000-000000000001'};
my $key = 'sk_test_' . 'a' x 43;

# With ids that are known, a key among them.
my @made = (
	'CREATE EXTENSION instance_env',
	"SELECT instance_env.create_application('shop', development_id => $dev, production_id => $prod)",
	"UPDATE instance_env.application SET id = $app",
	'ALTER TABLE instance_env.instance DISABLE TRIGGER keep_instance',
	"UPDATE instance_env.instance SET application = $app",
	'ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER keep_instance',
	"SELECT instance_env.associate_domain($prod, 'shop.example.com')",
	"INSERT INTO instance_env.api_key (hash, instance, hint) VALUES (sha256('$key'), $dev, 'aaaa'), (sha256('other'), $dev, 'bbbb')");
my $made_ok = join ' ', ('00000') x @made;

my $ask = "SELECT concat_ws(' ', instance_env.banner($dev), instance_env.message_prefix($dev),
	instance_env.robots_directive($prod), instance_env.redirect_url_allowed($dev, 'http://localhost'),
	instance_env.redirect_url_allowed($prod, 'https://app.example.org/'),
	(instance_env.security_policy($prod)).rate_limit, instance_env.setting($dev, 'session.lifetime'),
	instance_env.account_portal_url($prod), instance_env.key_frontend_api(instance_env.publishable_key($prod)),
	(instance_env.check_preview($app, 'www.example.net')).reason, instance_env.feature_available($prod, 'passkeys'),
	instance_env.verify_secret_key('$key') IS NOT NULL,
	instance_env.instance_by_publishable_key('pk_live_Y2xlcmsuc2hvcC5leGFtcGxlLmNvbSQ') IS NOT NULL)";
my $old = 'Development instance: this is not production data [Development]  all t f 1000 '
  . 'https://accounts.shop.example.com clerk.shop.example.com other_root f t t';
my $new = 'other [other]  none f t 7 1 https://accounts.shop.example.net clerk.shop.example.net production_root t f f';

my @change = (
	"SELECT instance_env.set_policy($dev, 'banner', '\"other\"')",
	"SELECT instance_env.set_policy($dev, 'message_prefix', '\"[other] \"')",
	"SELECT instance_env.set_policy($prod, 'robots_directive', '\"none\"')",
	"SELECT instance_env.set_policy($dev, 'redirect_schemes', '[\"https\"]')",
	"SELECT instance_env.set_allowed_origins($prod, '{https://app.example.org}')",
	"UPDATE instance_env.policy_default SET value = '7' WHERE instance_type = 'production' AND name = 'rate_limit'",
	"SELECT instance_env.set_setting($dev, 'session.lifetime', '1')",
	"SELECT instance_env.change_domain($prod, 'shop.example.net')",
	"SELECT instance_env.set_plan($app, 'pro')",
	"SELECT instance_env.revoke_secret_key('$key')");
my $changed_ok = join ' ', ('00000') x @change;

$node->safe_psql('postgres', 'CREATE DATABASE answers');
$one = session('answers');
$two = session('answers');
is(states($one, @made), $made_ok, 'set up for answers');
is(answer($_, $ask), $old, 'an answer') foreach $one, $two;

is( states($one, 'BEGIN', @change) . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 $changed_ok $new $old",
	'a change not committed: the session itself knows it, the other does not');
is( states($one, 'ROLLBACK') . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 $old $old",
	'rolled back: neither does');
is( states($one, 'BEGIN', 'SAVEPOINT s', @change) . ' ' . answer($one, $ask) . ' '
	  . states($one, 'ROLLBACK TO s') . ' ' . answer($one, $ask) . ' ' . states($one, 'COMMIT') . ' ' . answer($one, $ask),
	"00000 00000 $changed_ok $new 00000 $old 00000 $old",
	'rolled back to a savepoint');
is( states($one, 'BEGIN', @change) . ' ' . answer($one, $ask) . ' '
	  . states($one, q{PREPARE TRANSACTION 'p'}) . ' ' . answer($one, $ask) . ' '
	  . states($one, q{ROLLBACK PREPARED 'p'}) . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 $changed_ok $new 00000 $old 00000 $old $old",
	'prepared and rolled back');

is( states($two, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'TABLE pg_database') . ' '
	  . answer($two, $ask) . ' '
	  . states($one, 'BEGIN', @change, 'COMMIT') . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 00000 $old 00000 $changed_ok 00000 $new $new",
	'committed: both know at their next statement, under REPEATABLE READ, too');
is(states($two, 'COMMIT') . ' ' . answer($two, $ask), "00000 $new", 'and no old snapshot leaves the past in a cache');

is( states($one, 'BEGIN', 'DROP EXTENSION instance_env', 'ROLLBACK') . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 00000 00000 $new $new",
	'a drop that is rolled back');
is( states($one, 'DROP EXTENSION instance_env', @made) . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 $made_ok $old $old",
	'dropped and created by the one: both know the new one');
is( states($one, 'BEGIN', 'DROP EXTENSION instance_env', @made, @change) . ' ' . answer($one, $ask) . ' '
	  . states($one, 'ROLLBACK') . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 00000 $made_ok $changed_ok $new 00000 $old $old",
	'the same, rolled back');
is( states($one, 'BEGIN', @change) . ' '
	  . states($one, q{PREPARE TRANSACTION 'p'}, q{COMMIT PREPARED 'p'}) . ' ' . answer($one, $ask) . ' ' . answer($two, $ask),
	"00000 $changed_ok 00000 00000 $new $new",
	'prepared and committed');

foreach my $session (@sessions)
{
	$session->{in} .= "\\q\n";
	$session->{handle}->finish;
}
$node->stop;

done_testing();
