// SPDX-License-Identifier: GPL-2.0

//! What a generation does to holders: the notice, the revocation, the signals, the log.

use super::{
    breaker::Closed,
    inode::{Inner, WHOLE_FILE},
    kapi::{
        process::{Comm, ThreadGroup},
        report,
        trace, //
    },
    lease::State,
    machine::{Action, Input, Phase},
    range::PageRange,
    record::{Charge, Record},
    stats,
};
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

    /// A generation begins: each lease of the file that is held gets its notice.
    pub(crate) fn begin_generation(&mut self) {
        let id = self.id;
        for record in self.records.iter_mut() {
            record.late = false;
        }
        for lease in self.leases.iter_mut() {
            if lease.state == State::Held {
                lease.notify();
                stats::NOTIFIED.up();
                trace::sigio(|| super::inode::fields(id, &WHOLE_FILE, &lease.holder, Ok(())));
            }
        }
    }

    /// A generation is over: what was not revoked is held as before.
    pub(crate) fn quieten(&mut self) {
        for lease in self.leases.iter_mut() {
            if lease.state == State::Breaking {
                lease.state = State::Held;
            }
        }
        self.closed.retain(|c| c.present);
        self.generation += 1;
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
                return moved;
            };
            moved = true;
            self.step(from, Input::Tick);
            match action {
                Action::Revoke => {
                    self.revoke();
                    self.stop(Stop::Sigbus);
                    self.spend();
                }
                Action::Kill => self.stop(Stop::Sigkill),
                Action::Expire => (),
                Action::End => self.quieten(),
            }
        }
    }

    /// A breaker has come after its holders' time was up. Returns whether one was stopped: that one
    /// has a period to react, also before SIGKILL.
    pub(crate) fn catch_up(&mut self) -> bool {
        self.revoke();
        self.stop(Stop::Sigbus);
        let mut stopped = false;
        for record in self.records.iter_mut() {
            record.late |= record.hit;
            stopped |= record.hit;
        }
        self.spend();
        stopped
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

    /// Is there a breaker that waits for this record? One's own breaks do not count: they end
    /// with EDEADLK and take nothing from oneself.
    fn in_the_way(&self, record: &Record) -> bool {
        self.breakers_of(record).next().is_some()
    }

    fn breakers_of<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = &'a Closed> + 'a {
        self.closed
            .iter()
            .filter(|c| c.waits_for(&record.range) && c.group != *record.pinner.group())
    }

    /// A breaker on whose behalf the pinner may be signalled.
    fn breaker_over<'a>(&'a self, record: &'a Record) -> Option<&'a Closed> {
        self.breakers_of(record)
            .find(|c| c.takes_back || c.id == record.exposed_to)
    }

    /// Revokes the leases that have pins in the way.
    fn revoke(&mut self) {
        self.settle();
        for i in 0..self.leases.len() {
            let lease = self.leases[i].id;
            let in_the_way = self.records.iter().any(|r| {
                matches!(r.charge, Charge::Lease { id, .. } if id == lease) && self.in_the_way(r)
            });
            if in_the_way && self.leases[i].state != State::Revoked {
                self.leases[i].state = State::Revoked;
                stats::REVOKED.up();
                let holder = &self.leases[i].holder;
                trace::lease_revoke(|| self.fields(&WHOLE_FILE, holder, Ok(())));
            }
        }
    }

    /// Those in the way who were stopped, or never can be, have had their chance. Whom only this
    /// breaker had no right to stop, or who was in doubt just now, the next one may stop.
    fn spend(&mut self) {
        for i in 0..self.records.len() {
            let record = &self.records[i];
            let group = record.pinner.group();
            let over = record.foreign
                || !record.pinner.accountable()
                || self
                    .records
                    .iter()
                    .any(|r| r.hit && r.pinner.group() == group);
            if over && self.in_the_way(record) {
                self.records[i].spent = true;
            }
        }
    }

    /// Signals each process that has pins in the way, once, where all conditions hold.
    fn stop(&mut self, how: Stop) {
        for i in 0..self.records.len() {
            self.records[i].hit = false;
        }
        for i in 0..self.records.len() {
            let record = &self.records[i];
            let group = record.pinner.group();
            let hit_before = self
                .records
                .iter()
                .any(|r| r.hit && r.pinner.group() == group);
            let fresh = match how {
                Stop::Sigbus => !record.spent,
                Stop::Sigkill => record.spent && !record.late,
            };
            if fresh && !hit_before && self.may_stop(record) && self.signal(record, how) {
                self.records[i].hit = true;
            }
        }
    }

    /// May the pinner of this record be stopped?
    fn may_stop(&self, record: &Record) -> bool {
        !record.foreign
            && record.pinner.accountable()
            && self.breaker_over(record).is_some()
            && self.certain(record)
    }

    /// Does the pinner still hold pages in the way, beyond doubt?
    fn certain(&self, record: &Record) -> bool {
        self.closed
            .iter()
            .filter(|c| c.waits_for(&record.range))
            .filter_map(|c| c.folios.intersection(&record.range))
            .any(|range| self.surely_holds(record.pinner.group(), &range))
    }

    /// Sends the signal; true if it was sent.
    fn signal(&self, record: &Record, how: Stop) -> bool {
        let Some(breaker) = self.breaker_over(record) else {
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
