# Tries to get past the cap that take more than one session's SQL: the extended protocol with
# a suspended portal, a database that is made anew under the same OID, and a trigger's row that
# is brought back to where it was, which needs a database that nobody else looks at.

use strict;
use warnings;
use IO::Socket::UNIX;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# what is counted for a warning could hide that a bound is too low
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'instance_env'\ninstance_env.notify_thresholds = off\nautovacuum = off");
$node->start;

# one where each admission counts
my $scanning = PostgreSQL::Test::Cluster->new('scanning');
$scanning->init;
$scanning->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'\ninstance_env.buckets = 0");
$scanning->start;

my $instance = '00000000-0000-4000-8000-00000000000d';

sub prepare
{
	my ($server, $db) = @_;
	$server->safe_psql('postgres', "CREATE DATABASE $db");
	$server->safe_psql($db, <<SQL);
SET client_min_messages = warning;
CREATE EXTENSION instance_env;
SELECT instance_env.create_application('shop', development_id => '$instance');
SELECT instance_env.set_user_cap('$instance', 5);
CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n integer, instance_id uuid NOT NULL DEFAULT '$instance');
SELECT instance_env.guard('users');
SQL
}

#
# Messages of the protocol, without a Sync between: PostgreSQL gives a portal that is
# suspended and the statements that follow it command ids of their own accord.
#

sub message { my ($type, $body) = @_; return $type . pack('N', length($body) + 4) . $body; }
sub parse { return message('P', "\0" . shift() . "\0" . pack('n', 0)); }
sub bind_portal { return message('B', shift() . "\0\0" . pack('nnn', 0, 0, 0)); }
sub execute { my ($portal, $rows) = @_; return message('E', "$portal\0" . pack('N', $rows)); }
sub sync { return message('S', ''); }
sub statement { my $sql = shift; return parse($sql) . bind_portal('') . execute('', 0); }

# the SQLSTATEs of errors until the server is ready again
sub answers
{
	my $socket = shift;
	my @states;
	while (1)
	{
		my ($head, $body) = ('', '');
		while (length $head < 5) { $socket->sysread($head, 5 - length $head, length $head) or die 'connection lost'; }
		my ($type, $length) = unpack 'aN', $head;
		while (length $body < $length - 4)
		{
			$socket->sysread($body, $length - 4 - length $body, length $body) or die 'connection lost';
		}
		push @states, $body =~ /\0C(\w{5})\0/ if $type eq 'E';
		return @states if $type eq 'Z';
	}
}

for my $server ($node, $scanning)
{
	my $how = $server->name eq 'main' ? 'with a bound' : 'without one';

	prepare($server, 'portal');
	for my $first (1, 3)
	{
		my $socket = IO::Socket::UNIX->new(Peer => $server->host . '/.s.PGSQL.' . $server->port) or die $!;
		my $user = $server->safe_psql('portal', 'SELECT current_user');
		my $startup = pack('N', 196608) . "user\0$user\0database\0portal\0\0";
		$socket->print(pack('N', length($startup) + 4) . $startup);
		$socket->flush;
		answers($socket);

		$socket->print(statement('BEGIN') . sync());
		$socket->flush;
		answers($socket);
		$socket->print(parse("INSERT INTO users (n) SELECT generate_series(1, $first) RETURNING 1") . bind_portal('p')
			  . execute('p', 1)
			  . parse('INSERT INTO users (n) SELECT generate_series(11, 15)') . bind_portal('q') . execute('q', 0)
			  . execute('p', 0) . sync());
		$socket->flush;
		is(join(' ', answers($socket)), '23I01', "a suspended portal of $first rows, then another statement, $how");
		$socket->print(statement('COMMIT') . sync());
		$socket->flush;
		answers($socket);
		$socket->close;
		cmp_ok($server->safe_psql('portal', 'SELECT count(*) FROM users'), '<=', 5, 'the cap holds');
	}

	my ($status, $stdout, $stderr) = $server->psql('portal', <<'SQL');
DO $$
DECLARE
	c1 refcursor; c2 refcursor; r record;
BEGIN
	OPEN c1 FOR EXECUTE 'INSERT INTO users (n) VALUES (1) RETURNING 1';
	OPEN c2 FOR EXECUTE 'INSERT INTO users (n) SELECT generate_series(2, 6) RETURNING 1';
	FETCH c1 INTO r;
	FETCH c2 INTO r;
END $$;
SQL
	like($stderr, qr/has reached its cap of 5 users/, "two cursors with one command id, $how");
	cmp_ok($server->safe_psql('portal', 'SELECT count(*) FROM users'), '<=', 5, 'the cap holds');
}
$scanning->stop;

#
# What is in shared memory outlives a database.
#

prepare($node, 'template_of_it');
$node->safe_psql('template_of_it', 'SELECT instance_env.set_user_cap(' . "'$instance', 500)");
$node->safe_psql('template_of_it', 'INSERT INTO users (n) SELECT generate_series(1, 450)');
for my $round (1, 2)
{
	$node->safe_psql('postgres', 'CREATE DATABASE again TEMPLATE template_of_it OID = 987654');
	if ($round == 1)
	{
		# leaves a bound behind that says there is room
		$node->safe_psql('again', 'DELETE FROM users');
		$node->safe_psql('again', 'INSERT INTO users (n) VALUES (1)');
		$node->safe_psql('again', 'BEGIN; DELETE FROM users; COMMIT');
		$node->safe_psql('again', 'INSERT INTO users (n) VALUES (2)');
		$node->safe_psql('postgres', 'DROP DATABASE again');
	}
}
$node->safe_psql('again', 'INSERT INTO users (n) SELECT generate_series(1, 40)');
my ($status, $stdout, $stderr) = $node->psql('again', 'INSERT INTO users (n) SELECT generate_series(1, 400)');
like($stderr, qr/has reached its cap of 500 users/, 'a database made anew under the same OID has no bound of the first');
is($node->safe_psql('again', 'SELECT count(*) FROM users'), '490', 'the cap holds');

#
# VACUUM FULL brings the trigger's row back to where it was: its transaction wrote it there, had
# no trigger for a while, and wrote it again.  (A row that nobody needs makes its place free.  An
# autovacuum worker's snapshot would keep it.)
#

prepare($node, 'moved');
my $rename = sub { my ($from, $to) = @_; return "ALTER TRIGGER $from ON users RENAME TO $to;\n"; };
# as the last row of pg_trigger, and with room for more on its page
my $compact = 'VACUUM FULL pg_trigger;' . $rename->('instance_env_user_cap', 'away')
  . $rename->('away', 'instance_env_user_cap') . 'VACUUM FULL pg_trigger;';
my $place = q{SELECT ctid FROM pg_trigger WHERE tgrelid = 'users'::regclass AND tgfoid = 'instance_env.check_user_cap'::regproc};
$node->safe_psql('moved', $compact);
if ($node->safe_psql('moved', "SELECT (ctid::text::point)[1] > 10 FROM ($place) p") eq 't')
{
	$node->safe_psql('moved', 'CREATE TABLE filler (a integer);'
		  . q{CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';}
		  . join('', map { "CREATE TRIGGER filler_$_ AFTER INSERT ON filler EXECUTE FUNCTION nothing();" } 1 .. 12) . $compact);
}
my $before = $node->safe_psql('moved', $place);
$node->safe_psql('moved', $rename->('instance_env_user_cap', 'away') . 'VACUUM pg_trigger');
my $within = $node->safe_psql('moved', 'BEGIN;' . $rename->('away', 'instance_env_user_cap') . <<"SQL");
$place;
INSERT INTO users (n) SELECT generate_series(1, 3);
ALTER TABLE users DISABLE TRIGGER instance_env_user_cap;
INSERT INTO users (n) SELECT generate_series(4, 5);
ALTER TABLE users ENABLE ALWAYS TRIGGER instance_env_user_cap;
COMMIT;
SQL
is($within, $before, 'the row is where it will be again');
isnt($node->safe_psql('moved', $place), $before, 'meanwhile it is elsewhere');
$node->safe_psql('moved', 'VACUUM FULL pg_trigger');
is($node->safe_psql('moved', $place), $before, 'and back again');
($status, $stdout, $stderr) = $node->psql('moved', 'INSERT INTO users (n) VALUES (6)');
like($stderr, qr/has reached its cap of 5 users/, 'but no bound of that time holds');
is($node->safe_psql('moved', 'SELECT count(*) FROM users'), '5', 'so the cap holds');

$node->stop;
done_testing();
