/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lines of text over TCP, by which longterm_server and longterm_client agree on
 * what to do with each other's memory.  Nothing here knows of leases or verbs.
 */
#ifndef LINES_H
#define LINES_H

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void __attribute__((noreturn)) die(const char *what, const char *hint)
{
	int err = errno;

	fprintf(stderr, "%s: %s: %s%s%s\n", program_invocation_short_name, what,
		strerror(err), hint ? ": " : "", hint ? hint : "");
	exit(EXIT_FAILURE);
}

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	struct timespec now;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("%lld.%03ld ", (long long)now.tv_sec, now.tv_nsec / 1000000);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/* One end of a connection. */
struct lines {
	int fd;
	size_t used;		/* bytes in text */
	size_t given;		/* of these, bytes of the line given out last */
	bool closed;
	char text[512];
};

/* The next whole line, or NULL: nothing more for now, or closed. */
static char *next_line(struct lines *in)
{
	memmove(in->text, in->text + in->given, in->used - in->given);
	in->used -= in->given;
	in->given = 0;
	for (;;) {
		char *end = memchr(in->text, '\n', in->used);
		ssize_t n;

		if (end) {
			*end = '\0';
			in->given = end + 1 - in->text;
			return in->text;
		}
		n = recv(in->fd, in->text + in->used,
			 sizeof(in->text) - in->used, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return NULL;
		/* A line that has no room is no line of ours. */
		if (n <= 0) {
			in->closed = true;
			return NULL;
		}
		in->used += n;
	}
}

/* Short enough to fit into the socket's buffer.  A peer that has gone shows at
 * the next read.
 */
static void __attribute__((format(printf, 2, 3)))
send_line(struct lines *out, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (send(out->fd, line, n, MSG_NOSIGNAL) < 0)
		out->closed = true;
}

static void hang_up(struct lines *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	*peer = (struct lines) { .fd = -1 };
}

/* A socket that listens (host NULL) or is connected; -1 with errno set. */
static int open_tcp(const char *host, const char *port)
{
	struct addrinfo *list, hints = {
		.ai_family = AF_INET,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = host ? 0 : AI_PASSIVE,
	};
	int yes = 1, fd, err;

	err = getaddrinfo(host, port, &hints, &list);
	if (err) {
		fprintf(stderr, "%s: %s\n", host ? host : port, gai_strerror(err));
		exit(EXIT_FAILURE);
	}
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket", NULL);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	err = host ? connect(fd, list->ai_addr, list->ai_addrlen) :
		     bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, 8);
	freeaddrinfo(list);
	if (err) {
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* What block number n of the file is to have in it, and its share of the sum. */
#define BLOCK		4096u
#define WORDS		(BLOCK / sizeof(uint64_t))

static inline void fill_block(uint64_t *block, uint64_t n)
{
	for (unsigned int i = 0; i < WORDS; i++)
		block[i] = (n * WORDS + i + 1) * 0x9e3779b97f4a7c15ull;
}

static inline uint64_t sum_block(uint64_t sum, const uint64_t *block)
{
	for (unsigned int i = 0; i < WORDS; i++)
		sum = (sum ^ block[i]) * 0x100000001b3ull;
	return sum;
}

#endif
