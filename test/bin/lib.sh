# shellcheck shell=bash
# Sourced by the scripts beside it, from the top of the checkout.

fail() {
	echo "$0: $*" >&2
	exit 1
}

# run CMD...: runs CMD.  INT, TERM and HUP end it, with all its children; the caller
# then goes on, to tidy up after it; interrupted is set.
interrupted=
run() {
	local child status
	set -m						# gives CMD a process group of its own
	"$@" &
	child=$!
	set +m
	trap "interrupted=yes; kill -TERM -- -$child 2>/dev/null" INT TERM HUP
	while :; do
		status=0
		wait "$child" || status=$?
		# A signal ends the wait, too.
		kill -0 "$child" 2>/dev/null || break
	done
	trap - INT TERM HUP
	return "$status"
}
