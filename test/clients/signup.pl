# signup.pl INSTANCE EMAIL...
#
# Adds users to an instance through the pooler that PGHOST and PGPORT lead to, and says, in
# the words of HTTP, what became of each.  Meanwhile it listens for warnings on a connection
# of its own, past the pooler, to LISTEN_HOST and LISTEN_PORT.

use strict;
use warnings;

use DBI;
use IO::Select;
use JSON::PP;

my $full = {
	code => 'user_quota_exceeded',
	message => 'You have reached your limit of users. If you need more users, please use a Production instance.'
};

# pg_server_prepare: in a pool, the next statement may go to another server process
my %attributes = (AutoCommit => 1, RaiseError => 1, PrintError => 0, pg_server_prepare => 0);

sub sign_up
{
	my ($pooled, $instance, $email) = @_;
	my $done = eval {
		$pooled->begin_work;    # what is entered ends with the transaction
		$pooled->do('SELECT instance_env.enter(?, local => true)', undef, $instance);
		$pooled->do('INSERT INTO users (email) VALUES (?)', undef, $email);
		$pooled->commit;
	};
	return '201' if $done;
	my ($error, $state) = ($@, $pooled->state);
	$pooled->rollback;
	return '403 ' . JSON::PP->new->canonical->encode($full) if $state eq '23I01';
	die $error;
}

# Prints what arrives until nothing has for so many seconds
sub print_warnings
{
	my ($listener, $seconds) = @_;
	my $socket = IO::Select->new;

	$socket->add($listener->{pg_socket});
	do
	{
		while (my $notification = $listener->pg_notifies)
		{
			my $warning = decode_json($notification->[2]);
			print "$warning->{application}: $warning->{users} of $warning->{cap} users, $warning->{percent} %\n";
		}
	} while $socket->can_read($seconds);
	return;
}

my ($instance, @emails) = @ARGV;
my $listener = DBI->connect("dbi:Pg:host=$ENV{LISTEN_HOST};port=$ENV{LISTEN_PORT}", '', '', \%attributes);
my $pooled = DBI->connect('dbi:Pg:', '', '', \%attributes);

$listener->do('LISTEN instance_env');
print sign_up($pooled, $instance, $_), "\n" foreach @emails;
print_warnings($listener, 0.5);
