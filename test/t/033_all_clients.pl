# The sign-up programs in "Clients", one for each of four drivers, through pgbouncer in
# transaction mode: what they enter ends with their transaction, users arrive in its instance,
# one too many is refused and becomes HTTP's 403, and they hear of it before that.  A program
# whose driver, or compiler, is missing is skipped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

use Clients;

my $shop = '00000000-0000-4000-8000-00000000000d';
my $bank = '10000000-0000-4000-8000-00000000000d';

#
# The document has the programs as they are run here.
#

my $document = slurp_file('doc/clients.md');
foreach my $program (qw(signup.c signup.py signup.pl signup.js))
{
	ok(index($document, slurp_file("test/clients/$program")) >= 0, "the document has $program");
}

#
# What can be had
#

my $pgbouncer;
foreach my $folder (split(/:/, $ENV{PATH}), '/usr/sbin')
{
	$pgbouncer //= "$folder/pgbouncer" if -x "$folder/pgbouncer";
}
$ENV{PATH} .= ':/usr/sbin';

# How to run a program, or nothing and the reason why it cannot be run
my %command = (
	'signup.c' => sub {
		my $program = PostgreSQL::Test::Utils::tempdir . '/signup';
		my ($config) = $ENV{PG_CONFIG} // 'pg_config';
		my ($include) = output_of(10, $config, '--includedir');
		my ($lib) = output_of(10, $config, '--libdir');
		chomp($include, $lib);
		my ($output, $compiled) = output_of(60, 'cc', '-Wall', '-Werror', "-I$include", 'test/clients/signup.c',
			'-o', $program, "-L$lib", '-lpq');
		return $compiled ? $program : (undef, "it cannot be compiled: $output");
	},
	'signup.py' => sub {
		foreach my $python ('python3', '/usr/bin/python3')
		{
			my (undef, $found) = output_of(20, $python, '-c', 'import psycopg2');
			return ($python, 'test/clients/signup.py') if $found;
		}
		return (undef, 'there is no psycopg2');
	},
	'signup.pl' => sub {
		foreach my $perl ($^X, '/usr/bin/perl')
		{
			my (undef, $found) = output_of(20, $perl, '-MDBD::Pg', '-e', '1');
			return ($perl, 'test/clients/signup.pl') if $found;
		}
		return (undef, 'there is no DBD::Pg');
	},
	'signup.js' => sub {
		my ($folder, $why_not) = install_from_npm();
		return $folder ? ('node', "$folder/signup.js") : (undef, $why_not);
	});

#
# The server, and pgbouncer with a single connection to it, which all clients share
#

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;
$node->safe_psql(
	'postgres', qq{
	CREATE EXTENSION instance_env;
	CREATE ROLE backend LOGIN;
	SELECT instance_env.create_application('shop', development_id => '$shop'),
		instance_env.create_application('bank', development_id => '$bank');
	CREATE TABLE users (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
		instance_id uuid NOT NULL DEFAULT instance_env.current_instance(),
		email text NOT NULL);
	SELECT instance_env.guard('users');
	SELECT instance_env.set_user_cap('$shop', 5), instance_env.set_user_cap('$bank', 50);
	SELECT instance_env.grant_backend('backend');
	SELECT instance_env.allow_instance('backend');
	GRANT SELECT, INSERT, DELETE ON users TO backend;});

SKIP:
{
	skip 'there is no pgbouncer' unless $pgbouncer;

	my $folder = PostgreSQL::Test::Utils::tempdir_short;
	my $port = PostgreSQL::Test::Cluster::get_free_port();

	append_to_file("$folder/pgbouncer.ini", qq{
[databases]
postgres = host=@{[ $node->host ]} port=@{[ $node->port ]}
[pgbouncer]
unix_socket_dir = $folder
listen_port = $port
listen_addr =
auth_type = any
pool_mode = transaction
default_pool_size = 1
logfile = $folder/log
pidfile = $folder/pid
});
	# "any" logs in as one user, whoever asks
	my $ini = slurp_file("$folder/pgbouncer.ini") =~ s/^(postgres = .*)$/$1 user=backend/mr;
	unlink "$folder/pgbouncer.ini";
	append_to_file("$folder/pgbouncer.ini", $ini);
	my ($output, $started) = output_of(20, $pgbouncer, '-q', '-d', "$folder/pgbouncer.ini");
	ok($started, 'pgbouncer starts') or diag($output);

	local @ENV{qw(PGHOST PGPORT PGUSER PGDATABASE LISTEN_HOST LISTEN_PORT)} =
	  ($folder, $port, 'backend', 'postgres', $node->host, $node->port);

	# What a query through pgbouncer returns
	my $pooled = sub {
		my ($out) = output_of(20, 'psql', '-XAtq', '-c', $_[0]);
		chomp $out;
		return $out;
	};

	# its daemon opens the socket when the program that has started it may be gone
	for (my $tries = 0; $tries < 100 && $pooled->('SELECT 1') ne '1'; $tries++)
	{
		sleep 0.1;
	}
	is($pooled->('SELECT instance_env.current_instance()'), '', 'the connection has entered no instance');

	foreach my $program (qw(signup.c signup.py signup.pl signup.js))
	{
		my @command = $command{$program}->();
	  SKIP:
		{
			skip "$program: $command[1]" unless defined $command[0];

			$node->safe_psql('postgres', 'DELETE FROM users');
			my ($printed, $succeeded) = output_of(60, @command, $shop, map { "user$_\@example.com" } 1 .. 6);
			ok($succeeded, "$program runs") or diag($printed);
			# libpq prints the session's own warnings, too
			my @lines = grep { !/^(?:WARNING|DETAIL|HINT):/ } split /\n/, $printed;
			is_deeply([ @lines[ 0 .. 4 ] ], [ ('201') x 5 ], "$program: as many users as the cap allows");
			my ($status, $body) = split / /, $lines[5] // '', 2;
			is($status, '403', "$program: one more is forbidden");
			is_deeply(eval { decode_json($body) }, {
					code => 'user_quota_exceeded',
					message => 'You have reached your limit of users. If you need more users, please use a Production instance.'
				}, "$program: and is told why");
			my @warnings = @lines[ 6 .. $#lines ];
			if ($program eq 'signup.c')
			{
				foreach my $warning (@warnings)
				{
					my $heard = eval { decode_json($warning) } // { application => "no JSON: $warning" };
					$warning = "$heard->{application}: $heard->{users} of $heard->{cap} users, $heard->{percent} %";
				}
			}
			is_deeply(\@warnings, [ 'shop: 4 of 5 users, 80 %', 'shop: 5 of 5 users, 100 %' ],
				"$program hears of 80 and 100 percent");
			is($node->safe_psql('postgres', 'SELECT instance_id, count(*) FROM users GROUP BY 1'), "$shop|5",
				"$program: the users are in the instance that was entered");
			is($pooled->('SELECT instance_env.current_instance()'), '', "$program: what it has entered ended with its transaction");

			($printed) = output_of(60, @command, $bank, 'ada@example.com');
			like($printed, qr/^201$/m, "$program: on the same connection, a user of another instance");
			is($node->safe_psql('postgres', "SELECT count(*) FROM users WHERE instance_id = '$bank'"), 1,
				"$program: is in that one");
		}
	}
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE usename = 'backend' AND query !~ '^LISTEN' AND pid <> pg_backend_pid()"), 1,
		'all of them had one connection');

	kill 'TERM', slurp_file("$folder/pid");
}

$node->stop;
done_testing();
