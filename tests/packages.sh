#!/bin/sh
# packages.sh SECTION...: installs the packages of these sections of packages.txt that are missing, without starting
# the daemons that come with them. Says nothing and changes nothing where all are there.
set -eu

list="$(dirname "$0")/packages.txt"
policy=/usr/sbin/policy-rc.d

# A line is a package, or "PACKAGE unless PROGRAM": not where that program is there already, from wherever.
wanted() {
	for section in "$@"; do
		awk -v want="[$section]" '/^\[/ { on = $0 == want; next } on && NF && !/^#/ { print $1, $3 }' "$list"
	done | sort -u | while read -r package program; do
		[ -n "$program" ] && command -v "$program" >/dev/null || echo "$package"
	done
}

# Those of the packages in the file that are not installed. Another package may provide one: pkgconf, pkg-config.
missing() {
	dpkg-query -W -f '${db:Status-Status}\t${Package}, ${Provides}\n' 2>/dev/null |
		awk -F '\t' '
			NR == FNR { want[$1] = 1; next }
			$1 == "installed" { n = split($2, names, /[ ,(]+/); for (i = 1; i <= n; i++) delete want[names[i]] }
			END { for (name in want) print name }' "$1" - | sort
}

if ! command -v dpkg-query >/dev/null; then
	echo "packages.sh: this is not Debian or Ubuntu: what is needed is listed in $list" >&2
	exit 0
fi

names=$(mktemp)
made_policy=
cleanup() {
	rm -f "$names"
	if [ -n "$made_policy" ]; then
		$sudo rm -f "$policy"
	fi
}
sudo=
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

wanted "$@" >"$names"
[ -s "$names" ] || exit 0
lacking=$(missing "$names" | tr '\n' ' ')
[ -n "$lacking" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "packages.sh: missing packages; as root, run: apt-get install $lacking" >&2
		exit 1
	fi
	sudo=sudo
fi

echo "  APT   $lacking"
# invoke-rc.d(8) asks this file whether a service may be started: it may not.
if [ ! -e "$policy" ]; then
	made_policy=1
	printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
	$sudo chmod 0755 "$policy"
fi
log=$(mktemp)
apt() {
	# shellcheck disable=SC2086 # the list is words
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1
}
# shellcheck disable=SC2086
if ! { apt update && apt install -y --no-install-recommends $lacking; }; then
	tail -n 20 "$log" >&2
	rm -f "$log"
	echo "packages.sh: could not install: $lacking" >&2
	exit 1
fi
rm -f "$log"
