// SPDX-License-Identifier: GPL-2.0

//! What is known about one inode: its leases, records, pins in flight and the break under way.
//!
//! # Locks, in the order in which they are taken
//!
//! 0. a lease fd's reader's (`lease_fd.rs`), while events are copied to a program;
//! 1. `mmap_lock`, by the kernel, around the pin hooks;
//! 2. the table's mutex (`table.rs`): held for a look-up, an insertion or a removal only, never
//!    together with an inode's mutex;
//! 3. an inode's mutex, [`InodeState::inner`]: never two of them;
//! 4. the quotas' mutex (`quota.rs`) and the alarm's (`clock.rs`), each a leaf; so is that of the
//!    records that wait to be dropped (`table.rs`), which is not taken with an inode's;
//! 5. what the C side takes for itself: the fasync list's, `i_pages`, siglock, the wait queues of
//!    lease fds.
//!
//! Under 2 and 3 no lock of a filesystem, no `i_rwsem` and no `mmap_lock` is taken; files and paths
//! are given back after unlocking, which is what [`Discarded`] is for.
//!
//! # Life
//!
//! An [`InodeState`] is found in the table by the address of the inode's mapping. It is alive while
//! it has a lease (whose open file keeps the inode), a record (whose path does), a token or a
//! breaker (whose callers do), or someone who waits to take a lease. With the last of them it is
//! marked dead and leaves the table, and a generation that nobody is part of any more is forgotten,
//! so that the address never outlives the inode.

use super::{
    breaker::Closed,
    kapi::{
        file::FileKey,
        mapping::{InodeId, MappingKey},
        process::ThreadGroup,
        trace::Fields, //
    },
    lease::{Lease, State},
    ledger::still_there,
    machine::Machine,
    range::PageRange,
    record::{Charge, Discarded},
    records::Records,
    stats,
};
use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{Arc, CondVar, Mutex}, //
};

/// What is known about one inode.
///
/// Reference counted: by the table, by tokens, by breakers and for the time of a hook.
#[pin_data(PinnedDrop)]
pub(crate) struct InodeState {
    /// Its name in the table.
    pub(crate) key: MappingKey,
    /// Its names for people.
    pub(crate) id: InodeId,
    /// Everything that changes.
    #[pin]
    pub(crate) inner: Mutex<Inner>,
    /// Notified when something has changed and there are [`Inner::waiters`].
    #[pin]
    pub(crate) quiet: CondVar,
}

impl InodeState {
    /// An inode about which nothing is known yet.
    pub(crate) fn new(place: MappingKey, names: InodeId) -> Result<Arc<Self>> {
        let state = Arc::pin_init(
            pin_init!(Self {
                key: place,
                id: names,
                inner <- new_mutex!(Inner::new(place, names), "longterm::inode"),
                quiet <- new_condvar!("longterm::quiet"),
            }),
            GFP_KERNEL_ACCOUNT,
        )?;
        stats::INODES.up();
        Ok(state)
    }
}

#[pinned_drop]
impl PinnedDrop for InodeState {
    fn drop(self: Pin<&mut Self>) {
        stats::INODES.down();
    }
}

/// A pin that is being made.
pub(crate) struct InFlight {
    /// Names it within its inode.
    pub(crate) id: u64,
    /// The pages.
    pub(crate) range: PageRange,
}

/// What changes about an inode. Protected by [`InodeState::inner`].
pub(crate) struct Inner {
    /// As in [`InodeState`], for trace events.
    pub(crate) id: InodeId,
    /// Has left the table, or is about to: whoever finds it must look again.
    pub(crate) dead: bool,
    /// Leases, the oldest first.
    pub(crate) leases: KVec<Lease>,
    /// Records.
    pub(crate) records: Records,
    /// Pins in flight.
    pub(crate) tokens: KVec<InFlight>,
    /// Ranges that operations have closed.
    pub(crate) closed: KVec<Closed>,
    /// The break under way, if one has to wait.
    pub(crate) machine: Machine,
    /// Tasks that wait for [`InodeState::quiet`].
    pub(crate) waiters: u32,
    /// Pins have gone, whoever had them: breakers are to look again.
    pub(crate) stirred: bool,
    /// Records to be dropped after unlocking.
    pub(crate) discarded: Discarded,
    last_id: u64,
}

impl Inner {
    fn new(key: MappingKey, id: InodeId) -> Self {
        Self {
            id,
            dead: false,
            leases: KVec::new(),
            records: Records::new(key),
            tokens: KVec::new(),
            closed: KVec::new(),
            machine: Machine::new(),
            waiters: 0,
            stirred: false,
            discarded: Discarded::new(),
            last_id: 0,
        }
    }

    /// A name not used before in this inode.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Is there nobody whom a break would concern, and no breaker?
    pub(crate) fn lonely(&self) -> bool {
        self.leases.is_empty()
            && self.records.is_empty()
            && self.tokens.is_empty()
            && !self.closed.iter().any(|c| c.present)
    }

    /// The newest name.
    pub(crate) fn newest_id(&self) -> u64 {
        self.last_id
    }

    /// Is an operation on pages of `range` under way, or may it come back, that closed its range no
    /// later than `id` was the newest name?
    pub(crate) fn busy(&self, range: &PageRange, id: u64) -> bool {
        self.closed
            .iter()
            .any(|c| c.id <= id && c.closed.overlaps(range))
    }

    /// Is a page of `range` closed to new pins?
    pub(crate) fn is_closed(&self, range: &PageRange) -> bool {
        self.closed.iter().any(|c| c.closed.overlaps(range))
    }

    /// Is a pin of pages in `range` in flight?
    pub(crate) fn in_flight(&self, range: &PageRange) -> bool {
        self.tokens.iter().any(|t| t.range.overlaps(range))
    }

    /// Is nothing charged to this lease? To be asked when the records have been settled; the error
    /// is that of [`still_there`].
    pub(crate) fn free_of_pins(&self, lease: &Lease) -> Result {
        if lease.pages == 0 {
            return Ok(());
        }
        let own = self.records.iter().filter(|r| r.charge.to(lease.id));
        Err(still_there(own.map(|r| r.uncounted)))
    }

    /// What a pin of `range` by those whom `of_group` knows, on their own memory, through an open
    /// file is charged to; [`None`] if nobody has taken a lease that would do. The nearest, of those
    /// the one that covers least, of those the oldest.
    pub(crate) fn lease_for(
        &self,
        file: FileKey,
        range: &PageRange,
        of_group: impl Fn(&ThreadGroup) -> bool,
    ) -> Option<Charge> {
        let live = self.leases.iter().filter(|l| l.state != State::Revoked);
        let (_, _, lease) = live
            .filter(|l| l.range.covers(range))
            .filter_map(|l| Some((l.nearness(file, &of_group)?, l.range.pages(), l)))
            .min_by_key(|(near, pages, _)| (*near, *pages))?;
        Some(Charge::Lease {
            id: lease.id,
            unbreakable: lease.unbreakable,
        })
    }

    /// Fields of a trace event about this inode.
    pub(crate) fn fields(&self, range: &PageRange, group: &ThreadGroup, result: Result) -> Fields {
        fields(self.id, range, group, result)
    }
}

/// Fields of a trace event.
pub(crate) fn fields(
    inode: InodeId,
    range: &PageRange,
    group: &ThreadGroup,
    result: Result,
) -> Fields {
    Fields {
        inode,
        start: range.start_byte(),
        end: range.end_byte(),
        pid: group.number(),
        result: result.map_or_else(|e| e.to_errno(), |()| 0),
    }
}

/// What a fcntl lease covers.
pub(crate) const WHOLE_FILE: PageRange = PageRange::whole();
