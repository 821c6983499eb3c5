
# distribute(), and the nodes of a cluster: which it needs, those that are added later, are
# removed, or are down; what becomes of a dump, and of DROP EXTENSION.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Citus ':all';
use Test::More;

my $dir = $ENV{PGHOST};
my $port = $ENV{PGPORT} || 5432;
my $bin = $ENV{PG_CONFIG} ? `$ENV{PG_CONFIG} --bindir` : '';
chomp $bin;
my $pg_ctl = $bin ? "$bin/pg_ctl" : 'pg_ctl';

sub stop_node { system($pg_ctl, '-D', "$dir/data$_[0]", '-s', '-m', 'fast', 'stop') == 0 or die }

sub start_node
{
	system($pg_ctl, '-D', "$dir/data$_[0]", '-l', "$dir/log$_[0]", '-s', '-w', 'start') == 0 or die;
}

# What is not ready for it

use_database('nodes', distribute => 0);
psql(0, <<'SQL', must => 1);
CREATE ROLE somebody LOGIN;
SELECT application_id FROM instance_env.create_application('before');
SQL
my $untouched = "SELECT count(*) FROM pg_dist_partition";
my $distribute = 'SELECT count(*) FROM instance_env.distribute()';

fails(0, $distribute, '42501', qr/permission denied/, 'not for everybody', role => 'somebody');
psql(0, 'GRANT USAGE ON SCHEMA instance_env TO somebody; GRANT EXECUTE ON FUNCTION instance_env.distribute() TO somebody', must => 1);
fails(0, $distribute, '42501', qr/permission denied to distribute the registry/, 'nor for whom it was granted to', role => 'somebody');
fails(1, $distribute, '0A000', qr/from a worker.*on the coordinator/s, 'not on a worker');

psql(0, "UPDATE pg_dist_node SET isactive = false WHERE nodeport = $port + 2", must => 1);
fails(0, $distribute, '55000', qr/not every node.*\Q@{[$port + 2]}\E: is not active/s, 'not while a node is not active');
psql(0, "UPDATE pg_dist_node SET isactive = true WHERE nodeport = $port + 2", must => 1);

psql(2, "UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'instance_env'", must => 1);
fails(0, $distribute, '55000', qr/not every node.*: has version 0\.9.*Install the same version/s, 'not with another version on a node');
psql(2, "UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'instance_env'", must => 1);

psql(2, "UPDATE pg_proc SET probin = '\$libdir/nothing' WHERE proname = 'node_offset'", must => 1);
fails(0, $distribute, '55000', qr/not every node.*could not access file/s, 'not without the library on a node');
psql(2, "UPDATE pg_proc SET probin = '\$libdir/instance_env' WHERE proname = 'node_offset'", must => 1);

stop_node(2);
fails(0, $distribute, '55000', qr/not every node.*\Q@{[$port + 2]}\E/s, 'not while a node is down');
start_node(2);
is(value(0, $untouched), 0, 'and nothing is distributed then');

psql(1, "SELECT instance_env.create_application('astray')", must => 1);
fails(0, $distribute, '55000', qr/not every node.*\Q@{[$port + 1]}\E: has applications of its own.*drop these there/s, 'not when a worker has applications of its own');
psql(1, "SELECT instance_env.drop_application('astray')", must => 1);

psql(0, 'CREATE TABLE saved AS SELECT * FROM pg_dist_node WHERE groupid = 0; SELECT citus_remove_node(nodename, nodeport) FROM saved', must => 1);
fails(0, $distribute, '55000', qr/coordinator is not among the nodes.*citus_set_coordinator_host/s, 'not without the coordinator');
psql(0, "DROP TABLE saved; SELECT citus_set_coordinator_host('$dir', $port)", must => 1);

psql(0, <<'SQL', must => 1);
CREATE TABLE early (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('early', 'instance_id', shard_count => 4);
CREATE TABLE earlier (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT instance_env.guard('earlier', coded => true);
SET citus.enable_unsafe_triggers = on;
SELECT create_distributed_table('earlier', 'instance_id', shard_count => 4);
SQL
fails(0, "SELECT instance_env.guard('early', coded => true)", '55000', qr/registry of instance_env is not distributed yet.*instance_env\.distribute\(\)/s, 'no shards are guarded before');
fails(0, "INSERT INTO earlier SELECT development_id, instance_env.new_user_id(development_id) FROM instance_env.applications", 'XX000', qr/does not exist/, 'nor does a row come into them');
fails(0, "SELECT format('INSERT INTO earlier VALUES (%L, %L)', development_id, instance_env.new_user_id(development_id)) FROM instance_env.applications \\gexec", '23I03', qr/does not exist.*Have a superuser call instance_env\.distribute\(\)/s, 'which says why');
psql(0, 'DROP TABLE early, earlier', must => 1);

# Once, and again; two at once, while others write

my @writers = map { start(0, join(";\n", map { "SELECT instance_env.create_application('w$_')" } $_ * 10 .. $_ * 10 + 9), must => 1) } 1, 2;
my @calls = map { start(0, "SELECT DISTINCT action FROM instance_env.distribute()", must => 1) } 1, 2;
is(join(' ', sort map { scalar finish($_) } @calls), 'distributed found', 'it distributes the registry');
finish($_) foreach @writers;
psql(0, "SELECT instance_env.drop_application(application_id) FROM instance_env.applications WHERE application ~ '^w'", must => 1);
my ($out, @messages) = psql(0, 'SELECT DISTINCT action FROM instance_env.distribute()');
is($out, 'found', 'called again, it finds it distributed');
like($messages[0]{message}, qr/already distributed/, 'and says so');
my $applications = "SELECT string_agg(application, ' ' ORDER BY application) FROM instance_env.applications";
foreach my $node (nodes())
{
	is(value($node, $applications), 'before', "node $node has what was there before");
}

# Each node gives its events numbers of its own

psql($_, "SELECT instance_env.create_application('n$_')", must => 1) foreach nodes();
foreach my $node (nodes())
{
	is(value($node, $applications), 'before n0 n1 n2', "node $node has what was made on each");
}
is(value(1, "SELECT count(DISTINCT id >> 48) FROM instance_env.event"), 3, 'the numbers of events are of three nodes');
is(value(0, "SELECT instance_env.node_offset()"), 0, 'the coordinator begins with 1');

# Backends on every node hear of a change, at their next command

my $development = value(0, "SELECT instance_env.instance_id('n0', 'development')");
sub suspend { return "UPDATE instance_env.instance SET status = 'suspended' WHERE id = '$development'" }
sub resume { return "UPDATE instance_env.instance SET status = 'active' WHERE id = '$development'" }

my $asks = join ";\n", ("SELECT status FROM instance_env.instance_info('$development')", 'SELECT pg_sleep(0.05)') x 60;
my @sessions = map { start($_, $asks, must => 1) } nodes();
sleep 1;
psql(1, suspend(), must => 1);
like(scalar finish($_), qr/\Aactive\n.*suspended\s*\z/s, 'a session hears that an instance is suspended') foreach @sessions;
psql(2, resume(), must => 1);

# A node that is down: what is read goes on, what is written is refused as a whole

stop_node(2);
is(value(1, "SELECT instance_env.instance_id('n0', 'development')"), $development, 'while a node is down, another still finds an instance');
my ($none, @refused) = psql(1, suspend());
ok(@refused && $refused[0]{severity} eq 'ERROR', 'but none is suspended');
is(value(0, "SELECT status FROM instance_env.instance_info('$development')"), 'active', 'and nothing is half done');
start_node(2);
psql(1, suspend(), must => 1);
is(value(2, "SELECT status FROM instance_env.instance_info('$development')"), 'suspended', 'when it is back, it is as the others');
psql(1, resume(), must => 1);

# A node that leaves, and one that comes: Citus drops its old placements, which must not take
# along what reads them, and copies the numbers of the coordinator's roles, which are others' here

psql(0, 'SET citus.enable_create_role_propagation = off; CREATE ROLE offset_of_numbers', must => 1);
psql(0, 'CREATE ROLE backend LOGIN; CREATE ROLE fired LOGIN', must => 1);
psql(0, "SELECT instance_env.grant_backend('backend'), instance_env.grant_monitor('backend'), instance_env.allow_instance('backend', 'n0'), instance_env.grant_admin('fired')", must => 1);
my $enter = "SELECT instance_env.enter('$development')";
my $extension = value(2, "SELECT oid FROM pg_extension WHERE extname = 'instance_env'");
my $numbers = "SELECT string_agg(role::oid::text, ' ') FROM instance_env.instance_allowance";
my $number = value(2, $numbers);
isnt($number, value(0, $numbers), 'roles have other numbers on another node');

psql(0, "SELECT citus_remove_node('$dir', $port + 2)", must => 1);
psql(0, "SELECT instance_env.create_application('alone')", must => 1);
is(value(1, "SELECT count(*) FROM instance_env.applications WHERE application = 'alone'"), 1, 'without the third node, the others go on');
psql(0, "SELECT instance_env.revoke_access('fired')", must => 1);
psql(0, "SELECT citus_add_node('$dir', $port + 2)", must => 1);
fails(2, $enter, '55000', qr/has no copy.*replicate_reference_tables/s, 'a node that comes refuses until it has a copy', role => 'backend')
  if value(0, "SELECT count(*) FROM pg_dist_placement p JOIN pg_dist_shard USING (shardid) WHERE logicalrelid = 'instance_env.instance'::regclass") < 3;
psql(0, 'SELECT replicate_reference_tables()', must => 1);
is(value(2, "SELECT oid FROM pg_extension WHERE extname = 'instance_env'"), $extension, 'the old placements go without the extension');
is(value(2, $numbers), value(0, $numbers), 'the copy has the numbers of the coordinator');
my $unknown = qr/does not know yet.*distribute\(\) on the coordinator/s;
fails(2, $enter, '55000', $unknown, 'so nobody enters', role => 'backend');
fails(2, "SELECT instance_env.allow_instance('fired')", '55000', $unknown, 'who has lost his rights meanwhile does not use them here', role => 'fired');
fails(2, "SELECT instance_env.create_application('later')", '55000', $unknown, 'nothing is changed from here', role => 'fired');
fails(2, "SELECT instance_env.revoke_access('backend')", '55000', $unknown, 'by a superuser neither');
psql(0, $distribute, must => 1);
is(value(2, $numbers), $number, 'distribute() writes the numbers of the node');
is(scalar(psql(2, "$enter; SELECT count(*) FROM instance_env.applications WHERE application = 'alone'", role => 'backend', must => 1)) =~ /^1$/m, 1,
	'then it has all, and lets in who may enter');
fails(2, "SELECT instance_env.create_application('later')", '42501', qr/permission denied/, 'and who has lost his rights has lost them here', role => 'fired');
is(value(2, "SELECT count(*) FROM pg_depend d JOIN pg_class c ON c.oid = d.refobjid WHERE d.classid = 'pg_rewrite'::regclass AND c.oid = 'instance_env.application'::regclass"), 0,
	'and its views read the copy');
psql(2, "SELECT instance_env.create_application('later')", must => 1);
is(value(0, "SELECT max(id) >> 48 = max(node.groupid) FROM instance_env.event, pg_dist_node node"), 't', 'and numbers of its own');

# The dump of the coordinator is that of a single server

my $dump = "$dir/nodes.dump";
system('pg_dump', '-h', $dir, '-p', $port, '-U', 'postgres', '-Fc', '--extension=instance_env', '-f', $dump, 'nodes') == 0 or die;
psql(1, 'SET citus.enable_create_database_propagation = off; CREATE DATABASE restored', must => 1, database => 'postgres');
is(system('pg_restore', '-h', $dir, '-p', $port + 1, '-U', 'postgres', '-e', '-d', 'restored', $dump), 0, 'a dump is restored on a single server');
is(value(1, $applications, database => 'restored'), value(0, $applications), 'with all applications');
is(value(1, 'SELECT count(*) FROM instance_env.event', database => 'restored'), value(0, 'SELECT count(*) FROM instance_env.event'), 'and the audit log');
psql(1, "SELECT instance_env.create_application('restored')", database => 'restored', must => 1);

# DROP EXTENSION takes it from all nodes, also from a distributed table that is guarded

psql(0, <<'SQL', must => 1);
CREATE TABLE users (instance_id uuid NOT NULL, id uuid NOT NULL, PRIMARY KEY (instance_id, id));
SELECT create_distributed_table('users', 'instance_id');
SELECT count(*) FROM instance_env.guard('users', coded => true);
UPDATE instance_env.instance SET status = 'active' WHERE type = 'production';
SELECT instance_env.instance_id('n0', 'production') AS production \gset
INSERT INTO users VALUES (:'production', instance_env.new_user_id(:'production'));
SQL
fails(0, 'DROP EXTENSION instance_env CASCADE', '55I05', qr/holds users of production/, 'but not if there are users of production');
psql(0, 'DELETE FROM users WHERE true', must => 1);

my (undef, $refused) = psql(0, 'DROP EXTENSION instance_env');
is($refused->{state}, '2BP01', 'without CASCADE the extension is not dropped: its shards are no members');
psql(0, 'DROP EXTENSION instance_env CASCADE', must => 1);
is(value($_, "SELECT count(*) FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'instance_env')"), 0, "nothing is left on node $_") foreach nodes();
is(value($_, "SELECT count(*) FROM pg_extension WHERE extname = 'instance_env'"), 0, "nor the extension on node $_") foreach nodes();
is(value($_, "SELECT count(*) FROM pg_trigger WHERE tgname ~* 'instance_env'"), 0, "nor a trigger on node $_") foreach nodes();

whole();
done_testing();
