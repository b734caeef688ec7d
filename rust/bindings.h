/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bindgen reads: only what the kernel crate's own bindings lack is taken
 * from here (see Kbuild).
 */
#include <linux/dax.h>
#include <linux/longterm.h>

#include "../include/uapi/linux/longterm.h"

#include "anonfd.h"
#include "helpers.h"
#include "procfs.h"
#include "sysctl.h"
#include "trace.h"

extern const unsigned int longterm_ops_abi;
