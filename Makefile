# SPDX-License-Identifier: GPL-2.0
# What people type. kbuild does not read this file: it prefers Kbuild.

.DEFAULT_GOAL := help
.PHONY: help demo test kunit e2e torture mutants bench check kernels module programs tools setup install-headers clean distclean

help:
	@echo 'make demo       set everything up, then show a truncate that waits for an RDMA holder'
	@echo 'make test       kunit and e2e on the plain kernel; CI=true adds the debug kernel'
	@echo 'make kunit      the KUnit suites: under user-mode Linux, and in the guest'
	@echo 'make e2e        the guest tests: ext4 and xfs, plain and debug kernel'
	@echo 'make torture    random holders and breakers on the debug kernel; MINUTES=10 SEED=...'
	@echo 'make mutants    each hook, wait, check and signal switched off in turn must fail a test; ONLY="module.fd-*"'
	@echo 'make bench      what it costs, in instructions; BENCH_QUICK=1: in two minutes'
	@echo 'make check      formatting, lints, checkpatch'
	@echo 'make module     longterm.ko for the guest; with KDIR=BUILD for your own kernel'
	@echo 'make programs   the example and the test programs'
	@echo 'make tools      the longterm command: ls, watch, events, timeline, doctor'
	@echo 'make install-headers PREFIX=/usr/local   <linux/longterm.h> and longterm.pc for your programs'
	@echo 'make kernels    the patched, the unpatched and the debug kernel'
	@echo 'make clean      remove what was built in this checkout'
	@echo 'make distclean  also the cache: $${LONGTERM_CACHE:-~/.cache/longterm}'
	@echo 'scripts/vm shell   a guest to try things in (scripts/vm --help)'

demo:
	@scripts/setup demo
	@scripts/demo

test:
	@scripts/run-tests test

kunit:
	@scripts/run-tests kunit

e2e:
	@scripts/run-tests e2e

torture:
	@scripts/torture $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

mutants:
	@scripts/mutants $(ONLY)

bench:
	@scripts/bench

check:
	@scripts/check

setup:
	@scripts/setup all

kernels:
	@scripts/setup kernel patched kernel unpatched kernel debug

programs:
	@scripts/setup programs

tools:
	@scripts/setup tools
	@scripts/where tools

PREFIX ?= /usr/local
install-headers:
	install -D -m 644 include/uapi/linux/longterm.h $(DESTDIR)$(PREFIX)/include/linux/longterm.h
	install -d $(DESTDIR)$(PREFIX)/share/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|' tools/longterm.pc.in >$(DESTDIR)$(PREFIX)/share/pkgconfig/longterm.pc

# With KDIR the module is built here, with your own compiler, for your kernel
# (LLVM=1 if that kernel was built so).
ifdef KDIR
module:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules
clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean
else
module:
	@scripts/setup module patched
	@scripts/where module patched
clean:
	@find . \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' \
		-o -name '*.rmeta' -o -name modules.order -o -name Module.symvers \
		-o -name '*_generated.rs' -o -name '*.pyc' \) -not -path './.git/*' -type f -delete
	@find . -name __pycache__ -not -path './.git/*' -type d -empty -delete
endif

distclean: clean
	@scripts/setup clean
