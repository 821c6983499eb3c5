# report() in a browser: the page has all of its sections, no name in it becomes markup, it fits
# on a telephone, its text can be read in both colour schemes, and it can be printed.

use strict;
use warnings;

use Compress::Zlib;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($browser) = grep { -x } map { "$_/chromium" } split /:/, $ENV{PATH};
plan skip_all => 'there is no chromium' if !$browser;

my $dir = PostgreSQL::Test::Utils::tempdir();
my @hostile = (
	'<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'onmouseover='alert(1)", ']]>', '&lt;b&gt;',
	'</style></title><b>', '\\x3cscript\\x3e', "\x{645}\x{62a}\x{62c}\x{631} \x{202e}abc", "\x{1f6d2} \x{24b62}",
	'W' x 1024, '<b>' x 300);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'instance_env'");
$node->start;

sub quoted
{
	my ($text) = @_;
	utf8::encode($text);
	$text =~ s/'/''/g;
	return "'$text'";
}

#
# What is reported
#

$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION instance_env;
	CREATE TABLE users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), instance_id uuid NOT NULL);
	CREATE TABLE "<u>sessions</u>" (instance_id uuid NOT NULL, user_id uuid);
	SELECT instance_env.guard('users'), instance_env.guard('"<u>sessions</u>"', counted => false);
	SELECT instance_env.create_application('shop', 'pro'), instance_env.create_application('desk');
	SELECT instance_env.set_user_cap(instance_env.instance_id('shop', 'development'), 10),
		instance_env.set_user_cap(instance_env.instance_id('desk', 'development'), 2);
	INSERT INTO users (instance_id) SELECT instance_env.instance_id('shop', 'development') FROM generate_series(1, 9);
	INSERT INTO users (instance_id) SELECT instance_env.instance_id('desk', 'development') FROM generate_series(1, 2);
	INSERT INTO instance_env.policy_default (instance_type, name, value, overridable, description)
		VALUES ('development', 'user_cap_thresholds', '[80, 100]', true, 'thresholds') ON CONFLICT DO NOTHING;
	SELECT instance_env.set_setting(instance_env.instance_id('shop', 'development'), 'session.lifetime', '3600');
	SELECT instance_env.associate_domain(instance_env.instance_id('shop', 'production'), 'shop.example.com');
	SELECT instance_env.verify_domain(instance_env.instance_id('shop', 'production'), 'shop.example.com');
	SELECT * FROM instance_env.promote('shop');
	SELECT instance_env.set_setting(instance_env.instance_id('shop', 'development'), 'session.lifetime', '7200');
	ALTER TABLE "<u>sessions</u>" DISABLE TRIGGER instance_env_active;
	});
foreach my $name (@hostile)
{
	my $text = quoted($name);

	$node->safe_psql('postgres', "SELECT instance_env.create_application($text)");
	$node->safe_psql('postgres',
		"SELECT instance_env.set_setting(development_id, 'session.lifetime', to_jsonb($text\::text))"
		  . " FROM instance_env.applications WHERE application = $text");
}
$node->psql('postgres', "INSERT INTO users (instance_id) SELECT instance_env.instance_id('desk', 'development')");
my $page = $node->safe_psql('postgres', 'BEGIN READ ONLY; SELECT instance_env.report()');
like($page, qr{<b>1 today</b>, 1 in all}, 'a refused user is counted, although nothing is left of it');
$node->stop;

#
# In a browser
#

# All that it writes is in the folder that goes with the test.
$ENV{HOME} = $ENV{XDG_CONFIG_HOME} = $ENV{XDG_CACHE_HOME} = $ENV{XDG_RUNTIME_DIR} = "$dir/home";
mkdir "$dir/home", 0700 or die "mkdir: $!";

# Runs it, without a display and without any way out, and returns what it prints.
sub browse
{
	my ($file, @options) = @_;
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run(
		[
			$browser, '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars',
			'--no-first-run', '--disable-extensions', '--disable-background-networking', '--proxy-server=127.0.0.1:1',
			"--user-data-dir=$dir/profile", @options, "file://$file"
		],
		'>', \$stdout, '2>', \$stderr, IPC::Run::timeout(120)) or diag("$browser: $stderr");
	return $stdout;
}

sub spew
{
	my ($name, $text) = @_;

	open my $file, '>', "$dir/$name" or die "$name: $!";
	print $file $text;
	close $file or die "$name: $!";
	return "$dir/$name";
}

# The options for a scheme
my %scheme = (light => '--blink-settings=preferredColorScheme=1', dark => '--blink-settings=preferredColorScheme=0');

# What a script finds in a frame with the page.  The page is a string of the script's, without
# anything that would end the script.
sub look
{
	my ($width, @options) = @_;
	my $string = $page =~ s/([^ !#-;=?-\[\]-~])/sprintf '\\x%02x', ord $1/ger;
	my $file = spew("look-$width.html", <<"END" . <<'END');
<!DOCTYPE html><meta charset="utf-8"><body style="margin:0"><iframe id="frame" style="width:${width}px;height:900px;border:0"></iframe>
<script>
const width = $width;
frame.srcdoc = "$string";
END
function luminance(c) {
	const [r, g, b] = c.map(x => (x /= 255) <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
	return .2126 * r + .7152 * g + .0722 * b;
}
function colour(text) { return text.match(/[\d.]+/g).map(Number); }
frame.onload = () => {
	const page = frame.contentDocument, window = frame.contentWindow, found = [];
	const say = (what, value) => found.push(what + ': ' + value);
	const all = [...page.querySelectorAll('*')];
	say('mode', page.compatMode);
	say('sections', [...page.querySelectorAll('main > section')].map(s => s.id).join(' '));
	say('elements', [...new Set(all.map(e => e.localName))].sort().join(' '));
	say('attributes', [...new Set(all.flatMap(e => e.getAttributeNames()))].sort().join(' '));
	say('links', all.filter(e => e.hasAttribute('href') && !page.querySelector(e.getAttribute('href'))).length);
	say('names', [...page.querySelectorAll('#usage tbody th > bdi:first-child')].map(e => encodeURIComponent(e.textContent)).sort().join(' '));
	say('headings', [...page.querySelectorAll('h1, h2, h3')].map(e => e.localName[1]).join(''));
	say('columns', page.querySelectorAll('th:not([scope])').length);
	say('width', page.documentElement.scrollWidth);
	say('beyond', all.filter(e => e.getBoundingClientRect().right > width + 1 && !e.closest('thead')).map(e => e.localName).join(' '));
	let worst = 21, where = '';
	for (const e of all) {
		if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) || !e.getClientRects().length) continue;
		let b = e;
		while (b && colour(window.getComputedStyle(b).backgroundColor)[3] === 0) b = b.parentElement;
		const l = [window.getComputedStyle(e).color, window.getComputedStyle(b || page.body).backgroundColor].map(c => luminance(colour(c).slice(0, 3)));
		const ratio = (Math.max(...l) + .05) / (Math.min(...l) + .05);
		if (ratio < worst) { worst = ratio; where = e.localName + '.' + e.className; }
	}
	say('contrast', worst.toFixed(2) + ' ' + where);
	document.body.innerText = found.join('\n');
};
</script>
END
	my $dom = browse($file, '--virtual-time-budget=10000', '--dump-dom', @options);
	$dom =~ s/<br>/\n/g;
	return map { /^(?:.*<body[^>]*>)?(\w+): ?(.*?)(?:<\/body>.*)?$/ ? ($1 => $2) : () } split /\n/, $dom;
}

foreach my $width (360, 1100)
{
	foreach my $name (sort keys %scheme)
	{
		my %seen = look($width, $scheme{$name});
		my $which = "$width pixels, $name";

		is($seen{mode}, 'CSS1Compat', "$which: a page by the standard");
		cmp_ok($seen{width} // 9999, '<=', $width, "$which: it fits in width");
		is($seen{beyond}, '', "$which: and so does each of its elements");
		cmp_ok(($seen{contrast} // 0) =~ s/ .*//r, '>=', 4.5, "$which: all text stands out ($seen{contrast})");
		next if $width != 360 or $name ne 'dark';

		is($seen{sections}, 'summary usage readiness policy drift promotions guards events', 'all sections');
		is($seen{elements},
			'a b bdi body code details div footer h1 h2 h3 head header html i li main meta nav p section span style summary table tbody td th thead title tr ul',
			'and no elements but those that the page is made of');
		is($seen{attributes},
			'aria-hidden aria-label aria-labelledby charset class content data-label href http-equiv id lang name scope style',
			'nor attributes');
		is($seen{links}, '0', 'each link leads to a place in the page');
		my @names = map { my $n = $_; utf8::encode($n); $n =~ s/([^A-Za-z0-9\-_.!~*'()])/sprintf '%%%02X', ord $1/ger } 'shop', 'desk', @hostile;
		my $names = join ' ', sort @names;
		is(join(' ', map { s/&amp;/&/gr } sort split / /, $seen{names} // ''), $names, 'each name is there as it is');
		like($seen{headings}, qr/^1(23*)+$/, 'headings are in order');
		is($seen{columns}, '0', 'each heading in a table says what it is for');
	}
}

# A picture's first pixel, which no filter of PNG changes
sub first_pixel
{
	my ($file) = @_;
	my $png = slurp_file($file);
	my $data = join '', $png =~ /....IDAT/s ? idat($png) : ();

	return unpack 'x C3', uncompress($data) // die "$file is no picture";
}

sub idat
{
	my ($png) = @_;
	my ($at, @data) = (8);

	while ($at < length $png)
	{
		my ($length, $type) = unpack 'N a4', substr $png, $at, 8;
		push @data, substr $png, $at + 8, $length if $type eq 'IDAT';
		$at += 12 + $length;
	}
	return @data;
}

my $file = spew('report.html', $page);
my %pixel;
foreach my $name (sort keys %scheme)
{
	browse($file, '--window-size=1100,1400', $scheme{$name}, "--screenshot=$dir/$name.png");
	cmp_ok(-s "$dir/$name.png" // 0, '>', 20000, "$name: a picture");
	$pixel{$name} = [ first_pixel("$dir/$name.png") ];
}
cmp_ok($pixel{light}[0], '>', 200, 'light is light');
cmp_ok($pixel{dark}[0], '<', 60, 'and dark is dark');

browse($file, '--no-pdf-header-footer', "--print-to-pdf=$dir/report.pdf");
my $pdf = slurp_file("$dir/report.pdf");
like($pdf, qr/\A%PDF-/, 'it can be printed');
cmp_ok(scalar(() = $pdf =~ m{/Type\s*/Page\b}g), '>', 2, 'on several pages');

done_testing();
