// SPDX-License-Identifier: GPL-2.0

//! How long the longest of some ranges can be, while ranges come and go. Says at most twice as
//! much, but needs to look at no other range when one goes.

/// Numbers of ranges by the number of bits that their lengths have.
pub(crate) struct Lengths([u32; Self::CLASSES]);

impl Lengths {
    const CLASSES: usize = u64::BITS as usize + 1;

    /// No range.
    pub(crate) const fn new() -> Self {
        Self([0; Self::CLASSES])
    }

    fn class(pages: u64) -> usize {
        (u64::BITS - pages.leading_zeros()) as usize
    }

    /// A range of that many pages comes.
    pub(crate) fn add(&mut self, pages: u64) {
        self.0[Self::class(pages)] += 1;
    }

    /// It goes.
    pub(crate) fn remove(&mut self, pages: u64) {
        let class = &mut self.0[Self::class(pages)];
        *class = class.saturating_sub(1);
    }

    /// It is longer now.
    pub(crate) fn change(&mut self, from: u64, to: u64) {
        self.remove(from);
        self.add(to);
    }

    /// No range has more pages than this.
    pub(crate) fn bound(&self) -> u64 {
        match self.0.iter().rposition(|ranges| *ranges > 0) {
            None => 0,
            Some(class) => u64::MAX >> (Self::CLASSES - 1 - class).min(63),
        }
    }
}
