// SPDX-License-Identifier: GPL-2.0

//! KUnit: sizes and ranges that a program may come with.

use kernel::prelude::*;

#[kunit_tests(longterm_versioned)]
mod tests {
    use super::super::{
        range::PageRange,
        versioned::{flags, range, Sizes, EOF}, //
    };
    use kernel::{
        error::code::{E2BIG, EINVAL},
        page::PAGE_SIZE,
    };

    #[test]
    fn every_size_of_every_version() {
        for first in [8, 32, 88] {
            for known in [first, first + 8, first + 64] {
                for size in 0..=PAGE_SIZE + 1 {
                    let sizes = Sizes::of(size as u32, first, known);
                    if size < first {
                        assert_eq!(sizes, Err(EINVAL));
                    } else if size > PAGE_SIZE {
                        assert_eq!(sizes, Err(E2BIG));
                    } else {
                        let sizes = sizes.unwrap();
                        assert_eq!(sizes.both + sizes.more, size);
                        assert!(sizes.both >= first && sizes.both <= known);
                        assert!(sizes.more == 0 || sizes.both == known);
                    }
                }
            }
        }
        assert_eq!(Sizes::of(u32::MAX, 8, 8), Err(E2BIG));
    }

    #[test]
    fn what_only_the_program_knows_is_zero() {
        assert!(Sizes::check_rest(&[]).is_ok());
        assert!(Sizes::check_rest(&[0; 40]).is_ok());
        for i in 0..40 {
            let mut rest = [0; 40];
            rest[i] = 1;
            assert_eq!(Sizes::check_rest(&rest), Err(E2BIG));
        }
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert_eq!(flags(0, 3), Ok(0));
        assert_eq!(flags(3, 3), Ok(3));
        for bit in 2..32 {
            assert_eq!(flags(1 << bit | 1, 3), Err(EINVAL));
        }
    }

    #[test]
    fn ranges_end_where_files_do() {
        let whole = PageRange::whole();
        assert_eq!(range(0, 0), Ok(whole));
        assert_eq!(range(0, EOF), Ok(whole));
        assert_eq!(range(5, EOF - 5), Ok(whole));
        assert_eq!(range(0, EOF + 1), Err(EINVAL));
        assert_eq!(range(1, EOF), Err(EINVAL));
        assert_eq!(range(1, u64::MAX), Err(EINVAL));
        assert_eq!(range(u64::MAX, u64::MAX), Err(EINVAL));
        assert_eq!(range(EOF, 0), Err(EINVAL));
        assert_eq!(range(EOF + 1, 0), Err(EINVAL));
        assert_eq!(range(u64::MAX, 1), Err(EINVAL));
    }

    #[test]
    fn ranges_go_outward_to_pages() {
        let size = PAGE_SIZE as u64;
        let pages = |start, length| range(start, length).map(|r| (r.first(), r.pages()));
        assert_eq!(pages(0, 1), Ok((0, 1)));
        assert_eq!(pages(0, size), Ok((0, 1)));
        assert_eq!(pages(0, size + 1), Ok((0, 2)));
        assert_eq!(pages(size - 1, 2), Ok((0, 2)));
        assert_eq!(pages(3 * size, 2 * size), Ok((3, 2)));
        assert_eq!(pages(EOF - 1, 1).map(|p| p.0), Ok((EOF - 1) / size));
        assert_eq!(range(2 * size, 0).unwrap().first(), 2);
        assert_eq!(range(2 * size, 0).unwrap().end_byte(), i64::MAX);
    }
}
