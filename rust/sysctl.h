/* SPDX-License-Identifier: GPL-2.0 */
/* What the administrator sets, for the Rust side. */
#ifndef _LONGTERM_SYSCTL_H
#define _LONGTERM_SYSCTL_H

enum lt_setting {
	LT_REQUIRE_LEASE,
	LT_BREAK_TIME,
	LT_SIGKILL,
	LT_UNBREAKABLE,
	LT_MAX_LEASES,
	LT_MAX_FILES,
	LT_MAX_RECORDS,
	LT_NR_SETTINGS,
};

int lt_sysctl_start(void);
void lt_sysctl_stop(void);
int lt_setting(enum lt_setting which);

#endif /* _LONGTERM_SYSCTL_H */
