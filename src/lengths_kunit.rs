// SPDX-License-Identifier: GPL-2.0

//! KUnit: no range is longer than what is said of them all.

use kernel::prelude::*;

#[kunit_tests(longterm_lengths)]
mod tests {
    use super::super::lengths::Lengths;

    #[test]
    fn the_bound_holds_and_is_not_far_off() {
        let mut lengths = Lengths::new();
        assert!(lengths.bound() == 0);
        for pages in (1..70).chain([1 << 40, (1 << 52) - 1, u64::MAX]) {
            lengths.add(pages);
            assert!(lengths.bound() >= pages && lengths.bound() / 2 <= pages);
        }
    }

    #[test]
    fn it_shrinks_when_the_longest_goes() {
        let mut lengths = Lengths::new();
        for pages in [3, 500, 3, 7] {
            lengths.add(pages);
        }
        lengths.remove(500);
        assert!((7..14).contains(&lengths.bound()));
        lengths.change(7, 1 << 20);
        assert!(lengths.bound() >= 1 << 20);
        lengths.change(1 << 20, 3);
        lengths.remove(3);
        lengths.remove(3);
        assert!((3..6).contains(&lengths.bound()));
        lengths.remove(3);
        assert!(lengths.bound() == 0);
    }
}
