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
		"SELECT instance_env.guard('users')",
		"SELECT instance_env.guard('members')");
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
is( states($one, "UPDATE instance_env.policy_default SET value = '3' WHERE name = 'user_cap'")
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

foreach my $session (@sessions)
{
	$session->{in} .= "\\q\n";
	$session->{handle}->finish;
}
$node->stop;

done_testing();
