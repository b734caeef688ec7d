// SPDX-License-Identifier: GPL-2.0

//! Who still holds pins, beyond doubt: whose process may be stopped, and who waits for itself.

use super::{
    inode::Inner,
    kapi::process::{GroupId, ThreadGroup},
    ledger::Ledger,
    range::PageRange,
};
use core::ops::Range;
use kernel::prelude::*;

impl Inner {
    /// Does `group` hold pins on folios with pages in `range`, beyond doubt?
    pub(crate) fn surely_holds(&self, group: &ThreadGroup, range: &PageRange) -> bool {
        let mut from = 0;
        while from < self.records.len() {
            let (to, hull) = self.run(from);
            if hull.overlaps(range) && self.surely(group.id(), range, from..to, &hull) {
                return true;
            }
            from = to;
        }
        false
    }

    fn surely(
        &self,
        group: GroupId,
        range: &PageRange,
        run: Range<usize>,
        hull: &PageRange,
    ) -> bool {
        let records = &self.records[run.clone()];
        let own = records.iter().filter(|r| r.pinner.group().id() == group);
        if own.clone().next().is_none() {
            return false;
        }
        // Without memory nothing is certain.
        self.cells(run, hull)
            .is_ok_and(|mut cells| Ledger::compare(&mut cells, records).certain(own, range))
    }

    /// A step begins: notes with each party whether it holds pins that a breaker waits for, beyond
    /// doubt. Looks at a run once, however many parties there are.
    pub(crate) fn find_certain(&mut self) {
        for party in self.records.parties.iter_mut() {
            party.certain = false;
            party.hit = None;
        }
        for i in 0..self.closed.len() {
            let range = self.closed[i].folios;
            if !self.closed[i].waits_for(&range) {
                continue;
            }
            let mut from = 0;
            while from < self.records.len() {
                let (to, hull) = self.run(from);
                if hull.overlaps(&range) {
                    // Without memory nothing is certain.
                    let _ = self.find_certain_in(&range, from..to, &hull);
                }
                from = to;
            }
        }
    }

    fn find_certain_in(
        &mut self,
        range: &PageRange,
        run: Range<usize>,
        hull: &PageRange,
    ) -> Result {
        let mut cells = self.cells(run.clone(), hull)?;
        // Party and record in one number each, so that sorting brings a party's together.
        let mut by_party = KVVec::with_capacity(run.len(), GFP_KERNEL)?;
        for i in run.clone() {
            let party = self.records.place(self.records[i].pinner.group().id());
            by_party.push((party as u64) << 32 | i as u64, GFP_KERNEL)?;
        }
        by_party.sort_unstable();

        let mut ledger = Ledger::compare(&mut cells, &self.records[run]);
        for records in by_party.chunk_by(|a, b| a >> 32 == b >> 32) {
            let own = records.iter().map(|i| &self.records[*i as u32 as usize]);
            if ledger.certain(own, range) {
                let party = (records[0] >> 32) as usize;
                if let Some(party) = self.records.parties.get_mut(party) {
                    party.certain = true;
                }
            }
        }
        Ok(())
    }
}
