/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Long-term leases: hold the pages of a DAX file for a device, and be told
 * when someone else needs the blocks behind them.
 */
#ifndef _UAPI_LINUX_LONGTERM_H
#define _UAPI_LINUX_LONGTERM_H

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

#endif /* _UAPI_LINUX_LONGTERM_H */
