// SPDX-License-Identifier: GPL-2.0

//! The course of a break, as a pure state machine: no kernel calls, no clock of its own.
//!
//! One machine an inode. From the first breaker that meets a pin to the end of the layout change
//! (or to the last breaker's giving up, and one period) is a *generation*. It has one `t0` and one
//! period, both sampled when it begins:
//!
//! ```text
//!         begin          t0+T         t0+2T  [t0+3T]
//!  Idle ---------> Notified -> Revoked -> [Killed] -> Expired
//!    ^    SIGIO          SIGBUS       [SIGKILL]    ETXTBSY   |
//!    +-------- the change is complete, or nobody came back --+
//! ```
//!
//! The rung in brackets is there only if the administrator asked for it. A breaker that arrives
//! later joins: no second notice, no new `t0`. Nothing is sent while no breaker is present: what is
//! due then is sent when one comes back within a period, else never. At the end of the ladder there
//! is nothing to come back for: the generation ends with the last breaker.
//!
//! A breaker in whose way are only holders who went through an earlier ladder begins where that
//! ended, and waits for one period. One with other holders that joins it adds the first rungs.
//! Who comes after the end of a ladder begins the next generation, while those that are told to
//! give up may still be there.
//!
//! Times are in milliseconds on a clock that only the caller knows. Which phase follows which is
//! written down in `machine_table.rs`.

use core::ffi::CStr;

#[cfg(CONFIG_KUNIT)]
#[path = "machine_kunit.rs"]
mod kunit;
#[cfg(CONFIG_KUNIT)]
#[path = "machine_table.rs"]
pub(crate) mod table;
#[cfg(CONFIG_KUNIT)]
#[path = "machine_walk.rs"]
mod walk;

/// How far a generation has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No break is under way.
    Idle,
    /// The holders of leases know.
    Notified,
    /// Time was up: leases are revoked, holders had SIGBUS.
    Revoked,
    /// Time was up once more: holders had SIGKILL.
    Killed,
    /// Nothing is left to try.
    Expired,
}

/// Which rungs a breaker has before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ladder {
    /// There are holders to notify and to stop.
    Full,
    /// All holders in the way went through an earlier ladder; only the last period is left.
    Spent,
}

/// What drives the machine, as trace events name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A breaker arrives, and there was none.
    Begin,
    /// The same, with [`Ladder::Spent`].
    BeginSpent,
    /// A breaker arrives at a generation.
    Join,
    /// A breaker gives up.
    Leave,
    /// A breaker's layout change is complete.
    Done,
    /// Time passes.
    Tick,
    /// Nobody is left whom it concerns.
    Abandon,
}

impl Phase {
    /// Its name in trace events.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::Idle => c"idle",
            Self::Notified => c"notified",
            Self::Revoked => c"revoked",
            Self::Killed => c"killed",
            Self::Expired => c"expired",
        }
    }
}

impl Input {
    /// Its name in trace events.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::Begin => c"begin",
            Self::BeginSpent => c"begin_spent",
            Self::Join => c"join",
            Self::Leave => c"leave",
            Self::Done => c"done",
            Self::Tick => c"tick",
            Self::Abandon => c"abandon",
        }
    }
}

/// What a generation is made of, sampled at its begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Time between two rungs; not 0.
    pub(crate) period: u64,
    /// Is there a SIGKILL rung?
    pub(crate) kill: bool,
}

/// What the caller has to do after [`Machine::tick`] or [`Machine::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Revoke the leases that have pins in the way, send SIGBUS.
    Revoke,
    /// Send SIGKILL.
    Kill,
    /// Breakers that were present get ETXTBSY from now on.
    Expire,
    /// The generation is over.
    End,
}

/// What a breaker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its range is free.
    Go,
    /// Look again at this time, or when a pin goes.
    Wait(u64),
    /// Give up.
    Busy,
}

/// A breaker's part in a generation.
///
/// Given out by [`Machine::begin`], of use until [`Machine::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// It does not give up before.
    until: u64,
    /// It gives up then, wherever the others are.
    spent: bool,
    /// Its generation; once there is another one, its ladder has ended.
    epoch: u64,
}

impl Ticket {
    /// Is there time left for those in its way, whatever the phase?
    pub(crate) fn early(&self, now: u64) -> bool {
        now < self.until
    }
}

/// The state of a break on one inode. The caller provides the locking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    phase: Phase,
    /// The longest one that a breaker came with; of no meaning in `Idle`.
    ladder: Ladder,
    /// Breakers present.
    breakers: u32,
    /// When the next rung is reached; of no meaning in `Idle` and `Expired`.
    due: u64,
    /// When the generation is forgotten; of meaning while no breaker is present.
    linger: u64,
    period: u64,
    kill: bool,
    /// Counts generations, for tickets.
    epoch: u64,
}

impl Machine {
    /// No break is under way.
    pub(crate) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            ladder: Ladder::Full,
            breakers: 0,
            due: 0,
            linger: 0,
            period: 0,
            kill: false,
            epoch: 0,
        }
    }

    /// Is a generation alive?
    pub(crate) fn active(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// How far the generation has got.
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Have the holders had their last warning?
    pub(crate) fn past_notice(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Notified)
    }

    /// Have those who went through the ladder had all their time?
    pub(crate) fn exhausted(&self) -> bool {
        self.phase == Phase::Expired || (self.active() && self.ladder == Ladder::Spent)
    }

    /// Time between two rungs.
    pub(crate) fn period(&self) -> u64 {
        self.period
    }

    /// A breaker arrives. `terms` are used if it begins a generation, in which case the result is
    /// true and the caller notifies. To be preceded and followed by [`Self::tick`].
    pub(crate) fn begin(&mut self, now: u64, terms: Terms, ladder: Ladder) -> (Ticket, bool) {
        let new = matches!(self.phase, Phase::Idle | Phase::Expired);
        if new {
            self.epoch += 1;
            self.period = terms.period;
            self.kill = terms.kill;
            self.ladder = ladder;
            self.due = now.saturating_add(terms.period);
            self.phase = match ladder {
                Ladder::Full => Phase::Notified,
                Ladder::Spent if terms.kill => Phase::Killed,
                Ladder::Spent => Phase::Revoked,
            };
        } else if self.ladder == Ladder::Spent && ladder == Ladder::Full {
            self.ladder = Ladder::Full;
            // Holders of leases were notified when it began; the next rung is a period later.
            self.phase = Phase::Notified;
        }
        self.breakers += 1;
        let mut ticket = Ticket {
            until: 0,
            spent: ladder == Ladder::Spent,
            epoch: self.epoch,
        };
        if ticket.spent {
            self.extend(&mut ticket, now);
        }
        (ticket, new)
    }

    /// A breaker came after the rung at which its holders are stopped: they have a period from now.
    pub(crate) fn extend(&self, ticket: &mut Ticket, now: u64) {
        ticket.until = now.saturating_add(self.period);
    }

    /// Time passes. To be called until it returns [`None`].
    pub(crate) fn tick(&mut self, now: u64) -> Option<Action> {
        if !self.active() {
            return None;
        }
        if self.breakers == 0 {
            return (now >= self.linger).then(|| self.end());
        }
        if self.phase == Phase::Expired || now < self.due {
            return None;
        }
        // However late it is, a holder has a full period from one rung to the next.
        self.due = now.saturating_add(self.period);
        let (phase, action) = match self.phase {
            Phase::Notified => (Phase::Revoked, Action::Revoke),
            Phase::Revoked if self.kill => (Phase::Killed, Action::Kill),
            _ => (Phase::Expired, Action::Expire),
        };
        self.phase = phase;
        Some(action)
    }

    /// What a breaker that is present has to do; `clear`: nothing is pinned in its range.
    pub(crate) fn poll(&self, ticket: &Ticket, now: u64, clear: bool) -> Verdict {
        let last = self.phase == Phase::Expired || ticket.epoch != self.epoch;
        let over = ticket.spent || last;
        match over {
            _ if clear => Verdict::Go,
            false => Verdict::Wait(self.due),
            true if now < ticket.until => Verdict::Wait(ticket.until),
            true => Verdict::Busy,
        }
    }

    /// A breaker goes; `done`: the layout change for which the generation waits is complete.
    pub(crate) fn leave(&mut self, now: u64, done: bool) -> Option<Action> {
        self.breakers = self.breakers.saturating_sub(1);
        if self.breakers > 0 || !self.active() {
            return None;
        }
        // What nobody can hurry any more is not kept for those who come back.
        if done || self.phase == Phase::Expired {
            return Some(self.end());
        }
        self.linger = now.saturating_add(self.period);
        None
    }

    /// All that breakers wanted who may come back has been done by others.
    pub(crate) fn complete(&mut self) -> Option<Action> {
        (self.active() && self.breakers == 0).then(|| self.end())
    }

    /// When [`Self::tick`] has something to do, if ever.
    pub(crate) fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Idle => None,
            _ if self.breakers == 0 => Some(self.linger),
            Phase::Expired => None,
            _ => Some(self.due),
        }
    }

    /// Nobody is left whom the generation concerns.
    pub(crate) fn abandon(&mut self) {
        *self = Self {
            epoch: self.epoch,
            ..Self::new()
        };
    }

    fn end(&mut self) -> Action {
        self.abandon();
        Action::End
    }
}
