// SPDX-License-Identifier: GPL-2.0

//! KUnit: notes reach those whom they are about, and nobody else.

use kernel::prelude::*;

#[kunit_tests(longterm_slots)]
mod tests {
    use super::super::slots::{Name, Slots};

    fn name(n: u64) -> Name {
        Name::of(n, 7)
    }

    #[test]
    fn names_differ_in_either_number() {
        for a in 0..40 {
            for b in 0..40 {
                assert!((Name::of(a << 6, b << 6) == Name::of(0, 0)) == (a == 0 && b == 0));
                assert!((Name::of(a, b) == Name::of(b, a)) == (a == b));
            }
        }
    }

    #[test]
    fn a_note_is_left_once_and_taken_once() {
        let slots = Slots::<8>::new();
        assert!(slots.claim(name(1)));
        assert!(!slots.take(name(1), 1));
        assert!(slots.leave(name(1), 1) == Some(true));
        assert!(slots.leave(name(1), 1) == Some(false));
        assert!(slots.take(name(1), 1));
        assert!(!slots.take(name(1), 1));
        assert!(slots.leave(name(1), 1) == Some(true));
    }

    #[test]
    fn the_two_notes_are_apart() {
        let slots = Slots::<8>::new();
        assert!(slots.claim(name(1)));
        assert!(slots.leave(name(1), 2) == Some(true));
        assert!(!slots.take(name(1), 1));
        assert!(slots.leave(name(1), 3) == Some(true));
        assert!(slots.leave(name(1), 2) == Some(false));
        assert!(slots.take(name(1), 2));
        assert!(slots.take(name(1), 1));
    }

    #[test]
    fn nobody_has_notes_without_a_slot() {
        let slots = Slots::<8>::new();
        assert!(slots.leave(name(1), 1).is_none());
        assert!(slots.claim(name(1)));
        assert!(!slots.take(name(1), 1));
        assert!(slots.leave(name(1), 1) == Some(true));
        slots.release(name(1));
        assert!(slots.leave(name(1), 1).is_none());
        // Who comes next finds nothing of it.
        assert!(slots.claim(name(1)));
        assert!(!slots.take(name(1), 3));
    }

    #[test]
    fn others_in_the_same_place_do_not_meet() {
        // One place for all.
        let slots = Slots::<4>::new();
        for n in 0..4 {
            assert!(slots.claim(name(n)));
        }
        assert!(!slots.claim(name(4)));
        assert!(slots.leave(name(4), 1).is_none());
        for n in 0..4 {
            assert!(slots.leave(name(n), 1) == Some(true));
            for other in 0..5 {
                assert!(slots.take(name(other), 1) == (other == n));
            }
        }
        slots.release(name(2));
        assert!(slots.claim(name(4)));
        assert!(slots.leave(name(4), 1) == Some(true));
        assert!(slots.leave(name(2), 1).is_none());
        assert!(!slots.take(name(3), 1));
    }
}
