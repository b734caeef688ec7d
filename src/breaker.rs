// SPDX-License-Identifier: GPL-2.0

//! Breakers: operations that take blocks away, from the check before to the end.
//!
//! A breaker first closes its range to new pins, then counts the old ones, so that none slips in
//! between. Counting is done without the inode's mutex; what is in flight meanwhile has either a
//! token, which is looked for after the count, or finds the range closed when it comes to commit.

use super::{
    clock::{wait_ms, Clock},
    inode::{fields, Inner, InodeState},
    kapi::{
        hooks::BreakRequest,
        mapping::ENTRY_PAGES,
        process::{current_alone, Comm, TaskKey, ThreadGroup},
        report,
        trace, //
    },
    machine::{Ticket, Verdict},
    range::PageRange,
    record::{pinned, Charge, Pinned},
    stats,
    table::Table,
};
use kernel::{prelude::*, sync::Arc};

/// How often to look for pins that are not on record, in milliseconds.
const UNKNOWN_MS: u64 = 100;

/// A range that an operation has closed to new pins. Owned by the inode's state.
pub(crate) struct Closed {
    /// Names it within its inode.
    pub(crate) id: u64,
    /// The operation waits for holders, rather than to come back.
    pub(crate) may_wait: bool,
    /// What no pin may touch: the operation's range, outward to entries of the largest size, so
    /// that no folio that it takes can be pinned through a neighbour.
    pub(crate) closed: PageRange,
    /// What it has to wait for: outward to the folios that were there when last looked at.
    pub(crate) folios: PageRange,
    /// The operation is there; else it gave up, and may come back within a period.
    pub(crate) present: bool,
    /// It has a right to the file's blocks, whoever holds them.
    pub(crate) takes_back: bool,
    /// It was told to go on.
    pub(crate) granted: bool,
    /// It leaves the file as it is.
    pub(crate) rehearsal: bool,
    /// Holders of lease fds that were told because of it have until then.
    pub(crate) grace: Option<u64>,
    /// Its part in the generation, if it is part of it.
    pub(crate) ticket: Option<Ticket>,
    /// The task that is in the operation; it lives while `present`.
    task: TaskKey,
    /// Whose operation it is.
    pub(crate) group: ThreadGroup,
    /// What that process is called.
    pub(crate) comm: Comm,
}

impl Closed {
    /// Does it wait for pages in `range`?
    pub(crate) fn waits_for(&self, range: &PageRange) -> bool {
        // Without a ticket it may still be refused.
        self.present && self.ticket.is_some() && !self.granted && self.folios.overlaps(range)
    }
}

/// A breaker's own part: lives on its task's side from `break_begin` to `break_end`.
pub(crate) struct Breaker {
    state: Arc<InodeState>,
    id: u64,
    want: PageRange,
    /// Waits since then, in milliseconds on the clock.
    waits_since: Option<u64>,
}

impl Drop for Breaker {
    fn drop(&mut self) {
        stats::BREAKS.down();
    }
}

/// What a breaker is told. A breaker that may wait is never refused with EAGAIN, which would make
/// the kernel wait for one that is not there any more.
enum Outcome {
    Go,
    Wait(u64),
    Refused(Error),
}

/// An operation is about to take its range away, see `Operations::break_begin`.
pub(crate) fn begin(
    table: &Table,
    clock: &Clock,
    request: &BreakRequest<'_>,
    cookie: &mut Option<KBox<Breaker>>,
) -> Result {
    let (start, end) = request.bytes();
    let Some(want) = PageRange::of_bytes(start, end) else {
        return Ok(());
    };
    if request.net() && inside_a_break(table, request) {
        return Err(ETXTBSY);
    }
    let mut breaker = match cookie.take() {
        Some(breaker) => close_again(table, breaker, want),
        None => close(table, request, want)?,
    };

    let Pinned { pins, folios, .. } = pinned(&request.mapping(), &want);
    let mut now = 0;
    let mut deadline = None;
    let outcome = table
        .with(&breaker.state, |_, inner| {
            now = report::now_ms();
            let may_wait = !request.nonblocking();
            let mut outcome = match request.quiet() {
                true => inner.admit_quietly(&breaker, pins, folios),
                false => inner.admit(&breaker, pins, folios, may_wait, now),
            };
            if !may_wait && matches!(outcome, Outcome::Wait(_)) {
                outcome = inner.cannot_wait(&breaker, now);
            }
            if matches!(outcome, Outcome::Refused(_)) {
                inner.depart(breaker.id, now, false);
            }
            deadline = inner.deadline();
            outcome
        })
        .unwrap_or(Outcome::Refused(EIO));
    clock.arm(deadline, now);

    match outcome {
        Outcome::Go => {
            *cookie = Some(breaker);
            Ok(())
        }
        Outcome::Wait(_) => {
            if breaker.waits_since.is_none() {
                breaker.waits_since = Some(now);
                trace::break_wait(|| breaker.fields(Ok(())));
            }
            *cookie = Some(breaker);
            Err(EAGAIN)
        }
        Outcome::Refused(e) => {
            breaker.ended(Err(e), now);
            trace::break_end(|| breaker.fields(Err(e)));
            Err(e)
        }
    }
}

/// Does the current task have a break of this inode open? Then pins that the filesystem comes upon
/// are not for another break to tell about: this one has told, and let it pass.
fn inside_a_break(table: &Table, request: &BreakRequest<'_>) -> bool {
    let me = TaskKey::current();
    table
        .with_known(request.mapping().key(), |_, inner| {
            inner.closed.iter().any(|c| c.present && c.task == me)
        })
        .unwrap_or(false)
}

fn close(table: &Table, request: &BreakRequest<'_>, want: PageRange) -> Result<KBox<Breaker>> {
    let mapping = request.mapping();
    let breaker = table.with_new(mapping.key(), mapping.id(), |state, inner| {
        let id = inner.next_id();
        stats::BREAKS.up();
        let breaker = KBox::new(
            Breaker {
                state: state.clone(),
                id,
                want,
                waits_since: None,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        inner.closed.push(
            Closed {
                id,
                may_wait: !request.nonblocking(),
                closed: want.outward(ENTRY_PAGES),
                folios: want,
                present: true,
                takes_back: mapping.may_take_back(),
                granted: false,
                rehearsal: request.is_rehearsal(),
                grace: None,
                ticket: None,
                task: TaskKey::current(),
                group: ThreadGroup::current(),
                comm: Comm::current(),
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        Ok::<_, Error>(breaker)
    })??;
    trace::break_begin(|| breaker.fields(Ok(())));
    Ok(breaker)
}

/// The operation comes again after a wait; the file's size may have changed meanwhile.
fn close_again(table: &Table, mut breaker: KBox<Breaker>, want: PageRange) -> KBox<Breaker> {
    if breaker.want != want {
        breaker.want = want;
        table.with(&breaker.state, |_, inner| {
            // What it has waited for says nothing about the holders of other pages.
            inner.give_up(breaker.id, report::now_ms());
            if let Some(c) = inner.closed_mut(breaker.id) {
                c.closed = want.outward(ENTRY_PAGES);
                c.folios = want;
            }
        });
    }
    breaker
}

/// Is the range free by now? See `Operations::break_poll`.
pub(crate) fn poll(
    table: &Table,
    clock: &Clock,
    request: &BreakRequest<'_>,
    breaker: &mut Breaker,
    wait_ms: &mut Option<u64>,
) -> Result {
    let Pinned { pins, folios, .. } = pinned(&request.mapping(), &breaker.want);
    let mut now = 0;
    let mut deadline = None;
    let outcome = table
        .with(&breaker.state, |_, inner| {
            now = report::now_ms();
            let outcome = inner.look_again(breaker, pins, folios, now);
            deadline = inner.deadline();
            outcome
        })
        .unwrap_or(Outcome::Refused(EIO));
    clock.arm(deadline, now);

    match outcome {
        Outcome::Go => Ok(()),
        Outcome::Wait(until) => {
            *wait_ms = Some(until.saturating_sub(now).max(1));
            Err(EAGAIN)
        }
        Outcome::Refused(e) => Err(e),
    }
}

/// Waits until the range is free, for a breaker that is in the module's own hands. Interruptible.
pub(crate) fn wait(
    table: &Table,
    clock: &Clock,
    request: &BreakRequest<'_>,
    breaker: &Breaker,
) -> Result {
    let mut signalled = false;
    loop {
        // To leave this wakes all who wait, who look again in turn: only if there is something new.
        let step = table.with(&breaker.state, |state, inner| loop {
            // With the mutex held, so that what goes after the count is heard of: it is settled
            // under the mutex, too, and rings then.
            let Pinned { pins, folios, .. } = pinned(&request.mapping(), &breaker.want);
            let now = report::now_ms();
            let outcome = inner.look_again(breaker, pins, folios, now);
            clock.arm(inner.deadline(), now);
            let until = match outcome {
                Outcome::Go => return Some(Ok(())),
                Outcome::Refused(e) => return Some(Err(e)),
                Outcome::Wait(_) if signalled => return Some(Err(ERESTARTSYS)),
                Outcome::Wait(until) => until,
            };
            // What was closed is dropped without the mutex, and not after a wait.
            if inner.stirred || !inner.discarded.is_empty() {
                return None;
            }
            // The unpin of what is not on record rings nowhere.
            let known = inner.holders(&folios).next().is_some();
            let ms = until.saturating_sub(now).max(1);
            let ms = if known { ms } else { ms.min(UNKNOWN_MS) };
            inner.waiters += 1;
            signalled = wait_ms(&state.quiet, inner, ms);
            inner.waiters -= 1;
        });
        match step {
            Some(None) => (),
            Some(Some(result)) => return result,
            None => return Err(EIO),
        }
    }
}

/// The operation is over, see `Operations::break_end`.
pub(crate) fn end(table: &Table, clock: &Clock, breaker: &Breaker, result: i32) {
    let mut now = 0;
    let result = match kernel::error::to_result(result) {
        // For the system call's eyes only: its caller sees EINTR, or nothing.
        Err(e) if e.to_errno() <= ERESTARTSYS.to_errno() => Err(EINTR),
        result => result,
    };
    let deadline = table.with(&breaker.state, |_, inner| {
        now = report::now_ms();
        inner.depart(breaker.id, now, result.is_ok());
        inner.deadline()
    });
    clock.arm(deadline.flatten(), now);
    // Those that still wait say anew whom they may stop.
    breaker.state.key.wake();
    breaker.ended(result, now);
    trace::break_end(|| breaker.fields(result));
}

impl Breaker {
    fn ended(&self, result: Result, now: u64) {
        stats::ended(result, self.waits_since.map(|t| now.saturating_sub(t)));
    }

    fn fields(&self, result: Result) -> trace::Fields {
        fields(self.state.id, &self.want, &ThreadGroup::current(), result)
    }
}

impl Inner {
    pub(crate) fn closed_mut(&mut self, id: u64) -> Option<&mut Closed> {
        self.closed.iter_mut().find(|c| c.id == id)
    }

    /// Notes what a count has found. Is the range free?
    fn note(&mut self, id: u64, pins: u64, folios: PageRange) -> Option<bool> {
        let closed = self.closed_mut(id)?.closed;
        let clear = pins == 0 && !self.in_flight(&closed);
        let mine = self.closed_mut(id)?;
        mine.folios = folios;
        mine.granted = clear;
        // Whoever waits for the operation finds the records closed.
        if clear && self.holders(&folios).next().is_some() {
            self.settle_near(&folios);
        }
        Some(clear)
    }

    /// What a breaker that has closed its range and counted is told.
    fn admit(
        &mut self,
        breaker: &Breaker,
        pins: u64,
        folios: PageRange,
        may_wait: bool,
        now: u64,
    ) -> Outcome {
        let Some(clear) = self.note(breaker.id, pins, folios) else {
            return Outcome::Refused(EIO);
        };
        self.advance(now);
        if clear {
            return Outcome::Go;
        }
        self.settle_near(&folios);
        if let Err(e) = self.refusal(&folios) {
            return Outcome::Refused(e);
        }
        let late = self.join(breaker.id, now);
        self.expose(breaker.id, &folios);
        if late {
            let stopped = self.catch_up(breaker.id, now);
            // One that does not wait comes back until the ladder ends, and must see its end.
            if may_wait || stopped {
                self.extend(breaker.id, now);
            }
        }
        self.advance(now);
        self.verdict(breaker, false, now)
    }

    /// The same for one who may not disturb a holder: there is no break if pages are pinned, or may
    /// be soon.
    fn admit_quietly(&mut self, breaker: &Breaker, pins: u64, folios: PageRange) -> Outcome {
        match self.note(breaker.id, pins, folios) {
            Some(true) if self.leases.is_empty() => Outcome::Go,
            Some(_) => Outcome::Refused(ETXTBSY),
            None => Outcome::Refused(EIO),
        }
    }

    /// A breaker that can't wait: the break has begun, and goes on while it comes back often enough;
    /// where the ladder has ended already there is nothing to come back for.
    fn cannot_wait(&self, breaker: &Breaker, now: u64) -> Outcome {
        let mine = self.closed.iter().find(|c| c.id == breaker.id);
        let over = mine.is_some_and(|c| {
            self.spent(&c.folios) && self.holders(&c.folios).all(|r| self.had_time(r, now))
        });
        if !self.machine.exhausted() || !over {
            return Outcome::Refused(EAGAIN);
        }
        self.report_busy(&breaker.want);
        Outcome::Refused(ETXTBSY)
    }

    /// Have all who hold pages in `folios` been through the ladder?
    pub(crate) fn spent(&self, folios: &PageRange) -> bool {
        let mut holders = self.holders(folios).peekable();
        holders.peek().is_some() && holders.all(|r| r.spent)
    }

    fn look_again(&mut self, breaker: &Breaker, pins: u64, folios: PageRange, now: u64) -> Outcome {
        let before = self.closed_mut(breaker.id).map(|c| c.folios);
        let Some(clear) = self.note(breaker.id, pins, folios) else {
            return Outcome::Refused(EIO);
        };
        if !clear {
            // The breaker whose right to signal was noted may have left.
            self.expose(breaker.id, &folios);
            if before.is_some_and(|before| !before.covers(&folios)) {
                self.tell_more(breaker.id, now);
            }
        }
        self.advance(now);
        let early = |c: &Closed| c.ticket.is_some_and(|t| t.early(now));
        if !clear
            && self.machine.past_notice()
            && !self.closed_mut(breaker.id).is_some_and(|c| early(c))
        {
            let me = ThreadGroup::current();
            if self.holders(&folios).any(|r| *r.pinner.group() == me) {
                self.settle_near(&folios);
                if self.surely_holds(&me, &folios) {
                    return Outcome::Refused(EDEADLK);
                }
            }
        }
        self.verdict(breaker, clear, now)
    }

    fn verdict(&mut self, breaker: &Breaker, clear: bool, now: u64) -> Outcome {
        let Some(ticket) = self.closed_mut(breaker.id).and_then(|c| c.ticket) else {
            return Outcome::Go;
        };
        match self.machine.poll(&ticket, now, clear) {
            Verdict::Go => Outcome::Go,
            Verdict::Wait(until) => Outcome::Wait(until),
            Verdict::Busy => {
                self.report_busy(&breaker.want);
                Outcome::Refused(ETXTBSY)
            }
        }
    }

    /// Reasons to fail at once, before anybody is notified.
    fn refusal(&self, folios: &PageRange) -> Result {
        let me = ThreadGroup::current();
        let alone = current_alone();
        let mut ours = self.holders(folios).filter(|r| *r.pinner.group() == me);
        if ours.any(|r| alone || r.charge.unbreakable() || r.charge == Charge::Automatic)
            && self.surely_holds(&me, folios)
        {
            return Err(EDEADLK);
        }
        if self.holders(folios).any(|r| r.charge.unbreakable()) {
            self.report_busy(folios);
            return Err(ETXTBSY);
        }
        Ok(())
    }
}
