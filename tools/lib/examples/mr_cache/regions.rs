// SPDX-License-Identifier: GPL-2.0
//! The cache itself: what is registered of one file, by offset.  Nothing in it
//! knows how a region is pinned.

use longterm::ByteRange;
use std::collections::BTreeMap;

/// Regions of one file, each with a range of its own.
pub struct Regions<R> {
    by_start: BTreeMap<u64, (ByteRange, R)>,
}

impl<R> Regions<R> {
    pub fn new() -> Self {
        Regions {
            by_start: BTreeMap::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.by_start.len()
    }

    /// The region that begins there.
    pub fn get(&self, start: u64) -> Option<&R> {
        self.by_start.get(&start).map(|(_, region)| region)
    }

    pub fn insert(&mut self, range: ByteRange, region: R) {
        self.by_start.insert(range.start, (range, region));
    }

    /// Take out those that a range meets, and no other.
    pub fn take(&mut self, range: ByteRange) -> Vec<R> {
        let met: Vec<u64> = self
            .by_start
            .range(..range.end)
            .filter(|(_, (of, _))| of.meets(range))
            .map(|(&start, _)| start)
            .collect();
        met.iter()
            .filter_map(|start| self.by_start.remove(start))
            .map(|(_, region)| region)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regions() -> Regions<u64> {
        let mut regions = Regions::new();
        for number in 0..8 {
            regions.insert((number * 10..number * 10 + 10).into(), number);
        }
        regions
    }

    #[test]
    fn what_a_break_meets_and_nothing_else() {
        let mut regions = regions();
        assert_eq!(regions.take((19..31).into()), [1, 2, 3]);
        assert_eq!(regions.len(), 5);
        assert_eq!(regions.get(20), None);
        assert_eq!(regions.get(40), Some(&4));
        assert!(regions.take((10..40).into()).is_empty());
    }

    #[test]
    fn to_the_end() {
        let mut regions = regions();
        let end = (65..ByteRange::EOF).into();
        assert_eq!(regions.take(end), [6, 7]);
        assert_eq!(regions.len(), 6);
    }
}
