# The stress test again, with the bound in shared memory admitting where it can.

use strict;
use warnings;
use FindBin;

$ENV{INSTANCE_ENV_STRESS_PRELOAD} = 'instance_env';
exec $^X, (map { "-I$_" } @INC), "$FindBin::RealBin/010_cap_stress.pl";
