// SPDX-License-Identifier: GPL-2.0

//! KUnit: settling, held against all that can have happened to a few records on a few pages.

use kernel::prelude::*;

#[kunit_tests(longterm_settling)]
mod tests {
    use super::super::{
        ledger::{Cell, Claim, Entry, Ledger},
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
        /// One is left for each folio.
        Few,
    }

    /// What is on record, and what has become of it.
    type Story = (Claim, Fate);

    /// Without a tag.
    const LOOSE: [Story; 2] = [(Claim::Loose, Fate::Alive), (Claim::Loose, Fate::Gone)];
    const LOOSE_GOING: [Story; 3] = [LOOSE[0], LOOSE[1], (Claim::Loose, Fate::Going)];
    /// With tags of which nobody lets go.
    const FOLDED: Claim = Claim::Folded { joined: false };
    const TAGGED: [Story; 4] = [
        LOOSE[0],
        LOOSE[1],
        (Claim::Tagged, Fate::Alive),
        (FOLDED, Fate::Few),
    ];
    /// With all that there is.
    const EVERY: [Story; 10] = [
        TAGGED[0],
        TAGGED[1],
        LOOSE_GOING[2],
        TAGGED[2],
        TAGGED[3],
        // It is just being folded.
        (FOLDED, Fate::Alive),
        (Claim::Going, Fate::Alive),
        (Claim::Going, Fate::Gone),
        (Claim::Going, Fate::Going),
        (Claim::Going, Fate::Few),
    ];

    /// Kinds 0 and 1 are of one process, kind 2 is another's.
    #[derive(Clone, Copy, Debug)]
    struct Rec {
        range: PageRange,
        kind: u8,
        claim: Claim,
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

        fn claim(&self) -> Claim {
            self.claim
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
            assert!(!self.closed && self.loose());
            self.closed = true;
        }
    }

    impl Rec {
        fn new(first: u64, end: u64, kind: u8, fate: Fate) -> Self {
            Self {
                range: PageRange::new(first, end).unwrap_or(PageRange::whole()),
                kind,
                claim: Claim::Loose,
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
                Fate::Few => self.pages(folio).min(1),
            }
        }

        fn sure(&self, folio: &PageRange) -> u64 {
            match self.claim {
                Claim::Loose | Claim::Going => 0,
                Claim::Tagged => self.pages(folio),
                Claim::Folded { .. } => self.pages(folio).min(1),
            }
        }

        fn tell(&mut self, (claim, fate): Story) {
            self.claim = claim;
            self.fate = fate;
        }

        fn loose(&self) -> bool {
            self.claim == Claim::Loose
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
            cells[n].consists_of(1);
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
            let sum = |of: &dyn Fn(&Rec) -> bool, what: &dyn Fn(&Rec) -> u64| -> u64 {
                records.iter().filter(|r| of(r)).map(what).sum()
            };
            let (pins, pages) = (|r: &Rec| r.pins(&folio), |r: &Rec| r.pages(&folio));
            let open = |r: &Rec| r.loose() && !r.closed;
            assert!(sum(&open, &pages) >= sum(&|r| r.loose(), &pins));
            for kind in 0..KINDS {
                let of_kind = |r: &Rec| r.kind == kind && r.loose();
                if records.iter().any(|r| of_kind(r) && r.fate == Fate::Going) {
                    // It is not known how far.
                    continue;
                }
                // Who holds stays on record for all that it holds.
                assert!(sum(&|r| of_kind(r) && open(r), &pages) >= sum(&of_kind, &pins));
            }
        }
        for record in records.iter().filter(|r| r.loose() && !r.closed) {
            // Nothing stays where nothing is pinned but what others say is theirs.
            let mut folios = folios(layout).filter(|f| record.range.overlaps(f));
            assert!(folios.any(|f| records.iter().any(|r| r.pins(&f) > r.sure(&f))));
        }
    }

    /// Records with a tag, of which nobody lets go, make no difference to the others.
    fn check_alone(records: &[Rec], layout: &[u64]) {
        let mut alone = [Rec::new(0, 1, 0, Fate::Alive); 4];
        let mut n = 0;
        for record in records.iter().filter(|r| r.loose()) {
            alone[n] = *record;
            alone[n].closed = false;
            n += 1;
        }
        settle(&mut alone[..n], layout, true);
        let loose = records.iter().filter(|r| r.loose());
        assert!(loose.zip(&alone).all(|(a, b)| a.closed == b.closed));
    }

    /// Everything that can have happened to `records`, and everyone who can be under suspicion.
    fn every_fate(records: &mut [Rec], stories: &[Story]) {
        let n = records.len() as u32;
        for kinds in 0..(KINDS as usize).pow(n) {
            if kinds % KINDS as usize == 1 {
                // As kind 0.
                continue;
            }
            for world in 0..stories.len().pow(n) {
                let (mut k, mut w) = (kinds, world);
                for record in records.iter_mut() {
                    record.kind = (k % KINDS as usize) as u8;
                    record.tell(stories[w % stories.len()]);
                    k /= KINDS as usize;
                    w /= stories.len();
                }
                for layout in LAYOUTS {
                    check_certain(records, layout);
                }
                every_suspicion(records, !stories.contains(&LOOSE_GOING[2]));
            }
        }
    }

    fn every_suspicion(records: &mut [Rec], settled: bool) {
        let gave = |process| {
            records
                .iter()
                .any(|r| r.process() == process && r.loose() && r.fate != Fate::Alive)
        };
        let gave = [gave(0), gave(1)];
        let told = |r: &Rec| r.loose() || TAGGED.contains(&(r.claim, r.fate));
        let told = records.iter().all(told);
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
                if told && records.iter().any(|r| !r.loose()) {
                    check_alone(records, layout);
                }
            }
        }
    }

    /// All choices of `records.len() - from` ranges from the range `least` on; their order is that
    /// of their first pages, as ever.
    fn every_range(records: &mut [Rec], from: usize, least: (u64, u64), stories: &[Story]) {
        if from == records.len() {
            every_fate(records, stories);
            return;
        }
        let pages = match records.len() {
            // At every insmod, and under emulation.
            _ if !cfg!(CONFIG_UML) && stories.len() > 3 => 2,
            _ if !cfg!(CONFIG_UML) => 3,
            // On six pages these take a minute, and say no more than on these.
            4 => 4,
            3 if stories.len() > 4 => 3,
            3 if stories.len() > 3 => 4,
            _ => PAGES,
        };
        for first in least.0..pages {
            for end in first + 1..=pages {
                if (first, end) >= least {
                    records[from] = Rec::new(first, end, 0, Fate::Alive);
                    every_range(records, from + 1, (first, end), stories);
                }
            }
        }
    }

    fn walk(records: usize, stories: &[Story]) {
        let mut all = [Rec::new(0, 1, 0, Fate::Alive); 4];
        for n in 1..=records {
            every_range(&mut all[..n], 0, (0, 1), stories);
        }
    }

    const MOST: usize = if cfg!(CONFIG_UML) { 4 } else { 2 };

    #[test]
    fn whoever_holds_stays_on_record() {
        walk(MOST, &LOOSE);
    }

    #[test]
    fn whoever_holds_stays_on_record_while_others_unpin() {
        walk(MOST.min(3), &LOOSE_GOING);
    }

    #[test]
    fn whoever_holds_stays_on_record_beside_tags() {
        walk(MOST.min(3), &TAGGED);
    }

    #[test]
    fn whoever_holds_stays_on_record_while_tags_let_go() {
        // Too many for every insmod.
        walk(if cfg!(CONFIG_UML) { 3 } else { 1 }, &EVERY);
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
    fn tags_are_told_apart_from_what_has_none() {
        use Fate::{Alive, Few, Gone};
        let layout = &[0, 6];
        // Of two of the same size and kind: the one without a tag goes, as the other one can't have.
        let mut two = [Rec::new(0, 2, 0, Alive), Rec::new(0, 2, 0, Gone)];
        two[0].claim = Claim::Tagged;
        assert!(left(&mut two, layout, true) == [true, false, false, false]);
        // It is its owner who says that it goes, not the count; who else may have gone stays.
        let mut two = [Rec::new(0, 2, 0, Gone), Rec::new(0, 2, 2, Alive)];
        two[0].claim = Claim::Going;
        assert!(left(&mut two, layout, true) == [true, true, false, false]);
        // Nothing is left when what the tags have is taken away, even if the count is too large.
        let mut two = [Rec::new(0, 6, 0, Few), Rec::new(2, 3, 2, Gone)];
        two[0].claim = FOLDED;
        assert!(left(&mut two, layout, false) == [true, false, false, false]);
    }

    #[test]
    fn one_pin_for_each_folio_of_a_cell() {
        let of_pages = |first, end| PageRange::new(first, end).unwrap_or(PageRange::whole());
        let mut cells = [
            Cell::new(of_pages(0, 4), 2, true),
            Cell::new(of_pages(4, 6), 3, true),
        ];
        cells[0].consists_of(2);
        cells[1].consists_of(1);
        // The first record's last folio is the second one's first one; the third has no tag.
        let mut records = [
            Rec::new(0, 5, 0, Fate::Few),
            Rec::new(4, 6, 2, Fate::Alive),
            Rec::new(5, 6, 0, Fate::Few),
        ];
        records[0].claim = FOLDED;
        records[2].claim = Claim::Folded { joined: true };
        Ledger::settle(&mut cells, &mut records);
        assert!(!records[1].closed);
        cells[0] = Cell::new(of_pages(0, 4), 2, true);
        cells[1] = Cell::new(of_pages(4, 6), 1, true);
        cells[0].consists_of(2);
        cells[1].consists_of(1);
        Ledger::settle(&mut cells, &mut records);
        assert!(records[1].closed);
    }

    #[test]
    fn who_lets_go_holds_nothing_for_certain() {
        use Fate::{Alive, Going, Gone};
        let layout = &[0, 3, 6];
        let all = PageRange::whole();
        let mut two = [Rec::new(0, 6, 0, Going), Rec::new(4, 5, 2, Alive)];
        assert!(certain(&two, layout, 0, &all));
        two[0].claim = Claim::Tagged;
        assert!(certain(&two, layout, 0, &all));
        two[0].claim = Claim::Going;
        assert!(!certain(&two, layout, 0, &all));
        // Nor does who may have no more than others may.
        two[0].fate = Gone;
        assert!(!certain(&two, layout, 1, &all));
        two[0].fate = Alive;
        assert!(certain(&two, layout, 1, &all));
    }

    #[test]
    fn what_is_half_unpinned_stays() {
        let mut one = [Rec::new(0, 6, 0, Fate::Going)];
        assert!(left(&mut one, &[0, 2, 4, 6], true) == [true, false, false, false]);
    }
}
