# shellcheck shell=bash
# Sourced, after lib.sh, by the scripts that run this checkout in minimal roots of Debian.

# What a container may lack: name spaces that take all mounts and processes along as they end.
own_spaces=(unshare --mount --pid --fork --kill-child)
"${own_spaces[@]}" true 2>/dev/null || own_spaces=()

go_on() {
	[ -z "$interrupted" ] || exit 130
}

apt_install() {
	apt-get -q update &&
		DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
			install -y --no-install-recommends "$@"
}

find_mirror() {
	[ -n "${DEBIAN_MIRROR-}" ] || DEBIAN_MIRROR=$(apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
	[ -n "$DEBIAN_MIRROR" ]
}

# What git would commit if told to commit all, or everything where there is no git.
files() {
	git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
		find . -name .git -prune -o -type f -print0
}

# copy_checkout FOLDER: into it.
copy_checkout() {
	local file
	files | while IFS= read -r -d '' file; do
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done | tar -c --null -T - | tar -x --no-same-owner -C "$1"
}
