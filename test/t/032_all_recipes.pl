# The recipes in "Adopting" work: on tables of the shape that each service has, which hold users
# of a live production instance already, with an owner who is no superuser; and once more after
# a dump and a restore.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE owner LOGIN; CREATE ROLE admin LOGIN');

# A user of the recipe's tables; the first is there from the start, in production.
sub user_id
{
	my ($n) = @_;
	return sprintf "'20000000-0000-4000-8000-%012d'", $n;
}

# Runs SQL as a role, and returns the SQLSTATE of its error, or what it returns.
sub outcome
{
	my ($db, $role, $sql) = @_;
	my ($stdout, $stderr);

	$node->psql($db, $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 1,
		extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ]);
	my ($state) = $stderr =~ /^(?:psql:\S+ )?(?:ERROR|FATAL):  (\w{5}): /m;
	note($stderr) if defined $state;
	return $state // $stdout;
}

# The recipes of the document: title, and its SQL blocks
sub recipes
{
	my ($recipes) = slurp_file('doc/adopting.md') =~ /^## Recipes\n(.*)/ms;
	my @recipes;

	while ($recipes =~ /^### (.*?)\n(.*?)(?=^### |\z)/msg)
	{
		my ($title, $text) = ($1, $2);
		push @recipes, { title => $title, blocks => [ $text =~ /^```sql\n(.*?)^```$/msg ] };
	}
	return @recipes;
}

# The tables of a service, owned by "owner", with users
sub create_database
{
	my ($db) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db OWNER owner");
	$node->safe_psql($db, q{
		CREATE EXTENSION instance_env;
		ALTER SCHEMA public OWNER TO owner;
		SELECT instance_env.grant_guard('owner'), instance_env.grant_admin('admin');});
	is(outcome($db, 'owner', slurp_file("test/data/recipes/$db.sql") =~ s/^SELECT add_/SELECT FROM add_/mgr), '',
		"$db: its tables");
	return;
}

# The guard and the rules that it enforces.  $first is a number for new users.
sub check_rules
{
	my ($db, $name, $dev, $prod, $first) = @_;
	my $cap = sub { $node->safe_psql($db, "SELECT instance_env.set_user_cap(instance_id, $_[0]) FROM instance_env.instances
		WHERE external_key = '$dev'") };
	my ($a, $b, $c, $d) = map { user_id($first + $_) } 0 .. 3;

	is($node->safe_psql($db, 'SELECT relation, problems FROM instance_env.guards WHERE whole IS NOT TRUE'), '',
		"$name: the guards are whole");
	my $users = $node->safe_psql($db, "SELECT users FROM instance_env.usage u JOIN instance_env.instances i USING (instance_id)
		WHERE i.external_key = '$dev'");
	$cap->($users + 2);
	is(outcome($db, 'owner', "SELECT add_user('$dev', $a), add_user('$prod', $b), add_user('$dev', $c)"), '||',
		"$name: users of both instances are admitted");
	is(outcome($db, 'owner', "SELECT add_user('$dev', $d)"), '23I01', "$name: until the cap is reached");
	is(outcome($db, 'owner', "SELECT move_user($a, '$prod')"), '23I02', "$name: nobody moves to production");
	is(outcome($db, 'owner', "SELECT move_user($b, '$dev')"), '23I02', "$name: nor back");

	my $dependents = outcome($db, 'owner', 'SELECT dependents()');
	is(outcome($db, 'owner', "SELECT add_dependents('$dev', $a), add_dependents('$prod', $b)"), '|', "$name: rows of users");
	isnt(outcome($db, 'owner', 'SELECT dependents()'), $dependents, "$name: there are some");
	is(outcome($db, 'owner', "SELECT drop_user($a), drop_user($b)"), '|', "$name: a user is deleted");
	is(outcome($db, 'owner', 'SELECT dependents()'), $dependents, "$name: with all that");
	is(outcome($db, 'owner', "SELECT add_user('$prod', $a)"), '23I02', "$name: and returns to no other instance");
	is(outcome($db, 'owner', "SELECT add_user('$dev', $a)"), '', "$name: but to the same");
	return;
}

# Rows that a recipe guards besides users cannot refer to a user of another instance.
my %dependents = (
	ory_kratos => "INSERT INTO sessions (nid, identity_id) SELECT '30000000-0000-4000-8000-00000000000d', id FROM identities
		WHERE nid = '30000000-0000-4000-8000-00000000000f' LIMIT 1",
	logto => "INSERT INTO users_roles SELECT 'default-dev', 'x', id, 'default role' FROM users WHERE tenant_id = 'default' LIMIT 1",
	keycloak => "INSERT INTO federated_identity SELECT 'gitlab', '50000000-0000-4000-8000-00000000000d', 'someone', id
		FROM user_entity WHERE realm_id = '50000000-0000-4000-8000-00000000000f' LIMIT 1");

foreach my $recipe (recipes())
{
	my ($admin, $owner, @more) = @{ $recipe->{blocks} };
	my $db = lc($recipe->{title} =~ s/\W/_/gr);
	my ($application) = $admin =~ /_application\('([^']+)'/;

	is(scalar(@more), 0, "$recipe->{title}: two blocks");
	create_database($db);
	unlike(outcome($db, 'admin', $admin), qr/^\w{5}$/, "$db: the admin's part");
	unlike(outcome($db, 'owner', $owner), qr/^\w{5}$/, "$db: the owner's part");
	my ($dev, $prod) = split /\n/, $node->safe_psql($db,
		"SELECT external_key FROM instance_env.instances WHERE application = '$application' ORDER BY type");

	check_rules($db, $db, $dev, $prod, 10);
	is(outcome($db, 'owner', $dependents{$db}), '23503', "$db: a row cannot refer to another instance's user") if $dependents{$db};
	unlike(outcome($db, 'owner', $owner), qr/^\w{5}$/, "$db: the owner's part can be repeated") unless $owner =~ /^ALTER/m;

	my $dump = PostgreSQL::Test::Utils::tempdir . '/dump';
	$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr($db) ], "$db: pg_dump");
	$node->safe_psql('postgres', "CREATE DATABASE ${db}_restored OWNER owner");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr("${db}_restored"), $dump ], "$db: pg_restore");
	check_rules("${db}_restored", "$db, restored", $dev, $prod, 20);
	is(outcome("${db}_restored", 'owner', 'SELECT add_user(' . "'$dev', " . user_id(11) . ')'), '23I02',
		"$db, restored: who left before is remembered");
}

$node->stop;
done_testing();
