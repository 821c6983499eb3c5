# The owner of one guarded table with many partitions and indexes does not use up the locks of
# the server, and so keeps nobody from administering instances.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_locks_per_transaction = 10');
$node->start;

sub refused
{
	my ($statement, $error, $name) = @_;
	my ($result, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statement");
	like($err, $error, $name);
	return;
}

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	CREATE ROLE owner;
	SELECT instance_env.grant_guard('owner');
	GRANT CREATE ON SCHEMA public TO owner;
	SELECT instance_env.create_application(a, 'free', d, p)
	FROM (VALUES ('shop', gen_random_uuid(), gen_random_uuid()),
		('blog', '10000000-0000-4000-8000-00000000000d', '10000000-0000-4000-8000-00000000000f')) v (a, d, p);
	SET ROLE owner;
	CREATE TABLE many (id uuid NOT NULL, instance_id uuid NOT NULL, n integer NOT NULL, PRIMARY KEY (n, id))
		PARTITION BY RANGE (n);
	SELECT instance_env.guard('many', user_key => 'n, id');
	DO $$
	BEGIN
		FOR i IN 1..28 LOOP
			EXECUTE format('CREATE INDEX ON many (n, (n + %s))', i);
		END LOOP;
	END $$;
	DO $$
	BEGIN
		FOR i IN 1..120 LOOP
			EXECUTE format('CREATE TABLE many%s PARTITION OF many FOR VALUES FROM (%s) TO (%s)', i, i, i + 1);
			COMMIT;
		END LOOP;
	END $$;
	INSERT INTO many SELECT gen_random_uuid(), id, 7 FROM (SELECT '10000000-0000-4000-8000-00000000000d'::uuid) i (id);
});

# an ordinary query wants them all
refused('SELECT count(*) FROM many;', qr/53200/, 'there are more indexes than locks');

sub administration
{
	my ($users, $name) = @_;
	is($node->safe_psql('postgres', q{SELECT users FROM instance_env.usage WHERE NOT estimated AND application = 'blog'}),
		$users, "$name: usage");
	is( $node->safe_psql('postgres', q{SELECT whole, problems FROM instance_env.guards}),
		$users eq '' ? '|{"the table has more than 1000 partitions, and could not be looked at"}' : 't|{}',
		"$name: guards");
	is( $node->safe_psql(
			'postgres', q{SELECT check_name, subject, severity, passed, message
				FROM instance_env.validate('10000000-0000-4000-8000-00000000000d')
				WHERE subject IS NOT NULL AND check_name IN ('guard', 'usage') ORDER BY 1}),
		$users eq ''
		? "guard|public.many|warning|f|The guard of table \"public.many\" is not looked at: the table has more than 1000 partitions.\n"
		  . 'usage|public.many|warning|f|The users in table "public.many" could not be counted.'
		: "guard|public.many|error|t|The guard of table \"public.many\" is whole.\n"
		  . "usage|public.many|warning|t|Table \"public.many\" holds $users of at most 500 users.",
		"$name: validate()");
	$node->safe_psql('postgres', q{SELECT instance_env.set_user_cap('10000000-0000-4000-8000-00000000000d', 500)});
	return;
}

administration('1', 'many indexes');
is( $node->safe_psql(
		'postgres', q{BEGIN; SELECT FROM instance_env.usage; SELECT FROM instance_env.guards;
		SELECT count(*) FROM pg_locks WHERE relation::regclass::text LIKE 'many%'}),
	'0', 'who has looked keeps no lock');
$node->safe_psql('postgres', q{SELECT instance_env.drop_application(instance_env.application_id('shop'))});
refused(
	q{SELECT instance_env.drop_application(instance_env.application_id('blog'))},
	qr/55000: .*has rows/s, 'rows are found');

# Another index of a partition is no concern.
my ($in, $out) = ("BEGIN;\nREINDEX INDEX many7_n_expr_idx3;\nSELECT 'locked';\n", '');
my $other = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$in, '>', \$out, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$other->pump until $out =~ /locked/;
administration('1', 'another index is being rebuilt');
$in .= "ROLLBACK;\n\\q\n";
$other->finish;

# A production row locks the partition that it goes to, and no other, as without a guard.
$node->safe_psql(
	'postgres', q{
	UPDATE instance_env.instance SET status = 'active' WHERE external_key = '10000000-0000-4000-8000-00000000000f';
	CREATE TABLE plain (LIKE many INCLUDING ALL) PARTITION BY RANGE (n);
	DO $$
	BEGIN
		FOR i IN 1..120 LOOP
			EXECUTE format('CREATE TABLE plain%s PARTITION OF plain FOR VALUES FROM (%s) TO (%s)', i, i, i + 1);
			COMMIT;
		END LOOP;
	END $$;
	DELETE FROM many WHERE n = 7;	-- whoever left is on record
});

sub locks
{
	my ($table, $statement) = @_;

	return $node->safe_psql(
		'postgres', qq{$statement; BEGIN; $statement;
		SELECT string_agg(replace(relation::regclass::text, '$table', 'table') || ' ' || mode, ', ' ORDER BY relation::regclass::text COLLATE "C")
		FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation::regclass::text ~ '^$table'
			AND relation IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p')); ROLLBACK});
}
my $row = q{SELECT gen_random_uuid(), '10000000-0000-4000-8000-00000000000f'::uuid, 7};
is(locks('many', "INSERT INTO many $row"), locks('plain', "INSERT INTO plain $row"), 'locks of a production row');
is(locks('many', "UPDATE many SET id = gen_random_uuid() WHERE n = 7"), locks('plain', "UPDATE plain SET id = gen_random_uuid() WHERE n = 7"),
	'locks of a change of its key');

# too many partitions to be looked at
$node->append_conf('postgresql.conf', 'max_locks_per_transaction = 1000');
$node->restart;
$node->safe_psql(
	'postgres', q{
	SET instance_env.allow_destructive = on;
	DROP TABLE many;
	RESET instance_env.allow_destructive;
	CREATE TABLE many (id uuid NOT NULL, instance_id uuid NOT NULL, n integer NOT NULL)
		PARTITION BY RANGE (n);
	DO $$
	BEGIN
		FOR i IN 1..1001 LOOP
			EXECUTE format('CREATE TABLE many%s PARTITION OF many FOR VALUES FROM (%s) TO (%s)', i, i, i + 1);
			EXECUTE format('ALTER TABLE many%s OWNER TO owner', i);
		END LOOP;
	END $$;
	ALTER TABLE many OWNER TO owner;
	SELECT instance_env.guard('many', user_key => '');
	SELECT instance_env.create_application('shop');
});
administration('', 'too many partitions');
my $limit = qr/ERROR: +54000: could not lock guarded table "public.many" because it has too many partitions\n.*1001.*"owner"/s;
refused(q{SELECT instance_env.drop_application(instance_env.application_id('shop'))}, $limit, 'drop_application() says whose it is');
$node->safe_psql('postgres', q{SELECT instance_env.revoke_access('owner')});
$node->safe_psql('postgres', q{SELECT instance_env.drop_application(instance_env.application_id('shop'))});
pass('once the owner may not guard, the table is in nobody\'s way');

done_testing();
