// SPDX-License-Identifier: GPL-2.0

//! A record: who pinned which pages of a file, under which lease.
//!
//! Records decide who is told. Whether a block may be freed is decided by the folios alone.

use super::{
    kapi::{
        file::KeptFile,
        mapping::Mapping,
        process::Identity,
        registration::ModuleRef, //
    },
    lease::LeaseId,
    quota::Quota,
    range::PageRange,
    stats,
};
use kernel::{page::PAGE_SHIFT, prelude::*};

/// What a pin is charged to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// A lease that someone took.
    Lease {
        /// Which one.
        id: LeaseId,
        /// Can the pin not be taken away?
        unbreakable: bool,
    },
    /// The lease ended before the pin.
    Orphan {
        /// As the lease was.
        unbreakable: bool,
    },
    /// Nobody took a lease: the pin made its own.
    Automatic,
}

impl Charge {
    /// Can the pin not be taken away?
    pub(crate) fn unbreakable(&self) -> bool {
        matches!(
            self,
            Self::Lease {
                unbreakable: true,
                ..
            } | Self::Orphan { unbreakable: true }
        )
    }
}

/// Pages that were pinned, and as far as the folios tell some of them still are.
///
/// Owned by the state of its inode from `pin_commit` until settling finds no pin on its folios;
/// all fields are protected by that state's mutex. Keeps the module loaded, the file's inode and
/// mount. To be dropped without that mutex: giving back a path may take a filesystem's locks.
pub(crate) struct Record {
    /// Names it within its inode; 0 until it is there.
    pub(crate) id: u64,
    /// The pages.
    pub(crate) range: PageRange,
    /// Where the first of them was mapped.
    pub(crate) addr: usize,
    /// What they are charged to.
    pub(crate) charge: Charge,
    /// Who pinned them.
    pub(crate) pinner: Identity,
    /// They are pages of another process than the pinner's: nobody is signalled for them.
    pub(crate) foreign: bool,
    /// The ladder went by: whom it concerned was told, or could not be.
    pub(crate) spent: bool,
    /// When its pinner had SIGBUS, in milliseconds.
    pub(crate) stopped_at: Option<u64>,
    /// It is younger than the notice of the break under way.
    pub(crate) young: bool,
    /// A breaker that has the right to signal the pinner; 0 for none.
    pub(crate) exposed_to: u64,
    /// It is counted for who pinned. Goes before the file, by whose address it is counted.
    pub(crate) quota: Option<Quota>,
    /// While it is settled: its process may have unpinned something.
    pub(crate) suspect: bool,
    /// While it is settled: its process has done with unpinning.
    pub(crate) done: bool,
    /// When last settled, not all pins on its folios could be accounted for.
    pub(crate) doubt: bool,
    /// It is closed, and about to be taken out.
    pub(crate) gone: bool,
    /// The file.
    pub(crate) file: KeptFile,
    /// The next one in a list of records to be dropped.
    next: Option<KBox<Record>>,
    _module: ModuleRef,
}

impl Record {
    /// A record of pages that the current task has pinned.
    pub(crate) fn new(
        range: PageRange,
        addr: usize,
        charge: Charge,
        foreign: bool,
        file: KeptFile,
        module: ModuleRef,
    ) -> Result<KBox<Self>> {
        let record = KBox::new(
            Self {
                id: 0,
                range,
                addr,
                charge,
                pinner: Identity::current(),
                foreign,
                spent: false,
                stopped_at: None,
                young: false,
                exposed_to: 0,
                quota: None,
                suspect: false,
                done: false,
                doubt: false,
                gone: false,
                file,
                next: None,
                _module: module,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        stats::RECORDS.up();
        Ok(record)
    }

    /// User address of the first page that is in `range` too.
    pub(crate) fn addr_in(&self, range: &PageRange) -> usize {
        let pages = range.first().saturating_sub(self.range.first());
        self.addr.wrapping_add((pages as usize) << PAGE_SHIFT)
    }

    /// Takes over the pages of `next` if they go on where these end, in the file and in memory,
    /// and all else is the same. A large region, pinned piece by piece, stays one record.
    pub(crate) fn absorb(&mut self, next: &Self) -> bool {
        let fits = self.range.meets(&next.range)
            && self
                .addr
                .wrapping_add((self.range.pages() as usize) << PAGE_SHIFT)
                == next.addr
            && self.charge == next.charge
            && self.foreign == next.foreign
            && self.file.writes() == next.file.writes()
            && !self.spent
            && self.young == next.young
            && self.stopped_at == next.stopped_at
            && self.pinner.same(&next.pinner);
        if fits {
            self.range = self.range.hull(&next.range);
        }
        fits
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        stats::RECORDS.down();
    }
}

/// What the folios say that have pages in a range.
pub(crate) struct Pinned {
    /// How many long-term pins they have, or had: never too few.
    pub(crate) pins: u64,
    /// Just as many, see [`PinCount`](super::kapi::mapping::PinCount).
    pub(crate) exact: bool,
    /// Their pages, and those of the range.
    pub(crate) folios: PageRange,
}

/// Asks the folios that have pages in `range`.
pub(crate) fn pinned(mapping: &Mapping<'_>, range: &PageRange) -> Pinned {
    let count = mapping.pins(range.first(), range.last());
    let folios = PageRange::of_inclusive(count.first, count.last).unwrap_or(*range);
    Pinned {
        pins: count.pins,
        exact: count.exact,
        folios: folios.hull(range),
    }
}

/// Records that wait to be dropped. Needs no memory, so that closing a record can't fail.
pub(crate) struct Discarded(Option<KBox<Record>>);

impl Discarded {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// One more. It is not counted for its user any more.
    pub(crate) fn push(&mut self, mut record: KBox<Record>) {
        record.quota = None;
        stats::UNPINS.up();
        stats::PAGES.add(-(record.range.pages() as i64));
        record.next = self.0.take();
        self.0 = Some(record);
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Those so far; none are left.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        // One by one: dropping the first one as it is would recurse through all of them.
        while let Some(mut record) = self.0.take() {
            self.0 = record.next.take();
        }
    }
}
