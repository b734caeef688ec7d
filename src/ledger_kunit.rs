// SPDX-License-Identifier: GPL-2.0

//! KUnit: when it is certain that a holder still holds.

use kernel::prelude::*;

#[kunit_tests(longterm_ledger)]
mod tests {
    use super::super::ledger::Tally;

    fn tally(records: &[(u32, u64)]) -> Tally<u32> {
        let mut sum = Tally::new();
        for (group, pages) in records {
            sum.add(*group, *pages);
        }
        sum
    }

    #[test]
    fn nothing_is_certain_without_pins_or_records() {
        assert!(!tally(&[]).certain(0, true));
        assert!(!tally(&[]).certain(5, true));
        assert!(!tally(&[(1, 8)]).certain(0, true));
        assert!(!tally(&[(1, 8), (2, 8)]).certain(0, true));
    }

    #[test]
    fn one_group_holds_whatever_is_left() {
        for pinned in [1, 7, 8, 9, 100] {
            assert!(tally(&[(1, 8)]).certain(pinned, true));
            assert!(tally(&[(1, 4), (1, 4)]).certain(pinned, true));
        }
    }

    #[test]
    fn several_groups_need_every_pin() {
        let both = tally(&[(1, 8), (2, 4)]);
        for pinned in 0..20 {
            assert!(both.certain(pinned, true) == (pinned == 12));
        }
        // Nor is anything certain if the count is not.
        assert!(!both.certain(12, false));
        assert!(!tally(&[(1, 8)]).certain(8, false));
        assert!(tally(&[(1, 2), (2, 2), (1, 2)]).certain(6, true));
        assert!(!tally(&[(1, 2), (2, 2), (1, 2)]).certain(5, true));
    }

    #[test]
    fn sums_do_not_wrap() {
        assert!(tally(&[(1, u64::MAX), (2, 2)]).certain(u64::MAX, true));
        assert!(!tally(&[(1, u64::MAX), (2, 2)]).certain(1, true));
    }
}
