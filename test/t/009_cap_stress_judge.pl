
# The judge of the stress test: what it lets pass, and what it does not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use Test::More;

use StressJudge;

# what test_decoding would say of a row
sub row
{
	my ($instance, $id) = @_;
	$id =~ s/'/''/g;
	return "instance_id[text]:'$instance' id[text]:'$id' \"odd \"\"name\"[integer]:null";
}
sub insert { return 'table public.t: INSERT: ' . row(@_) }
sub remove { return 'table public.t: DELETE: ' . row(@_) }
sub update { return 'table public.t: UPDATE: ' . row(@_) }

sub rekey
{
	my ($instance, $old, $new) = @_;
	return 'table public.t: UPDATE: old-key: ' . row($instance, $old)
	  . ' new-tuple: ' . row($instance, $new);
}

# Each array is a transaction; instance "a" has two seats, "c" any number.
sub verdict
{
	my ($what, $expected, @xact) = @_;
	my $xid = 700;
	my $judge = StressJudge->new(
		tables => ['public.t'],
		instance => 'instance_id',
		key => 'id',
		identity => [ 'instance_id', 'id' ],
		caps => { a => 2, b => 2 });

	foreach my $xact (@xact)
	{
		$xid++;
		$judge->apply($_) foreach "BEGIN $xid", @$xact, "COMMIT $xid";
	}
	is( join(' ', map { "$_ " . scalar @{ $judge->{$_} } } qw(over moved broken)),
		$expected, $what);
	return $judge;
}

my $innocent = 'over 0 moved 0 broken 0';
my @full = (insert('a', '1'), insert('a', '2'));
my $judge;

verdict('two rows of two', $innocent, [@full]);
$judge = verdict('one row over', 'over 1 moved 0 broken 0',
	[@full], [ insert('a', '3') ], [ remove('a', '1'), insert('a', '4') ]);
is($judge->{stat}{worst}, 1, 'by one');
verdict('no cap', $innocent, [ map { insert('c', $_) } 1 .. 9 ]);
verdict('over within a transaction only',
	$innocent, [ @full, insert('a', '3'), remove('a', '1') ]);
$judge = verdict('swap, update, new key', $innocent,
	[@full], [ remove('a', '1'), insert('a', "it's") ],
	[ update('a', "it's"), rekey('a', '2', '3') ]);
is(join(',', $judge->rows('instance_id', 'id')), "a 3,a it's", 'what is left');
verdict('another table', $innocent,
	[@full], ["table public.t2: INSERT: instance_id[text]:'a' id[text]:'3'"]);
verdict('TRUNCATE of two tables', $innocent,
	[@full], ['table public.s, public.t: TRUNCATE: (no-flags)'], [@full]);
verdict('a key lives in two instances', 'over 0 moved 1 broken 0',
	[ insert('a', '1') ], [ insert('b', '1') ]);
verdict('a key returns under another instance', 'over 0 moved 1 broken 0',
	[ insert('a', '1') ], [ remove('a', '1') ], [ insert('b', '1') ]);
verdict('a key returns under its own instance',
	$innocent, [ insert('a', '1') ], [ remove('a', '1') ], [ insert('a', '1') ]);
verdict('a deletion of what is not there',
	'over 0 moved 0 broken 1', [ remove('a', '1') ]);
verdict('an update of what is not there',
	'over 0 moved 0 broken 1', [ update('a', '1') ]);
verdict('a row twice', 'over 0 moved 0 broken 1', [ @full, insert('a', '1') ]);
verdict('what is not understood', 'over 0 moved 0 broken 1', ['ERROR']);

done_testing();
