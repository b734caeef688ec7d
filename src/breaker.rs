// SPDX-License-Identifier: GPL-2.0

//! Breakers: operations that take blocks away, from the check before to the end.
//!
//! A breaker first closes its range to new pins, then counts the old ones, so that none slips in
//! between. Counting is done without the inode's mutex; what is in flight meanwhile has either a
//! token, which is looked for after the count, or finds the range closed when it comes to commit.

use super::{
    clock::Clock,
    inode::{fields, Inner, InodeState},
    kapi::{
        hooks::BreakRequest,
        mapping::ENTRY_PAGES,
        process::{current_alone, Comm, ThreadGroup},
        report,
        trace, //
    },
    machine::{Action, Input, Ladder, Phase, Ticket, Verdict},
    policy,
    range::PageRange,
    record::{pinned, Charge, Pinned},
    table::Table,
};
use kernel::{prelude::*, sync::Arc};

/// A range that an operation has closed to new pins. Owned by the inode's state.
pub(crate) struct Closed {
    /// Names it within its inode.
    pub(crate) id: u64,
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
    /// Its part in the generation, if it is part of it.
    pub(crate) ticket: Option<Ticket>,
    /// Whose operation it is.
    pub(crate) group: ThreadGroup,
    /// What that process is called.
    pub(crate) comm: Comm,
}

impl Closed {
    /// Does it wait for pages in `range`?
    pub(crate) fn waits_for(&self, range: &PageRange) -> bool {
        self.present && !self.granted && self.folios.overlaps(range)
    }
}

/// A breaker's own part: lives on its task's side from `break_begin` to `break_end`.
pub(crate) struct Breaker {
    state: Arc<InodeState>,
    id: u64,
    want: PageRange,
    waited: bool,
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
    let mut breaker = match cookie.take() {
        Some(breaker) => close_again(table, breaker, want),
        None => close(table, request, want)?,
    };

    let Pinned { pins, folios, .. } = pinned(&request.mapping(), &want);
    let now = report::now_ms();
    let mut deadline = None;
    let outcome = table
        .with(&breaker.state, |_, inner| {
            let mut outcome = inner.admit(&breaker, pins, folios, now);
            if request.nonblocking() && matches!(outcome, Outcome::Wait(_)) {
                outcome = inner.cannot_wait(&breaker);
            }
            if matches!(outcome, Outcome::Refused(_)) {
                inner.depart(breaker.id, now, false);
            }
            deadline = inner.machine.deadline();
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
            if !breaker.waited {
                breaker.waited = true;
                trace::break_wait(|| breaker.fields(Ok(())));
            }
            *cookie = Some(breaker);
            Err(EAGAIN)
        }
        Outcome::Refused(e) => {
            trace::break_end(|| breaker.fields(Err(e)));
            Err(e)
        }
    }
}

fn close(table: &Table, request: &BreakRequest<'_>, want: PageRange) -> Result<KBox<Breaker>> {
    let mapping = request.mapping();
    let breaker = table.with_new(mapping.key(), mapping.id(), |state, inner| {
        let id = inner.next_id();
        let breaker = KBox::new(
            Breaker {
                state: state.clone(),
                id,
                want,
                waited: false,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        inner.closed.push(
            Closed {
                id,
                closed: want.outward(ENTRY_PAGES),
                folios: want,
                present: true,
                takes_back: mapping.may_take_back(),
                granted: false,
                ticket: None,
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
    let now = report::now_ms();
    let mut deadline = None;
    let outcome = table
        .with(&breaker.state, |_, inner| {
            let outcome = inner.look_again(breaker, pins, folios, now);
            deadline = inner.machine.deadline();
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

/// The operation is over, see `Operations::break_end`.
pub(crate) fn end(table: &Table, clock: &Clock, breaker: &Breaker, result: i32) {
    let now = report::now_ms();
    let result = match kernel::error::to_result(result) {
        // For the system call's eyes only: its caller sees EINTR, or nothing.
        Err(e) if e.to_errno() <= ERESTARTSYS.to_errno() => Err(EINTR),
        result => result,
    };
    let deadline = table.with(&breaker.state, |_, inner| {
        inner.depart(breaker.id, now, result.is_ok());
        inner.machine.deadline()
    });
    clock.arm(deadline.flatten(), now);
    trace::break_end(|| breaker.fields(result));
}

impl Breaker {
    fn fields(&self, result: Result) -> trace::Fields {
        fields(self.state.id, &self.want, &ThreadGroup::current(), result)
    }
}

impl Inner {
    fn closed_mut(&mut self, id: u64) -> Option<&mut Closed> {
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
    fn admit(&mut self, breaker: &Breaker, pins: u64, folios: PageRange, now: u64) -> Outcome {
        let Some(clear) = self.note(breaker.id, pins, folios) else {
            return Outcome::Refused(EIO);
        };
        self.advance(now);
        if clear {
            self.join_if_concerned(breaker, now);
            return Outcome::Go;
        }
        self.settle_near(&folios);
        if let Err(e) = self.refusal(&folios) {
            return Outcome::Refused(e);
        }
        let late = self.join(breaker, now);
        self.expose(breaker.id, &folios);
        if late && self.catch_up() {
            if let Some(Closed {
                ticket: Some(ticket),
                ..
            }) = self.closed.iter_mut().find(|c| c.id == breaker.id)
            {
                self.machine.extend(ticket, now);
            }
        }
        self.advance(now);
        self.verdict(breaker, false, now)
    }

    /// A breaker that can't wait: the break has begun, and goes on while it comes back often enough;
    /// where the ladder has ended already there is nothing to come back for.
    fn cannot_wait(&self, breaker: &Breaker) -> Outcome {
        let mine = self.closed.iter().find(|c| c.id == breaker.id);
        if !self.machine.exhausted() || !mine.is_some_and(|c| self.spent(&c.folios)) {
            return Outcome::Refused(EAGAIN);
        }
        self.report_busy(&breaker.want);
        Outcome::Refused(ETXTBSY)
    }

    /// Have all who hold pages in `folios` been through the ladder?
    fn spent(&self, folios: &PageRange) -> bool {
        let mut holders = self.holders(folios).peekable();
        holders.peek().is_some() && holders.all(|r| r.spent)
    }

    fn look_again(&mut self, breaker: &Breaker, pins: u64, folios: PageRange, now: u64) -> Outcome {
        let Some(clear) = self.note(breaker.id, pins, folios) else {
            return Outcome::Refused(EIO);
        };
        if !clear {
            // The breaker whose right to signal was noted may have left.
            self.expose(breaker.id, &folios);
        }
        self.advance(now);
        if !clear && self.machine.past_notice() {
            let me = ThreadGroup::current();
            self.settle_near(&folios);
            if self.surely_holds(&me, &folios) {
                return Outcome::Refused(EDEADLK);
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

    /// Makes a breaker with pins in its way part of the generation, which may begin with it. Returns
    /// whether it came so late that those in its way should have been stopped by now.
    fn join(&mut self, breaker: &Breaker, now: u64) -> bool {
        let Some(mine) = self.closed_mut(breaker.id) else {
            return false;
        };
        if mine.ticket.is_some() {
            return false;
        }
        let folios = mine.folios;
        let ladder = match self.spent(&folios) {
            true => Ladder::Spent,
            false => Ladder::Full,
        };
        let first = self.enter(breaker.id, now, ladder);
        if first {
            self.begin_generation();
        }
        !first && ladder == Ladder::Full && self.machine.past_notice()
    }

    /// Gives a breaker its part in the generation; true if that begins with it.
    fn enter(&mut self, id: u64, now: u64, ladder: Ladder) -> bool {
        let from = self.machine.phase();
        let (ticket, first) = self.machine.begin(now, policy::terms(), ladder);
        self.step(
            from,
            match (first, ladder) {
                (true, Ladder::Full) => Input::Begin,
                (true, Ladder::Spent) => Input::BeginSpent,
                (false, _) => Input::Join,
            },
        );
        if let Some(mine) = self.closed_mut(id) {
            mine.ticket = Some(ticket);
        }
        first
    }

    /// A breaker whose way is free ends a generation that waits for one to come back, if it takes
    /// away all that that one wanted: what came back may be called by another name.
    fn join_if_concerned(&mut self, breaker: &Breaker, now: u64) {
        let Some(mine) = self.closed.iter().find(|c| c.id == breaker.id) else {
            return;
        };
        let absent = self.closed.iter().any(|c| !c.present);
        if self.machine.active() && mine.ticket.is_none() && absent && self.settles(&mine.closed) {
            self.enter(breaker.id, now, Ladder::Full);
        }
    }

    /// Is nothing left to come back for, once `range` has been taken away?
    fn settles(&self, range: &PageRange) -> bool {
        self.closed
            .iter()
            .all(|c| c.present || range.covers(&c.closed))
    }

    /// Opens a breaker's range, or leaves it closed for a period in case it comes back; `complete`:
    /// its operation has succeeded.
    fn depart(&mut self, id: u64, now: u64, complete: bool) {
        let Some(i) = self.closed.iter().position(|c| c.id == id) else {
            return;
        };
        let mine = &mut self.closed[i];
        let range = mine.closed;
        let done = mine.granted && complete;
        if mine.ticket.take().is_none() {
            let _mine = self.closed.remove(i);
            return;
        }
        let from = self.machine.phase();
        let over = done && self.settles(&range);
        let end = self.machine.leave(now, over) == Some(Action::End);
        self.step(from, if over { Input::Done } else { Input::Leave });

        if end || done || self.machine.phase() == Phase::Idle {
            let _mine = self.closed.remove(i);
            if end {
                self.quieten();
            }
            return;
        }
        self.closed[i].present = false;
        // One that gives up again and again must not fill memory.
        let same = self
            .closed
            .iter_mut()
            .find(|c| c.id != id && !c.present && c.closed.overlaps(&range));
        if let Some(other) = same {
            other.closed = other.closed.hull(&range);
            let _mine = self.closed.remove(i);
        }
    }
}
