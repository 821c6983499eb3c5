# The registry on a cluster: every function gives the same answers from the coordinator, from a
# worker, and on a plain server; all nodes have the same rows, views and rights; each session
# hears of what another node has changed; and what two nodes do at once, only one does.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Citus ':all';
use Test::More;

my @nodes = nodes();
my ($dev, $prod) = ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');
my ($functions, $end) = map { script("registry_functions$_.sql") } '', '_end';

sub script
{
	my ($name) = @_;
	open my $file, '<', "$FindBin::RealBin/../data/$name" or die "could not open $name: $!";
	local $/;
	return <$file>;
}

# What is called elsewhere: guards, and what triggers and views call
my %elsewhere = map { $_ => 1 } qw(admission_required departure_queued distribute external_key_bigint external_key_char
	guard identity_changes id_belongs id_instance id_time instance_unavailable isolate new_user_id row_deleted row_moves unguard unisolate);

# What a script prints, and what its errors and notices say
sub said
{
	my ($out, @messages) = psql(@_);
	return join "\n", $out, map { "$_->{severity} $_->{state} $_->{message}" } @messages;
}

# The rows of a relation, on a node
sub rows
{
	my ($node, $relation, %arg) = @_;
	return value($node, "SELECT count(*), md5(string_agg(r::text, ' ' ORDER BY r::text)) FROM $relation r;", %arg);
}

# ----- every function, on a plain server and on two nodes of a cluster

my @roles = map { "citus_$_" } qw(admin backend monitor guard revoked);
psql(0, join("\n", map { "CREATE ROLE $_ LOGIN;" } @roles), database => 'postgres', must => 1);
psql(0, "SET citus.enable_create_database_propagation = off;\nCREATE DATABASE plain;", database => 'postgres', must => 1);
psql(0, 'CREATE EXTENSION instance_env;', database => 'plain', must => 1);
my @plain = map { said(0, $_, database => 'plain') } $functions, $end;

# rights and allowances from before distribute() are those of all nodes after it
use_database('registry', distribute => 0);
psql(0, qq{
	CREATE ROLE citus_early LOGIN;
	SELECT instance_env.grant_backend('citus_early'), instance_env.grant_monitor('citus_early');
	SELECT instance_env.create_application('early', development_id => 'd0000000-0000-4000-8000-0000000000ee');
	SELECT instance_env.allow_instance('citus_early', 'early');
	SELECT count(*) FROM instance_env.distribute();}, must => 1);
foreach my $node (@nodes)
{
	is(value($node, "SELECT FROM instance_env.enter('d0000000-0000-4000-8000-0000000000ee');
			SELECT instance_env.current_instance(); SELECT count(*) FROM instance_env.instances;", role => 'citus_early'),
		"d0000000-0000-4000-8000-0000000000ee\n2", "node $node: who was granted and allowed before, still is");
}
psql(0, "SELECT instance_env.revoke_access('citus_early'); SELECT instance_env.drop_application('early');", must => 1);
psql($_, 'SELECT count(*) FROM instance_env.instances;', role => 'citus_early') ne '2' or fail("node $_: not revoked") foreach @nodes;

my @called = split /\n/, value(0, q{SELECT DISTINCT proname FROM pg_proc
	WHERE pronamespace = 'instance_env'::regnamespace AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) ORDER BY 1;});
cmp_ok(@called, '>', 100, 'functions');
is(join(' ', grep { !$elsewhere{$_} && $functions !~ /instance_env\.$_\(/ } @called), '', 'all are called');

foreach my $node (0, 1)
{
	is(said($node, $functions), $plain[0], "node $node: every function as on a plain server");

	# meanwhile, the same everywhere; in no order of tables or views
	my @relations = split /\n/, value(0, q{SELECT c.oid::regclass FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'
		JOIN pg_extension e ON e.oid = d.refobjid WHERE e.extname = 'instance_env' AND c.relkind IN ('r', 'v')
		AND c.relname NOT IN ('departed_user', 'secret_key_use', 'activity', 'secret_keys') ORDER BY 1;});
	foreach my $relation (@relations)
	{
		my @seen = map { rows($_, $relation) } @nodes;
		is("@seen", join(' ', ($seen[0]) x @nodes), "$relation: the same rows on all nodes, after node $node");
	}
	foreach my $view (split /\n/, value(0, q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'instance_env'::regnamespace AND relkind = 'v';}))
	{
		is(scalar(grep { !defined eval { rows($_, $view, role => 'citus_monitor') } } @nodes), 0, "$view: a monitor reads it on all nodes");
	}
	is(said($node, $end), $plain[1], "node $node: and all is gone again");
}

# ----- settings of Citus make no difference: a node's own part of a task is done in the session

foreach my $node (0, 1)
{
	my ($out, @messages) = psql($node, q{SET citus.enable_local_execution = off; SET citus.task_assignment_policy = 'round-robin';
		SELECT instance_env.revoke_access('citus_monitor'); SELECT instance_env.grant_monitor('citus_monitor');});
	is(join(' ', map { $_->{message} } @messages), '', "node $node: rights are granted and revoked with any settings");
	is(scalar(grep { value($_, 'SELECT count(*) FROM instance_env.service_names', role => 'citus_monitor') > 0 } @nodes), scalar @nodes, 'on all nodes');
}

# ----- what a session has cached, another node changes

psql(1, "SELECT instance_env.create_application('shop', 'pro', '$dev', '$prod', 'dev', 'prod');
	SELECT instance_env.associate_domain('$prod', 'shop.example.com');
	SELECT instance_env.create_secret_key('$prod');
	SELECT instance_env.grant_backend('citus_backend'), instance_env.allow_instance('citus_backend', 'shop');", must => 1);
psql(2, "SELECT instance_env.enter('$dev');", role => 'citus_backend', must => 1);
my @cached = (
	[ 'names', "instance_env.application_id('shop') IS NULL", "instance_env.rename_application('shop', 'store')" ],
	[ 'names again', "instance_env.application_id('shop') IS NULL", "instance_env.rename_application('store', 'shop')" ],
	[ 'status', "(instance_env.instance_info('$dev')).status", "instance_env.suspend_instance('$dev')" ],
	[ 'cap', "(instance_env.instance_info('$dev')).user_cap", "instance_env.set_user_cap('$dev', 3)" ],
	[ 'keys of instances', "instance_env.instance_by_key('dev') IS NULL", "instance_env.rename_instance('$dev', 'other')" ],
	[ 'policies', "instance_env.banner('$dev')", "instance_env.set_policy('$dev', 'banner', '\"Under construction\"')" ],
	[ 'settings', "instance_env.setting('$dev', 'session.x')", "instance_env.set_setting('$dev', 'session.x', '1')" ],
	[ 'features', "instance_env.feature_available('$prod', 'satellite_domains')", "instance_env.set_plan('shop', 'free')" ],
	[ 'domains', "instance_env.account_portal_url('$prod')", "instance_env.change_domain('$prod', 'new.example.com')" ],
	[ 'suffixes', "instance_env.domain_root('a.b.pages.example.net')", "instance_env.add_hosting_suffix('pages.example.net')" ],
	[ 'redirects', "instance_env.redirect_url_allowed('$dev', 'https://x.example.org')", "instance_env.add_redirect_url('$dev', 'https://x.example.org')" ],
	[ 'access', "instance_env.current_instance() IS NULL", "instance_env.forbid_instance('citus_backend')" ],
	[ 'secret keys', "instance_env.verify_secret_key(:'key') IS NULL", "instance_env.revoke_secret_key('$prod', right(:'key', 4))" ],
);
my $key = value(0, "SELECT instance_env.create_secret_key('$prod');");
{
	my $by = 0;
	my $script = "\\set key '$key'\nSELECT instance_env.enter('$dev');\n";
	foreach my $case (@cached)
	{
		my ($what, $asked, $change) = @$case;
		$change =~ s/:'key'/'$key'/;
		(my $shell = $change) =~ s/(["\\])/\\$1/g;
		my $port = ($ENV{PGPORT} || 5432) + $by;
		$script .= "SELECT '$what: ' || COALESCE(($asked)::text, 'null');\n\\! psql -X -q -o /dev/null -p $port -d $Citus::database -U postgres -c \"SELECT $shell\" </dev/null\n"
		  . "SELECT '$what: ' || COALESCE(($asked)::text, 'null');\n";
	}
	my ($out) = psql(1, $script, role => 'citus_backend');
	my %heard;
	push @{ $heard{ $_->[0] } }, $_->[1] foreach map { [ /^([a-z ]+): (.*)$/ ] } grep { /^[a-z ]+: / } split /\n/, $out;
	foreach my $case (@cached)
	{
		my @values = @{ $heard{ $case->[0] } || [] };
		ok(@values == 2 && $values[0] ne $values[1], "$case->[0]: worker 1 hears what node $by has changed") || diag "@values\n$out";
	}
}

# ----- what nodes do at the same time

# how many of these succeed at once, each on its node; one that Citus has cancelled as a
# deadlock has not
sub succeed
{
	my ($setup, @calls) = @_;
	value(0, $setup) if $setup;
	my @sessions = map { start($_->[0], $_->[1]) } @calls;
	my $n = 0;
	foreach my $session (@sessions)
	{
		my ($out, @messages) = finish($session);
		my ($error) = grep { $_->{severity} eq 'ERROR' } @messages;
		$n++ unless $error;
		note "$error->{state}: $error->{message}" if $error;
		like($error->{state}, qr/^(23505|22I01|40P01|40001|55000|55P03|55I04)$/, 'refused clearly') if $error;
	}
	return $n;
}

foreach my $round (1 .. 4)
{
	cmp_ok(succeed(undef, map { [ $_, "SELECT instance_env.create_application('race $round');" ] } 0, 1, 2), '<=', 1, 'one application of a name');
	cmp_ok(value(1, "SELECT count(*) FROM instance_env.application WHERE name = 'race $round';"), '<=', 1, 'and there is one');
	value(1, "SELECT instance_env.adopt_application('owner $round $_', NULL, NULL, NULL, NULL, NULL);") foreach 0, 1;
	is(succeed(undef, map { [ $_, "SELECT instance_env.associate_domain(instance_env.instance_id('owner $round $_', 'production'), 'n$_.race$round.com');" ] } 0, 1),
		1, 'one owner of a root domain');
	is(value(2, "SELECT count(*) FROM instance_env.domain WHERE root = 'race$round.com';") > 0 ? 1 : 0, 1, 'and it has it');
	my $instance = "instance_env.instance_id('owner $round 0', 'production')";
	value(0, "SELECT instance_env.create_secret_key($instance) FROM generate_series(1, 2);");
	my @hints = split /\n/, value(0, "SELECT hint FROM instance_env.secret_keys WHERE instance = $instance;");
	cmp_ok(succeed(undef, map { [ $_, "SELECT instance_env.revoke_secret_key($instance, '$hints[$_]');" ] } 0, 1), '<=', 1, 'the last key stays') if $hints[0] ne $hints[1];
	succeed(undef, map { [ $_, "SELECT instance_env.set_policy(instance_env.instance_id('owner $round 0', 'development'), 'sms_per_month', '$_');" ] } 1, 2);
	is(join(' ', map { rows($_, 'instance_env.policy_override') } @nodes), join(' ', (rows(0, 'instance_env.policy_override')) x @nodes), 'the same policy on all nodes');
	value(0, "SELECT instance_env.set_policy(instance_env.instance_id('owner $round 0', 'development'), 'sms_per_month', '5');");
	succeed(undef, map { [ $_, join "\n", ("SELECT instance_env.consume_message(instance_env.instance_id('owner $round 0', 'development'), 'sms', '+15005550006');") x 4 ] } @nodes);
	is(value(1, "SELECT sent FROM instance_env.message_usage WHERE application = 'owner $round 0' AND type = 'development' AND channel = 'sms';"), 5, 'the limit of messages is exact');
}

done_testing();
