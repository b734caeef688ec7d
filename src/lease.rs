// SPDX-License-Identifier: GPL-2.0

//! A lease: the right of a thread group to hold blocks of a file, and to be told when someone
//! needs them.

use super::{
    kapi::{
        file::{Fasync, FileKey, OpenFile},
        process::ThreadGroup,
        registration::ModuleRef, //
    },
    quota::Quota,
    record::Charge,
    stats, //
};
use kernel::prelude::*;

/// Bits of F_SETLEASE's argument, as in `include/uapi/linux/longterm.h`.
pub(crate) const F_LONGTERM: u32 = 16;
/// What is pinned under the lease can't be taken away.
pub(crate) const F_UNBREAKABLE: u32 = 32;
/// No lease.
pub(crate) const F_UNLCK: u32 = 2;

/// Names a lease within its inode, for the records that are charged to it. Rises with age.
pub(crate) type LeaseId = u64;

/// Where a lease stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// All is well.
    Held,
    /// A break is under way and the holder was notified.
    Breaking,
    /// Its time was up with pins in the way. New pins need a new lease.
    Revoked,
}

/// A lease.
///
/// Owned by the state of its inode from F_SETLEASE to F_UNLCK or to the end of the open file
/// description; all fields are protected by that state's mutex. Keeps the module loaded.
pub(crate) struct Lease {
    /// Its name.
    pub(crate) id: LeaseId,
    /// The open file description that it belongs to. No reference: the release hook ends it.
    pub(crate) file: FileKey,
    /// Can what is pinned under it not be taken away?
    pub(crate) unbreakable: bool,
    /// Where it stands.
    pub(crate) state: State,
    /// Revoked, but some of its pins have not been through a ladder: to be told of the next break.
    pub(crate) overdue: bool,
    /// Pages of the records that are charged to it.
    pub(crate) pages: u64,
    /// The thread group that took it.
    pub(crate) holder: ThreadGroup,
    /// Where the notice goes.
    pub(crate) fasync: Pin<KBox<Fasync>>,
    /// It is counted for who took it, once it has been attached.
    quota: Option<Quota>,
    _module: ModuleRef,
}

impl Lease {
    /// A lease on `file` for the current thread group. It still needs a name and [`Self::start`].
    pub(crate) fn new(file: &OpenFile<'_>, unbreakable: bool) -> Result<Self> {
        let module = ModuleRef::get().ok_or(EINVAL)?;
        let fasync = Fasync::new()?;
        stats::LEASES.up();
        Ok(Self {
            id: 0,
            file: file.key(),
            unbreakable,
            state: State::Held,
            overdue: false,
            pages: 0,
            holder: ThreadGroup::current(),
            fasync,
            quota: None,
            _module: module,
        })
    }

    /// Puts it on its file, which must be `file`, known as `fd`, counted for a user.
    pub(crate) fn start(&mut self, file: &OpenFile<'_>, fd: u32, quota: Quota) -> Result {
        self.attach(file, fd)?;
        if let Err(e) = file.own_signals() {
            self.detach(file);
            return Err(e);
        }
        self.quota = Some(quota);
        Ok(())
    }

    /// Puts the lease on its file, which must be `file`, known as `fd`. To be said again if that
    /// descriptor changes.
    pub(crate) fn attach(&self, file: &OpenFile<'_>, fd: u32) -> Result {
        self.fasync.add(file, fd)
    }

    /// What F_GETLEASE reports.
    pub(crate) fn reported(&self) -> u32 {
        match self.state {
            State::Held if self.unbreakable => F_LONGTERM | F_UNBREAKABLE,
            State::Held => F_LONGTERM,
            _ => F_UNLCK,
        }
    }

    /// Takes the lease off its file, which must be `file`. To be called before it is dropped.
    pub(crate) fn detach(&mut self, file: &OpenFile<'_>) {
        self.fasync.as_mut().remove(file);
    }

    /// Sends the notice and notes that it was sent.
    pub(crate) fn notify(&mut self) {
        self.state = State::Breaking;
        self.signal();
    }

    /// Sends the notice.
    pub(crate) fn signal(&self) {
        self.fasync.notify();
    }
}

/// `pages` more are charged to one of these leases, the oldest of which come first; or less.
pub(crate) fn account(leases: &mut [Lease], charge: &Charge, pages: i64) {
    if let Charge::Lease { id, .. } = *charge {
        if let Ok(i) = leases.binary_search_by_key(&id, |l| l.id) {
            leases[i].pages = leases[i].pages.saturating_add_signed(pages);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        stats::LEASES.down();
    }
}
