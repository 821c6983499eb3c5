# What an upgrade leads to is what a fresh installation would be.
#
# The base of each released version is taken from its tag, and upgraded by the deltas in sql/.
# Whether a difference would be found is tried first: with versions made up for that, from
# which the delta leads on but for one thing.

use strict;
use warnings;

use File::Basename;
use File::Path qw(make_path);
use IPC::Run qw(run);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES)}, grep { /^GIT_/ } keys %ENV;

#
# A copy of the installation, for scripts of other versions.  PostgreSQL finds its files by where
# its programs are: these are copied, and everything else in the copy is a link.
#

my $root = PostgreSQL::Test::Utils::tempdir;
my %folder = map {
	my $name = $_;
	run([ $ENV{PG_CONFIG} // 'pg_config', "--$name" ], '>', \my $folder) or die "pg_config --$name failed";
	chomp $folder;
	$name => $folder
} qw(bindir pkglibdir sharedir);

make_path("$root$folder{bindir}", dirname("$root$folder{pkglibdir}"), "$root$folder{sharedir}/extension");
system_or_bail('cp', '-RL', "$folder{bindir}/.", "$root$folder{bindir}");
symlink $folder{pkglibdir}, "$root$folder{pkglibdir}" or die "pkglibdir: $!";
foreach my $file (glob "$folder{sharedir}/* $folder{sharedir}/extension/*")
{
	symlink $file, "$root$file" or die "$file: $!" unless -e "$root$file";
}
$ENV{PATH} = "$root$folder{bindir}:$ENV{PATH}";
my $extension = "$root$folder{sharedir}/extension";

my ($version) = slurp_file("$extension/instance_env.control") =~ /^default_version\s*=\s*'([^']+)'/m;
my $fresh_script = slurp_file("$extension/instance_env--$version.sql");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
is($node->safe_psql('postgres', 'SHOW data_directory'), $node->data_dir, 'the server runs');
$node->safe_psql('postgres', 'CREATE ROLE another; CREATE DATABASE fresh; CREATE DATABASE upgraded');
$node->safe_psql('fresh', 'CREATE EXTENSION instance_env');

sub ask
{
	return $node->safe_psql('fresh', @_);
}

#
# The comparison.
#

sub catalogue
{
	my ($db) = @_;
	return $node->safe_psql($db, '\i test/include/catalogue.sql');
}

my $fresh = catalogue('fresh');
cmp_ok(scalar(() = $fresh =~ /^.* \| pg_depend e = extension instance_env$/mg), '>', 100, 'the members are described');

# What is in one of two descriptions only.
sub differences
{
	my ($got) = @_;
	my %got = map { $_ => 1 } split /\n/, $got;
	my @missing = grep { !delete $got{$_} } split /\n/, $fresh;

	return join "\n", (map { "is: $_" } sort keys %got), (map { "should be: $_" } @missing);
}

sub upgrade
{
	my ($from) = @_;

	$node->safe_psql('upgraded', qq{
		DROP EXTENSION IF EXISTS instance_env CASCADE;
		CREATE EXTENSION instance_env VERSION '$from';
		ALTER EXTENSION instance_env UPDATE});
	return differences(catalogue('upgraded'));
}

$node->safe_psql('postgres', q{
	CREATE DATABASE odd TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
	ALTER DATABASE odd SET search_path = instance_env, public, pg_catalog;
	ALTER DATABASE odd SET standard_conforming_strings = off;
	ALTER DATABASE odd SET bytea_output = escape;
	ALTER DATABASE odd SET DateStyle = 'SQL, DMY';
	ALTER DATABASE odd SET IntervalStyle = iso_8601;
	ALTER DATABASE odd SET TimeZone = 'Asia/Kathmandu';
	ALTER DATABASE odd SET extra_float_digits = -3});
$node->safe_psql('odd', 'CREATE EXTENSION instance_env; ALTER DATABASE odd SET quote_all_identifiers = on');
is(differences(catalogue('odd')), '', 'no setting and no collation makes a difference');

#
# Versions made up: what one of them does to the newest script, and what undoes it.  As an
# upgrade would, the latter takes it from the newest version.
#

sub function_of
{
	my ($signature) = @_;
	my $definition = ask("SELECT pg_get_functiondef('instance_env.$signature'::regprocedure)") . ';';
	my $comment = ask("SELECT quote_literal(obj_description('instance_env.$signature'::regprocedure, 'pg_proc'))");

	return ($definition, "COMMENT ON FUNCTION instance_env.$signature IS $comment;");
}

sub column_comments
{
	my ($relation) = @_;
	return ask(qq{SELECT string_agg(format('COMMENT ON COLUMN instance_env.$relation.%I IS %L;', attname, col_description(attrelid, attnum)), E'\\n')
		FROM pg_attribute WHERE attrelid = 'instance_env.$relation'::regclass AND attnum > 0 AND NOT attisdropped});
}

my ($a_function, $its_comment) = function_of('config_version(uuid)');
my (undef, $a_comment) = function_of('publishable_key(uuid)');
my ($sql_function) = function_of('application_id(text)');
my $view = ask("SELECT pg_get_viewdef('instance_env.secret_keys'::regclass)");
my $older_columns = ask(q{SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = 'instance_env.secret_keys'::regclass AND attname <> 'valid' AND attnum > 0});
my $view_comment = ask("SELECT quote_literal(obj_description('instance_env.secret_keys'::regclass))");
my $trigger = ask("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'keep_instance'");
my $index   = ask("SELECT pg_get_indexdef('instance_env.event_application'::regclass)");
my $check   = ask("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'instance_slug_development'");
my $row     = ask("SELECT quote_literal(to_jsonb(f)) FROM instance_env.feature f WHERE name = 'passkeys'");
my ($departed_at) = column_comments('departed_user') =~ /^(.*departed_at.*)$/m;
my ($plan) = column_comments('feature') =~ /^(.*feature\.plan .*)$/m;

# Its name, what the older version lacks, what the delta does; then what each difference has to
# name if the delta does not, and what one of them has to be.
my @changes = (
	[ 'a function', 'DROP FUNCTION instance_env.config_version(uuid);',
		"$a_function $its_comment REVOKE ALL ON FUNCTION instance_env.config_version(uuid) FROM PUBLIC;",
		'function instance_env.config_version(uuid)', qr/pg_depend e = extension instance_env$/m ],
	[ 'the body of a function',
		q{CREATE OR REPLACE FUNCTION instance_env.application_id(name text) RETURNS uuid LANGUAGE SQL STABLE STRICT SECURITY DEFINER
			SET search_path = pg_catalog, pg_temp RETURN (SELECT a.id FROM instance_env.application a WHERE a.name = upper($1));},
		$sql_function, 'function instance_env.application_id(text)', qr/pg_proc definition/ ],
	[ 'the volatility of a function', 'ALTER FUNCTION instance_env.setting(uuid, text) VOLATILE;',
		'ALTER FUNCTION instance_env.setting(uuid, text) STABLE;',
		'function instance_env.setting(uuid,text)', qr/pg_proc provolatile = v/ ],
	[ 'the search_path of a function', 'ALTER FUNCTION instance_env.settings(uuid) RESET search_path;',
		'ALTER FUNCTION instance_env.settings(uuid) SET search_path = pg_catalog, pg_temp;',
		'function instance_env.settings(uuid)', qr/pg_proc proconfig = /, ],
	[ 'the owner of a function', 'ALTER FUNCTION instance_env.promote(uuid, text, boolean, boolean) OWNER TO another;',
		'ALTER FUNCTION instance_env.promote(uuid, text, boolean, boolean) OWNER TO CURRENT_USER;',
		'function instance_env.promote(uuid,text,boolean,boolean)', qr/pg_proc proowner = role another/ ],
	[ 'the rights on a function', 'GRANT EXECUTE ON FUNCTION instance_env.validate(uuid) TO PUBLIC;',
		'REVOKE EXECUTE ON FUNCTION instance_env.validate(uuid) FROM PUBLIC;',
		'function instance_env.validate(uuid)', qr/pg_proc proacl = =X/ ],
	[ 'the rights on a view', 'GRANT SELECT ON instance_env.events TO PUBLIC;',
		'REVOKE SELECT ON instance_env.events FROM PUBLIC;',
		'view instance_env.events', qr/pg_init_privs initprivs = =r/ ],
	[ 'the rights on a column', 'GRANT SELECT (name) ON instance_env.application TO PUBLIC;',
		'REVOKE SELECT (name) ON instance_env.application FROM PUBLIC;',
		'column name of table instance_env.application', qr/pg_attribute attacl = =r/ ],
	[ 'the rights on a type', 'REVOKE USAGE ON TYPE instance_env.plan FROM PUBLIC;',
		'GRANT USAGE ON TYPE instance_env.plan TO PUBLIC;',
		'type instance_env.plan', qr/pg_type typacl = =U/ ],
	[ 'the rights on the schema', 'GRANT USAGE ON SCHEMA instance_env TO PUBLIC;',
		'REVOKE USAGE ON SCHEMA instance_env FROM PUBLIC;',
		'schema instance_env', qr/pg_namespace nspacl = =U/ ],
	[ 'a comment', "COMMENT ON FUNCTION instance_env.publishable_key(uuid) IS 'another';", $a_comment,
		'function instance_env.publishable_key(uuid)', qr/pg_description description = another/ ],
	[ 'the comment on a column', 'COMMENT ON COLUMN instance_env.feature.plan IS NULL;', $plan,
		'column plan of table instance_env.feature', qr/pg_description description/ ],
	[ 'a column of a view',
		qq{DROP VIEW instance_env.secret_keys;
			CREATE VIEW instance_env.secret_keys AS SELECT $older_columns FROM (@{[ $view =~ s/;$//r ]}) k;
			GRANT ALL ON instance_env.secret_keys TO CURRENT_USER;
			COMMENT ON VIEW instance_env.secret_keys IS $view_comment;},
		"CREATE OR REPLACE VIEW instance_env.secret_keys AS $view " . column_comments('secret_keys'),
		'view instance_env.secret_keys', qr/column valid of view/ ],
	[ 'an option of a view', 'ALTER VIEW instance_env.readiness SET (security_barrier = true);',
		'ALTER VIEW instance_env.readiness RESET (security_barrier);',
		'view instance_env.readiness', qr/pg_class reloptions = \[?"?security_barrier/ ],
	[ 'a column of a table', 'ALTER TABLE instance_env.departed_user DROP COLUMN departed_at;',
		"ALTER TABLE instance_env.departed_user ADD COLUMN departed_at timestamptz NOT NULL DEFAULT now(); $departed_at",
		'departed_user', qr/column departed_at of table instance_env\.departed_user \| pg_attribute/ ],
	[ 'the default of a column', "ALTER TABLE instance_env.application ALTER plan SET DEFAULT 'pro';",
		"ALTER TABLE instance_env.application ALTER plan SET DEFAULT 'free';",
		'default value for column plan of table instance_env.application', qr/pg_attrdef definition = 'pro'/ ],
	[ 'NOT NULL', 'ALTER TABLE instance_env.promotion ALTER changes DROP NOT NULL;',
		'ALTER TABLE instance_env.promotion ALTER changes SET NOT NULL;',
		'instance_env.promotion', qr/pg_attribute attnotnull = false/ ],
	[ 'a collation', 'ALTER TABLE instance_env.dns_record ALTER record TYPE text COLLATE "POSIX";',
		'ALTER TABLE instance_env.dns_record ALTER record TYPE text COLLATE "C";',
		'instance_env.dns_record', qr/pg_attribute attcollation = collation "POSIX"/ ],
	[ 'a constraint', 'ALTER TABLE instance_env.instance DROP CONSTRAINT instance_slug_development;',
		"ALTER TABLE instance_env.instance ADD CONSTRAINT instance_slug_development $check;",
		'instance_env.instance', qr/constraint instance_slug_development on table/ ],
	[ 'an index', 'DROP INDEX instance_env.event_application;', "$index;",
		'index instance_env.event_application', qr/pg_index definition/ ],
	[ 'row-level security', 'ALTER TABLE instance_env.event ENABLE ROW LEVEL SECURITY;',
		'ALTER TABLE instance_env.event DISABLE ROW LEVEL SECURITY;',
		'table instance_env.event', qr/pg_class relrowsecurity = true/ ],
	[ 'a sequence', 'ALTER SEQUENCE instance_env.event_id_seq CACHE 10;', 'ALTER SEQUENCE instance_env.event_id_seq CACHE 1;',
		'sequence instance_env.event_id_seq', qr/pg_sequence seqcache = 10/ ],
	[ 'a trigger', 'DROP TRIGGER keep_instance ON instance_env.instance;',
		"$trigger; ALTER TABLE instance_env.instance ENABLE ALWAYS TRIGGER keep_instance;",
		'trigger keep_instance on table instance_env.instance', qr/pg_trigger definition/ ],
	[ 'where a trigger fires', 'ALTER TABLE instance_env.setting_section ENABLE TRIGGER table_changed;',
		'ALTER TABLE instance_env.setting_section ENABLE ALWAYS TRIGGER table_changed;',
		'trigger table_changed on table instance_env.setting_section', qr/pg_trigger tgenabled = O/ ],
	[ 'the event trigger', 'ALTER EVENT TRIGGER instance_env_watch_ddl DISABLE;', 'ALTER EVENT TRIGGER instance_env_watch_ddl ENABLE;',
		'event trigger instance_env_watch_ddl', qr/pg_event_trigger evtenabled = D/ ],
	[ 'a label', "ALTER TYPE instance_env.severity RENAME VALUE 'info' TO 'note';",
		"ALTER TYPE instance_env.severity RENAME VALUE 'note' TO 'info';",
		'type instance_env.severity', qr/pg_type definition = \{note,/ ],
	[ 'which rows are dumped', "SELECT pg_catalog.pg_extension_config_dump('instance_env.feature', '');",
		"SELECT pg_catalog.pg_extension_config_dump('instance_env.feature', 'WHERE NOT builtin OR changed');",
		'extension instance_env', qr/pg_extension definition/ ],
	[ 'a row', "DELETE FROM instance_env.feature WHERE name = 'passkeys';",
		"INSERT INTO instance_env.feature SELECT * FROM jsonb_populate_record(NULL::instance_env.feature, $row);",
		'table instance_env.feature', qr/rows .*"passkeys"/ ],
	[ 'a member', 'ALTER EXTENSION instance_env DROP FUNCTION instance_env.banner(uuid);',
		'ALTER EXTENSION instance_env ADD FUNCTION instance_env.banner(uuid);',
		'function instance_env.banner(uuid)', qr/pg_depend e = extension instance_env$/m ],
	[ 'a dependency', 'ALTER FUNCTION instance_env.robots_txt(uuid) DEPENDS ON EXTENSION plpgsql;',
		'ALTER FUNCTION instance_env.robots_txt(uuid) NO DEPENDS ON EXTENSION plpgsql;',
		'function instance_env.robots_txt(uuid)', qr/pg_depend x = extension plpgsql$/m ],
	[ 'what is no more', 'CREATE TABLE instance_env.leftover (id integer);', 'DROP TABLE instance_env.leftover;',
		'instance_env.leftover', qr/table instance_env\.leftover \| pg_class/ ]);

sub write_file
{
	my ($name, @contents) = @_;
	append_to_file("$extension/$name", join "\n", @contents, '');
}

# Makes up a version whose delta leaves one of the changes out, or none.
sub make_up
{
	my ($name, $left_out) = @_;

	write_file("instance_env--$name.sql",            $fresh_script, map { $_->[1] } @changes);
	write_file("instance_env--$name--$version.sql", map { $_->[2] } grep { $_ != $left_out } @changes);
}

make_up('complete', 0);
is(upgrade('complete'), '', 'an upgrade that leaves nothing out leads to a fresh installation');

# Its own scripts drop members, which is no loss of what they guard.
$node->safe_psql('postgres', 'CREATE DATABASE peopled');
$node->safe_psql('peopled', q{
	CREATE EXTENSION instance_env VERSION 'complete';
	CREATE TABLE users (id integer PRIMARY KEY, instance_id text NOT NULL);
	SELECT instance_env.create_application('shop', development_key => 'dev', production_key => 'prod');
	SELECT instance_env.guard('users');
	UPDATE instance_env.instance SET status = 'active' WHERE external_key = 'prod';
	INSERT INTO users VALUES (1, 'prod');
	ALTER EXTENSION instance_env UPDATE});
is($node->safe_psql('peopled', 'SELECT (SELECT count(*) FROM users), (SELECT bool_and(whole) FROM instance_env.guards)'),
	'1|t', 'an upgrade that drops a member leaves users of production, guarded');
my ($status, $stdout, $stderr) = $node->psql('peopled', 'DROP EXTENSION instance_env CASCADE');
like($stderr, qr/cannot drop extension "instance_env" because table "public.users" holds users of production/,
	'which DROP EXTENSION does not');

foreach my $number (0 .. $#changes)
{
	my ($name, undef, undef, $object, $difference) = @{ $changes[$number] };
	my ($found, @others);

	make_up("without_$number", $changes[$number]);
	$found  = upgrade("without_$number");
	@others = grep { index($_, $object) < 0 } split /\n/, $found;
	ok($found =~ $difference && !@others, "$name: what is left out is found, and nothing else") or diag($found);
}

#
# The versions that have been released.
#

sub git
{
	my $out;
	return eval { run([ 'git', @_ ], '>', \$out, '2>', \my $err) } ? $out : undef;
}

my $tags     = git('tag', '--list', 'v*');
my %released = map { s/^v//r => 1 } split /\n/, $tags // '';
$released{$_} = 1 for map { m{instance_env--(.*)--.*\.sql$} } glob 'sql/instance_env--*--*.sql';

note('released: ' . (join(' ', sort keys %released) || 'nothing'));
foreach my $base (sort keys %released)
{
	SKIP:
	{
		my $checkout = "$root/v$base";
		my ($archive, $err);

		skip "no git that would have the base of $base", 1 unless defined $tags;
		make_path($checkout);
		ok( run([ 'git', 'archive', "v$base" ], '|', [ 'tar', '-x', '-C', $checkout ], '2>', \$err)
			  && run([ 'make', '-s', '-C', $checkout, "sql/instance_env--$base.sql" ], '>', \$err, '2>&1'),
			"the base of $base is made from its tag")
		  or diag($err), next;
		if ($base eq $version)
		{
			write_file('instance_env--released.sql', slurp_file("$checkout/sql/instance_env--$base.sql"));
			write_file("instance_env--released--$version.sql");
			is(upgrade('released'), '', "$base is released: what it installs stays as it is");
			next;
		}
		write_file("instance_env--$base.sql", slurp_file("$checkout/sql/instance_env--$base.sql"));
		is(upgrade($base), '', "an upgrade from $base leads to a fresh installation");
	}
}

$node->stop;
done_testing();
