// SPDX-License-Identifier: GPL-2.0

//! KUnit: settling, held against all that can have happened to a few records on a few pages.

use kernel::prelude::*;

#[kunit_tests(longterm_settling)]
mod tests {
    use super::super::{
        ledger::{Cell, Entry, Ledger},
        range::PageRange,
    };

    const PAGES: u64 = 6;
    /// Where folios begin, and the end: of both sizes, of one page, of two.
    const LAYOUTS: [&[u64]; 3] = [&[0, 1, 3, 5, 6], &[0, 1, 2, 3, 4, 5, 6], &[0, 2, 4, 6]];
    const KINDS: u8 = 3;

    /// What has become of the pins of a record.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Fate {
        Alive,
        Gone,
        /// Its process is at it, and has done the first folio.
        Going,
    }

    /// Kinds 0 and 1 are of one process, kind 2 is another's.
    #[derive(Clone, Copy, Debug)]
    struct Rec {
        range: PageRange,
        kind: u8,
        fate: Fate,
        suspect: bool,
        settled: bool,
        closed: bool,
    }

    impl Entry for Rec {
        type Kind = u8;

        fn range(&self) -> PageRange {
            self.range
        }

        fn kind(&self) -> u8 {
            self.kind
        }

        fn suspect(&self) -> bool {
            self.suspect
        }

        fn settled(&self) -> bool {
            self.settled
        }

        fn closed(&self) -> bool {
            self.closed
        }

        fn close(&mut self) {
            assert!(!self.closed);
            self.closed = true;
        }
    }

    impl Rec {
        fn new(first: u64, end: u64, kind: u8, fate: Fate) -> Self {
            Self {
                range: PageRange::new(first, end).unwrap_or(PageRange::whole()),
                kind,
                fate,
                suspect: true,
                settled: true,
                closed: false,
            }
        }

        fn pages(&self, folio: &PageRange) -> u64 {
            self.range.intersection(folio).map_or(0, |r| r.pages())
        }

        fn pins(&self, folio: &PageRange) -> u64 {
            match self.fate {
                Fate::Alive => self.pages(folio),
                Fate::Gone => 0,
                Fate::Going if folio.first() <= self.range.first() => 0,
                Fate::Going => self.pages(folio),
            }
        }

        fn process(&self) -> u8 {
            self.kind / 2
        }
    }

    fn folios(layout: &[u64]) -> impl Iterator<Item = PageRange> + '_ {
        layout
            .windows(2)
            .filter_map(|pair| PageRange::new(pair[0], pair[1]))
    }

    /// What the folios say, and how many they are.
    fn cells(records: &[Rec], layout: &[u64], exact: bool) -> ([Cell<u8>; PAGES as usize], usize) {
        let mut cells = [Cell::new(PageRange::whole(), 0, false); PAGES as usize];
        let mut n = 0;
        for folio in folios(layout) {
            let pins = records.iter().map(|r| r.pins(&folio)).sum();
            cells[n] = Cell::new(folio, pins, exact);
            n += 1;
        }
        (cells, n)
    }

    fn settle(records: &mut [Rec], layout: &[u64], exact: bool) {
        let (mut cells, n) = cells(records, layout, exact);
        Ledger::settle(&mut cells[..n], records);
    }

    /// Is it certain that `process` has pins on a folio with pages in `range`?
    fn certain(records: &[Rec], layout: &[u64], process: u8, range: &PageRange) -> bool {
        let (mut cells, n) = cells(records, layout, true);
        let own = records.iter().filter(|r| r.process() == process);
        Ledger::compare(&mut cells[..n], records).certain(own, range)
    }

    /// Nobody is thought to hold what he doesn't.
    fn check_certain(records: &[Rec], layout: &[u64]) {
        for folio in folios(layout) {
            for process in 0..2 {
                let mut own = records.iter().filter(|r| r.process() == process);
                let holds = own.any(|r| r.pins(&folio) > 0);
                assert!(holds || !certain(records, layout, process, &folio));
            }
        }
    }

    /// What must hold whatever has happened.
    fn check(records: &[Rec], layout: &[u64]) {
        for folio in folios(layout) {
            let pins: u64 = records.iter().map(|r| r.pins(&folio)).sum();
            let open = records.iter().filter(|r| !r.closed);
            assert!(open.map(|r| r.pages(&folio)).sum::<u64>() >= pins);
            for kind in 0..KINDS {
                let of_kind = || records.iter().filter(move |r| r.kind == kind);
                if of_kind().any(|r| r.fate == Fate::Going) {
                    // It is not known how far.
                    continue;
                }
                // Who holds stays on record for all that it holds.
                let held: u64 = of_kind().map(|r| r.pins(&folio)).sum();
                let open = of_kind().filter(|r| !r.closed);
                assert!(open.map(|r| r.pages(&folio)).sum::<u64>() >= held);
            }
        }
        for record in records.iter().filter(|r| !r.closed) {
            // Nothing stays where nothing is pinned.
            let mut pinned = folios(layout).filter(|f| record.range.overlaps(f));
            assert!(pinned.any(|f| records.iter().any(|r| r.pins(&f) > 0)));
        }
    }

    /// Everything that can have happened to `records`, and everyone who can be under suspicion.
    fn every_fate(records: &mut [Rec], fates: &[Fate]) {
        let n = records.len() as u32;
        for kinds in 0..(KINDS as usize).pow(n) {
            if kinds % KINDS as usize == 1 {
                // As kind 0.
                continue;
            }
            for world in 0..fates.len().pow(n) {
                let (mut k, mut w) = (kinds, world);
                for record in records.iter_mut() {
                    record.kind = (k % KINDS as usize) as u8;
                    record.fate = fates[w % fates.len()];
                    k /= KINDS as usize;
                    w /= fates.len();
                }
                for layout in LAYOUTS {
                    check_certain(records, layout);
                }
                every_suspicion(records, fates.len() == 2);
            }
        }
    }

    fn every_suspicion(records: &mut [Rec], settled: bool) {
        let gave = |process| {
            records
                .iter()
                .any(|r| r.process() == process && r.fate != Fate::Alive)
        };
        let gave = [gave(0), gave(1)];
        for suspects in 0..4 {
            let suspect = [suspects & 1 != 0, suspects & 2 != 0];
            if (gave[0] && !suspect[0]) || (gave[1] && !suspect[1]) {
                continue;
            }
            let layouts = if records.len() < 4 { 3 } else { 1 };
            for layout in &LAYOUTS[..layouts] {
                for record in records.iter_mut() {
                    record.suspect = suspect[usize::from(record.process())];
                    record.settled = settled;
                    record.closed = false;
                }
                settle(records, layout, true);
                check(records, layout);
            }
        }
    }

    /// All choices of `records.len() - from` ranges from the range `least` on; their order is that
    /// of their first pages, as ever.
    fn every_range(records: &mut [Rec], from: usize, least: (u64, u64), fates: &[Fate]) {
        if from == records.len() {
            every_fate(records, fates);
            return;
        }
        let pages = match records.len() {
            // At every insmod, and under emulation.
            _ if !cfg!(CONFIG_UML) => 3,
            // On six pages these take a minute, and say no more than on four.
            4 => 4,
            _ => PAGES,
        };
        for first in least.0..pages {
            for end in first + 1..=pages {
                if (first, end) >= least {
                    records[from] = Rec::new(first, end, 0, Fate::Alive);
                    every_range(records, from + 1, (first, end), fates);
                }
            }
        }
    }

    fn walk(records: usize, fates: &[Fate]) {
        let mut all = [Rec::new(0, 1, 0, Fate::Alive); 4];
        for n in 1..=records {
            every_range(&mut all[..n], 0, (0, 1), fates);
        }
    }

    const MOST: usize = if cfg!(CONFIG_UML) { 4 } else { 2 };

    #[test]
    fn whoever_holds_stays_on_record() {
        walk(MOST, &[Fate::Alive, Fate::Gone]);
    }

    #[test]
    fn whoever_holds_stays_on_record_while_others_unpin() {
        walk(MOST.min(3), &[Fate::Alive, Fate::Gone, Fate::Going]);
    }

    fn left(records: &mut [Rec], layout: &[u64], exact: bool) -> [bool; 4] {
        settle(records, layout, exact);
        let mut open = [false; 4];
        for (i, record) in records.iter().enumerate() {
            open[i] = !record.closed;
        }
        open
    }

    #[test]
    fn the_one_that_was_unpinned_goes() {
        use Fate::{Alive, Gone};
        // Two leases of a process: not the first that is small enough.
        let mut two = [Rec::new(0, 1, 0, Alive), Rec::new(1, 6, 1, Gone)];
        assert!(left(&mut two, &[0, 6], true) == [true, false, false, false]);
        let mut two = [Rec::new(0, 1, 0, Gone), Rec::new(1, 6, 1, Alive)];
        assert!(left(&mut two, &[0, 6], true) == [false, true, false, false]);
        // One that reaches into the next folio.
        let mut two = [Rec::new(2, 4, 0, Alive), Rec::new(3, 6, 1, Gone)];
        assert!(left(&mut two, &[0, 3, 6], true) == [true, false, false, false]);
    }

    #[test]
    fn a_doubt_elsewhere_is_no_doubt_here() {
        use Fate::{Alive, Gone};
        let layout = &[0, 3, 6];
        // Process 0 has unpinned what it had on the first folio, where another one has much more.
        let mut records = [
            Rec::new(0, 2, 0, Gone),
            Rec::new(0, 3, 2, Alive),
            Rec::new(3, 4, 0, Alive),
        ];
        let all = PageRange::whole();
        let first = PageRange::new(0, 1).unwrap_or(all);
        assert!(!certain(&records, layout, 0, &first));
        assert!(certain(&records, layout, 0, &all));
        assert!(certain(&records, layout, 1, &first));
        // Two of which one may have unpinned, and too few pins for either to be needed.
        records[1].range = first;
        records[1].fate = Gone;
        records[0].range = first;
        records[0].fate = Alive;
        assert!(!certain(&records, layout, 0, &first));
        assert!(!certain(&records, layout, 1, &all));
    }

    #[test]
    fn one_of_many_alike_goes_for_each_that_went() {
        use Fate::{Alive, Gone};
        for gone in 0..=4 {
            let mut records = [Rec::new(0, 1, 0, Alive); 4];
            for record in records.iter_mut().take(gone) {
                record.fate = Gone;
            }
            let open = left(&mut records, &[0, 6], true);
            assert!(open.iter().filter(|open| **open).count() == 4 - gone);
        }
    }

    #[test]
    fn who_did_not_unpin_is_not_suspected() {
        use Fate::{Alive, Gone};
        let mut two = [Rec::new(0, 2, 0, Gone), Rec::new(0, 2, 2, Alive)];
        two[1].suspect = false;
        assert!(left(&mut two, &[0, 6], true) == [false, true, false, false]);
        // If it can't be told, nobody is.
        let mut two = [Rec::new(0, 2, 0, Gone), Rec::new(0, 2, 2, Alive)];
        assert!(left(&mut two, &[0, 6], true) == [true, true, false, false]);
    }

    #[test]
    fn nothing_goes_by_a_count_that_may_be_wrong() {
        use Fate::{Alive, Gone};
        let mut two = [Rec::new(0, 2, 0, Gone), Rec::new(0, 1, 0, Alive)];
        assert!(left(&mut two, &[0, 6], false) == [true, true, false, false]);
        // But where it says none, there is none.
        let mut two = [Rec::new(0, 2, 0, Gone), Rec::new(0, 1, 0, Gone)];
        assert!(left(&mut two, &[0, 6], false) == [false; 4]);
    }

    #[test]
    fn what_is_half_unpinned_stays() {
        let mut one = [Rec::new(0, 6, 0, Fate::Going)];
        assert!(left(&mut one, &[0, 2, 4, 6], true) == [true, false, false, false]);
    }
}
