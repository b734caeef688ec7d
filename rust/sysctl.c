// SPDX-License-Identifier: GPL-2.0
/* fs.longterm.*: see Documentation/sysctl.rst. */

#include <linux/limits.h>
#include <linux/sysctl.h>

#include "sysctl.h"

#define LT_MAX_BREAK_TIME	(INT_MAX / 1000)

static int lt_settings[LT_NR_SETTINGS] = {
	[LT_REQUIRE_LEASE]	= 0,
	[LT_BREAK_TIME]		= -1,
	[LT_SIGKILL]		= 0,
	[LT_UNBREAKABLE]	= 2,
	[LT_MAX_LEASES]		= 8192,
	[LT_MAX_FILES]		= 8192,
	[LT_MAX_RECORDS]	= 65536,
};

static const int lt_max_break_time = LT_MAX_BREAK_TIME;

#define LT_SETTING(name, which, min, max) {				\
	.procname	= name,						\
	.data		= &lt_settings[which],				\
	.maxlen		= sizeof(int),					\
	.mode		= 0644,						\
	.proc_handler	= proc_dointvec_minmax,				\
	.extra1		= min,						\
	.extra2		= max,						\
}

static const struct ctl_table lt_table[] = {
	LT_SETTING("require_lease", LT_REQUIRE_LEASE, SYSCTL_ZERO, SYSCTL_TWO),
	LT_SETTING("break_time", LT_BREAK_TIME, SYSCTL_NEG_ONE,
		   (void *)&lt_max_break_time),
	LT_SETTING("sigkill", LT_SIGKILL, SYSCTL_ZERO, SYSCTL_ONE),
	LT_SETTING("unbreakable", LT_UNBREAKABLE, SYSCTL_ZERO, SYSCTL_TWO),
	LT_SETTING("max_leases", LT_MAX_LEASES, SYSCTL_ZERO, SYSCTL_INT_MAX),
	LT_SETTING("max_files", LT_MAX_FILES, SYSCTL_ZERO, SYSCTL_INT_MAX),
	LT_SETTING("max_records", LT_MAX_RECORDS, SYSCTL_ZERO, SYSCTL_INT_MAX),
};

static struct ctl_table_header *lt_header;

int lt_sysctl_start(void)
{
	lt_header = register_sysctl_sz("fs/longterm", lt_table,
				       ARRAY_SIZE(lt_table));
	return lt_header || !IS_ENABLED(CONFIG_SYSCTL) ? 0 : -ENOMEM;
}

/* Waits for whoever reads or writes one of them. */
void lt_sysctl_stop(void)
{
	unregister_sysctl_table(lt_header);
}

int lt_setting(enum lt_setting which)
{
	return READ_ONCE(lt_settings[which]);
}
