// SPDX-License-Identifier: GPL-2.0

//! What a generation does to holders: the revocation, the signals, the log. The notice before that
//! is in `notice.rs`.

use super::{
    breaker::Closed,
    inode::Inner,
    kapi::{
        process::{Comm, ThreadGroup},
        report,
        trace, //
    },
    lease::State,
    machine::{Action, Input, Phase},
    range::PageRange,
    record::Record,
    records::Party,
    stats,
};
use core::num::NonZeroU64;
use kernel::prelude::*;

/// How a holder is stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    Sigbus,
    Sigkill,
}

impl Inner {
    /// The records of pages in `range`.
    pub(crate) fn holders<'a>(
        &'a self,
        range: &'a PageRange,
    ) -> impl Iterator<Item = &'a Record> + 'a {
        self.records.overlapping(range)
    }

    /// The machine took a step.
    pub(crate) fn step(&self, from: Phase, input: Input) {
        trace::break_state(
            self.id,
            from.name(),
            input.name(),
            self.machine.phase().name(),
        );
    }

    /// Nobody is left whom the generation concerns.
    pub(crate) fn abandon(&mut self) {
        let from = self.machine.phase();
        self.machine.abandon();
        self.step(from, Input::Abandon);
        self.quieten();
    }

    /// Time passes. Returns whether something has happened.
    pub(crate) fn advance(&mut self, now: u64) -> bool {
        let mut moved = false;
        loop {
            let from = self.machine.phase();
            let Some(action) = self.machine.tick(now) else {
                return moved | self.end_grace(now);
            };
            moved = true;
            self.step(from, Input::Tick);
            match action {
                Action::Revoke => {
                    self.revoke(None);
                    self.stop(Stop::Sigbus, None, now);
                }
                Action::Kill => {
                    self.stop(Stop::Sigkill, None, now);
                }
                // Nothing is left to come back for.
                Action::Expire | Action::End => self.quieten(),
            }
        }
    }

    /// Breaker `id` has come after the time of those in its way was up. Returns whether one was
    /// stopped.
    pub(crate) fn catch_up(&mut self, id: u64, now: u64) -> bool {
        self.revoke(Some(id));
        self.stop(Stop::Sigbus, Some(id), now)
    }

    /// Has the pinner had a period to react to SIGBUS, if it had that?
    pub(crate) fn had_time(&self, record: &Record, now: u64) -> bool {
        record
            .stopped_at
            .is_none_or(|at| now.saturating_sub(at.get()) >= self.machine.period())
    }

    /// The current task is breaker `id`; notes which holders in its way it could kill(2).
    pub(crate) fn expose(&mut self, id: u64, folios: &PageRange) {
        for record in self.records.iter_mut() {
            let known = self
                .closed
                .iter()
                .any(|c| c.id == record.exposed_to && c.present);
            if record.range.overlaps(folios) && !known && record.pinner.group().killable() {
                record.exposed_to = id;
            }
        }
    }

    /// Is there a breaker, breaker `by` if that is said, that waits for this record? One's own breaks
    /// do not count: they end with EDEADLK and take nothing from oneself.
    fn in_the_way(&self, record: &Record, by: Option<u64>) -> bool {
        self.breakers_of(record, by).next().is_some()
    }

    fn breakers_of<'a>(
        &'a self,
        record: &'a Record,
        by: Option<u64>,
    ) -> impl Iterator<Item = &'a Closed> + 'a {
        self.closed
            .iter()
            .filter(move |c| by.is_none_or(|id| c.id == id))
            .filter(|c| c.waits_for(&record.range) && c.group != *record.pinner.group())
            .filter(|c| c.grace.is_none() || !self.has_grace(record))
    }

    /// A breaker on whose behalf the pinner may be signalled.
    fn breaker_over<'a>(&'a self, record: &'a Record, by: Option<u64>) -> Option<&'a Closed> {
        self.breakers_of(record, by)
            .find(|c| c.takes_back || c.id == record.exposed_to)
    }

    /// Revokes the leases that have pins in the way.
    fn revoke(&mut self, by: Option<u64>) {
        self.settle();
        for i in 0..self.records.len() {
            let record = &self.records[i];
            if record.young || !self.in_the_way(record, by) {
                continue;
            }
            match self.lease_of(record) {
                Some(i) if self.leases[i].state != State::Revoked => self.revoke_lease(i),
                _ => (),
            }
        }
    }

    /// Signals each process that has pins in the way, once, where all conditions hold. Returns
    /// whether there was one.
    fn stop(&mut self, how: Stop, by: Option<u64>, now: u64) -> bool {
        self.find_certain();
        let mut stopped = false;
        for i in 0..self.records.len() {
            let group = self.records[i].pinner.group().id();
            let todo = |p: &&mut Party| p.certain && p.hit.is_none();
            if self.records.party(group).filter(todo).is_none() {
                continue;
            }
            let record = &self.records[i];
            let fresh = match how {
                // What was pinned after the notice was given has the next one before it.
                Stop::Sigbus => !record.spent && !record.young,
                Stop::Sigkill => {
                    !record.young && record.stopped_at.is_some() && self.had_time(record, now)
                }
            };
            if fresh && self.may_stop(record, by) {
                let hit = self.signal(record, how, by);
                stopped |= hit;
                if let Some(party) = self.records.party(group) {
                    party.hit = Some(hit);
                }
            }
        }
        if how == Stop::Sigbus {
            self.spend(by, now);
        }
        stopped
    }

    /// Those in the way who were stopped, or never can be, have had their chance. Whom only this
    /// breaker had no right to stop, or who was in doubt just now, the next one may stop.
    fn spend(&mut self, by: Option<u64>, now: u64) {
        for i in 0..self.records.len() {
            let group = self.records[i].pinner.group().id();
            let hit = self.records.party(group).and_then(|p| p.hit) == Some(true);
            let record = &self.records[i];
            let over = hit || record.foreign || !record.pinner.accountable();
            let spent = over && !record.young && self.in_the_way(record, by);
            let record = &mut self.records[i];
            record.spent |= spent;
            if hit {
                record.stopped_at = NonZeroU64::new(now);
            }
        }
    }

    /// May the pinner of this record be stopped, if it holds for certain?
    fn may_stop(&self, record: &Record, by: Option<u64>) -> bool {
        !record.foreign
            && !record.charge.unbreakable()
            && record.pinner.accountable()
            && self.breaker_over(record, by).is_some()
    }

    /// Sends the signal; true if it was sent.
    fn signal(&self, record: &Record, how: Stop, by: Option<u64>) -> bool {
        let Some(breaker) = self.breaker_over(record, by) else {
            return false;
        };
        let group = record.pinner.group();
        let range = breaker
            .folios
            .intersection(&record.range)
            .unwrap_or(record.range);
        let (sent, what) = match how {
            Stop::Sigbus => (
                group.sigbus(self.first_addr(group, &breaker.folios)),
                c"SIGBUS",
            ),
            Stop::Sigkill => (group.sigkill(), c"SIGKILL"),
        };
        let fields = || self.fields(&range, group, sent);
        match how {
            Stop::Sigbus => trace::sigbus(fields),
            Stop::Sigkill => trace::sigkill(fields),
        }
        if sent.is_err() {
            return false;
        }
        match how {
            Stop::Sigbus => stats::SIGBUS.up(),
            Stop::Sigkill => stats::SIGKILL.up(),
        }
        report::line(
            what,
            self.id,
            (range.start_byte(), range.end_byte()),
            (group.number(), record.pinner.comm()),
            (breaker.group.number(), &breaker.comm),
        );
        true
    }

    /// Where the first of the process's pages in `range` was mapped.
    fn first_addr(&self, group: &ThreadGroup, range: &PageRange) -> usize {
        self.holders(range)
            .filter(|r| r.pinner.group() == group && !r.foreign)
            .min_by_key(|r| r.range.first())
            .map_or(0, |r| r.addr_in(range))
    }

    /// The current task is refused, as others hold pages in `range`.
    pub(crate) fn report_busy(&self, range: &PageRange) {
        let me = ThreadGroup::current();
        trace::busy(|| self.fields(range, &me, Err(ETXTBSY)));
        let unknown = Comm::unknown();
        let holder = self.holders(range).next().map_or((0, &unknown), |r| {
            (r.pinner.group().number(), r.pinner.comm())
        });
        report::line(
            c"ETXTBSY",
            self.id,
            (range.start_byte(), range.end_byte()),
            holder,
            (me.number(), &Comm::current()),
        );
    }
}
