# What doc/scaling.md says of Citus runs as it stands on a cluster, and fails where it says so.
# The rest of it, and all other documents: test/t/002_all_documents.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Citus ':all';
use Test::More;

use_database('document', distribute => 0);

open my $fh, '<', 'doc/scaling.md' or die "could not read doc/scaling.md: $!";
my $text = join '', <$fh>;
my $blocks = 0;

foreach my $section ($text =~ /^(## Citus.*?)(?=^## |\z)/msg)
{
	my ($title) = $section =~ /^## (.*)$/m;

	while ($section =~ /^( *)```sql\n(.*?)^\1```$/msg)
	{
		my $sql = $2 =~ s/^$1//mgr;
		my (undef, @messages) = psql(0, $sql);

		$blocks++;
		is(join(' ', map { $_->{state} } grep { $_->{severity} eq 'ERROR' } @messages),
			join(' ', $sql =~ /-- ERROR, SQLSTATE (\w{5})$/mg),
			"$title: block $blocks fails where it says so, and nowhere else")
		  or diag map { "$_->{state}: $_->{message}\n" } @messages;
	}
}
cmp_ok($blocks, '>', 2, 'there are blocks to run');
is(value($_, 'SELECT count(*) FROM users'), 1, "node $_ has one user then") foreach nodes();
is(value(0, 'SELECT bool_and(whole) FROM instance_env.guards'), 't', 'of a table that is guarded');

whole();
done_testing();
