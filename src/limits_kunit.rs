// SPDX-License-Identifier: GPL-2.0

//! KUnit: [`Accounts`] against a plain table of everything that was taken.

use kernel::prelude::*;

#[kunit_tests(longterm_limits)]
mod tests {
    use super::super::limits::{Accounts, Kind, Limit, Limits, Refusal, Room, Usage};
    use Kind::{Lease, Record};

    const LIMITS: Limits = Limits {
        leases: 2,
        files: 3,
        records: 4,
    };

    type Books = Accounts<u32, u64>;

    fn take(books: &mut Books, user: u32, file: u64, kind: Kind) -> Result<(), Refusal> {
        let room = Room::new().unwrap();
        books.take(user, file, kind, LIMITS, || false, room)
    }

    fn reached(limit: Limit) -> Result<(), Refusal> {
        Err(Refusal::Reached(limit))
    }

    #[test]
    fn each_limit_is_reached_exactly() {
        let mut books = Books::new();
        assert_eq!(take(&mut books, 7, 1, Lease), Ok(()));
        assert_eq!(take(&mut books, 7, 1, Lease), Ok(()));
        assert_eq!(take(&mut books, 7, 1, Lease), reached(Limit::Leases));
        for file in 1..4 {
            assert_eq!(take(&mut books, 7, file, Record), Ok(()));
        }
        assert_eq!(take(&mut books, 7, 4, Record), reached(Limit::Files));
        assert_eq!(take(&mut books, 7, 1, Record), Ok(()));
        assert_eq!(take(&mut books, 7, 1, Record), reached(Limit::Records));
        let all = Usage {
            leases: 2,
            files: 3,
            records: 4,
        };
        assert_eq!(books.usage(7), all);
    }

    #[test]
    fn users_do_not_share() {
        let mut books = Books::new();
        for user in 0..3 {
            for _ in 0..2 {
                assert_eq!(take(&mut books, user, 1, Lease), Ok(()));
            }
            assert_eq!(take(&mut books, user, 1, Lease), reached(Limit::Leases));
        }
        books.give_back(1, 1, Lease);
        assert_eq!(take(&mut books, 0, 1, Lease), reached(Limit::Leases));
        assert_eq!(take(&mut books, 1, 1, Lease), Ok(()));
    }

    #[test]
    fn a_refusal_takes_nothing() {
        let mut books = Books::new();
        for file in 0..3 {
            assert_eq!(take(&mut books, 7, file, Record), Ok(()));
        }
        let before = books.usage(7);
        assert_eq!(take(&mut books, 7, 9, Lease), reached(Limit::Files));
        assert_eq!(books.usage(7), before);
        for file in 0..3 {
            books.give_back(7, file, Record);
        }
        assert!(books.is_empty());
    }

    #[test]
    fn zero_is_none_at_all() {
        let mut books = Books::new();
        for (limits, limit) in [
            (
                Limits {
                    leases: 0,
                    ..LIMITS
                },
                Limit::Leases,
            ),
            (Limits { files: 0, ..LIMITS }, Limit::Files),
        ] {
            let room = Room::new().unwrap();
            let got = books.take(7, 1, Lease, limits, || false, room);
            assert_eq!(got, reached(limit));
        }
        assert!(books.is_empty());
    }

    #[test]
    fn who_may_exceed_is_counted() {
        let mut books = Books::new();
        for _ in 0..10 {
            let room = Room::new().unwrap();
            let got = books.take(0, 1, Lease, LIMITS, || true, room);
            assert_eq!(got, Ok(()));
        }
        assert_eq!(books.usage(0).leases, 10);
        assert_eq!(take(&mut books, 0, 1, Lease), reached(Limit::Leases));
    }

    #[test]
    fn rights_are_asked_for_at_a_limit_only() {
        let mut books = Books::new();
        let mut asked = 0;
        for _ in 0..3 {
            let room = Room::new().unwrap();
            let ask = || {
                asked += 1;
                true
            };
            assert_eq!(books.take(0, 1, Lease, LIMITS, ask, room), Ok(()));
        }
        assert_eq!(asked, 1);
    }

    #[test]
    fn room_is_needed_for_what_is_new() {
        let mut books = Books::new();
        let none =
            |books: &mut Books, file| books.take(7, file, Lease, LIMITS, || false, Room::none());
        assert_eq!(none(&mut books, 1), Err(Refusal::NoRoom));
        assert!(books.is_empty());
        assert_eq!(take(&mut books, 7, 1, Record), Ok(()));
        assert_eq!(none(&mut books, 1), Ok(()));
        assert_eq!(none(&mut books, 2), Err(Refusal::NoRoom));
        assert_eq!(books.usage(7).files, 1);
    }

    /// A long random walk, held against a table; at its end all is given back.
    #[test]
    fn books_agree_with_what_was_taken() {
        const USERS: usize = 3;
        const FILES: usize = 4;
        let mut books = Books::new();
        let mut taken = [[[0u32; 2]; FILES]; USERS];
        let mut seed = 12345u32;
        let mut next = |n: u32| {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            (seed >> 16) % n
        };
        let mut refused = 0;
        for _ in 0..4000 {
            let (user, file) = (next(USERS as u32), next(FILES as u32));
            let kind = if next(2) == 0 { Lease } else { Record };
            let mine = &mut taken[user as usize];
            let had = mine[file as usize][kind as usize];
            if next(5) < 3 {
                let got = take(&mut books, user, file.into(), kind);
                let sum = |k: usize| mine.iter().map(|f| f[k]).sum::<u32>();
                let files = mine.iter().filter(|f| f[0] + f[1] > 0).count();
                let new = mine[file as usize] == [0, 0];
                let fits = match kind {
                    Lease => sum(0) < LIMITS.leases,
                    Record => sum(1) < LIMITS.records,
                } && !(new && files as u32 >= LIMITS.files);
                assert_eq!(got.is_ok(), fits);
                refused += u32::from(!fits);
                mine[file as usize][kind as usize] += u32::from(fits);
            } else if had > 0 {
                books.give_back(user, file.into(), kind);
                mine[file as usize][kind as usize] -= 1;
            }
            let want = Usage {
                leases: mine.iter().map(|f| f[0]).sum(),
                files: mine.iter().filter(|f| f[0] + f[1] > 0).count() as u32,
                records: mine.iter().map(|f| f[1]).sum(),
            };
            assert_eq!(books.usage(user), want);
        }
        assert!(refused > 100);
        for (user, files) in taken.iter().enumerate() {
            for (file, had) in files.iter().enumerate() {
                for _ in 0..had[0] {
                    books.give_back(user as u32, file as u64, Lease);
                }
                for _ in 0..had[1] {
                    books.give_back(user as u32, file as u64, Record);
                }
            }
        }
        assert!(books.is_empty());
    }
}
