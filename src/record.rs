// SPDX-License-Identifier: GPL-2.0

//! A record: who pinned which pages of a file, under which lease.
//!
//! Records decide who is told. Whether a block may be freed is decided by the folios alone.

use super::{
    kapi::{
        file::KeptFile,
        mapping::Mapping,
        process::{Identity, IdentityId},
        registration::ModuleRef,
        tag::{Place, Through}, //
    },
    lease::LeaseId,
    ledger::Claim,
    quota::Quota,
    range::PageRange,
    stats,
};
use core::{mem::size_of, num::NonZeroU64};
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
    /// Is it this lease?
    pub(crate) fn to(&self, lease: LeaseId) -> bool {
        matches!(self, Self::Lease { id, .. } if *id == lease)
    }

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
/// Owned by the state of its inode from `pin_commit` until its tag says that the pins have gone, or
/// without one settling finds that; all fields are protected by that state's mutex. Keeps the module
/// loaded, the file's inode and mount. To be dropped without that mutex: giving back a path may take
/// a filesystem's locks.
pub(crate) struct Record {
    /// Names it within its inode, and rises; 0 until it is there.
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
    pub(crate) stopped_at: Option<NonZeroU64>,
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
    /// When last settled, there was no memory to count them.
    pub(crate) uncounted: bool,
    /// It is closed, and about to be taken out.
    pub(crate) gone: bool,
    /// How many pins it stands for, and who says when they go.
    pub(crate) claim: Claim,
    /// With a tag: the page before its first one is the tag's, too.
    pub(crate) joined: bool,
    /// Through what its pages were pinned.
    pub(crate) through: Through,
    /// The record that was its tag's newest before it.
    pub(crate) prev: Option<KBox<Place>>,
    /// The file.
    pub(crate) file: KeptFile,
    /// The next one in a list of records to be dropped.
    next: Option<KBox<Record>>,
    _module: ModuleRef,
}

// What a memory region costs, with its place in `records.rs`.
static_assert!(size_of::<Record>() <= 192);

/// Pages that the current task has pinned: what of a record tells whether it goes on with them.
pub(crate) struct Piece {
    /// The pages.
    pub(crate) range: PageRange,
    /// Where the first of them is mapped.
    pub(crate) addr: usize,
    /// What they are charged to.
    pub(crate) charge: Charge,
    /// They are pages of another process.
    pub(crate) foreign: bool,
    /// Their mapping can be written.
    pub(crate) writes: bool,
    /// They are younger than the notice of the break under way.
    pub(crate) young: bool,
    /// They have a tag.
    pub(crate) tagged: bool,
    /// Who has pinned them.
    pub(crate) pinner: IdentityId,
}

impl Record {
    /// A record of what the current task has pinned. It still needs [`Self::start`].
    pub(crate) fn new(through: Through, file: KeptFile, module: ModuleRef) -> Result<KBox<Self>> {
        Ok(KBox::new(
            Self {
                id: 0,
                range: PageRange::whole(),
                addr: 0,
                charge: Charge::Automatic,
                pinner: Identity::current(),
                foreign: false,
                spent: false,
                stopped_at: None,
                young: false,
                exposed_to: 0,
                quota: None,
                suspect: false,
                done: false,
                doubt: false,
                uncounted: false,
                gone: false,
                claim: Claim::Loose,
                joined: false,
                through,
                prev: None,
                file,
                next: None,
                _module: module,
            },
            GFP_KERNEL_ACCOUNT,
        )?)
    }

    /// Says which pages.
    pub(crate) fn start(&mut self, piece: &Piece) {
        self.range = piece.range;
        self.addr = piece.addr;
        self.charge = piece.charge;
        self.foreign = piece.foreign;
        self.young = piece.young;
        self.claim = match piece.tagged {
            true => Claim::Tagged,
            false => Claim::Loose,
        };
    }

    /// User address of the first page that is in `range` too.
    pub(crate) fn addr_in(&self, range: &PageRange) -> usize {
        let pages = range.first().saturating_sub(self.range.first());
        self.addr.wrapping_add((pages as usize) << PAGE_SHIFT)
    }

    /// Is it closed by what the counts say?
    pub(crate) fn loose(&self) -> bool {
        self.claim == Claim::Loose
    }

    /// Takes over the pages of `next` if they go on where these end, in the file and in memory,
    /// and all else is the same. A large region, pinned piece by piece, stays one record.
    pub(crate) fn absorb(&mut self, next: &Piece) -> bool {
        let fits = (match next.tagged {
            true => self.claim == Claim::Tagged,
            false => self.loose(),
        }) && self.range.meets(&next.range)
            && self
                .addr
                .wrapping_add((self.range.pages() as usize) << PAGE_SHIFT)
                == next.addr
            && self.charge == next.charge
            && self.foreign == next.foreign
            && self.file.writes() == next.writes
            && !self.spent
            && self.young == next.young
            && self.stopped_at.is_none()
            && self.pinner.id() == next.pinner;
        if fits {
            self.range = self.range.hull(&next.range);
        }
        fits
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
        stats::RECORDS.down();
        stats::UNPINS.up();
        stats::PAGES.add(-(record.range.pages() as i64));
        self.link(record);
    }

    fn link(&mut self, mut record: KBox<Record>) {
        record.next = self.0.take();
        self.0 = Some(record);
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Those of `other`, too.
    pub(crate) fn append(&mut self, mut other: Self) {
        while let Some(mut record) = other.0.take() {
            other.0 = record.next.take();
            self.link(record);
        }
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
