// SPDX-License-Identifier: GPL-2.0

//! KUnit: what is counted, and where. On counters of its own.

use kernel::prelude::*;

#[kunit_tests(longterm_stats)]
mod tests {
    use super::super::stats::{Counter, End, Histogram, Reason};
    use kernel::prelude::*;

    #[test]
    fn up_and_down() {
        let counter = Counter::new();
        counter.up();
        counter.add(41);
        counter.down();
        assert!(counter.get() == 41);
        counter.add(-41);
        assert!(counter.get() == 0);
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        for (i, bound) in Histogram::BOUNDS.into_iter().enumerate() {
            for (ms, at) in [(bound - 1, i), (bound, i), (bound + 1, i + 1)] {
                let waits = Histogram::new();
                waits.note(ms);
                let counts = waits.cumulative();
                for (j, count) in counts.into_iter().enumerate() {
                    assert!(count == i64::from(j >= at));
                }
                assert!(waits.sum() == ms as i64);
            }
        }
    }

    #[test]
    fn buckets_add_up() {
        let waits = Histogram::new();
        for ms in [
            0,
            1,
            2,
            10,
            11,
            100,
            101,
            99_999,
            100_000,
            100_001,
            u64::MAX,
        ] {
            waits.note(ms);
        }
        assert!(waits.cumulative() == [2, 4, 6, 7, 7, 9, 11]);
    }

    #[test]
    fn each_error_has_its_reason() {
        assert!(Reason::of(EAGAIN) == Reason::Closed);
        assert!(Reason::of(EACCES) == Reason::Access);
        assert!(Reason::of(ENOLCK) == Reason::Limit);
        assert!(Reason::of(EOPNOTSUPP) == Reason::Unprotected);
        assert!(Reason::of(ENOMEM) == Reason::Memory);
        assert!(Reason::of(EINTR) == Reason::Interrupted);
        assert!(Reason::of(ERESTARTSYS) == Reason::Interrupted);
        assert!(Reason::of(EBUSY) == Reason::Busy);
        assert!(Reason::of(EINVAL) == Reason::Other);
    }

    #[test]
    fn each_result_has_its_end() {
        assert!(End::of(Ok(())) == End::Done);
        assert!(End::of(Err(ETXTBSY)) == End::Busy);
        assert!(End::of(Err(EDEADLK)) == End::Deadlock);
        assert!(End::of(Err(EAGAIN)) == End::Again);
        assert!(End::of(Err(EINTR)) == End::Interrupted);
        assert!(End::of(Err(ENOSPC)) == End::Failed);
    }
}
