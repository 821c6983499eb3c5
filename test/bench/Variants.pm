
=pod

=head1 NAME

Variants - what guards the users' table, or does not

=cut

package Variants;

use strict;
use warnings;

use Exporter 'import';

use Bench;

our @EXPORT =
  qw($cap $development $production %title @peers make_table make_ids attach drop_table user_count);

our $cap = 500;
our $development = 'd0000000-0000-4000-8000-000000000001';
our $production = 'e0000000-0000-4000-8000-000000000001';

our %title = (
	unguarded => 'unguarded',
	guarded => 'instance_env',
	guarded_quiet => 'instance_env, notify_thresholds off',
	guarded_scan => 'instance_env, no shared memory',
	unkeyed => 'instance_env, identities not followed',
	unkeyed_scan => 'instance_env, identities not followed, no shared memory',
	coded => 'instance_env, coded ids',
	foreign_key => 'foreign key',
	count_trigger => 'PL/pgSQL count(*)',
	lock_count => 'PL/pgSQL lock + count(*)',
	counter_row => 'PL/pgSQL counter row');

# What people write by hand; in peers/, each with what it needs in a schema of its own name.
our @peers = qw(foreign_key count_trigger lock_count counter_row);

my %guard = (
	guarded => '',
	guarded_quiet => '',
	guarded_scan => '',
	unkeyed => q{, user_key => ''},
	unkeyed_scan => q{, user_key => ''},
	coded => q{, coded => true});

# Makes the users' table of a variant, from a file of this folder, and puts a number of
# users into its first development instance: the same into each variant's.
sub make_table
{
	my ($db, $variant, $file, $users) = @_;
	server_without_memory($variant =~ /_scan$/ ? 1 : 0);
	psql_file($db, $file || 'users.sql', schema => $variant);
	make_ids($db, $variant, $development) unless $file;
	psql($db, "INSERT INTO $variant.users (id, instance_id, email)
		SELECT md5('user ' || n)::uuid, '$development', 'user' || n || '\@example.com'
		FROM generate_series(1, $users) n")
	  if $users;
	return;
}

# From now on, rows that are inserted without an id get one of this instance.
sub make_ids
{
	my ($db, $variant, $instance) = @_;
	my $code = psql($db, "SELECT encode(code, 'hex') FROM instance_env.instance WHERE id = '$instance'");
	psql($db, "ALTER TABLE $variant.users ALTER id SET DEFAULT public.coded_id('$code')");
	return;
}

# Guards it, in the variant's way.
sub attach
{
	my ($db, $variant, %arg) = @_;
	my $table = "$variant.users";

	if (exists $guard{$variant})
	{
		psql($db, "ALTER DATABASE $db SET instance_env.notify_thresholds = " .
			  ($variant =~ /_quiet$/ ? 'off' : 'on'));
		my $options = $arg{options} || $guard{$variant};
		psql($db, "SELECT instance_env.guard('$table'$options)");
	}
	elsif (grep { $_ eq $variant } @peers)
	{
		psql_file($db, "peers/$variant.sql");
	}
	psql($db, "VACUUM ANALYZE $table");
	return;
}

sub user_count
{
	my ($db, $variant) = @_;
	return psql($db, "SELECT count(*) FROM $variant.users WHERE instance_id = '$development'");
}

sub drop_table
{
	my ($db, $variant) = @_;
	psql($db, 'SET instance_env.allow_destructive = on', "DROP SCHEMA $variant CASCADE");
	return;
}

1;
