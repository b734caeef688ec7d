// SPDX-License-Identifier: GPL-2.0

//! Things with a range of bytes, found by what they overlap: a process may have 100,000 pins.

use std::collections::BTreeMap;

/// Several may have the same range.
pub(super) struct Ranges<T> {
    /// By first byte, and a number of their own: end and thing.
    all: BTreeMap<(u64, u64), (u64, T)>,
    next: u64,
    /// How far before a range one must begin that surely does not reach it.
    longest: u64,
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            next: 0,
            longest: 0,
        }
    }
}

impl<T> Ranges<T> {
    /// One more.
    pub(super) fn add(&mut self, start: u64, end: u64, thing: T) {
        self.all.insert((start, self.next), (end, thing));
        self.next += 1;
        self.longest = self.longest.max(end.saturating_sub(start));
    }

    /// Does anything lie in the range?
    pub(super) fn any(&self, start: u64, end: u64) -> bool {
        let near = (start.saturating_sub(self.longest), 0)..(end, 0);
        self.all.range(near).any(|(_, (e, _))| *e > start)
    }

    /// Take out what lies in the range, or reaches into it.
    pub(super) fn take(&mut self, start: u64, end: u64) -> Vec<T> {
        let near = (start.saturating_sub(self.longest), 0)..(end, 0);
        let keys: Vec<_> = self
            .all
            .range(near)
            .filter(|(_, (e, _))| *e > start)
            .map(|(key, _)| *key)
            .collect();
        keys.iter()
            .filter_map(|key| self.all.remove(key))
            .map(|(_, thing)| thing)
            .collect()
    }

    /// All that is left.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.all)
            .into_values()
            .map(|(_, thing)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_is_taken() {
        let mut ranges = Ranges::default();
        for (start, end) in [(0, 10), (5, 6), (5, 6), (10, 20), (0, 100), (30, 40)] {
            ranges.add(start, end, (start, end));
        }
        assert!(ranges.any(99, 100) && !ranges.any(100, 200));
        assert_eq!(ranges.take(6, 10), [(0, 10), (0, 100)]);
        assert_eq!(ranges.take(6, 10), []);
        assert_eq!(ranges.take(5, 11), [(5, 6), (5, 6), (10, 20)]);
        assert_eq!(ranges.drain().collect::<Vec<_>>(), [(30, 40)]);
    }
}
