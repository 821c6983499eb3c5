# A crash in the middle of inserts leaves nothing behind that takes a seat, gives one away,
# or lets a departed user return elsewhere.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $cap = 20;
my $clients = 6;
my $timeout = $PostgreSQL::Test::Utils::timeout_default;
my $tempdir = PostgreSQL::Test::Utils::tempdir;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q{
max_prepared_transactions = 10
restart_after_crash = on
log_min_messages = fatal
});
$node->start;

$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION instance_env;
	SELECT instance_env.create_application(a, development_key => a, production_key => a || ' live')
	FROM unnest('{busy, held, away}'::text[]) AS a;
	SELECT instance_env.set_user_cap(instance_env.instance_id('busy', 'development'), $cap);
	SELECT instance_env.set_user_cap(instance_env.instance_id('held', 'development'), 5);
	CREATE TABLE users (instance_id text, id text, email text DEFAULT gen_random_uuid(), PRIMARY KEY (instance_id, id));
	CREATE INDEX ON users (email);
	SELECT instance_env.guard('users', user_key => 'id');
});

# The SQLSTATEs of statements that are run one by one.
sub states
{
	my @statements = @_;
	$node->psql('postgres', join('', map { "$_;\n\\echo :SQLSTATE\n" } @statements),
		stdout => \my $stdout, on_error_stop => 0);
	return split /\n/, $stdout;
}

# How many users an instance accepts, one by one, until it is full for good.
my $extra = 0;

sub room
{
	my ($instance, $attempts) = @_;
	my @states = states(map { $extra++; "INSERT INTO users VALUES ('$instance', 'extra $extra')" } 1 .. $attempts);
	my $accepted = grep { $_ eq '00000' } @states;
	my $refused = grep { $_ eq '23I01' } @states;
	is($accepted + $refused, $attempts, "$instance: users are accepted or refused for the cap");
	ok((join ' ', @states) =~ /^(00000 ?)*(23I01 ?)*$/, "$instance: once full it stays full");
	return $accepted;
}

sub users
{
	my ($instance) = @_;
	return $node->safe_psql('postgres', "SELECT count(*) FROM users WHERE instance_id = '$instance'");
}

# The load: each client inserts, updates and deletes its own users as fast as it can, in
# transactions of every kind.  What a delete returns has committed when psql prints it.
my $round = 0;

sub start_load
{
	my @load;
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM instance_env.departed_user');

	$round++;
	foreach my $c (1 .. $clients)
	{
		my $script = "$tempdir/load_${round}_$c.sql";
		my $sql = '';
		for my $i (1 .. 3000)
		{
			my $id = "r$round c$c i$i";
			my $earlier = "r$round c$c i" . ($i - 3);
			$sql .= "INSERT INTO users VALUES ('busy', '$id');\n" if $i % 7;
			$sql .= "BEGIN; INSERT INTO users VALUES ('busy', '$id'), ('busy', '$id b'); ROLLBACK;\n" if $i % 7 == 0;
			$sql .= "BEGIN; SAVEPOINT s; INSERT INTO users VALUES ('busy', '$id s'); ROLLBACK TO s; COMMIT;\n" if $i % 5 == 0;
			$sql .= "UPDATE users SET email = gen_random_uuid() WHERE instance_id = 'busy' AND id = '$id';\n";
			$sql .= "DELETE FROM users WHERE instance_id = 'busy' AND id = '$earlier' RETURNING id;\n";
		}
		append_to_file($script, $sql);

		my ($out, $err) = ('', '');
		my $h = IPC::Run::start(
			[ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=0', '-v', 'VERBOSITY=sqlstate',
				'-d', $node->connstr('postgres'), '-f', $script ],
			'<', \undef, '>', \$out, '2>', \$err);
		push @load, { handle => $h, out => \$out, err => \$err };
	}

	# until it is well under way
	$node->poll_query_until('postgres', "SELECT count(*) > $before + 200 FROM instance_env.departed_user")
	  or die 'the load does not get under way';
	return @load;
}

# Waits for the clients to notice the crash; returns the users whose departure they know of.
sub finish_load
{
	my @load = @_;
	my (@departed, %states);

	foreach my $client (@load)
	{
		$client->{handle}->finish;
		push @departed, grep { /^r\d/ } split /\n/, ${ $client->{out} };
		$states{$_}++ foreach ${ $client->{err} } =~ /ERROR:  (\w{5})$/mg;
	}
	note 'errors met: ', join ', ', map { "$_ x $states{$_}" } sort keys %states;
	delete @states{qw(23I01 25P02 57P01 57P02 57P03)};
	is(join(' ', sort keys %states), '', 'the load met no error but a full instance and the crash');
	return @departed;
}

# What must hold after recovery.
sub check
{
	my ($name, @departed) = @_;

	is($node->safe_psql('postgres', 'SELECT bool_and(whole) FROM instance_env.guards'),
		't', "$name: the guard is whole");

	my $users = users('busy');
	cmp_ok($users, '<=', $cap, "$name: no more than $cap users ($users)");
	is(room('busy', $cap + 3), $cap - $users, "$name: accepts exactly up to its cap");
	is(users('busy'), $cap, "$name: is full");

	cmp_ok(scalar(@departed), '>', 0, "$name: " . @departed . ' users are known to have departed');
	my %states;
	$states{$_}++ foreach states(map { "INSERT INTO users VALUES ('away', '$_')" } @departed);
	is(join(' ', sort keys %states), '23I02', "$name: none of them returns elsewhere");
	is(users('away'), 0, "$name: nobody got there");

	# room for the next load
	$node->safe_psql('postgres', "DELETE FROM users WHERE instance_id = 'busy'");
	is(room('busy', $cap + 1), $cap, "$name: empty, then full again");
	$node->safe_psql('postgres', "DELETE FROM users WHERE instance_id = 'busy'");
	return;
}

# Five seats of "held": two users, of whom one is about to be deleted, two to be committed,
# one to be rolled back.
$node->safe_psql(
	'postgres', q{
	INSERT INTO users VALUES ('held', 'a'), ('held', 'gone');
	BEGIN; INSERT INTO users VALUES ('held', 'b'), ('held', 'c'); PREPARE TRANSACTION 'two';
	BEGIN; SAVEPOINT s; INSERT INTO users VALUES ('held', 'd'); RELEASE s; PREPARE TRANSACTION 'one';
	BEGIN; DELETE FROM users WHERE id = 'gone'; PREPARE TRANSACTION 'delete';
});

sub check_held
{
	my ($name) = @_;
	is( join(' ',
			states(
				"INSERT INTO users VALUES ('held', 'x')",
				"INSERT INTO users VALUES ('away', 'b')",
				"INSERT INTO users VALUES ('away', 'd')",
				"INSERT INTO users VALUES ('away', 'gone')")),
		'23I01 23I02 23I02 23I02',
		"$name: prepared transactions hold their seats and their users");
	return;
}
check_held('before the crash');

# The server stops at once.
my @load = start_load();
usleep(300_000);
$node->stop('immediate');
my @departed = finish_load(@load);
$node->start;
check_held('immediate stop');
check('immediate stop', @departed);

# A backend is killed; the server restarts all the others.
@load = start_load();
usleep(300_000);
my $pid = $node->safe_psql(
	'postgres', q{
	SELECT pid FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND query ~ 'users' LIMIT 1});
is(kill('KILL', $pid), 1, 'a backend is killed');
@departed = finish_load(@load);
$node->poll_query_until('postgres', 'SELECT true')
  or die 'the server does not come back';
check_held('killed backend');
check('killed backend', @departed);

# The prepared transactions end at last.
$node->safe_psql('postgres', $_)
  foreach "COMMIT PREPARED 'two'", "ROLLBACK PREPARED 'one'", "COMMIT PREPARED 'delete'";
is(users('held'), 3, 'three users are left of what was prepared');
is( join(' ',
		states(
			"INSERT INTO users VALUES ('away', 'b')",
			"INSERT INTO users VALUES ('away', 'gone')",
			"INSERT INTO users VALUES ('away', 'd')",
			"INSERT INTO users VALUES ('held', 'd')")),
	'23I02 23I02 00000 23I02',
	'only the one who was rolled back is free to go elsewhere');
is(room('held', 5), 2, 'the seats that were given up are free');

$node->stop;

done_testing();
