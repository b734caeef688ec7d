# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Which source, which patches, which configuration: the keys of kernel builds.
# Needs lib.sh.

LT_SERIES=7.3
LT_FLAVOURS=(patched unpatched debug btf kcsan)

# A patch on top of the series that plants a bug, for tests of the tests.
if [ -n "${LONGTERM_KERNEL_EXTRA:-}" ]; then
	LONGTERM_KERNEL_EXTRA=$(realpath -e "$LONGTERM_KERNEL_EXTRA") || die "LONGTERM_KERNEL_EXTRA names no file"
fi

# The same for the module; see scripts/mutants.
if [ -n "${LONGTERM_MODULE_EXTRA:-}" ]; then
	LONGTERM_MODULE_EXTRA=$(realpath -e "$LONGTERM_MODULE_EXTRA") || die "LONGTERM_MODULE_EXTRA names no file"
fi

lt_check_flavour() {
	local f
	for f in "${LT_FLAVOURS[@]}"; do [ "$f" != "$1" ] || return 0; done
	die "no kernel flavour '$1': it is one of ${LT_FLAVOURS[*]}"
}

# The source directory to use: the user's tarball, else the newest we have.
# Fails silently where there is none yet.
lt_source() {
	local d
	if [ -n "${LONGTERM_KERNEL_TARBALL:-}" ]; then
		d=$LT_CACHE/source-$LT_SERIES-$(lt_hash <"$LONGTERM_KERNEL_TARBALL")
	else
		d=$(lt_newest "source-$LT_SERIES" | head -n 1)
	fi
	[ -n "$d" ] && [ -e "$d/.done" ] && printf '%s\n' "$d"
}

# The series in order, as paths; nothing for the unpatched flavour.
lt_patches() {
	local p
	[ "$1" != unpatched ] && [ -e "$LT_TOP/patches/series" ] || return 0
	while read -r p; do
		case $p in '' | '#'*) continue ;; esac
		[ -e "$LT_TOP/patches/$p" ] || die "patches/series names $p, which does not exist"
		printf '%s\n' "$LT_TOP/patches/$p"
	done <"$LT_TOP/patches/series"
	[ -z "${LONGTERM_KERNEL_EXTRA:-}" ] || printf '%s\n' "$LONGTERM_KERNEL_EXTRA"
}

# lt_variant FLAVOUR: its name in the cache. Builds with an extra patch have one
# of their own, so that they neither displace the others nor are begun from.
lt_variant() {
	[ -z "${LONGTERM_KERNEL_EXTRA:-}" ] || [ "$1" = unpatched ] || printf extra-
	printf '%s\n' "$1"
}

# Fragments in order. Without a series there is no option to switch on.
lt_fragments() {
	echo "$LT_CONFIG/base.config"
	[ "$1" = unpatched ] || [ -z "$(lt_patches "$1")" ] || echo "$LT_CONFIG/patched.config"
	case $1 in patched | unpatched) ;; *) echo "$LT_CONFIG/$1.config" ;; esac
}

# lt_kernel FLAVOUR: its directory (src/ and out/), built or not.
lt_kernel() {
	local source key
	source=$(lt_source) || return 1
	key=$({
		echo "$LT_KERNEL_RECIPE ${source##*/}"
		cat "$(lt_root)/lt/toolchain"
		lt_patches "$1" | xargs -r cat
		lt_fragments "$1" | xargs cat | grep -v '^#'
	} | lt_hash)
	printf '%s/kernel-%s-%s\n' "$LT_CACHE" "$(lt_variant "$1")" "$key"
}

# Binds and variables that every make on a kernel build needs. /src and /out
# are constant so that a build directory can be copied and ccache hits.
# LT_OUT=ro: for builds beside the kernel's own, which must not touch it.
lt_kernel_enter() {
	local kernel=$1 out=--bind
	shift
	[ "${LT_OUT:-}" != ro ] || out=--ro-bind
	mkdir -p "$LT_CACHE/ccache"
	lt_enter --ro-bind "$kernel/src" /src "$out" "$kernel/out" /out \
		--bind "$LT_CACHE/ccache" /lt/ccache \
		--env CCACHE_DIR=/lt/ccache --env CCACHE_MAXSIZE=8G --env CCACHE_NOHASHDIR=1 --env CCACHE_DEPEND=1 \
		--env KBUILD_BUILD_USER=longterm --env KBUILD_BUILD_HOST=longterm \
		--env KBUILD_BUILD_TIMESTAMP=@0 "$@"
}

# shellcheck disable=SC2034 # used by those who source this
LT_MAKE=(make LLVM=1 "CC=ccache clang")

# lt_jobs: as many as there are processors, bounded by memory (2 GB a job).
lt_jobs() {
	local cpus mem
	cpus=$(nproc)
	mem=$(awk '/^MemAvailable/ { print int($2 / 2000000) }' /proc/meminfo)
	((mem >= 1)) || mem=1
	echo $((cpus < mem ? cpus : mem))
}

# lt_module_variant FLAVOUR: as lt_variant.
lt_module_variant() {
	if [ -n "${LONGTERM_MODULE_EXTRA:-}" ]; then printf 'extra-%s\n' "$1"; else lt_variant "$1"; fi
}

# lt_module FLAVOUR: the directory of the module built against that kernel.
lt_module() {
	local kernel key
	kernel=$(lt_kernel "$1") || return 1
	key=$({
		echo "${kernel##*/}"
		# With the lines of the sources, see build-module.
		[ "$1" != debug ] || echo lines and calls
		lt_files "$LT_TOP"/{Kbuild,Kconfig,rust,src,include}
		[ -z "${LONGTERM_MODULE_EXTRA:-}" ] || cat "$LONGTERM_MODULE_EXTRA"
	} | lt_hash)
	printf '%s/module-%s-%s\n' "$LT_CACHE" "$(lt_module_variant "$1")" "$key"
}

# Where the command of tools/ is.
lt_tools() {
	local key
	key=$({
		lt_root_key
		lt_files "$LT_TOP"/tools/{Cargo.toml,Cargo.lock,lib,longterm} "$LT_TOP/scripts/build-tools"
	} | lt_hash)
	printf '%s/tools-%s\n' "$LT_CACHE" "$key"
}

# lt_kmod FLAVOUR: the directory of the tests' module for that kernel.
lt_kmod() {
	local kernel key
	kernel=$(lt_kernel "$1") || return 1
	key=$({
		echo "${kernel##*/}"
		lt_files "$LT_TOP/tests/kmod"
	} | lt_hash)
	printf '%s/kmod-%s-%s\n' "$LT_CACHE" "$(lt_variant "$1")" "$key"
}

# Where compiled programs are: the kernel's selftests, and our own. Ours come
# second, so that they win.
lt_programs_dirs() {
	local source key
	source=$(lt_source) || return 1
	printf '%s/selftests-%s-%s\n' "$LT_CACHE" "${source##*/source-}" "$(lt_root_key)"
	key=$({
		lt_root_key
		lt_files "$LT_TOP"/{examples,tests/e2e/bin,tests/bench,tests/torture,include/uapi,scripts/build-programs}
	} | lt_hash)
	printf '%s/programs-%s\n' "$LT_CACHE" "$key"
}
