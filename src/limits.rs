// SPDX-License-Identifier: GPL-2.0

//! How much each user has, and whether it may be more. Calls nothing of the kernel but its trees.
//!
//! `U` tells users apart, `F` files.

use kernel::{
    prelude::*,
    rbtree::{Entry, RBTree, RBTreeNodeReservation}, //
};

/// What is counted one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A lease that was taken.
    Lease,
    /// A record of pinned pages.
    Record,
}

/// What there is a limit on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Leases.
    Leases,
    /// Files with a lease or a record of the user.
    Files,
    /// Records.
    Records,
}

/// How many a user may have.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Leases.
    pub(crate) leases: u32,
    /// Files with a lease or a record.
    pub(crate) files: u32,
    /// Records.
    pub(crate) records: u32,
}

/// Why there is not one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The user has as many as allowed.
    Reached(Limit),
    /// The [`Room`] is used up.
    NoRoom,
}

/// What one user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Leases.
    pub(crate) leases: u32,
    /// Files.
    pub(crate) files: u32,
    /// Records.
    pub(crate) records: u32,
}

/// Memory for what [`Accounts::take`] may have to add, got without the lock of the accounts.
pub(crate) struct Room<U, F> {
    user: Option<RBTreeNodeReservation<U, Usage>>,
    share: Option<RBTreeNodeReservation<(U, F), u32>>,
}

impl<U, F> Room<U, F> {
    /// None: enough where the user has something on the file already.
    pub(crate) const fn none() -> Self {
        Self {
            user: None,
            share: None,
        }
    }

    /// Enough.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            user: Some(RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?),
            share: Some(RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?),
        })
    }
}

/// What all users have. Who has nothing is not in here.
pub(crate) struct Accounts<U, F> {
    users: RBTree<U, Usage>,
    /// Leases and records of a user on a file.
    shares: RBTree<(U, F), u32>,
}

impl<U: Copy + Ord, F: Copy + Ord> Accounts<U, F> {
    /// Nobody has anything.
    pub(crate) fn new() -> Self {
        Self {
            users: RBTree::new(),
            shares: RBTree::new(),
        }
    }

    /// What a user has.
    pub(crate) fn usage(&self, user: U) -> Usage {
        self.users.get(&user).copied().unwrap_or_default()
    }

    /// The limit that keeps `user` from one more on `file`.
    pub(crate) fn reached(&self, user: U, file: F, kind: Kind, limits: Limits) -> Option<Limit> {
        let has = self.usage(user);
        match kind {
            Kind::Lease if has.leases >= limits.leases => Some(Limit::Leases),
            Kind::Record if has.records >= limits.records => Some(Limit::Records),
            _ if has.files >= limits.files && self.shares.get(&(user, file)).is_none() => {
                Some(Limit::Files)
            }
            _ => None,
        }
    }

    /// One more for `user` on `file`. Who `may_exceed` the limits is counted all the same; that is
    /// asked only at a limit.
    pub(crate) fn take(
        &mut self,
        user: U,
        file: F,
        kind: Kind,
        limits: Limits,
        may_exceed: impl FnOnce() -> bool,
        room: Room<U, F>,
    ) -> Result<(), Refusal> {
        if let Some(limit) = self.reached(user, file, kind, limits) {
            if !may_exceed() {
                return Err(Refusal::Reached(limit));
            }
        }

        let total = match self.users.entry(user) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                // Who is not in here has no share either: nothing is added if one can't be.
                let (Some(node), true) = (room.user, room.share.is_some()) else {
                    return Err(Refusal::NoRoom);
                };
                entry.insert(Usage::default(), node)
            }
        };
        let share = match self.shares.entry((user, file)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => match room.share {
                Some(node) => entry.insert(0, node),
                None => return Err(Refusal::NoRoom),
            },
        };
        total.files += u32::from(*share == 0);
        *share += 1;
        match kind {
            Kind::Lease => total.leases += 1,
            Kind::Record => total.records += 1,
        }
        Ok(())
    }

    /// One less.
    pub(crate) fn give_back(&mut self, user: U, file: F, kind: Kind) {
        let (Some(mut total), Some(mut share)) = (
            self.users.find_mut(&user),
            self.shares.find_mut(&(user, file)),
        ) else {
            return;
        };
        let has = total.get_mut();
        match kind {
            Kind::Lease => has.leases = has.leases.saturating_sub(1),
            Kind::Record => has.records = has.records.saturating_sub(1),
        }
        let left = share.get_mut();
        *left = left.saturating_sub(1);
        if *left == 0 {
            share.remove();
            has.files = has.files.saturating_sub(1);
        }
        if *has == Usage::default() {
            total.remove();
        }
    }

    /// Does nobody have anything?
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() && self.shares.is_empty()
    }
}
