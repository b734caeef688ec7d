// SPDX-License-Identifier: GPL-2.0

//! What the records say about some folios, held against what the folios say.
//!
//! The folios count pins and know no owner; the records know owners and are not told of unpins.
//! So records are closed only where the counts leave no choice, or where it does not matter which
//! of several goes. Whatever is decided, at least as many pages stay on record on each folio as it
//! has pins, and in the name of whoever may have them. And a holder may lose its process only if
//! both together leave no doubt that it still holds.
//!
//! Records with a tag are different: their owners say when the pins go. What they stand for is taken
//! from the counts first; the rest is the others'.

use super::range::PageRange;
use core::ops::Range;
use kernel::prelude::*;

/// How many pins a record stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// One for each page, as long as the counts do not say that they have gone.
    Loose,
    /// One for each page, until its owner says that they go.
    Tagged,
    /// As before, but only one for each folio is sure to stay.
    Folded {
        /// The page before its first one is its owner's, too: where both are on one folio, the pin
        /// of that folio is the other record's.
        joined: bool,
    },
    /// Its owner is at it: any number, at most one for each page.
    Going,
}

/// A record, as far as it matters here.
pub(crate) trait Entry {
    /// What is the same for two records of which either may be closed for the other.
    type Kind: Copy + PartialEq;

    /// Its pages.
    fn range(&self) -> PageRange;
    /// Its kind.
    fn kind(&self) -> Self::Kind;
    /// Its pins.
    fn claim(&self) -> Claim;
    /// May its process have unpinned something?
    fn suspect(&self) -> bool;
    /// Does its process unpin nothing just now? Then either all of its pins are there or none.
    fn settled(&self) -> bool;
    /// Is it closed?
    fn closed(&self) -> bool;
    /// Closes it.
    fn close(&mut self);
}

/// Are there none, one kind, or several?
#[derive(Clone, Copy, PartialEq)]
enum Kinds<K> {
    None,
    One(K),
    Several,
}

impl<K: Copy + PartialEq> Kinds<K> {
    fn add(&mut self, kind: K) {
        *self = match *self {
            Self::None => Self::One(kind),
            Self::One(known) if known == kind => Self::One(kind),
            _ => Self::Several,
        };
    }

    fn one(&self) -> bool {
        matches!(self, Self::One(_))
    }

    fn several(&self) -> bool {
        matches!(self, Self::Several)
    }
}

/// Folios side by side on which no record begins or ends but at the borders, or a single one.
#[derive(Clone, Copy)]
pub(crate) struct Cell<K> {
    range: PageRange,
    /// Where a record has one pin for each.
    folios: u64,
    pins: u64,
    exact: bool,
    /// Some that are on record are just going.
    going: bool,
    recorded: u64,
    /// Pins that are on record and are not there.
    missing: u64,
    all: Kinds<K>,
    suspects: Kinds<K>,
    /// What goes here may matter to records of another kind.
    mixed: bool,
    /// Pages of those whose pins may be the missing ones.
    suspected: u64,
    /// Pages of those whose pins must be among them.
    forced: u64,
    /// Pages of the one who is looked at.
    own: u64,
}

impl<K: Copy + PartialEq> Cell<K> {
    /// Folios with `pins` long-term pins, or perhaps fewer if that is not `exact`.
    pub(crate) fn new(range: PageRange, pins: u64, exact: bool) -> Self {
        Self {
            range,
            folios: 0,
            pins,
            exact: exact || pins == 0,
            going: false,
            recorded: 0,
            missing: 0,
            all: Kinds::None,
            suspects: Kinds::None,
            mixed: false,
            suspected: 0,
            forced: 0,
            own: 0,
        }
    }

    /// Where it is.
    pub(crate) fn range(&self) -> PageRange {
        self.range
    }

    /// Says how many folios it has, which has to be known where a record is [`Claim::Folded`].
    pub(crate) fn consists_of(&mut self, folios: u64) {
        self.folios = folios;
    }

    /// Does the one who is looked at hold something here, beyond doubt?
    ///
    /// It does if the pins are more than all the others can have. More pins than are on record
    /// belong to somebody unknown: then nothing is certain.
    fn certain(&self) -> bool {
        let others = self.recorded.saturating_sub(self.own);
        self.exact && self.pins <= self.recorded && self.pins > others
    }

    /// How many pins the record of `range` can have here.
    fn most(&self, range: &PageRange) -> u64 {
        self.range.intersection(range).map_or(0, |r| r.pages())
    }

    /// How many it has for certain, by what its owner says.
    fn least(&self, range: &PageRange, claim: Claim) -> u64 {
        match claim {
            Claim::Loose | Claim::Going => 0,
            Claim::Tagged => self.most(range),
            // Its first page lies behind a border of the cell: that is one folio.
            Claim::Folded { joined: true } if self.range.first() < range.first() => 0,
            Claim::Folded { .. } => self.folios,
        }
    }

    /// May pins be missing here of someone who is a `suspect` or not?
    fn suspects(&self, suspect: bool) -> bool {
        suspect || self.all.one()
    }
}

/// What to say of records that are still there, of which some were not counted: [`EBUSY`] where pins
/// of one may be left by what the counts say, [`ENOMEM`] where none could be counted.
pub(crate) fn still_there(uncounted: impl IntoIterator<Item = bool>) -> Error {
    let mut uncounted = uncounted.into_iter();
    match uncounted.next() {
        Some(true) if uncounted.all(|u| u) => ENOMEM,
        _ => EBUSY,
    }
}

/// May it be closed here?
fn open<E: Entry>(entry: &E) -> bool {
    !entry.closed() && entry.claim() == Claim::Loose
}

/// How far a doubt spreads from record to record before all is in doubt.
const SPREADS: usize = 8;

/// The cells of a run, in order, without gaps.
pub(crate) struct Ledger<'a, K>(&'a mut [Cell<K>]);

impl<'a, K: Copy + PartialEq> Ledger<'a, K> {
    /// Compares the cells with the records that have pages there, and closes those without a tag
    /// whose pins have gone. All pages of the records must lie in the cells.
    pub(crate) fn settle<E: Entry<Kind = K>>(cells: &'a mut [Cell<K>], entries: &mut [E]) -> Self {
        let mut ledger = Self(cells);
        ledger.set_aside(entries);
        ledger.record(entries);
        ledger.close_empty(entries);
        // What is settled in one place can settle another; more of it can wait.
        for _ in 0..3 {
            if ledger.0.iter().all(|c| c.missing == 0) {
                break;
            }
            ledger.suspect(entries);
            ledger.spread(entries);
            let alike = ledger.close_alike(entries, true) | ledger.close_alike(entries, false);
            if !ledger.close_forced(entries) && !alike {
                break;
            }
        }
        ledger
    }

    /// Only compares them.
    pub(crate) fn compare<E: Entry<Kind = K>>(cells: &'a mut [Cell<K>], entries: &[E]) -> Self {
        let mut ledger = Self(cells);
        for entry in entries {
            for (cell, pins) in ledger.of_mut(entry) {
                cell.recorded = cell.recorded.saturating_add(pins);
            }
        }
        ledger
    }

    /// Does the one whose records are `own` hold pages in `range`, beyond doubt?
    pub(crate) fn certain<'e, E: Entry<Kind = K> + 'e>(
        &mut self,
        own: impl Iterator<Item = &'e E> + Clone,
        range: &PageRange,
    ) -> bool {
        // What is going counts as if it were somebody else's.
        let own = own.filter(|entry| entry.claim() != Claim::Going);
        for entry in own.clone() {
            for (cell, pages) in self.of_mut(entry) {
                cell.own = cell.own.saturating_add(pages);
            }
        }
        let certain = own.clone().any(|entry| {
            self.of(entry)
                .any(|(c, _)| c.certain() && c.range.overlaps(range))
        });
        for entry in own {
            for (cell, _) in self.of_mut(entry) {
                cell.own = 0;
            }
        }
        certain
    }

    /// Is every pin that is on record on `entry`'s folios there? With a tag that is not asked.
    pub(crate) fn complete<E: Entry<Kind = K>>(&self, entry: &E) -> bool {
        !open(entry)
            || self
                .of(entry)
                .all(|(c, _)| c.exact && c.missing == 0 && !c.going)
    }

    fn touched(&self, range: &PageRange) -> Range<usize> {
        let from = self.0.partition_point(|c| c.range.last() < range.first());
        let to = self.0.partition_point(|c| c.range.first() <= range.last());
        from..to.max(from)
    }

    /// The cells of a record, and how many pins it may have in each.
    fn of<'s, E: Entry<Kind = K>>(
        &'s self,
        entry: &E,
    ) -> impl Iterator<Item = (&'s Cell<K>, u64)> + use<'s, 'a, K, E> {
        let range = entry.range();
        self.0[self.touched(&range)]
            .iter()
            .map(move |c| (c, c.most(&range)))
    }

    fn of_mut<'s, E: Entry<Kind = K>>(
        &'s mut self,
        entry: &E,
    ) -> impl Iterator<Item = (&'s mut Cell<K>, u64)> + use<'s, 'a, K, E> {
        let range = entry.range();
        let touched = self.touched(&range);
        self.0[touched].iter_mut().map(move |c| {
            let pins = c.most(&range);
            (c, pins)
        })
    }

    /// Takes the pins of records with a tag out of the counts. What is going may have gone.
    fn set_aside<E: Entry<Kind = K>>(&mut self, entries: &[E]) {
        for entry in entries {
            let (range, claim) = (entry.range(), entry.claim());
            if claim == Claim::Loose {
                continue;
            }
            for (cell, _) in self.of_mut(entry) {
                cell.pins = cell.pins.saturating_sub(cell.least(&range, claim));
                cell.going |= claim == Claim::Going;
            }
        }
        // There are never too few: where none are left, there are none.
        for cell in self.0.iter_mut() {
            cell.exact |= cell.pins == 0;
        }
    }

    fn record<E: Entry<Kind = K>>(&mut self, entries: &[E]) {
        for entry in entries.iter().filter(|e| open(*e)) {
            for (cell, pages) in self.of_mut(entry) {
                cell.recorded = cell.recorded.saturating_add(pages);
            }
        }
        for cell in self.0.iter_mut().filter(|c| c.exact) {
            cell.missing = cell.recorded.saturating_sub(cell.pins);
        }
    }

    fn close<E: Entry<Kind = K>>(&mut self, entry: &mut E) {
        for (cell, pages) in self.of_mut(entry) {
            cell.missing = cell.missing.saturating_sub(pages);
            cell.suspected = cell.suspected.saturating_sub(pages);
            cell.forced = cell.forced.saturating_sub(pages);
        }
        entry.close();
    }

    fn close_empty<E: Entry<Kind = K>>(&mut self, entries: &mut [E]) {
        for entry in entries.iter_mut().filter(|e| open(*e)) {
            if self.of(entry).all(|(cell, _)| cell.pins == 0) {
                self.close(entry);
            }
        }
    }

    /// Finds out who is left, and who of them may have unpinned.
    fn suspect<E: Entry<Kind = K>>(&mut self, entries: &[E]) {
        for cell in self.0.iter_mut() {
            cell.all = Kinds::None;
            cell.suspects = Kinds::None;
        }
        for entry in entries.iter().filter(|e| open(*e)) {
            for (cell, _) in self.of_mut(entry) {
                cell.all.add(entry.kind());
            }
        }
        for entry in entries.iter().filter(|e| open(*e)) {
            let suspect = entry.suspect();
            for (cell, _) in self.of_mut(entry) {
                if cell.suspects(suspect) {
                    cell.suspects.add(entry.kind());
                }
            }
        }
    }

    /// A cell is mixed where several kinds are suspected, or where a record may go that has to do
    /// with such a cell.
    fn spread<E: Entry<Kind = K>>(&mut self, entries: &[E]) {
        for cell in self.0.iter_mut() {
            cell.mixed = cell.suspects.several();
        }
        for _ in 0..SPREADS {
            let mut spreads = false;
            for entry in entries.iter().filter(|e| open(*e)) {
                if self.explains(entry) && self.of(entry).any(|(c, _)| c.mixed) {
                    for (cell, _) in self.of_mut(entry) {
                        spreads |= !cell.mixed && cell.missing > 0;
                        cell.mixed |= cell.missing > 0;
                    }
                }
            }
            if !spreads {
                return;
            }
        }
        for cell in self.0.iter_mut() {
            cell.mixed = true;
        }
    }

    /// May pins of this record be among the missing ones? All of them, or a part while its process
    /// is at it.
    fn explains<E: Entry<Kind = K>>(&self, entry: &E) -> bool {
        !entry.settled() || self.fits(entry)
    }

    /// May all of this record's pins be among the missing ones? None are missing where the count may
    /// be wrong.
    fn fits<E: Entry<Kind = K>>(&self, entry: &E) -> bool {
        let suspect = entry.suspect();
        self.of(entry)
            .all(|(c, pages)| c.missing >= pages && c.suspects(suspect))
    }

    /// Where all that may have unpinned are of one kind, it doesn't matter which one goes: first
    /// those that match to the page.
    fn close_alike<E: Entry<Kind = K>>(&mut self, entries: &mut [E], exact: bool) -> bool {
        let mut any = false;
        for entry in entries.iter_mut().filter(|e| open(*e)) {
            let alike = self
                .of(entry)
                .all(|(c, pages)| !c.mixed && (!exact || c.missing == pages));
            if alike && self.fits(entry) {
                self.close(entry);
                any = true;
            }
        }
        any
    }

    /// Else those go without whose pins there would not be enough to be missed.
    fn close_forced<E: Entry<Kind = K>>(&mut self, entries: &mut [E]) -> bool {
        for cell in self.0.iter_mut() {
            cell.suspected = 0;
            cell.forced = 0;
        }
        for entry in entries.iter().filter(|e| open(*e)) {
            let suspect = entry.suspect();
            if self.explains(entry) {
                for (cell, pages) in self.of_mut(entry) {
                    if cell.suspects(suspect) {
                        cell.suspected = cell.suspected.saturating_add(pages);
                    }
                }
            }
        }
        for entry in entries.iter().filter(|e| open(*e)) {
            if self.forced(entry) {
                for (cell, pages) in self.of_mut(entry) {
                    cell.forced = cell.forced.saturating_add(pages);
                }
            }
        }
        let mut any = false;
        for entry in entries.iter_mut().filter(|e| open(*e)) {
            // More forced than missing: the counts are not what any choice of records explains.
            let sound = self.of(entry).all(|(c, _)| c.forced <= c.missing);
            if sound && self.forced(entry) {
                self.close(entry);
                any = true;
            }
        }
        any
    }

    fn forced<E: Entry<Kind = K>>(&self, entry: &E) -> bool {
        self.fits(entry)
            && self
                .of(entry)
                .any(|(c, pages)| c.missing > c.suspected.saturating_sub(pages))
    }
}
