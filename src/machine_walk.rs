// SPDX-License-Identifier: GPL-2.0

//! For KUnit: every reachable state of the machine with up to two breakers, every input in each.
//!
//! Time goes in half periods, one at a time with a tick after each (as the module does), or in one
//! jump of several (a late timer, a suspended guest). States that differ only by when they happen
//! are one.

use super::*;
use kernel::prelude::*;

const PERIOD: u64 = 2;
const NOW: u64 = 1000;
const LATE: u64 = 3;
const JUMP: u64 = 5;

/// As `assert!`, which outside of a test function would stop the machine instead of the test.
macro_rules! hold {
    ($condition:expr) => {
        if !$condition {
            pr_err!("machine: line {}: {}\n", line!(), stringify!($condition));
            return Err(EINVAL);
        }
    };
}

/// A breaker that is present, with the time for which it has waited, if that is known.
#[derive(Clone, Copy, PartialEq)]
struct Waiter {
    ticket: Ticket,
    age: Option<u64>,
}

/// A change of phase, or none, as `machine_table.rs` lists them.
pub(super) type Step = (Phase, super::Input, Phase);

/// The machine and what a test has to remember about its generation.
#[derive(Clone, Copy, PartialEq)]
struct World {
    machine: Machine,
    waiters: [Option<Waiter>; 2],
    full: bool,
    notices: u32,
    sigbus: u32,
    sigkill: u32,
}

#[derive(Clone, Copy)]
enum Event {
    Begin(usize, Ladder),
    /// With holders who have to be stopped at once where their time is up.
    BeginLate(usize),
    Leave(usize, bool),
    Time(u64),
    Abandon,
    Complete,
}

const EVENTS: [Event; 15] = [
    Event::Begin(0, Ladder::Full),
    Event::Begin(0, Ladder::Spent),
    Event::BeginLate(0),
    Event::Begin(1, Ladder::Full),
    Event::Begin(1, Ladder::Spent),
    Event::BeginLate(1),
    Event::Leave(0, true),
    Event::Leave(0, false),
    Event::Leave(1, true),
    Event::Leave(1, false),
    Event::Time(1),
    Event::Time(LATE),
    Event::Time(JUMP),
    Event::Abandon,
    Event::Complete,
];

/// The steps that a walk has seen.
pub(super) struct Steps(pub(super) KVec<Step>);

impl Steps {
    fn note(&mut self, from: Phase, input: super::Input, to: Phase) -> Result {
        let step = (from, input, to);
        if !self.0.contains(&step) {
            self.0.push(step, GFP_KERNEL)?;
        }
        Ok(())
    }
}

impl World {
    const fn new() -> Self {
        Self {
            machine: Machine {
                epoch: 1,
                ..Machine::new()
            },
            waiters: [None; 2],
            full: false,
            notices: 0,
            sigbus: 0,
            sigkill: 0,
        }
    }

    fn present(&self) -> usize {
        self.waiters.iter().flatten().count()
    }

    fn forget_generation(&mut self) {
        self.full = false;
        self.notices = 0;
        self.sigbus = 0;
        self.sigkill = 0;
    }

    fn tick(&mut self, now: u64, steps: &mut Steps) -> Result {
        let mut rungs = 0;
        loop {
            let from = self.machine.phase();
            let Some(action) = self.machine.tick(now) else {
                return Ok(());
            };
            steps.note(from, super::Input::Tick, self.machine.phase())?;
            rungs += 1;
            // One rung at a time, however late it is.
            hold!(rungs == 1);
            match action {
                Action::Revoke => self.sigbus += 1,
                Action::Kill => self.sigkill += 1,
                Action::Expire => hold!(self.present() > 0),
                Action::End => {
                    hold!(self.present() == 0);
                    self.forget_generation();
                }
            }
        }
    }

    fn begin(&mut self, slot: usize, ladder: Ladder, late: bool, terms: Terms) -> Result {
        let over = matches!(self.machine.phase(), Phase::Idle | Phase::Expired);
        let (mut ticket, first) = self.machine.begin(NOW, terms, ladder);
        hold!(first == over);
        if first {
            self.forget_generation();
            self.notices += 1;
        }
        self.full |= ladder == Ladder::Full;
        if late && !first && self.machine.past_notice() {
            self.machine.extend(&mut ticket, NOW);
        }
        self.waiters[slot] = Some(Waiter {
            ticket,
            age: Some(0),
        });
        Ok(())
    }

    fn leave(&mut self, now: u64, done: bool, steps: &mut Steps) -> Result {
        let from = self.machine.phase();
        let end = self.machine.leave(now, done);
        let over = self.present() == 0 && (done || from == Phase::Expired);
        hold!((end == Some(Action::End)) == over);
        hold!(end.is_none() || !self.machine.active());
        let input = match done {
            true => super::Input::Done,
            false => super::Input::Leave,
        };
        steps.note(from, input, self.machine.phase())?;
        if end.is_some() {
            self.forget_generation();
        }
        Ok(())
    }

    /// The state after `event`, or [`None`] where it makes no sense.
    fn after(&self, event: Event, terms: Terms, steps: &mut Steps) -> Result<Option<Self>> {
        let mut next = *self;
        let from = next.machine.phase();
        match event {
            Event::Begin(slot, _) | Event::BeginLate(slot) => {
                if self.waiters[slot].is_some() {
                    return Ok(None);
                }
                let (ladder, late) = match event {
                    Event::Begin(_, ladder) => (ladder, false),
                    _ => (Ladder::Full, true),
                };
                next.begin(slot, ladder, late, terms)?;
                let over = matches!(from, Phase::Idle | Phase::Expired);
                let input = match (over, ladder) {
                    (true, Ladder::Full) => super::Input::Begin,
                    (true, Ladder::Spent) => super::Input::BeginSpent,
                    (false, _) => super::Input::Join,
                };
                steps.note(from, input, next.machine.phase())?;
                next.tick(NOW, steps)?;
            }
            Event::Leave(slot, done) => {
                if next.waiters[slot].take().is_none() {
                    return Ok(None);
                }
                next.leave(NOW, done, steps)?;
            }
            Event::Time(by) => {
                for waiter in next.waiters.iter_mut().flatten() {
                    waiter.age = match waiter.age {
                        Some(age) if by == 1 => Some(age + 1),
                        _ => None,
                    };
                }
                next.tick(NOW + by, steps)?;
                next.drop_busy(NOW + by, terms.kill, steps)?;
                next.shift(by);
            }
            Event::Complete => {
                if next.present() > 0 || !next.machine.active() {
                    return Ok(None);
                }
                hold!(next.machine.complete() == Some(Action::End));
                steps.note(from, super::Input::Done, next.machine.phase())?;
                next.forget_generation();
            }
            Event::Abandon => {
                if next.present() > 0 || !next.machine.active() {
                    return Ok(None);
                }
                next.machine.abandon();
                steps.note(from, super::Input::Abandon, next.machine.phase())?;
                next.forget_generation();
            }
        }
        Ok(Some(next))
    }

    /// Breakers that are told to give up do so; nobody waits beyond the limit.
    fn drop_busy(&mut self, now: u64, kill: bool, steps: &mut Steps) -> Result {
        for slot in 0..self.waiters.len() {
            let Some(waiter) = self.waiters[slot] else {
                continue;
            };
            hold!(self.machine.poll(&waiter.ticket, now, true) == Verdict::Go);
            match self.machine.poll(&waiter.ticket, now, false) {
                Verdict::Go => hold!(false),
                Verdict::Wait(until) => {
                    hold!(until > now);
                    hold!(until - now <= PERIOD);
                    if let Some(age) = waiter.age {
                        hold!(age < limit(&waiter.ticket, kill));
                    }
                }
                Verdict::Busy => {
                    let old = waiter.ticket.epoch != self.machine.epoch;
                    let over = old || self.machine.phase() == Phase::Expired;
                    hold!(over || waiter.ticket.spent);
                    self.waiters[slot] = None;
                    self.leave(now, false, steps)?;
                }
            }
        }
        Ok(())
    }

    /// Makes now [`NOW`] again, and times that mean nothing 0.
    fn shift(&mut self, by: u64) {
        let m = &mut self.machine;
        m.due -= m.due.min(by);
        m.linger -= m.linger.min(by);
        for waiter in self.waiters.iter_mut().flatten() {
            let until = &mut waiter.ticket.until;
            *until = until.saturating_sub(by).max(NOW);
        }
    }

    fn normal(mut self) -> Self {
        let present = self.present();
        let m = &mut self.machine;
        if matches!(m.phase, Phase::Idle | Phase::Expired) {
            m.due = 0;
        } else if present == 0 {
            m.due = m.due.max(NOW);
        }
        if present > 0 || m.phase == Phase::Idle {
            m.linger = 0;
        }
        for waiter in self.waiters.iter_mut().flatten() {
            waiter.ticket.until = waiter.ticket.until.max(NOW);
            // Older generations are all alike.
            waiter.ticket.epoch = u64::from(waiter.ticket.epoch == m.epoch);
        }
        m.epoch = 1;
        self
    }

    /// What holds in every state.
    fn check(&self, kill: bool) -> Result {
        let m = &self.machine;
        hold!(m.breakers as usize == self.present());
        hold!(self.notices <= 1);
        hold!(self.sigbus <= 1);
        hold!(self.sigkill <= self.sigbus);
        hold!(kill || self.sigkill == 0);
        hold!(kill || m.phase != Phase::Killed);
        hold!(self.full || self.sigbus == 0);
        hold!(m.active() == (self.notices == 1));
        hold!(m.past_notice() || self.sigbus == 0);
        // Nobody is stopped who was not notified a period before, nor is that left out.
        hold!(!self.full || m.phase != Phase::Revoked || self.sigbus == 1);
        hold!(m.phase != Phase::Expired || self.present() > 0);
        hold!(m.exhausted() == (m.active() && (!self.full || m.phase == Phase::Expired)));
        // Whoever is there, or will be forgotten, has a time at which that happens.
        match m.deadline() {
            None => hold!(matches!(m.phase, Phase::Idle | Phase::Expired)),
            Some(at) => hold!(m.active() && at <= NOW + PERIOD),
        }
        Ok(())
    }
}

/// The longest that a breaker may wait.
fn limit(ticket: &Ticket, kill: bool) -> u64 {
    match (ticket.spent, kill) {
        (true, _) => PERIOD,
        (false, false) => 2 * PERIOD,
        (false, true) => 3 * PERIOD,
    }
}

/// Visits all states that are reachable; returns how many there are, and how many transitions.
pub(super) fn walk(kill: bool, steps: &mut Steps) -> Result<(usize, usize)> {
    let terms = Terms {
        period: PERIOD,
        kill,
    };
    let mut seen = KVec::new();
    seen.push(World::new(), GFP_KERNEL)?;
    let mut transitions = 0;
    let mut at = 0;
    while at < seen.len() {
        let world = seen[at];
        at += 1;
        for event in EVENTS {
            let Some(next) = world.after(event, terms, steps)? else {
                continue;
            };
            let next = next.normal();
            next.check(kill)?;
            transitions += 1;
            if !seen.iter().any(|w| *w == next) {
                seen.push(next, GFP_KERNEL)?;
            }
        }
    }
    Ok((seen.len(), transitions))
}
