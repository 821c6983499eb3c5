
=pod

=head1 NAME

Bench - the benchmark's server, and how something is measured on it

=cut

package Bench;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use File::Basename qw(dirname);

our @EXPORT = qw(
  $scale $repeat scaled psql psql_file without_memory server_without_memory
  flush_commits timed pgbench
);

# Where the SQL is.
our $here = dirname(__FILE__);

our $scale = $ENV{SCALE} || 1;
our $repeat = $ENV{REPEAT} || 5;

my $without_memory = 0;
my $data_directory;

sub scaled
{
	my ($number) = @_;
	my $result = int($number * $scale + 0.5);
	return $result > 1 ? $result : 1;
}

# What CMD has printed; it is an error if that fails.
sub _output
{
	my (@cmd) = @_;
	open my $pipe, '-|', @cmd or croak "could not run $cmd[0]: $!";
	local $/;
	my $output = <$pipe>;
	close $pipe or croak "failed: @cmd";
	$output =~ s/\n\z//;
	return $output;
}

sub _psql
{
	my ($db, @arg) = @_;
	local $ENV{PGOPTIONS} = '-c client_min_messages=warning';
	return _output('psql', '-XqAt', '-d', $db, @arg);
}

# Runs the statements, each in a transaction of its own; returns what they have returned.
sub psql
{
	my ($db, @sql) = @_;
	return _psql($db, '-v', 'ON_ERROR_STOP=1', map { ('-c', $_) } @sql);
}

# Runs a file from this folder.
sub psql_file
{
	my ($db, $file, %variable) = @_;
	return _psql($db, '-v', 'ON_ERROR_STOP=1', _variables(%variable), '-f',
		"$here/$file");
}

sub _variables
{
	my (%variable) = @_;
	return map { ('-v', "$_=$variable{$_}") } sort keys %variable;
}

# The setting that takes the extension's shared memory away.
sub without_memory
{
	return psql('postgres', 'SHOW server_version_num') >= 170000
	  ? 'instance_env.buckets=0'
	  : 'shared_preload_libraries=';
}

# From now on, have the server run with the extension's shared memory or without.
sub server_without_memory
{
	my ($without) = @_;
	return if $without == $without_memory;

	$data_directory = psql('postgres', 'SHOW data_directory')
	  unless defined $data_directory;

	# without -o it would be started with the options of the last time
	_output('pg_ctl', '-D', $data_directory, '-l',
		dirname($data_directory) . '/log',
		'-s', '-w', '-o', $without ? '-c ' . without_memory() : '', 'restart');
	$without_memory = $without;
	return;
}

# Whether a commit is on disk when it returns, for those who do not set synchronous_commit to
# off.  Where it is not, the disk's moods are kept out of what is measured.
sub flush_commits
{
	my ($flush) = @_;
	my $value = $flush ? 'on' : 'off';
	psql('postgres', "ALTER SYSTEM SET fsync = $value", 'SELECT pg_reload_conf()');
	for (1 .. 100)
	{
		return if psql('postgres', 'SHOW fsync') eq $value;
		select undef, undef, undef, 0.05;
	}
	croak 'could not set fsync';
}

# Runs a file from this folder with the users of schema; returns the seconds it has taken,
# and how many bytes more the backend has allocated afterwards.  Its last statement must
# succeed, or, with refused, fail.
sub timed
{
	my ($db, $schema, $file, %arg) = @_;
	my $refused = delete $arg{refused};

	psql($db, 'CHECKPOINT');
	open my $saved, '>&', \*STDERR or croak $!;
	open STDERR, '>', "$ENV{BENCH_DIR}/errors" or croak $!;
	my $result = eval {
		_psql($db, _variables(schema => $schema, measured => $file, %arg),
			'-f', "$here/timed.sql");
	};
	open STDERR, '>&', $saved or croak $!;
	unless (defined $result
		&& $result =~ /^([\d.]+)\|(.{5})\|(-?\d+)$/m
		&& ($2 ne '00000') == !!$refused)
	{
		system 'cat', "$ENV{BENCH_DIR}/errors";
		croak "$schema: $file: not the result expected";
	}
	return ($1, $3);
}

# Runs a script from this folder against the users' table of schema, for some seconds, which
# are scaled, or a number of transactions; returns the transactions per second.
sub pgbench
{
	my ($db, $schema, $script, %arg) = @_;
	my $clients = $arg{clients} || 1;
	my $synchronous_commit = $arg{flush} ? 'on' : 'off';
	my @length =
	  $arg{transactions} ? ('-t', $arg{transactions}) : ('-T', scaled($arg{seconds}));
	my %define = (mine => '00000000-0000-0000-0000-000000000000', %{ $arg{define} || {} });

	psql($db, 'CHECKPOINT');
	local $ENV{PGOPTIONS} =
	  "-c search_path=$schema -c synchronous_commit=$synchronous_commit";
	my $output = _output('pgbench', '-n', '-M', $arg{protocol} || 'prepared',
		'-c', $clients, '-j', $clients > 1 ? 2 : 1, @length,
		(map { ('-D', "$_=$define{$_}") } sort keys %define),
		'-f', "$here/$script", $db);
	$output =~ /^tps = ([\d.]+)/m or croak "no result: $output";
	return $1;
}

1;
