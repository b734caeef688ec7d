// SPDX-License-Identifier: GPL-2.0

//! KUnit: when it is certain that a holder still holds, and what is said of records that stay.

use kernel::prelude::*;

#[kunit_tests(longterm_ledger)]
mod tests {
    use super::super::{
        ledger::{still_there, Cell, Claim, Entry, Ledger},
        range::PageRange,
    };
    use kernel::prelude::*;

    /// Group and pages.
    impl Entry for (u32, u64) {
        type Kind = u32;

        fn range(&self) -> PageRange {
            PageRange::of_pages(0, self.1).unwrap_or(PageRange::whole())
        }

        fn kind(&self) -> u32 {
            self.0
        }

        fn claim(&self) -> Claim {
            Claim::Loose
        }

        fn suspect(&self) -> bool {
            false
        }

        fn settled(&self) -> bool {
            true
        }

        fn closed(&self) -> bool {
            false
        }

        fn close(&mut self) {}
    }

    /// Records that begin at one page of one large folio.
    struct Share<'a>(&'a [(u32, u64)]);

    fn share(records: &[(u32, u64)]) -> Share<'_> {
        Share(records)
    }

    impl Share<'_> {
        /// Does group 1 hold something?
        fn certain(&self, pinned: u64, exact: bool) -> bool {
            let all = PageRange::whole();
            let mut cells = [Cell::new(all, pinned, exact)];
            let mut ledger = Ledger::compare(&mut cells, self.0);
            let own = self.0.iter().filter(|r| r.0 == 1);
            let certain = ledger.certain(own.clone(), &all);
            // Asking leaves nothing behind.
            assert!(ledger.certain(own, &all) == certain);
            certain
        }
    }

    #[test]
    fn nothing_is_certain_without_pins_or_records() {
        assert!(!share(&[]).certain(0, true));
        assert!(!share(&[]).certain(5, true));
        assert!(!share(&[(1, 8)]).certain(0, true));
        assert!(!share(&[(1, 8), (2, 8)]).certain(0, true));
        assert!(!share(&[(2, 8)]).certain(8, true));
    }

    #[test]
    fn one_group_holds_whatever_is_left() {
        for pinned in [1, 7, 8] {
            assert!(share(&[(1, 8)]).certain(pinned, true));
            assert!(share(&[(1, 4), (1, 4)]).certain(pinned, true));
        }
    }

    #[test]
    fn pins_without_a_record_make_it_uncertain() {
        for pinned in [9, 100] {
            assert!(!share(&[(1, 8)]).certain(pinned, true));
            assert!(!share(&[(1, 4), (2, 4)]).certain(pinned, true));
        }
        assert!(!share(&[(1, 8)]).certain(8, false));
    }

    #[test]
    fn several_groups_need_more_pins_than_the_others_have() {
        for pinned in 0..20 {
            assert!(share(&[(1, 8), (2, 4)]).certain(pinned, true) == (5..=12).contains(&pinned));
            assert!(share(&[(2, 8), (1, 4)]).certain(pinned, true) == (9..=12).contains(&pinned));
            assert!(!share(&[(1, 8), (2, 4)]).certain(pinned, false));
        }
        assert!(share(&[(1, 2), (2, 2), (1, 2)]).certain(3, true));
        assert!(!share(&[(1, 2), (2, 2), (1, 2)]).certain(2, true));
    }

    #[test]
    fn what_was_counted_says_more_than_what_was_not() {
        assert!(still_there([true]) == ENOMEM);
        assert!(still_there([true, true, true]) == ENOMEM);
        assert!(still_there([]) == EBUSY);
        for counted in 0..3 {
            let mut uncounted = [true; 3];
            uncounted[counted] = false;
            assert!(still_there(uncounted) == EBUSY);
        }
        assert!(still_there([false, false]) == EBUSY);
    }

    #[test]
    fn sums_do_not_wrap() {
        assert!(share(&[(1, u64::MAX), (2, 2)]).certain(u64::MAX, true));
        assert!(!share(&[(2, u64::MAX), (1, 2)]).certain(1, true));
    }
}
