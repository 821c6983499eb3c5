
=pod

=head1 NAME

Citus - for the tests in test/citus: a database on all nodes of a cluster

=head1 DESCRIPTION

test/bin/with-cluster has started the cluster: PGHOST and PGPORT lead to its
coordinator, node 0, and PGPORT + N to its Nth worker.

=cut

package Citus;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use File::Temp;
use IPC::Run;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(nodes use_database psql value start finish fails wait_until whole);
our %EXPORT_TAGS = (all => \@EXPORT_OK);

# where psql() connects to
our $database = 'postgres';

my $host = $ENV{PGHOST};
my $port = $ENV{PGPORT} || 5432;

# The numbers of all nodes, the coordinator's first
sub nodes
{
	return grep { -S "$host/.s.PGSQL." . ($port + $_) } 0 .. 9;
}

# Make a database on all nodes, with citus and instance_env, and use it from now on.
# The registry is distributed unless "distribute" is 0.
sub use_database
{
	my ($name, %arg) = @_;

	foreach my $node (nodes())
	{
		psql($node, "SET citus.enable_create_database_propagation = off;\nCREATE DATABASE $name;",
			database => 'postgres', must => 1);
		psql($node, 'CREATE EXTENSION citus;', database => $name, must => 1);
	}
	$database = $name;
	psql(0, join("\n",
		"SELECT citus_set_coordinator_host('$host', $port);",
		(map { "SELECT citus_add_node('$host', " . ($port + $_) . ');' } grep { $_ > 0 } nodes()),
		'CREATE EXTENSION instance_env;',
		$arg{distribute} // 1 ? 'SELECT count(*) FROM instance_env.distribute();' : ''),
		must => 1);
	return;
}

# psql(NODE, SQL, ...): run a script, each statement in a transaction of its own unless it
# says otherwise, and go on after errors.
#
# role, database:  whose session, and where
# options:         parameters of the session, as 'name=value'
# must:            die if there is an error
#
# Returns what is printed, unaligned and without headings, and a list of the errors and
# warnings: each a hash of node, severity, state, message, detail, hint and context.  In
# scalar context, what is printed.
sub psql
{
	my ($node, $sql, %arg) = @_;
	return finish(start($node, $sql, %arg));
}

# The same for what runs meanwhile: finish(start(...))
sub start
{
	my ($node, $sql, %arg) = @_;
	my %session = (node => $node, must => $arg{must}, map { $_ => File::Temp->new } qw(sql out err));

	# by files: nobody has to look after a session while it runs
	print { $session{sql} } $sql;
	close $session{sql} or croak "could not write a script: $!";

	local $ENV{PGOPTIONS} = join ' ', $ENV{PGOPTIONS} // '',
	  map { "-c $_" } 'statement_timeout=60s', @{ $arg{options} || [] };
	$session{run} = IPC::Run::start(
		[
			'psql', '-X', '-q', '-A', '-t', '-v', 'VERBOSITY=verbose',
			'-h', $host, '-p', $port + $node,
			'-U', $arg{role} // 'postgres',
			'-d', $arg{database} // $database,
			'-f', $session{sql}->filename
		],
		'<', '/dev/null', '>', $session{out}->filename, '2>', $session{err}->filename);
	return \%session;
}

sub finish
{
	my ($session) = @_;

	$session->{run}->finish;
	chomp(my $out = _content($session->{out}));
	my $err = _content($session->{err});
	my @messages = _messages($session->{node}, $err);
	my @errors = grep { $_->{severity} !~ /^(?:WARNING|NOTICE)$/ } @messages;
	croak "node $session->{node}: $err" if $session->{must} && @errors;
	return wantarray ? ($out, @messages) : $out;
}

sub _content
{
	my ($file) = @_;
	open my $fh, '<', $file->filename or croak "could not read what psql has written: $!";
	return join '', <$fh>;
}

sub _messages
{
	my ($node, $text) = @_;
	my @messages;
	my $part = 'message';

	foreach (split /\n/, $text)
	{
		if (/^(?:psql:\S+ )?(\w+):  (\w{5}): (.*)$/)
		{
			push @messages, { node => $node, severity => $1, state => $2, message => $3 };
			$part = 'message';
		}
		elsif (/^(?:psql:.*?(?:error|FATAL):) (.*)$/)
		{
			push @messages, { node => $node, severity => 'FATAL', state => '08000', message => $1 };
			$part = 'message';
		}
		elsif (/^(DETAIL|HINT|CONTEXT|LOCATION|LINE \d+|(?:SCHEMA|TABLE|COLUMN|CONSTRAINT) NAME):\s+(.*)$/)
		{
			$part = lc $1;
			$messages[-1]{$part} = $2 if @messages;
		}
		elsif (@messages)
		{
			$messages[-1]{$part} .= "\n$_";
		}
	}
	return @messages;
}

# What a query that must not fail returns
sub value
{
	my ($node, $sql, %arg) = @_;
	return scalar psql($node, $sql, %arg, must => 1);
}

# fails(NODE, SQL, STATE, PATTERN, NAME, ...): a test that the statement fails with this
# SQLSTATE, and that its message, detail and hint, a line each, match.  The name of a shard
# is in none of them: who reads them does not know it.
sub fails
{
	my ($node, $sql, $state, $pattern, $name, %arg) = @_;
	my (undef, @messages) = psql($node, $sql, %arg);
	my ($error) = grep { $_->{severity} eq 'ERROR' } @messages;
	my $text = join "\n", map { $error->{$_} // () } qw(message detail hint);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($error && $error->{state} eq $state && $text =~ $pattern && $text !~ /_10\d{4}\b/, "$name ($state)")
	  || diag $error ? "$error->{state}: $text" : 'it did not fail';
}

# Wait until a query says t on a node; false when it takes too long.
sub wait_until
{
	my ($node, $sql, $seconds) = @_;
	my $deadline = time + ($seconds // 20);

	while (value($node, $sql) ne 't')
	{
		return 0 if time > $deadline;
		sleep 0.1;
	}
	return 1;
}

# A test at the end of a file: no server has crashed meanwhile, and none has left a prepared
# transaction.
sub whole
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $node (nodes())
	{
		my $log = "$host/log$node";
		open my $fh, '<', $log or croak "could not read $log: $!";
		my @crashes = grep { /PANIC:|TRAP:|was terminated by signal/ } <$fh>;
		is("@crashes", '', "node $node has not crashed");
		is(value($node, 'SELECT count(*) FROM pg_prepared_xacts'), 0, "node $node has no prepared transaction");
	}
	return;
}

1;
