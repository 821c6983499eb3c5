
=pod

=head1 NAME

Workloads - what is measured

=head1 DESCRIPTION

C<workloads()> returns a list of hashes:

	name, group   either selects it
	variants      what is measured, in this order, then rotated
	before        called once (optional)
	measure       called with a variant; makes the table, and returns the result
	              under the workload's name, or several under names of their own

Everything but what is to be timed comes before the timing.

=cut

package Workloads;

use strict;
use warnings;

use Exporter 'import';

use Bench;
use Variants;

our @EXPORT = qw(workloads race);

my $db = 'bench';
my $million = 'bench_million';

# A file with rows to load, made when it is first asked for: how many rows, of production
# (e) or development (d), spread over how many instances.
my %file;

sub _rows
{
	my ($rows, $instance, $instances) = @_;
	my $name = "$ENV{PGHOST}/rows_${rows}_${instance}_$instances";
	psql_file($db, 'rows.sql',
		file => $name,
		rows => $rows,
		instance => $instance,
		instances => $instances)
	  unless $file{$name}++;
	return $name;
}

# Nobody has departed.
sub _forget
{
	psql($_[0], 'TRUNCATE instance_env.departed_user');
	return;
}

sub _copy
{
	my ($variant, $file, %arg) = @_;
	my $in = $arg{db} || $db;
	_forget($in) unless $arg{departed};
	make_table($in, $variant, $arg{table});
	attach($in, $variant, %arg);
	psql($in, "DROP INDEX $variant.users_instance_id") if $arg{without_index};
	return timed($in, $variant, 'copy.sql', file => $file, refused => $arg{refused});
}

sub _heap
{
	my ($name, %arg) = @_;
	return {
		name => $name,
		group => 'heap',
		variants => [qw(unguarded guarded)],
		measure => sub {
			my $file = _rows(scaled(2_000_000), 'e', 1);
			return (_copy($_[0], $file,
					table => 'heap.sql',
					options => q{, user_key => ''},
					%arg))[0];
		}
	};
}

# A user leaves and another comes, in an instance that lacks few users.
sub _churn
{
	my ($lacking, $clients, $flush) = @_;
	my @variants = qw(unguarded guarded coded unkeyed count_trigger lock_count counter_row);
	push @variants, 'guarded_scan' if $clients == 1;
	push @variants, 'unkeyed_scan' if $clients == 1 && !$flush;
	return {
		name => join('_', 'churn', $lacking, $clients, $flush ? 'on' : 'off'),
		group => 'churn',
		variants => \@variants,
		before => sub { flush_commits($flush) },
		measure => sub {
			my ($variant) = @_;
			_forget($db);

			# each client's first transaction finds nobody to remove
			make_table($db, $variant, undef, $cap - $lacking - $clients);
			attach($db, $variant);
			my $tps = pgbench($db, $variant, 'churn.pgbench',
				clients => $clients, flush => $flush, seconds => 2);
			return { "churn_${lacking}_${clients}_" . ($flush ? 'on' : 'off') => $tps,
				users => user_count($db, $variant) };
		}
	};
}

# The same in an instance that has passed its lower threshold, with warnings and without, a
# little of each in turns.
sub _warnings
{
	my ($clients) = @_;
	return {
		name => "warnings_$clients",
		group => 'warnings',
		variants => [qw(guarded guarded_quiet)],
		measure => sub {
			my ($variant) = @_;
			_forget($db);
			make_table($db, $variant, undef, $cap - 50 - $clients);
			attach($db, $variant);
			return { "warnings_$clients" => pgbench($db, $variant, 'churn.pgbench', clients => $clients, seconds => 2) };
		}
	};
}

# Ten instances in the registry, or a million.
sub _registry
{
	my ($name, $measure) = @_;
	return {
		name => $name,
		group => 'registry',
		variants => [qw(unguarded guarded unguarded_million guarded_million)],
		before => \&_make_million,
		measure => sub {
			my ($variant, $many) = $_[0] =~ /^(\w+?)(_million)?$/;
			my $in = $many ? $million : $db;
			my $result = $measure->($in, $variant, $many ? scaled(500_000) : 5);
			drop_table($in, $variant) if $many;
			return $result;
		}
	};
}

my $million_made = 0;

sub _make_million
{
	return if $million_made++;
	psql('postgres', "CREATE DATABASE $million");
	psql_file($million, 'registry.sql', applications => scaled(500_000));
	return;
}

sub workloads
{
	my @production = qw(unguarded guarded coded foreign_key count_trigger lock_count counter_row);
	my @list = (
		{
			name => 'copy',
			variants => \@production,
			measure => sub { (_copy($_[0], _rows(scaled(1_000_000), 'e', 1)))[0] }
		},
		_heap('heap_bare', without_index => 1),
		_heap('heap_indexed'),
		{
			name => 'departed',
			variants => [qw(unguarded guarded)],
			before => \&_depart,
			measure => sub {
				(_copy($_[0], _rows(scaled(1_000_000), 'e', 1), departed => 1))[0];
			}
		},
		{
			name => 'partitions',
			variants => [qw(unguarded guarded)],
			measure => sub {
				_forget($db);
				make_table($db, $_[0], 'parted.sql');
				attach($db, $_[0]);
				return (timed($db, $_[0], 'partitions.sql'))[0];
			}
		},
		{
			name => 'refusal',
			variants => [qw(unguarded guarded count_trigger lock_count counter_row)],
			measure => sub {
				my $rows = scaled(1_000_000);
				my $refused = $rows > $cap && $_[0] ne 'unguarded';
				(_copy($_[0], _rows($rows, 'd', 1), refused => $refused))[0];
			}
		},
		{
			name => 'update',
			variants => [qw(unguarded guarded coded foreign_key)],
			measure => sub { _loaded($_[0], 1_000_000, 'update.sql') }
		},
		{
			name => 'delete',
			variants => [qw(unguarded guarded coded unkeyed counter_row)],
			measure => sub { _loaded($_[0], 100_000, 'delete.sql') }
		},
		_registry(
			'registry_copy',
			sub {
				my ($in, $variant, $instances) = @_;
				my ($seconds, $memory) = _copy($variant,
					_rows(scaled(1_000_000), 'e', $instances), db => $in);
				return { registry_copy => $seconds, registry_memory => $memory };
			}),
		_registry(
			'registry_insert',
			sub {
				my ($in, $variant, $instances) = @_;
				make_table($in, $variant);
				attach($in, $variant);
				return pgbench($in, $variant, 'insert_anywhere.pgbench',
					seconds => 2, define => { applications => $instances });
			}),
		{
			name => 'insert',
			variants => \@production,
			measure => sub {
				_forget($db);
				make_table($db, $_[0]);
				make_ids($db, $_[0], $production);
				attach($db, $_[0]);
				return pgbench($db, $_[0], 'insert.pgbench', seconds => 2);
			}
		});

	push @list, _functions();

	for my $flush (0, 1)
	{
		for my $clients (1, 8)
		{
			push @list, map { _churn($_, $clients, $flush) } 50, 1;
		}
	}
	push @list, map { _warnings($_) } 1, 8;
	return @list;
}

# Functions that a backend calls on every request: how often a second one session can do so,
# each call with other arguments than the one before.
my @functions = (
	[ 'instance_for_host(uuid, text)', q{(:application, :host)} ],
	[ 'check_preview(uuid, text)', q{(:application, :host)} ],
	[ 'publishable_key(uuid)', q{(:instance)} ],
	[ 'account_portal_url(uuid)', q{(:instance)} ],
	[ 'frontend_api_host(uuid)', q{(:instance)} ],
	[ 'verify_secret_key(text)', q{(:key)} ],
	[ 'application_id(text)', q{(:name)} ],
	[ 'instance_id(text, text)', q{(:name, :type)} ],
	[ 'instance_by_key(text)', q{(:name)} ],
	[ 'instance_info(uuid)', q{(:instance)} ],
	[ 'banner(uuid)', q{(:instance)} ],
	[ 'message_prefix(uuid)', q{(:instance)} ],
	[ 'robots_directive(uuid)', q{(:instance)} ],
	[ 'redirect_url_allowed(uuid, text)', q{(:instance, 'https://' || :host || '/')} ],
	[ 'feature_available(uuid, text)', q{(:instance, 'passkeys')} ],
	[ 'require_feature(uuid, text)', q{(:instance, 'passkeys')} ]);

sub _functions
{
	my @missing;
	return {
		name => 'functions',
		variants => ['guarded'],
		before => sub {
			psql_file($db, 'functions.sql');
			@missing = map { $_->[0] } grep { !_exists($_->[0]) } @functions;
			print ' (skipped, for they do not exist: ', join(', ', @missing), ')' if @missing;
		},
		measure => sub {
			my %result;
			foreach my $function (@functions)
			{
				my ($signature, $arguments) = @$function;
				next if grep { $_ eq $signature } @missing;
				my ($name) = $signature =~ /^(\w+)/;
				$result{"function_$name"} = _calls($name, $arguments);
			}
			return \%result;
		}
	};
}

sub _exists
{
	my ($signature) = @_;
	return psql($db, "SELECT to_regprocedure('instance_env.$signature') IS NOT NULL") eq 't';
}

# The arguments are columns, of which there are a thousand rows: what is the same in each row
# would be asked for only once.
sub _calls
{
	my ($name, $arguments) = @_;
	my $rows = scaled(300_000);
	$arguments =~ s/:(\w+)/r.$1/g;
	my @lines = split /\n/, psql(
		$db,
		'CREATE TEMP TABLE began (at timestamptz)',
		"SELECT count(instance_env.$name$arguments IS NULL) FROM request r",
		'INSERT INTO began SELECT clock_timestamp()',
		"SELECT count(instance_env.$name$arguments IS NULL)
			FROM generate_series(1, $rows / 1000 + 1), request r",
		"SELECT ($rows / 1000 + 1) * 1000 / extract(epoch FROM clock_timestamp() - at) FROM began");
	return $lines[-1];
}

# A table that is guarded after it has been filled with users of production.
sub _loaded
{
	my ($variant, $rows, $file) = @_;
	my $from = _rows(scaled($rows), 'e', 1);
	_forget($db);
	make_table($db, $variant);
	psql($db, "COPY $variant.users (id, instance_id, email) FROM '$from'");
	attach($db, $variant);
	return (timed($db, $variant, $file))[0];
}

# Others than those who are going to be loaded, for the table that is going to be loaded.
sub _depart
{
	my $file = _rows(scaled(100_000) + 1, 'e', 1);
	_copy('guarded', $file);
	psql($db, 'DELETE FROM guarded.users', 'VACUUM ANALYZE instance_env.departed_user');
	return;
}

# Eight sign up at once where 20 seats are left; how many users are there in the end?
sub race
{
	my ($variant) = @_;
	flush_commits(0);
	_forget($db);
	make_table($db, $variant, undef, $cap - 20);
	attach($db, $variant);
	pgbench($db, $variant, 'race.pgbench',
		clients => 8, transactions => 6, protocol => 'simple');
	my $users = user_count($db, $variant);
	drop_table($db, $variant);
	return $users;
}

1;
