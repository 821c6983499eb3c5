
# From PostgreSQL 17 on there is shared memory without preloading, and a reload can change
# instance_env.buckets.  It must not be that some sessions then rely on what others, who do
# not use shared memory, have not put there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('setting');
$node->init;
# what is counted for a warning could hide that a bound is too low
$node->append_conf('postgresql.conf', 'instance_env.notify_thresholds = off');
$node->start;

if ($node->safe_psql('postgres', 'SHOW server_version_num') < 170000)
{
	$node->stop;
	plan skip_all => 'without preloading there is no shared memory before PostgreSQL 17';
}

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	CREATE TABLE users (id text PRIMARY KEY, instance_id uuid NOT NULL);
	SELECT instance_env.create_application('shop', development_id => 'dddddddd-0000-0000-0000-000000000001',
		production_id => 'eeeeeeee-0000-0000-0000-000000000001');
	SELECT instance_env.create_application('blog', development_id => 'dddddddd-0000-0000-0000-000000000002');
	SELECT instance_env.set_user_cap('dddddddd-0000-0000-0000-000000000001', 3);
	SELECT instance_env.guard('users');});

sub insert
{
	my ($id, $instance) = @_;
	return "INSERT INTO users VALUES ('$id', 'dddddddd-0000-0000-0000-00000000000$instance');";
}

# a session that uses shared memory
my $old = $node->background_psql('postgres', on_error_stop => 0);
$old->query_safe(insert('first', 1));

$node->append_conf('postgresql.conf', "instance_env.buckets = 0\n");
$node->reload;
$node->poll_query_until('postgres', 'SHOW instance_env.buckets', '0')
  or die 'the setting was not loaded';
$node->safe_psql('postgres', insert('second', 1));
$node->safe_psql('postgres', insert('third', 1));
$old->query(insert('fourth', 1));
is($node->safe_psql('postgres', 'SELECT count(*) FROM users'),
	3, 'the bound of an older session knows of the rows of newer ones');
$node->safe_psql('postgres', "DELETE FROM users WHERE id = 'third'");
$old->query(insert('third', 2));
is($node->safe_psql('postgres', "SELECT count(*) FROM users WHERE id = 'third'"),
	0, 'and it knows of the users whom they have deleted');
$old->quit;
$node->stop;

done_testing();
