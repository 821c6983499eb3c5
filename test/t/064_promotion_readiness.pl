# View readiness of many applications: more of them than fit into one batch, all of which are
# judged as each alone, and in a time that grows with their number and no faster.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	CREATE TABLE users (id bigint PRIMARY KEY, instance_id uuid NOT NULL);
	CREATE TABLE members (id bigint PRIMARY KEY, instance_id uuid NOT NULL);
	SELECT instance_env.guard('users'), instance_env.guard('members');
});

# Applications of all kinds, from number $from to $to.
sub create
{
	my ($from, $to) = @_;
	$node->safe_psql(
		'postgres', qq{
		DO \$\$
		DECLARE
			app record;
		BEGIN
			FOR app IN SELECT n, c.* FROM generate_series($from, $to) n,
				instance_env.create_application('app ' || n, CASE n % 2 WHEN 0 THEN 'pro' ELSE 'free' END::instance_env.plan) c
			LOOP
				IF app.n % 2 = 0 THEN
					PERFORM instance_env.associate_domain(app.production_id, format('app%s.net', app.n));
				END IF;
				IF app.n % 4 = 0 THEN
					PERFORM instance_env.verify_domain(app.production_id, format('app%s.net', app.n));
				END IF;
				IF app.n % 3 = 0 THEN
					PERFORM instance_env.set_social_connection(app.development_id, 'google'),
						instance_env.set_setting(app.development_id, 'redirect.to', '"https://elsewhere.example.org"');
				END IF;
				IF app.n % 5 = 0 THEN
					PERFORM instance_env.enable_feature(app.development_id, 'passkeys'),
						instance_env.set_setting(app.development_id, 'session.lifetime', '3600');
				END IF;
			END LOOP;
		END \$\$});
	return;
}

# How long a query takes in a session that has asked it before, in seconds: the least of several.
sub seconds
{
	my ($query, $times) = @_;
	my $session = $node->background_psql('postgres');
	my $least;

	$session->query_safe($query);
	foreach (1 .. $times)
	{
		my $since = time;
		$session->query_safe($query);
		my $took = time - $since;
		$least = $took if !defined $least || $took < $least;
	}
	$session->quit;
	return $least;
}

# How many blocks a query looks at in such a session, which no other work on the machine changes.
sub blocks
{
	my $query = shift;
	my $plan = $node->safe_psql('postgres', "$query; EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) $query");

	$plan =~ /"Shared Hit Blocks": (\d+)/ or die "no blocks in $plan";	# of the topmost node
	return $1;
}

my $all = 'SELECT count(*) FROM instance_env.readiness';
my $one = q{SELECT count(*) FROM generate_series(41, 60) n, instance_env.validate('app ' || n)};

create(1, 200);
my $blocks_of_few = blocks($one);
my $few = seconds($all, 5);
create(201, 2200);
my $blocks_of_many = blocks($one);
my $one_of_many = seconds($one, 5);
my $many = seconds($all, 5);
note sprintf('readiness of 200: %.1f ms, of 2200: %.1f ms; 20 validations: %.1f ms, %d and %d blocks',
	1000 * $few, 1000 * $many, 1000 * $one_of_many, $blocks_of_few, $blocks_of_many);
cmp_ok($many, '<', 3 * 11 * $few, 'the time for view readiness grows with the number of applications, not with its square');
cmp_ok($blocks_of_many, '<', 3 * $blocks_of_few, 'what validate() looks at does not');
cmp_ok($many / 2200, '<', $one_of_many / 20, 'all at once take less than one by one');

# Without statistics, and with them.
foreach my $statistics ('no', 'with')
{
	$node->safe_psql('postgres', 'ANALYZE') if $statistics eq 'with';
	is( $node->safe_psql(
			'postgres', q{
		WITH by_one AS MATERIALIZED (
			SELECT a.name AS application, i.status, v.*, i.id AS instance_id
			FROM instance_env.instance i JOIN instance_env.application a ON a.id = i.application,
				LATERAL (SELECT count(*) FILTER (WHERE c.severity = 'error' AND NOT c.passed) = 0 AS ready,
						coalesce(array_agg(c.message ORDER BY c.n) FILTER (WHERE c.severity = 'error' AND NOT c.passed), '{}') AS errors,
						coalesce(array_agg(c.message ORDER BY c.n) FILTER (WHERE c.severity <> 'error' AND NOT c.passed), '{}') AS warnings,
						(array_agg(c.hint ORDER BY c.n) FILTER (WHERE c.severity = 'error' AND NOT c.passed))[1] AS next_step
					FROM instance_env.validate(i.id) WITH ORDINALITY AS c (check_name, subject, severity, passed, message, hint, sqlstate, n)) v
			WHERE i.type = 'production'),
		at_once AS MATERIALIZED (SELECT * FROM instance_env.readiness)
		SELECT (SELECT count(*) FROM by_one), (SELECT count(*) FROM at_once),
			(SELECT count(*) FROM (SELECT * FROM by_one EXCEPT SELECT * FROM at_once) x),
			(SELECT count(DISTINCT (cardinality(errors), cardinality(warnings))) > 4 FROM at_once)}),
		'2200|2200|0|t', "$statistics statistics: a row for each, which says what validate() says");
}

done_testing();
