// SPDX-License-Identifier: GPL-2.0

//! KUnit: a reader sees each line once, and all that stay.

use kernel::prelude::*;

#[kunit_tests(longterm_position)]
mod tests {
    use super::super::position::{Class, Position};
    use kernel::prelude::*;

    const CLASSES: [Class; 3] = [Class::Lease, Class::Pin, Class::Break];

    /// The line that a reader finds who stands at `from`, in lines of all classes of one inode.
    fn find(from: Position, lines: &[(Class, u64, u64)]) -> Option<(Class, u64, u64)> {
        for class in CLASSES {
            let begin = lines.partition_point(|l| l.0 < class);
            let end = lines.partition_point(|l| l.0 <= class);
            let of_class = &lines[begin..end];
            let i = from.search(class, of_class, |l| (l.1, l.2));
            if i < of_class.len() {
                return Some(of_class[i]);
            }
        }
        None
    }

    #[test]
    fn zero_is_before_everything() {
        let zero: Position = pin_init::zeroed();
        assert!(zero < Position::before(1));
        assert!(zero.at_begin());
        for class in CLASSES {
            assert!(zero < Position::of(1, class, 0, 1));
            assert!(Position::before(1) < Position::of(1, class, 0, 1));
        }
    }

    #[test]
    fn behind_a_line_is_before_the_next_one() {
        let lines = [
            Position::of(1, Class::Lease, 0, 7),
            Position::of(1, Class::Lease, 0, 8),
            Position::of(1, Class::Pin, 0, 1),
            Position::of(1, Class::Pin, 0, 2),
            Position::of(1, Class::Pin, 5, 1),
            Position::of(1, Class::Break, 0, 1),
            Position::of(2, Class::Lease, 0, 1),
        ];
        for (i, line) in lines.iter().enumerate() {
            for (j, other) in lines.iter().enumerate() {
                assert!((line.behind() <= *other) == (i < j));
                assert!((line < other) == (i < j));
            }
            assert!(!line.at_begin());
            assert!(line.next_inode() == Some(Position::before(line.inode() + 1)));
        }
    }

    #[test]
    fn there_is_an_end() {
        let last = Position::of(u64::MAX, Class::Break, u64::MAX, u64::MAX);
        assert!(last.next_inode().is_none());
        assert!(last.behind() == last);
    }

    /// Lines come and go, wherever a reader stands.
    #[test]
    fn each_line_once() {
        let mut all = KVec::new();
        for class in CLASSES {
            for first in 0..3 {
                for id in 1..4 {
                    let _ = all.push((class, first, id), GFP_KERNEL);
                }
            }
        }
        assert!(all.len() == 27);
        // Line n is there until step n % 5 is done, or comes then, or stays.
        for seed in 0..60_usize {
            let there = |i: usize, step: usize| match (i * 7 + seed) % 3 {
                0 => true,
                1 => step <= (i + seed) % 28,
                _ => step > (i * 5 + seed) % 28,
            };
            let mut seen = [0; 27];
            let mut from = Position::before(9);
            for step in 0..=27 {
                let mut now = KVec::new();
                for (i, line) in all.iter().enumerate() {
                    if there(i, step) {
                        let _ = now.push(*line, GFP_KERNEL);
                    }
                }
                let Some(line) = find(from, &now) else {
                    break;
                };
                from = Position::of(9, line.0, line.1, line.2).behind();
                if let Some(i) = all.iter().position(|l| *l == line) {
                    seen[i] += 1;
                }
            }
            for (i, times) in seen.iter().enumerate() {
                assert!(*times <= 1);
                let stays = (i * 7 + seed) % 3 == 0;
                assert!(!stays || *times == 1);
            }
        }
    }
}
