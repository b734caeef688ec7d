# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Shared by the set-up scripts: where things live, how a step is run.

LT_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LT_CACHE=${LONGTERM_CACHE:-${HOME:?HOME is not set: set it, or LONGTERM_CACHE}/.cache/longterm}
LT_CONFIG=$LT_TOP/scripts/config
# Raise one of these when the recipe itself changes what comes out.
# shellcheck disable=SC2034 # used by those who source this
LT_ROOT_RECIPE=1 LT_KERNEL_RECIPE=1
export LT_TOP LT_CACHE

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

lt_init() {
	mkdir -p "$LT_CACHE/log" "$LT_CACHE/lock" ||
		die "can't create $LT_CACHE: set LONGTERM_CACHE to a directory with 20 GB free"
	LT_CACHE=$(cd "$LT_CACHE" && pwd -P)
	[[ $LT_CACHE != *[[:space:]:,]* ]] ||
		die "the cache path must not hold blanks, colons or commas: set LONGTERM_CACHE"
}

# Hash of stdin, short enough for a directory name.
lt_hash() { sha256sum | cut -c1-12; }

# Names and contents of files, in a stable order. Missing paths count as absent.
lt_files() {
	local p
	for p in "$@"; do
		[ -e "$p" ] || continue
		find -L "$p" -type f ! -name '*.pyc' -print0
	done | LC_ALL=C sort -z | xargs -0r sha256sum | sed "s# $LT_TOP/# #"
}

# lt_step TITLE COMMAND...: output to a log, a sign of life meanwhile, the
# log's end on failure (not with LT_MAY_FAIL set). The command is killed with us: it must bear that.
lt_step() {
	local title=$1 log pid start=$SECONDS shown=$SECONDS every=15 rc=0
	shift
	log=$LT_CACHE/log/$(printf '%s' "$title" | tr -c 'A-Za-z0-9.\n' -).$$
	say "  $title ..."
	set -m # a process group of its own, so that all of it can be ended
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064
	trap "kill -KILL -- -$pid 2>/dev/null; wait $pid 2>/dev/null; exit 130" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		# Short naps: the end of the step should not wait for us.
		sleep 0.3
		if ((SECONDS - shown >= every)); then
			shown=$SECONDS
			say "  $title: $((SECONDS - start)) s, $(tail -n 1 "$log" | tr -d '\r' | cut -c1-70)"
		fi
	done
	wait "$pid" || rc=$?
	trap - INT TERM HUP
	if ((rc)) && [ -n "${LT_MAY_FAIL:-}" ]; then
		rm -f "$log"
		return "$rc"
	elif ((rc)); then
		tail -n 40 "$log" >&2
		# shellcheck disable=SC2034 # for the caller
		LT_FAILED_LOG=$log
		say "${0##*/}: $title failed ($rc); the whole log: $log"
		return "$rc"
	fi
	rm -f "$log"
	say "  $title: done in $((SECONDS - start)) s"
}

# What runs beside us: process groups, so that lt_end_all reaches whatever they
# start. Bash itself is deaf to signals while a command runs in the foreground.
lt_running=()

# lt_start COMMAND...: beside us.
lt_start() {
	set -m
	"$@" &
	lt_running+=($!)
	set +m
}

# lt_wait: for all that was started; its status is that of the last that failed.
lt_wait() {
	local pid rc=0
	for pid in "${lt_running[@]}"; do wait "$pid" || rc=$?; done
	lt_running=()
	return "$rc"
}

# lt_end_all: for traps.
lt_end_all() {
	local pid
	for pid in "${lt_running[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
	wait
}

# lt_lock NAME: one builder at a time; a second one waits and then finds the
# work done. Released when the process ends, however it ends.
lt_lock() {
	local fd
	exec {fd}>"$LT_CACHE/lock/$1"
	if ! flock -n "$fd"; then
		say "  $1: another process is building it, waiting"
		flock "$fd"
	fi
}

# Mark as in use now, so that pruning takes others first.
lt_use() { touch -c "$1/.done"; }

# lt_newest PREFIX: finished directories of that name, newest first.
lt_newest() {
	local d
	for d in "$LT_CACHE/$1"-*/.done; do
		case $d in *.part/.done) continue ;; esac
		[ ! -e "$d" ] || printf '%s %s\n' "$(stat -c %Y "$d")" "${d%/.done}"
	done | LC_ALL=C sort -rn | cut -d' ' -f2-
}

# lt_prune PREFIX KEEP: drop the older ones, unless somebody holds them.
lt_prune() {
	local d
	lt_newest "$1" | tail -n "+$(($2 + 1))" | while read -r d; do
		(
			exec 8>"$LT_CACHE/lock/use.${d##*/}"
			flock -n 8 || exit 0
			say "  pruning ${d##*/}"
			lt_rm "$d"
		)
	done
}

# A root may hold files of other (mapped) users.
lt_rm() {
	local gone
	for gone in "$@"; do
		[ -e "$gone" ] || continue
		if [ "$(id -u)" = 0 ]; then
			rm -rf "$gone"
		else
			unshare --user --map-root-user --map-auto rm -rf "$gone"
		fi
	done
}

lt_root_key() {
	{ echo "$LT_ROOT_RECIPE"; grep -v '^#' "$LT_CONFIG/packages.list"; } | lt_hash
}

lt_root() { printf '%s/root-%s' "$LT_CACHE" "$(lt_root_key)"; }

# lt_enter [OPTIONS] -- COMMAND...: in the current build root.
lt_enter() { "$LT_TOP/scripts/enter" --root "$(lt_root)" "$@"; }
