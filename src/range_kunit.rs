// SPDX-License-Identifier: GPL-2.0

//! KUnit: the arithmetic of [`PageRange`], at its edges above all.

use kernel::prelude::*;

#[kunit_tests(longterm_range)]
mod tests {
    use super::super::range::{PageRange, EOF};
    use kernel::page::{PAGE_SHIFT, PAGE_SIZE};

    const PAGE: i64 = PAGE_SIZE as i64;

    fn r(start: u64, end: u64) -> PageRange {
        PageRange::new(start, end).unwrap()
    }

    #[test]
    fn empty_ranges_do_not_exist() {
        assert!(PageRange::new(3, 3).is_none());
        assert!(PageRange::new(4, 3).is_none());
        assert!(PageRange::of_pages(7, 0).is_none());
        assert!(PageRange::of_bytes(10, 10).is_none());
        assert!(PageRange::of_bytes(10, 9).is_none());
        assert!(PageRange::of_bytes(-1, 9).is_none());
        assert!(PageRange::of_bytes(i64::MAX, i64::MAX).is_none());
        assert!(r(0, 4).intersection(&r(4, 8)).is_none());
    }

    #[test]
    fn bytes_round_outward_to_pages() {
        assert!(PageRange::of_bytes(0, 1) == Some(r(0, 1)));
        assert!(PageRange::of_bytes(0, PAGE) == Some(r(0, 1)));
        assert!(PageRange::of_bytes(0, PAGE + 1) == Some(r(0, 2)));
        assert!(PageRange::of_bytes(PAGE - 1, PAGE + 1) == Some(r(0, 2)));
        assert!(PageRange::of_bytes(PAGE, 2 * PAGE) == Some(r(1, 2)));
        assert!(PageRange::of_bytes(PAGE, i64::MAX) == Some(r(1, EOF)));
    }

    #[test]
    fn bytes_come_back() {
        let one = PageRange::of_bytes(PAGE, 3 * PAGE).unwrap();
        assert!(one.start_byte() == PAGE);
        assert!(one.end_byte() == 3 * PAGE);
        assert!(PageRange::of_bytes(0, i64::MAX) == Some(PageRange::whole()));
        assert!(PageRange::whole().end_byte() == i64::MAX);
        assert!(r(0, EOF - 1).end_byte() == i64::MAX);
        let top = i64::MAX as u64 >> PAGE_SHIFT;
        assert!(r(0, top).end_byte() == (top << PAGE_SHIFT) as i64);
        assert!(r(top + 1, EOF).start_byte() == i64::MAX);
        assert!(PageRange::of_bytes(0, i64::MAX - 1).unwrap().end_byte() == i64::MAX);
    }

    #[test]
    fn overlap_is_symmetric_and_half_open() {
        let cases = [
            (r(0, 4), r(4, 8), false),
            (r(0, 5), r(4, 8), true),
            (r(4, 8), r(5, 6), true),
            (r(0, EOF), r(EOF - 1, EOF), true),
            (r(0, 1), r(1, EOF), false),
        ];
        for (a, b, hit) in cases {
            assert!(a.overlaps(&b) == hit);
            assert!(b.overlaps(&a) == hit);
            assert!(a.intersection(&b).is_some() == hit);
            assert!(a.intersection(&b) == b.intersection(&a));
            let hull = a.hull(&b);
            assert!(hull.intersection(&a) == Some(a));
            assert!(hull.intersection(&b) == Some(b));
        }
    }

    #[test]
    fn neighbours_meet_in_one_direction() {
        assert!(r(0, 4).meets(&r(4, 8)));
        assert!(!r(4, 8).meets(&r(0, 4)));
        assert!(!r(0, 4).meets(&r(5, 8)));
    }

    #[test]
    fn rounding_to_entries_never_shrinks_and_never_wraps() {
        assert!(r(1, 2).outward(512) == r(0, 512));
        assert!(r(512, 1024).outward(512) == r(512, 1024));
        assert!(r(511, 513).outward(512) == r(0, 1024));
        assert!(r(700, EOF).outward(512) == r(512, EOF));
        assert!(r(EOF - 3, EOF - 2).outward(512).last() == EOF);
        for start in [0, 1, 511, 512, 513] {
            for pages in [1, 511, 512, 513] {
                let narrow = PageRange::of_pages(start, pages).unwrap();
                let wide = narrow.outward(512);
                assert!(wide.intersection(&narrow) == Some(narrow));
                assert!(wide.pages() - narrow.pages() < 1024);
                assert!(wide.outward(512) == wide);
            }
        }
    }

    #[test]
    fn inclusive_and_half_open_agree() {
        assert!(PageRange::of_inclusive(3, 3) == Some(r(3, 4)));
        assert!(PageRange::of_inclusive(0, EOF) == Some(r(0, EOF)));
        assert!(r(3, 9).last() == 8);
        assert!(r(3, EOF).last() == EOF);
        assert!(PageRange::of_pages(EOF - 2, 10) == Some(r(EOF - 2, EOF)));
    }
}
