// SPDX-License-Identifier: GPL-2.0
/*
 * shrink FILE SIZE - truncate(2), for the demo.  truncate(1) of coreutils will
 * not do: it opens the file with O_NONBLOCK, so that it gets EAGAIN where we
 * want to see the wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: shrink FILE SIZE\n", stderr);
		return 2;
	}
	if (truncate(argv[1], strtoll(argv[2], NULL, 0))) {
		perror(argv[1]);
		return 1;
	}
	return 0;
}
