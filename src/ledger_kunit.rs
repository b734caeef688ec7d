// SPDX-License-Identifier: GPL-2.0

//! KUnit: when it is certain that a holder still holds.

use kernel::prelude::*;

#[kunit_tests(longterm_ledger)]
mod tests {
    use super::super::ledger::Share;

    /// The share of group 1.
    fn share(records: &[(u32, u64)]) -> Share {
        let mut sum = Share::default();
        for (group, pages) in records {
            sum.add(*group == 1, *pages);
        }
        sum
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
    fn sums_do_not_wrap() {
        assert!(share(&[(1, u64::MAX), (2, 2)]).certain(u64::MAX, true));
        assert!(!share(&[(2, u64::MAX), (1, 2)]).certain(1, true));
    }
}
