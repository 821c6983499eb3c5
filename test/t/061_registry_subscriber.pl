# A session on a logical subscriber hears of what changes in the registry, as one on the
# publisher does: an apply worker fires row triggers only.

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($dev, $prod) = ('d0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001');

# A psql that stays connected.  (BackgroundPsql is not the same in all versions.)
sub session
{
	my ($node) = @_;
	my %session = (in => '', out => '', err => '');

	$session{handle} = IPC::Run::start(
		[ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

# What a query returns, or the SQLSTATE of its failure.
sub ask
{
	my ($session, $sql) = @_;

	$session->{out} = '';
	$session->{in} .= "$sql;\n\\if :ERROR\n\\echo :SQLSTATE\n\\endif\n\\echo done\n";
	$session->{handle}->pump until $session->{out} =~ /^done$/m;
	my ($answer) = $session->{out} =~ /\A(.*?)\n?done\n/s;
	return $answer;
}

my ($publisher, $subscriber) = map { PostgreSQL::Test::Cluster->new($_) } qw(publisher subscriber);
foreach my $node ($publisher, $subscriber)
{
	$node->init(allows_streaming => 'logical');
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'\nautovacuum = off");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION instance_env');
}

# Not the tables that the extension fills.
my @tables = qw(application instance domain dns_record policy_override social_connection instance_feature
	setting api_key redirect_url identity_key);
my $key = $publisher->safe_psql('postgres', qq{
	SELECT FROM instance_env.create_application('shop', 'pro', development_id => '$dev', production_id => '$prod');
	SELECT instance_env.associate_domain('$prod', 'shop.example.com');
	SELECT instance_env.create_secret_key('$dev');
	CREATE PUBLICATION registry FOR TABLE } . join(', ', map { "instance_env.$_" } @tables));
($key) = $key =~ /(sk_\w+)/;
$publisher->safe_psql('postgres', "SELECT instance_env.create_secret_key('$dev')");
$subscriber->safe_psql('postgres', q{
	CREATE TABLE users (id integer PRIMARY KEY, instance_id uuid NOT NULL);
	SELECT instance_env.guard('users');
	CREATE SUBSCRIPTION registry CONNECTION '} . $publisher->connstr . q{ dbname=postgres' PUBLICATION registry});
$subscriber->wait_for_subscription_sync($publisher, 'registry');

my $session = session($subscriber);

# One session sees one answer, then what the publisher's change makes of it.
sub changes
{
	my ($name, $question, $before, $change, $after) = @_;

	is(ask($session, $question), $before, "$name: before") if defined $before;
	$publisher->safe_psql('postgres', $change);
	$publisher->wait_for_catchup('registry');
	is(ask($session, $question), $after, "$name: after");
	return;
}

my $shop = "instance_env.application_id('shop')";
changes('revoke_secret_key()', "SELECT instance_env.verify_secret_key('$key')", $dev,
	"SELECT instance_env.revoke_secret_key('$key')", '');
changes('set_policy()', "SELECT instance_env.banner('$dev')", 'Development instance: this is not production data',
	"SELECT instance_env.set_policy('$dev', 'banner', '\"ours\"')", 'ours');
changes('reset_policy()', "SELECT instance_env.banner('$dev')", 'ours',
	"SELECT instance_env.reset_policy('$dev', 'banner')", 'Development instance: this is not production data');
changes('set_setting()', "SELECT instance_env.setting('$dev', 'session.lifetime')", '',
	"SELECT instance_env.set_setting('$dev', 'session.lifetime', '1')", '1');
changes('set_plan()', "SELECT instance_env.feature_available('$prod', 'passkeys')", 't',
	"SELECT instance_env.set_plan($shop, 'free')", 'f');
changes('change of domain', "SELECT instance_env.check_preview($shop, 'shop.example.org')", "($dev,development,other_root)",
	"SELECT instance_env.associate_domain('$prod', 'shop.example.org')", "($prod,production,production_domain)");
changes('set_allowed_origins()', "SELECT instance_env.redirect_url_allowed('$prod', 'https://app.example.net/')", 'f',
	"SELECT instance_env.set_allowed_origins('$prod', '{https://app.example.net}')", 't');
changes('set_user_cap()', "INSERT INTO users SELECT coalesce(max(id), 0) + 1, '$dev' FROM users", '',
	"SELECT instance_env.set_user_cap('$dev', 1)", '23I01');
changes('set_user_cap() to the default', "INSERT INTO users SELECT coalesce(max(id), 0) + 1, '$dev' FROM users", '23I01',
	"SELECT instance_env.set_user_cap('$dev', NULL)", '');
changes('suspend_instance()', "INSERT INTO users SELECT coalesce(max(id), 0) + 1, '$dev' FROM users", '',
	"SELECT instance_env.suspend_instance('$dev')", '23I04');
changes('resume_instance()', "INSERT INTO users SELECT coalesce(max(id), 0) + 1, '$dev' FROM users", '23I04',
	"SELECT instance_env.resume_instance('$dev')", '');
changes('create_application()', "SELECT instance_env.instance_id('late', 'development')", '',
	"SELECT instance_env.create_application('late', development_id => 'd0000000-0000-4000-8000-000000000003')",
	'd0000000-0000-4000-8000-000000000003');
changes('create_application(), what its ids tell', "SELECT instance_env.id_instance(overlay('01a22257-518d-82a0-91e3-2e0000000000' PLACING encode(substr(sha256(uuid_send(
		'd0000000-0000-4000-8000-000000000004')), 1, 5), 'hex') FROM 27)::uuid)", '',
	"SELECT instance_env.create_application('coded', development_id => 'd0000000-0000-4000-8000-000000000004')",
	'd0000000-0000-4000-8000-000000000004');
changes('drop_application(), what its ids tell', "SELECT instance_env.id_instance(instance_env.new_user_id('d0000000-0000-4000-8000-000000000004'))",
	'd0000000-0000-4000-8000-000000000004', "SELECT instance_env.drop_application('coded')", '23I03');
changes('rename_application()', "SELECT instance_env.instance_id('late', 'development')", 'd0000000-0000-4000-8000-000000000003',
	"SELECT instance_env.rename_application('late', 'early')", '');
changes('set_user_cap() in instance_info()',
	"SELECT application, user_cap FROM instance_env.instance_info('d0000000-0000-4000-8000-000000000003')", 'early|500',
	"SELECT instance_env.set_user_cap('d0000000-0000-4000-8000-000000000003', 7)", 'early|7');
changes('drop_application() by name', "SELECT instance_env.instance_id('early', 'development')", 'd0000000-0000-4000-8000-000000000003',
	"SELECT instance_env.drop_application('early')", '');
my $made = 'sk_test_' . 'a' x 43;
changes('a key', "SELECT instance_env.verify_secret_key('$made')", '',
	"UPDATE instance_env.api_key SET hash = sha256('$made') WHERE revoked_at IS NULL", $dev);
changes('TRUNCATE', "SELECT instance_env.setting('$dev', 'session.lifetime')", '1',
	'TRUNCATE instance_env.setting', '');
changes('drop_application()', "INSERT INTO users SELECT coalesce(max(id), 0) + 1, '$dev' FROM users", '',
	"SELECT instance_env.drop_application($shop)", '23I03');

# An instance that arrives is compared with the connections that are there.
$subscriber->safe_psql('postgres', qq{
	INSERT INTO instance_env.social_connection (instance, provider, instance_type, source)
	VALUES ('a0000000-0000-4000-8000-000000000002', 'github', 'development', 'shared')});
my $offset = -s $subscriber->logfile;
$publisher->safe_psql('postgres', q{
	SELECT instance_env.create_application('bank', production_id => 'a0000000-0000-4000-8000-000000000002')});
my $refusal = qr/ERROR: .*production instance .* cannot use shared credentials for "github"/;
foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if slurp_file($subscriber->logfile, $offset) =~ $refusal;
	select(undef, undef, undef, 0.1);
}
like(slurp_file($subscriber->logfile, $offset), $refusal, 'an instance with somebody\'s shared credentials does not come in');
$subscriber->safe_psql('postgres', 'DELETE FROM instance_env.social_connection');
$publisher->wait_for_catchup('registry');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM instance_env.instance'), '2', 'it comes in without');

$session->{in} = "\\q\n";
$session->{handle}->finish;
$subscriber->stop;
$publisher->stop;
done_testing();
