
=pod

=head1 NAME

StressClients - runs many psql sessions at once, and reads the server's log

=cut

package StressClients;

use strict;
use warnings;

use Carp;
use IPC::Run;
use POSIX ();
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Utils;

# what server_errors() reads
our $log_line_prefix = '[%p] %b|%a|%e|';

# Run sessions at the same time until the seconds are over; each one runs psql
# on a script, then on the next, and so survives its backend.
#
# node, seconds
# session: name => sub (round) that returns a script
# support: the same, for sessions that go on until all the others have ended: those
#          whose work others wait for
#
# Returns for each session how often psql printed each command tag and each
# SQLSTATE.
sub run
{
	my (%arg) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir('stress');
	my $deadline = time + $arg{seconds};
	my $over = "$dir/over";
	my %session = (%{ $arg{session} }, %{ $arg{support} || {} });
	my %pid;

	foreach my $name (sort keys %session)
	{
		my $goes_on = $arg{session}{$name}
		  ? sub { time < $deadline }
		  : sub { !-e $over };
		my $pid = fork;
		croak "could not fork: $!" unless defined $pid;
		if ($pid == 0)
		{
			my $done = eval {
				_session($arg{node}, $dir, $name, $session{$name}, $goes_on);
				1;
			};
			print STDERR "session $name: $@" unless $done;

			# not exit: the END blocks would stop the server
			POSIX::_exit($done ? 0 : 1);
		}
		$pid{$pid} = $name;
	}

	# statement_timeout ends whatever hangs in the server; this is for the rest
	my @failed;
	my $patience = $deadline + $PostgreSQL::Test::Utils::timeout_default;
	while (%pid)
	{
		append_to_file($over, '')
		  unless -e $over || grep { $arg{session}{$_} } values %pid;

		my $pid = waitpid -1, POSIX::WNOHANG;
		if ($pid > 0 && exists $pid{$pid})
		{
			my $name = delete $pid{$pid};
			push @failed, "$name (status $?)" if $?;
			next;
		}
		if (time > $patience)
		{
			kill 'KILL', keys %pid;
			push @failed, map { "$_ (hung)" } values %pid;
			last;
		}
		sleep 0.05;
	}
	croak 'sessions failed: ' . join ', ', sort @failed if @failed;

	my %tally;
	foreach my $name (keys %session)
	{
		foreach (split /\n/, slurp_file("$dir/$name.tally"))
		{
			my ($n, $what) = split / /, $_, 2;
			$tally{$name}{$what} = $n;
		}
	}
	return \%tally;
}

sub _session
{
	my ($node, $dir, $name, $script, $goes_on) = @_;
	my %tally;
	my $file = "$dir/$name.sql";
	my $parent = getppid;

	local $ENV{PGOPTIONS} = '-c statement_timeout=30s';
	for (my $round = 1; $goes_on->() && getppid == $parent; $round++)
	{
		open my $fh, '>', $file or croak "could not write $file: $!";
		print $fh $script->($round);
		close $fh or croak "could not write $file: $!";

		# its exit status does not matter: it is not 0 when the backend is killed
		local $ENV{PGAPPNAME} = "$name-$round";
		my $output = '';
		IPC::Run::run(
			[
				'psql', '-X', '-A', '-t',
				'-v', 'VERBOSITY=sqlstate',
				'-d', $node->connstr('postgres'),
				'-f', $file
			],
			'<', '/dev/null', '>&', \$output);

		foreach (split /\n/, $output)
		{
			$tally{ defined $1 ? $1 : $2 }++
			  if /\b(?:ERROR|FATAL|PANIC):  (\w{5})\b|^([A-Z]{4,}(?: [A-Z]+)?)(?: [0-9 ]+)?$/;
		}
		$tally{ROUNDS}++;
	}

	open my $fh, '>', "$dir/$name.tally" or croak "could not write tally: $!";
	print $fh "$tally{$_} $_\n" foreach sort keys %tally;
	close $fh or croak "could not write tally: $!";
	return;
}

# Add up the tallies of the sessions whose name matches.
sub total
{
	my ($tally, $what, $name) = @_;
	my $total = 0;
	foreach (keys %$tally)
	{
		$total += $tally->{$_}{$what} || 0
		  if !defined $name || $_ =~ $name;
	}
	return $total;
}

# What went wrong, as the server saw it, from an offset of its log on.  Returns
# the number of errors by SQLSTATE, and all messages that the caller did not
# expect.
#
# expected: SQLSTATE => qr/application names in which it is no surprise/
sub server_errors
{
	my ($node, $offset, %expected) = @_;
	my (%count, @surprise, $surprising_pid);

	open my $fh, '<', $node->logfile or croak 'could not open log: ' . $!;
	seek $fh, $offset, 0;
	while (my $line = <$fh>)
	{
		chomp $line;
		my ($pid, $backend, $application, $state, $severity) =
		  $line =~ /^\[(\d+)\] ([^|]*)\|([^|]*)\|(\w{5})\|(\w+): /;

		# the rest of a message: further lines begin with a tab
		if (!defined $pid || $severity =~ /^(?:DETAIL|HINT|CONTEXT|STATEMENT)$/)
		{
			$surprise[-1] .= "\n$line"
			  if defined $surprising_pid
			  && (!defined $pid || $pid == $surprising_pid);
			next;
		}
		undef $surprising_pid;

		if ($severity =~ /^(?:WARNING|ERROR|FATAL|PANIC)$/)
		{
			$count{$state}++;

			# a lock that conflicts with autovacuum's cancels it
			next if $state eq '57014' && $backend eq 'autovacuum worker';
			next
			  if defined $expected{$state}
			  && $application =~ $expected{$state};
		}
		elsif ($line !~ /terminated by signal|terminated by exception/)
		{
			next;
		}
		push @surprise, $line;
		$surprising_pid = $pid;
	}
	close $fh;
	return (\%count, \@surprise);
}

1;
