// SPDX-License-Identifier: GPL-2.0

//! What a break means to the leases that its range meets: the notice, and the end of it.
//!
//! A lease of fcntl is on the whole file, so that the first breaker of a generation concerns it, and
//! the time that its holder has runs from there. A lease fd is on a range: a breaker that comes
//! later may be the first that its holder hears of. For such a breaker there is a *grace*: nobody
//! is stopped on its behalf whose lease was told because of it, until a period has passed; and it
//! waits for one more period after that.

use super::{
    breaker::Closed,
    inode::Inner,
    kapi::trace,
    lease::{LeaseId, State},
    range::PageRange,
    record::{Charge, Record},
    records::Records,
    stats,
};
use kernel::page::PAGE_SHIFT;

/// How many bytes in `range` are pinned under `lease`, which covers `own`. What is pinned under it
/// is all in there, so that with many leases nobody has to look at the pins of all for each.
pub(crate) fn pinned_under(
    records: &Records,
    lease: LeaseId,
    own: &PageRange,
    range: &PageRange,
) -> u64 {
    let Some(range) = own.intersection(range) else {
        return 0;
    };
    records
        .overlapping(&range)
        .filter(|r| r.charge.to(lease))
        .filter_map(|r| r.range.intersection(&range))
        .map(|r| r.pages() << PAGE_SHIFT)
        .sum()
}

impl Closed {
    /// Does it keep leases of `range` from rest, as pins there have to wait for it? That it does also
    /// while it may come back.
    fn concerns(&self, range: &PageRange) -> bool {
        (self.ticket.is_some() || !self.present) && self.closed.overlaps(range)
    }
}

impl Inner {
    /// Where the lease is that a record is charged to.
    pub(crate) fn lease_of(&self, record: &Record) -> Option<usize> {
        let Charge::Lease { id, .. } = record.charge else {
            return None;
        };
        self.lease_named(id)
    }

    /// Where the lease of this name is.
    pub(crate) fn lease_named(&self, id: LeaseId) -> Option<usize> {
        // The oldest come first, and names rise.
        self.leases.binary_search_by_key(&id, |l| l.id).ok()
    }

    /// A generation begins with breaker `id`: each lease that it concerns gets its notice that is
    /// held, or was revoked with pins for which nobody was stopped.
    pub(crate) fn begin_generation(&mut self, id: u64, now: u64) {
        for i in 0..self.records.len() {
            let record = &mut self.records[i];
            record.young = false;
            if record.spent {
                continue;
            }
            // SIGBUS was for other pages of its process.
            record.stopped_at = None;
            self.note_overdue(i);
        }
        self.tell(id, now);
    }

    /// The lease of record `i`, which was not through a ladder, is to be told if it was revoked.
    fn note_overdue(&mut self, i: usize) {
        if let Some(lease) = self.lease_of(&self.records[i]) {
            let lease = &mut self.leases[lease];
            lease.overdue = lease.state == State::Revoked;
        }
    }

    /// Breaker `id` has pins in its way, and is part of a generation that others began: tells those
    /// who have not heard of it. If lease fds with pins there were among them, they have their
    /// time from now.
    pub(crate) fn tell_more(&mut self, id: u64, now: u64) {
        let Some(range) = self.closed_mut(id).map(|c| c.folios) else {
            return;
        };
        for i in 0..self.records.len() {
            let record = &self.records[i];
            let fresh = !record.spent && record.range.overlaps(&range);
            let lease = self.lease_of(record).map(|l| &self.leases[l]);
            if fresh && lease.is_some_and(|l| l.by_range() && !l.has_told(&range)) {
                self.note_overdue(i);
            }
        }
        if self.tell(id, now) {
            let until = now.saturating_add(self.machine.period());
            if let Some(mine) = self.closed_mut(id) {
                mine.grace = Some(until);
            }
            self.extend(id, now);
        }
    }

    /// Returns whether a lease fd was told that has pins in the way.
    fn tell(&mut self, id: u64, now: u64) -> bool {
        let Some(range) = self.closed_mut(id).map(|c| c.folios) else {
            return false;
        };
        let until = now.saturating_add(self.machine.period());
        let mut late = false;
        for i in 0..self.leases.len() {
            let records = &self.records;
            let lease = &mut self.leases[i];
            if !lease.range.overlaps(&range) || !lease.to_be_told(&range) {
                continue;
            }
            let (id, own) = (lease.id, lease.range);
            let pinned = |range: &PageRange| pinned_under(records, id, &own, range);
            lease.notify(&range, until, pinned);
            late |= lease.by_range() && pinned(&range) > 0;

            stats::NOTIFIED.up();
            let lease = &self.leases[i];
            trace::sigio(|| self.fields(&lease.range, &lease.holder, Ok(())));
        }
        for lease in self.leases.iter_mut() {
            // Of those that this breaker does not concern.
            lease.overdue = false;
        }
        late
    }

    /// Is the record's lease one that has its own time for each breaker?
    pub(crate) fn has_grace(&self, record: &Record) -> bool {
        self.lease_of(record)
            .is_some_and(|lease| self.leases[lease].by_range())
    }

    /// Those who were told late have had their time. Returns whether there were some.
    pub(crate) fn end_grace(&mut self, now: u64) -> bool {
        let mut any = false;
        loop {
            let over = |c: &&mut Closed| c.present && c.grace.is_some_and(|until| until <= now);
            let Some(mine) = self.closed.iter_mut().find(over) else {
                return any;
            };
            any = true;
            mine.grace = None;
            if mine.ticket.is_some() && !mine.granted {
                let id = mine.id;
                self.catch_up(id, now);
                self.extend(id, now);
            }
        }
    }

    /// When [`Self::advance`] has something to do, if ever.
    pub(crate) fn deadline(&self) -> Option<u64> {
        let graces = self.closed.iter().filter(|c| c.present);
        let grace = graces.filter_map(|c| c.grace).min();
        match (self.machine.deadline(), grace) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// When the next thing happens to those who hold pins under a lease, if anything will.
    pub(crate) fn deadline_of(&self, lease: usize) -> Option<u64> {
        let lease = &self.leases[lease];
        lease.told?;
        let grace = |c: &Closed| c.grace.filter(|_| lease.by_range());
        let waiting = self.closed.iter().filter(|c| c.waits_for(&lease.range));
        let next = waiting.filter_map(|c| grace(c).or(self.machine.deadline()));
        next.min().or(self.machine.deadline())
    }

    /// The time of a lease was up.
    pub(crate) fn revoke_lease(&mut self, i: usize) {
        let records = &self.records;
        let (id, own) = (self.leases[i].id, self.leases[i].range);
        self.leases[i].revoke(|range| pinned_under(records, id, &own, range));
        stats::REVOKED.up();
        let lease = &self.leases[i];
        trace::lease_revoke(|| self.fields(&lease.range, &lease.holder, Ok(())));
    }

    /// Nobody comes back any more of those who have gone.
    pub(crate) fn quieten(&mut self) {
        self.closed.retain(|c| c.present);
        self.rest(None);
    }

    /// Leases that no operation concerns any more are held as before, if they were not revoked;
    /// `anew`: so are those of which somebody else wants this, for whom they are told again.
    pub(crate) fn rest(&mut self, anew: Option<&PageRange>) {
        for i in 0..self.leases.len() {
            let (range, records) = (self.leases[i].range, &self.records);
            let again = anew.is_some_and(|anew| anew.overlaps(&range));
            if again || !self.closed.iter().any(|c| c.concerns(&range)) {
                let id = self.leases[i].id;
                self.leases[i].rest(|told| pinned_under(records, id, &range, told));
            }
        }
    }

    /// An operation has changed the layout of what it took.
    pub(crate) fn changed(&mut self, range: &PageRange) {
        for lease in self.leases.iter_mut() {
            if lease.range.overlaps(range) {
                lease.generation += 1;
            }
        }
    }
}
