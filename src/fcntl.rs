// SPDX-License-Identifier: GPL-2.0

//! fcntl: leases taken, asked for, given back; and their end with the open file.

use super::{
    inode::{fields, Inner, InodeState, WHOLE_FILE},
    kapi::{
        file::OpenFile,
        process::ThreadGroup,
        trace, //
    },
    lease::{Lease, State, F_UNBREAKABLE, F_UNLCK},
    limits::Kind,
    policy,
    quota::Quotas,
    range::PageRange,
    record::Charge,
    stats::{self, Reason},
    table::Table,
};
use kernel::{
    pid_namespace::PidNamespace,
    prelude::*,
    seq_file::{seq_print, SeqFile},
    sync::{lock::mutex::MutexGuard, Arc}, //
};

/// `fcntl(fd, F_SETLEASE, arg)`. The argument is known to be good.
pub(crate) fn set(
    table: &Table,
    quotas: &Arc<Quotas>,
    file: &OpenFile<'_>,
    fd: u32,
    arg: u32,
) -> Result {
    let result = match arg {
        F_UNLCK => give_back(table, file),
        _ => take(table, quotas, file, fd, arg & F_UNBREAKABLE != 0),
    };
    let event = |result| {
        let id = file.mapping().id();
        fields(id, &WHOLE_FILE, &ThreadGroup::current(), result)
    };
    match result {
        Ok(()) if arg == F_UNLCK => {
            trace::lease_release(|| event(Ok(())));
        }
        Ok(()) => {
            stats::TAKEN.up();
            trace::lease_take(|| event(Ok(())));
        }
        Err(e) if e != ENOIOCTLCMD => {
            stats::refused(Reason::of(e));
            trace::deny(|| event(Err(e)));
        }
        Err(_) => (),
    }
    result
}

fn take(
    table: &Table,
    quotas: &Arc<Quotas>,
    file: &OpenFile<'_>,
    fd: u32,
    unbreakable: bool,
) -> Result {
    if unbreakable {
        policy::unbreakable_leases()?;
    }
    let mut fresh = Some(Lease::of_file(file, unbreakable)?);
    let mapping = file.mapping();
    table.with_new(mapping.key(), mapping.id(), |state, inner| {
        wait_until_quiet(state, inner, &WHOLE_FILE, file.nonblocking())?;
        // The file may have come to share blocks meanwhile.
        if !mapping.protectable() {
            return Err(EOPNOTSUPP);
        }
        match inner.leases.iter().position(|l| l.is_on(file.key())) {
            Some(i) => {
                if inner.leases[i].unbreakable != unbreakable {
                    inner.settle_for(&ThreadGroup::current());
                    inner.free_of_pins(&inner.leases[i])?;
                }
                let lease = &mut inner.leases[i];
                lease.attach(file, fd)?;
                // The open file may have come from another process, which has the notices so far.
                file.disown_signals(&lease.holder);
                file.own_signals()?;
                lease.unbreakable = unbreakable;
                lease.state = State::Held;
                lease.holder = ThreadGroup::current();
            }
            None => {
                inner.leases.reserve(1, GFP_KERNEL_ACCOUNT)?;
                if let Some(mut lease) = fresh.take() {
                    lease.id = inner.next_id();
                    let quota = quotas.take(Kind::Lease, mapping.key())?;
                    lease.start(file, fd, quota)?;
                    inner.leases.push(lease, GFP_KERNEL_ACCOUNT)?;
                }
            }
        }
        Ok(())
    })?
}

/// Waits until the layout changes of `range` that are under way are over, so that what is pinned next sees the new
/// layout. Not for operations that come later and find nothing pinned: they might never end.
pub(crate) fn wait_until_quiet(
    state: &InodeState,
    inner: &mut MutexGuard<'_, Inner>,
    range: &PageRange,
    nonblocking: bool,
) -> Result {
    let mut signalled = false;
    let newest = inner.newest_id();
    while inner.busy(range, newest) {
        if nonblocking {
            return Err(EAGAIN);
        }
        if signalled {
            return Err(ERESTARTSYS);
        }
        inner.waiters += 1;
        signalled = state.quiet.wait_interruptible(inner);
        inner.waiters -= 1;
    }
    Ok(())
}

fn give_back(table: &Table, file: &OpenFile<'_>) -> Result {
    table
        .with_known(file.mapping_key(), |_, inner| {
            let i = inner
                .leases
                .iter()
                .position(|l| l.is_on(file.key()))
                .ok_or(ENOIOCTLCMD)?;
            inner.settle_for(&ThreadGroup::current());
            inner.free_of_pins(&inner.leases[i])?;
            file.disown_signals(&inner.leases[i].holder);
            inner.remove_lease(i, file);
            Ok(())
        })
        .unwrap_or(Err(ENOIOCTLCMD))
}

/// What F_GETLEASE reports, [`None`] without a lease on the file.
pub(crate) fn get(table: &Table, file: &OpenFile<'_>) -> Option<u32> {
    table
        .with_known(file.mapping_key(), |_, inner| {
            let lease = inner.leases.iter().find(|l| l.is_on(file.key()))?;
            Some(lease.reported())
        })
        .flatten()
}

/// The open file goes, and a lease on it: pins charged to it become orphans.
pub(crate) fn release(table: &Table, file: &OpenFile<'_>) {
    if stats::LEASES.get() == 0 {
        return;
    }
    table.with_known(file.mapping_key(), |_, inner| {
        for lease in inner.leases.iter_mut() {
            lease.forget_file(file.key());
        }
        if let Some(i) = inner.leases.iter().position(|l| l.is_on(file.key())) {
            let holder = &inner.leases[i].holder;
            trace::lease_release(|| inner.fields(&WHOLE_FILE, holder, Ok(())));
            inner.remove_lease(i, file);
        }
    });
}

/// Lines for /proc/locks, in the format of the others there.
pub(crate) fn show(table: &Table, m: &SeqFile, ns: &PidNamespace, first: i64) {
    let mut line = first;
    table.each(|state, inner| {
        for lease in inner.leases.iter() {
            let Some(pid) = lease.seen_in(ns) else {
                continue;
            };
            let stands = match lease.state {
                State::Held => "ACTIVE   ",
                State::Breaking => "BREAKING ",
                State::Revoked => "REVOKED  ",
            };
            let kind = if lease.unbreakable {
                "UNBREAKABLE"
            } else {
                "LONGTERM"
            };
            let (major, minor) = state.id.major_minor();
            let (ino, start) = (state.id.ino, lease.range.start_byte());
            seq_print!(
                m,
                "{line}: LEASE  {stands} {kind} {pid} {major:02x}:{minor:02x}:{ino} {start} "
            );
            // Of the last byte, as of other locks.
            match lease.range.end_byte() {
                i64::MAX => seq_print!(m, "EOF\n"),
                end => seq_print!(m, "{}\n", end - 1),
            }
            line += 1;
        }
    });
}

impl Inner {
    fn remove_lease(&mut self, i: usize, file: &OpenFile<'_>) {
        self.leases[i].detach(file);
        self.end_lease(i);
    }

    /// A lease that is on no file ends: pins charged to it become orphans.
    pub(crate) fn end_lease(&mut self, i: usize) {
        let Ok(lease) = self.leases.remove(i) else {
            return;
        };
        stats::RELEASED.up();
        if lease.pages == 0 {
            return;
        }
        for record in self.records.iter_mut() {
            match record.charge {
                Charge::Lease { id, unbreakable } if id == lease.id => {
                    record.charge = Charge::Orphan { unbreakable };
                }
                _ => (),
            }
        }
    }
}
