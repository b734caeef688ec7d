/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Long-term leases: hold the pages of a DAX file for a device, and be told
 * when someone else needs the blocks behind them.
 */
#ifndef _UAPI_LINUX_LONGTERM_H
#define _UAPI_LINUX_LONGTERM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: lease types
 *
 * Arguments of fcntl(fd, F_SETLEASE, ...), results of F_GETLEASE:
 *
 * F_LONGTERM
 *	This process is going to make long-term pins (RDMA memory regions,
 *	io_uring fixed buffers, vfio) of shared mappings of this file.  Any
 *	number of processes may hold one on the same file.  When an operation
 *	is about to take pinned blocks away (truncate, hole punch, ...), the
 *	holder gets SIGIO, or the signal that F_SETSIG named.  It is to unpin
 *	within the time of /proc/sys/fs/lease-break-time; the operation waits.
 *	Then follow SIGBUS for the holder (BUS_ADRERR, si_addr the address of
 *	the first pin in the range), and after the same time again ETXTBSY for
 *	whoever wanted the blocks.
 *
 * F_LONGTERM | F_UNBREAKABLE
 *	The same, but what is pinned under it can't be taken away: the other
 *	side gets ETXTBSY at once.
 *
 * A lease belongs to the open file description and to the thread group that
 * took it.  It ends with F_UNLCK or with the last reference to the
 * description, of which a mapping is one.
 */

/**
 * DOC: errors
 *
 * fcntl(fd, F_SETLEASE, F_LONGTERM [| F_UNBREAKABLE]):
 *
 * EACCES
 *	The caller neither owns the file nor has CAP_LEASE; or F_UNBREAKABLE on
 *	a file descriptor that is open for reading only, or where
 *	fs.longterm.unbreakable does not permit it.
 * EAGAIN
 *	A layout change is under way and the descriptor is O_NONBLOCK.  Without
 *	O_NONBLOCK the call waits until the change is complete.
 * EBADF
 *	Not an open file descriptor, or an O_PATH one.
 * EBUSY
 *	This open file holds a lease of another kind, or the kind is to change
 *	while something is pinned.
 * EINTR
 *	A signal came while the call waited.
 * EINVAL
 *	Not a regular file; an unknown bit; F_UNBREAKABLE alone;
 *	/proc/sys/fs/leases-enable is 0; or the longterm module is not loaded.
 * ENOLCK
 *	The user's limit on leases, or on files with any, is reached.
 * ENOMEM
 *	No memory.
 * EOPNOTSUPP
 *	The file is not on a DAX mount, or its filesystem can't protect it.
 *
 * fcntl(fd, F_SETLEASE, F_UNLCK):
 *
 * EBUSY
 *	Pins that were made under this lease are still there.  A pin that was
 *	dropped synchronously, as by ibv_dereg_mr(), never causes this.
 * ENOMEM
 *	No memory to find out whether there are any.  The lease goes on.
 *
 * fcntl(fd, F_GETLEASE) returns the type of the lease, or F_UNLCK while it is
 * being broken, when it has been revoked, and where there is none.
 *
 * Making a long-term pin (ibv_reg_mr() and the like):
 *
 * EACCES
 *	There is no lease, and the mapping is not a writable shared one, nor
 *	may the caller take a lease.
 * EAGAIN
 *	The range is about to be taken away.  Take the lease again, which waits
 *	for that to be over, then look at the file's size and pin again.
 * EFAULT
 *	The pin would not be the file's blocks: a hole under a read-only
 *	mapping, or beyond the end of the file.
 * ENOLCK
 *	A limit was reached (the kernel log names it), or the administrator
 *	wants a lease to be taken first and there is none.
 * ENOMEM
 *	No memory, or the page has too many pins.
 * EOPNOTSUPP
 *	The module is not loaded, or the file can't be protected.
 *
 * truncate(), fallocate() and whatever else takes blocks away:
 *
 * EAGAIN
 *	Pins are in the way, and the descriptor is O_NONBLOCK or the caller is
 *	a kernel server.  The holders have been told.
 * EDEADLK
 *	The caller's own process holds the pins and could never drop them.
 * EINTR
 *	A signal came while the call waited.
 * ETXTBSY
 *	Pins are still there after two periods of lease-break-time, or are
 *	unbreakable.
 */
#define F_LONGTERM	16
#define F_UNBREAKABLE	32

/**
 * DOC: the lease fd
 *
 * /dev/longterm gives leases on byte ranges of a file as file descriptors: for
 * libraries, threads and event loops.  Where the module is not loaded there is
 * no such device.  What is pinned, when a break begins and what becomes of who
 * does not react is as with fcntl leases.
 *
 * Every structure begins with its size as the caller knows it.  Smaller than
 * the first version: EINVAL.  Larger than the kernel knows: fine if what it
 * does not know is zero, else E2BIG.  Flags that are not known and reserved
 * fields that are not 0: EINVAL.  A command that is not known: ENOTTY.  The
 * layout is the same for 32-bit programs.
 */
#define LONGTERM_DEVICE		"/dev/longterm"

/* In an end: the lease or the break goes to the end of the file, and beyond. */
#define LONGTERM_EOF		0x7fffffffffffffffULL

/**
 * struct longterm_ioc_lease - LONGTERM_IOC_LEASE, on the device: take a lease
 * @size: sizeof(struct longterm_ioc_lease)
 * @flags: LONGTERM_LEASE_*
 * @fd: the file
 * @reserved: 0
 * @start: first byte
 * @length: number of bytes; 0: to the end of the file and beyond
 *
 * Returns a lease fd, which is close-on-exec.  The range is rounded outward to
 * whole pages.  The caller's process is the lease's holder.  The lease ends
 * when the last copy of the lease fd is closed; @fd may be closed before.
 *
 * Where a layout change of the range is under way it waits until that is
 * complete.
 *
 * EACCES
 * EBADF
 * ENOLCK
 * ENOMEM
 * EOPNOTSUPP
 *	As fcntl(@fd, F_SETLEASE, F_LONGTERM).
 * EAGAIN
 *	A layout change of the range is under way, and LONGTERM_LEASE_NONBLOCK
 *	is set or @fd is O_NONBLOCK.
 * EFAULT
 *	The argument can't be read.
 * EINTR
 *	A signal came while the call waited.
 * EINVAL
 *	As F_SETLEASE; or @size, @flags or @reserved is wrong; or @start +
 *	@length is more than LONGTERM_EOF, or @start not less than that.
 * EMFILE
 * ENFILE
 *	There are too many open files.
 * E2BIG
 *	@size is too large, and what the kernel does not know is not zero.
 */
struct longterm_ioc_lease {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
	__aligned_u64 start;
	__aligned_u64 length;
};

/* As F_UNBREAKABLE. */
#define LONGTERM_LEASE_UNBREAKABLE	1
/* The lease fd is O_NONBLOCK, and taking the lease does not wait. */
#define LONGTERM_LEASE_NONBLOCK		2

/**
 * struct longterm_ioc_info - LONGTERM_IOC_INFO: how things stand
 * @size: in: sizeof(struct longterm_ioc_info); out: how much was filled in
 * @flags: 0
 * @fd: on the device: an open file that has a fcntl lease.  On a lease fd: -1
 * @state: LONGTERM_HELD and so on
 * @kind: LONGTERM_LEASE_UNBREAKABLE or 0
 * @holders: processes that hold it
 * @generation: changes of the range's layout that were completed since the
 *	lease was taken
 * @start: first byte of the lease
 * @end: the byte behind the last one, or LONGTERM_EOF
 * @break_start: first byte of what its holders were told of, in the break
 *	under way
 * @break_end: the byte behind the last one; 0: no break is under way
 * @pinned: bytes that are pinned under it
 * @deadline: when the next thing happens to who still has pins in the way, in
 *	nanoseconds of CLOCK_MONOTONIC; 0: nothing will
 * @left: the same in nanoseconds from now
 *
 * EBADF
 *	@fd is not open, or was opened with O_PATH.
 * EFAULT
 * E2BIG
 *	As LONGTERM_IOC_LEASE.
 * EINVAL
 *	@size or @flags is wrong; or @fd, on a lease fd, is not -1.
 * ENOENT
 *	The open file has no fcntl lease.
 */
struct longterm_ioc_info {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 state;
	__u32 kind;
	__u32 holders;
	__aligned_u64 generation;
	__aligned_u64 start;
	__aligned_u64 end;
	__aligned_u64 break_start;
	__aligned_u64 break_end;
	__aligned_u64 pinned;
	__aligned_u64 deadline;
	__aligned_u64 left;
};

#define LONGTERM_HELD		0	/* all is well */
#define LONGTERM_BREAKING	1	/* a break is under way, and its holders know */
#define LONGTERM_REVOKED	2	/* the time was up with pins in the way */

/**
 * struct longterm_ioc_break - LONGTERM_IOC_BREAK, on the device: a break
 *	without a change of the layout
 * @size: sizeof(struct longterm_ioc_break)
 * @flags: 0
 * @fd: the file, open for writing
 * @reserved: 0
 * @start: first byte
 * @length: number of bytes; 0: to the end of the file
 *
 * Does to holders of pins in the range what fallocate() with
 * FALLOC_FL_PUNCH_HOLE would, and waits as that does, but leaves the file as
 * it is.  To test how a holder reacts.  Returns 0 when nothing is pinned in the
 * range.
 *
 * EAGAIN
 *	Pins are in the way, and @fd is O_NONBLOCK.  The holders were told.
 * EBADF
 *	@fd is not open for writing.
 * EDEADLK
 *	The caller's own process holds the pins and could never drop them.
 * EINTR
 *	A signal came while the call waited.
 * EINVAL
 *	@fd is not a regular file; or as LONGTERM_IOC_LEASE.
 * EFAULT
 * E2BIG
 * ENOMEM
 *	As LONGTERM_IOC_LEASE.
 * EOPNOTSUPP
 *	The file is not on a DAX mount, or its filesystem can't protect it.
 * EPERM
 *	The file is immutable or append-only.
 * ETXTBSY
 *	The pins are unbreakable, or the holder did not let go.
 */
struct longterm_ioc_break {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
	__aligned_u64 start;
	__aligned_u64 length;
};

/**
 * struct longterm_ioc_adopt - LONGTERM_IOC_ADOPT, on a lease fd: become a
 *	holder, too
 * @size: sizeof(struct longterm_ioc_adopt)
 * @flags: 0
 *
 * For a process that got the lease fd by fork() or SCM_RIGHTS: from here on
 * what it pins in the range is charged to this lease.  It counts for its user
 * as a lease.  Being a holder already is fine.
 *
 * EFAULT
 * EINVAL
 * E2BIG
 *	As LONGTERM_IOC_LEASE.
 * ENOLCK
 *	The user's limit on leases, or on files with any, is reached.
 * ENOMEM
 *	No memory.
 * ESTALE
 *	The lease was revoked.
 */
struct longterm_ioc_adopt {
	__u32 size;
	__u32 flags;
};

#define LONGTERM_IOC_TYPE	0xb9
#define LONGTERM_IOC_LEASE	_IO(LONGTERM_IOC_TYPE, 0x00)
#define LONGTERM_IOC_INFO	_IO(LONGTERM_IOC_TYPE, 0x01)
#define LONGTERM_IOC_BREAK	_IO(LONGTERM_IOC_TYPE, 0x02)
#define LONGTERM_IOC_ADOPT	_IO(LONGTERM_IOC_TYPE, 0x03)

/**
 * struct longterm_event - what read() on a lease fd gives
 * @size: bytes to the next event
 * @type: LONGTERM_EVENT_*
 * @flags: LONGTERM_EVENT_MERGED or 0
 * @reserved: 0
 * @generation: as in struct longterm_ioc_info
 * @start: first byte of what is to go, went or was not let go.  May lie before
 *	the lease's range: a break goes outward to whole folios
 * @end: the byte behind the last one, or LONGTERM_EOF
 * @deadline: LONGTERM_EVENT_BREAK: until when to unpin, in nanoseconds of
 *	CLOCK_MONOTONIC; else 0
 * @pinned: bytes pinned under the lease in that range, at the time of the event
 *
 * read() gives as many whole events as there are and the buffer has room for.
 * It waits for one, unless the lease fd is O_NONBLOCK.
 *
 * 0
 *	The lease was revoked, and there is nothing more to say.
 * EAGAIN
 *	There is none, and the lease fd is O_NONBLOCK.
 * EFAULT
 *	The buffer can't be written to.  The events stay.
 * EINTR
 *	A signal came while the call waited.
 * EINVAL
 *	The buffer has no room for an event.  256 bytes will always do.
 *
 * poll() reports POLLIN while there are events, and POLLHUP once the lease was
 * revoked.
 */
struct longterm_event {
	__u32 size;
	__u32 type;
	__u32 flags;
	__u32 reserved;
	__aligned_u64 generation;
	__aligned_u64 start;
	__aligned_u64 end;
	__aligned_u64 deadline;
	__aligned_u64 pinned;
};

/* A break begins, or comes to concern more of the lease: unpin what is there. */
#define LONGTERM_EVENT_BREAK	1
/* It is over.  The layout has changed if the generation has risen. */
#define LONGTERM_EVENT_END	2
/* Too late: new pins need a new lease. */
#define LONGTERM_EVENT_REVOKED	3

/* It stands for several of its type that nobody has read in time. */
#define LONGTERM_EVENT_MERGED	1

#endif /* _UAPI_LINUX_LONGTERM_H */
