// SPDX-License-Identifier: GPL-2.0

//! Ranges of a file, in pages, half open.
//!
//! Everything that is compared, pinned or broken is a whole number of pages; bytes appear only
//! where a range comes in from the kernel or goes out to a trace event. An end of [`EOF`] stands
//! for "to the end of the file and beyond".

use kernel::page::PAGE_SHIFT;

/// The end of a range that goes to the end of the file, wherever that is.
pub(crate) const EOF: u64 = u64::MAX;

/// The pages `start..end` of a file; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRange {
    start: u64,
    end: u64,
}

impl PageRange {
    /// The pages `start..end`, [`None`] if there are none.
    pub(crate) const fn new(start: u64, end: u64) -> Option<Self> {
        if start < end {
            Some(Self { start, end })
        } else {
            None
        }
    }

    /// All pages that a file can have.
    pub(crate) const fn whole() -> Self {
        Self { start: 0, end: EOF }
    }

    /// `pages` pages from page `index`; what would go beyond the largest index goes to [`EOF`].
    pub(crate) const fn of_pages(index: u64, pages: u64) -> Option<Self> {
        Self::new(index, index.saturating_add(pages))
    }

    /// The pages that the bytes `start..end` touch. An end of [`i64::MAX`] means [`EOF`].
    pub(crate) const fn of_bytes(start: i64, end: i64) -> Option<Self> {
        if start < 0 || end <= start {
            return None;
        }
        let last = if end == i64::MAX {
            EOF
        } else {
            ((end - 1) as u64 >> PAGE_SHIFT) + 1
        };
        Self::new(start as u64 >> PAGE_SHIFT, last)
    }

    /// The pages `first..=last`, as the page cache counts.
    pub(crate) const fn of_inclusive(first: u64, last: u64) -> Option<Self> {
        Self::new(first, last.saturating_add(1))
    }

    /// Index of the first page.
    pub(crate) const fn first(&self) -> u64 {
        self.start
    }

    /// Index of the last page; the largest index there is for a range to [`EOF`].
    pub(crate) const fn last(&self) -> u64 {
        if self.end == EOF {
            EOF
        } else {
            self.end - 1
        }
    }

    /// Number of pages.
    pub(crate) const fn pages(&self) -> u64 {
        self.end - self.start
    }

    /// First byte.
    pub(crate) const fn start_byte(&self) -> i64 {
        Self::byte(self.start)
    }

    /// The byte behind the last one, [`i64::MAX`] for a range to [`EOF`].
    pub(crate) const fn end_byte(&self) -> i64 {
        Self::byte(self.end)
    }

    const fn byte(page: u64) -> i64 {
        if page > i64::MAX as u64 >> PAGE_SHIFT {
            i64::MAX
        } else {
            (page << PAGE_SHIFT) as i64
        }
    }

    /// Is there a page that is in both?
    pub(crate) const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Are all pages of `other` in it?
    pub(crate) const fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The pages that are in both.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        Self::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The smallest range that has both in it.
    pub(crate) fn hull(&self, other: &Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// Does `next` begin where this one ends?
    pub(crate) const fn meets(&self, next: &Self) -> bool {
        self.end == next.start
    }

    /// Rounded outward to multiples of `unit` pages, a power of two.
    pub(crate) const fn outward(&self, unit: u64) -> Self {
        let mask = unit - 1;
        let end = match self.end.checked_add(mask) {
            Some(end) => end & !mask,
            None => EOF,
        };
        Self {
            start: self.start & !mask,
            end,
        }
    }
}
