// SPDX-License-Identifier: GPL-2.0

//! What the records say about a range, held against what the folios say.
//!
//! The folios count pins and know no owner; the records know owners and are not told of unpins.
//! A holder may lose its process only if both together leave no doubt that it still holds.

/// Sums over the records that meet one range of whole folios.
///
/// `G` tells thread groups apart.
#[derive(Clone, Copy)]
pub(crate) struct Tally<G> {
    pages: u64,
    group: Option<G>,
    mixed: bool,
}

impl<G: Copy + PartialEq> Tally<G> {
    /// Nothing recorded yet.
    pub(crate) const fn new() -> Self {
        Self {
            pages: 0,
            group: None,
            mixed: false,
        }
    }

    /// A record of `group` covers `pages` pages of the range.
    pub(crate) fn add(&mut self, group: G, pages: u64) {
        self.pages = self.pages.saturating_add(pages);
        match self.group {
            None => self.group = Some(group),
            Some(known) if known != group => self.mixed = true,
            Some(_) => (),
        }
    }

    /// Does everyone who is recorded still hold something, given that the folios of the range
    /// have `pinned` long-term pins, or fewer where that is not `exact`?
    ///
    /// Pins but one group only: they are that group's. Several groups: only if not one pin is
    /// missing, since nobody knows whose the missing one was.
    pub(crate) fn certain(&self, pinned: u64, exact: bool) -> bool {
        exact && pinned > 0 && self.group.is_some() && (!self.mixed || pinned == self.pages)
    }
}
