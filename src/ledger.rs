// SPDX-License-Identifier: GPL-2.0

//! What the records say about a range, held against what the folios say.
//!
//! The folios count pins and know no owner; the records know owners and are not told of unpins.
//! A holder may lose its process only if both together leave no doubt that it still holds.

/// One group's pages, and everybody's, on a range of whole folios.
#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    own: u64,
    all: u64,
}

impl Share {
    /// A record covers `pages` pages of the range, and is the group's own or another's.
    pub(crate) fn add(&mut self, own: bool, pages: u64) {
        self.all = self.all.saturating_add(pages);
        if own {
            self.own = self.own.saturating_add(pages);
        }
    }

    /// Does the group still hold something, given that the folios of the range have `pinned`
    /// long-term pins, or fewer where that is not `exact`?
    ///
    /// It does if the pins are more than all the others can have. More pins than are on record
    /// belong to somebody unknown: then nothing is certain.
    pub(crate) fn certain(&self, pinned: u64, exact: bool) -> bool {
        exact && pinned <= self.all && pinned > self.all - self.own
    }
}
