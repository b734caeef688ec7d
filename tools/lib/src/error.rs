// SPDX-License-Identifier: GPL-2.0
//! Each errno that the kernel documents, by name.

use rustix::io::Errno;
use std::{fmt, io};

/// What calls of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no `/dev/longterm`: the kernel has no long-term leases, or their
    /// module is not loaded.
    NoModule,
    /// EACCES: the caller neither owns the file nor has CAP_LEASE; or wants an
    /// unbreakable lease on a file that it can only read, or may not have one.
    AccessDenied,
    /// EOPNOTSUPP: the file is not on a DAX mount, or can't be protected there.
    NotSupported,
    /// EAGAIN: it would have to wait, and is not to.
    WouldBlock,
    /// EBADF: a file that was opened with O_PATH; for a break, one that is not
    /// open for writing.
    BadFile,
    /// EINVAL: not a regular file; an empty range; or leases are switched off.
    Invalid,
    /// ENOLCK: the user's limit on leases, or on files with any, is reached.
    Limit,
    /// ENOMEM
    NoMemory,
    /// EMFILE: the process has too many open files.
    TooManyFiles,
    /// ENFILE: the system has too many open files.
    TooManyFilesInSystem,
    /// EINTR: a signal came while the call waited.
    Interrupted,
    /// EDEADLK: the caller's own process holds the pins, and could never drop
    /// them while it waits for that.
    Deadlock,
    /// ETXTBSY: the pins are unbreakable, or their holder did not let go.
    Busy,
    /// EPERM: the file is immutable or append-only.
    Immutable,
    /// ESTALE: the lease was revoked.
    Revoked,
    /// ENOENT: the open file has no fcntl lease.
    NoLease,
    /// ENOTTY: the descriptor is not that of a lease, or the kernel is too old
    /// for the request.
    NotALease,
    /// E2BIG: the kernel is too old for what was asked for.
    TooNew,
    /// Anything else.
    Other(io::Error),
}

impl Error {
    /// The errno, as in [`io::Error::raw_os_error`].
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Error::Other(error) => error.raw_os_error(),
            known => known.entry().map(|(errno, _)| errno.raw_os_error()),
        }
    }

    /// The errno and what to tell people.
    fn entry(&self) -> Option<(Errno, &'static str)> {
        Some(match self {
            Error::NoModule => (
                Errno::NOENT,
                "no long-term leases here: the longterm module is not loaded",
            ),
            Error::AccessDenied => (
                Errno::ACCESS,
                "a lease needs the file's owner or CAP_LEASE, an unbreakable one the right to write",
            ),
            Error::NotSupported => (
                Errno::OPNOTSUPP,
                "not a DAX file, or one that can't be protected",
            ),
            Error::WouldBlock => (Errno::AGAIN, "a layout change is under way, or no event waits"),
            Error::BadFile => (Errno::BADF, "the file is not open in the way that this needs"),
            Error::Invalid => (
                Errno::INVAL,
                "not a regular file, an empty range, or leases are switched off",
            ),
            Error::Limit => (Errno::NOLCK, "the user's limit on leases is reached"),
            Error::NoMemory => (Errno::NOMEM, "no memory"),
            Error::TooManyFiles => (Errno::MFILE, "the process has too many open files"),
            Error::TooManyFilesInSystem => (Errno::NFILE, "the system has too many open files"),
            Error::Interrupted => (Errno::INTR, "interrupted by a signal"),
            Error::Deadlock => (
                Errno::DEADLK,
                "this process itself holds the pins that it would wait for",
            ),
            Error::Busy => (
                Errno::TXTBSY,
                "the pins are unbreakable, or their holder did not let go",
            ),
            Error::Immutable => (Errno::PERM, "the file is immutable or append-only"),
            Error::Revoked => (Errno::STALE, "the lease was revoked"),
            Error::NoLease => (Errno::NOENT, "the open file has no long-term lease"),
            Error::NotALease => (Errno::NOTTY, "not a lease, or the kernel is too old"),
            Error::TooNew => (Errno::TOOBIG, "the kernel is too old for what was asked for"),
            Error::Other(_) => return None,
        })
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS => Error::AccessDenied,
            Errno::OPNOTSUPP => Error::NotSupported,
            Errno::AGAIN => Error::WouldBlock,
            Errno::BADF => Error::BadFile,
            Errno::INVAL => Error::Invalid,
            Errno::NOLCK => Error::Limit,
            Errno::NOMEM => Error::NoMemory,
            Errno::MFILE => Error::TooManyFiles,
            Errno::NFILE => Error::TooManyFilesInSystem,
            Errno::INTR => Error::Interrupted,
            Errno::DEADLK => Error::Deadlock,
            Errno::TXTBSY => Error::Busy,
            Errno::PERM => Error::Immutable,
            Errno::STALE => Error::Revoked,
            Errno::NOENT => Error::NoLease,
            Errno::NOTTY => Error::NotALease,
            Errno::TOOBIG => Error::TooNew,
            other => Error::Other(other.into()),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Other(error) => error,
            known => match known.entry() {
                Some((errno, _)) => io::Error::new(errno.kind(), known),
                None => io::Error::other(known),
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.entry()) {
            (Error::Other(error), _) => error.fmt(f),
            (_, Some((_, text))) => f.write_str(text),
            (_, None) => f.write_str("unknown error"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Other(error) => error.source(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENTED: [Errno; 17] = [
        Errno::ACCESS,
        Errno::OPNOTSUPP,
        Errno::AGAIN,
        Errno::BADF,
        Errno::INVAL,
        Errno::NOLCK,
        Errno::NOMEM,
        Errno::MFILE,
        Errno::NFILE,
        Errno::INTR,
        Errno::DEADLK,
        Errno::TXTBSY,
        Errno::PERM,
        Errno::STALE,
        Errno::NOENT,
        Errno::NOTTY,
        Errno::TOOBIG,
    ];

    #[test]
    fn each_errno_has_its_name_and_comes_back() {
        for errno in DOCUMENTED {
            let error = Error::from(errno);
            assert!(!matches!(error, Error::Other(_)), "{errno}");
            assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
            let kind = io::Error::from_raw_os_error(errno.raw_os_error()).kind();
            assert_eq!(io::Error::from(error).kind(), kind);
        }
    }

    #[test]
    fn others_are_kept() {
        let error = Error::from(Errno::IO);
        assert!(matches!(error, Error::Other(_)));
        assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()));
        assert_eq!(error.to_string(), io::Error::from(Errno::IO).to_string());
    }
}
