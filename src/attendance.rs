// SPDX-License-Identifier: GPL-2.0

//! Breakers come to a generation and leave it. What they wanted stays closed for a period if they
//! did not get it, in case they come back.

use super::{
    inode::Inner,
    machine::{Action, Input, Ladder, Phase, Ticket},
    policy, //
};

impl Inner {
    /// Makes a breaker with pins in its way part of the generation, which may begin with it. Returns
    /// whether it came so late that those in its way should have been stopped by now.
    pub(crate) fn join(&mut self, id: u64, now: u64) -> bool {
        let Some(mine) = self.closed_mut(id) else {
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
        let before = self.came_back(id);
        let first = self.enter(id, now, ladder);
        if first {
            // Of an expired generation breakers may be left.
            self.closed.retain(|c| c.present);
            self.rest(Some(&folios));
            self.begin_generation(id, now);
            return false;
        }
        let back = match (before, self.closed_mut(id)) {
            // Restarted by a signal handler, say: the time runs on.
            (Some((ticket, grace)), Some(mine)) => {
                mine.ticket = ticket;
                mine.grace = grace;
                true
            }
            _ => false,
        };
        self.tell_more(id, now);
        self.share_grace(id, now);
        !back && ladder == Ladder::Full && self.machine.past_notice()
    }

    /// Who is in the way of another breaker, too, and has its time from that one, is not stopped sooner
    /// because of this one.
    fn share_grace(&mut self, id: u64, now: u64) {
        let Some(folios) = self.closed_mut(id).map(|c| c.folios) else {
            return;
        };
        let others = self.closed.iter().filter(|c| c.id != id);
        let until = others
            .filter(|c| c.folios.overlaps(&folios))
            .filter_map(|c| c.grace)
            .filter(|until| *until > now)
            .max();
        if until.is_some() {
            if let Some(mine) = self.closed_mut(id) {
                mine.grace = mine.grace.max(until);
            }
            self.extend(id, now);
        }
    }

    /// The ticket that the breaker had when it gave up a while ago, and the grace of its holders.
    fn came_back(&mut self, id: u64) -> Option<(Option<Ticket>, Option<u64>)> {
        let mine = self.closed.iter().find(|c| c.id == id)?;
        let i = self
            .closed
            .iter()
            .position(|c| !c.present && c.group == mine.group && c.closed == mine.closed)?;
        let old = self.closed.remove(i).ok()?;
        old.ticket.is_some().then_some((old.ticket, old.grace))
    }

    /// Those who were in a breaker's way when their time was up have a period from now, or from the
    /// end of their grace.
    pub(crate) fn extend(&mut self, id: u64, now: u64) {
        if let Some(mine) = self.closed.iter_mut().find(|c| c.id == id) {
            if let Some(ticket) = mine.ticket.as_mut() {
                let from = mine.grace.map_or(now, |until| until.max(now));
                self.machine.extend(ticket, from);
            }
        }
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

    /// A breaker's range is no longer what it was.
    pub(crate) fn give_up(&mut self, id: u64, now: u64) {
        let from = self.machine.phase();
        if self.closed_mut(id).and_then(|c| c.ticket.take()).is_none() {
            return;
        }
        let end = self.machine.leave(now, false) == Some(Action::End);
        self.step(from, Input::Leave);
        if end {
            self.quieten();
        }
    }

    /// Opens a breaker's range, or leaves it closed for a period in case it comes back; `complete`:
    /// its operation has succeeded.
    pub(crate) fn depart(&mut self, id: u64, now: u64, complete: bool) {
        let Some(i) = self.closed.iter().position(|c| c.id == id) else {
            return;
        };
        let mine = &mut self.closed[i];
        let range = mine.closed;
        let joined = mine.ticket.is_some();
        let done = mine.granted && complete;
        let rehearsal = mine.rehearsal;
        let changed = (done && !rehearsal).then_some(mine.folios);
        mine.present = false;
        if done || !joined {
            let _mine = self.closed.remove(i);
        }
        let closed = self.closed.len();
        if done {
            // Nothing is left to come back for, whoever wanted it: but nothing was taken by a rehearsal.
            self.closed
                .retain(|c| c.present || !range.covers(&c.closed) || (rehearsal && !c.rehearsal));
        }
        if let Some(folios) = changed {
            self.changed(&folios);
        }
        let settled = closed != self.closed.len();
        let over = done && self.closed.iter().all(|c| c.present);

        let from = self.machine.phase();
        let end = match (joined, over) {
            (true, _) => self.machine.leave(now, over),
            (false, true) if settled => self.machine.complete(),
            (false, _) => None,
        };
        if joined || end.is_some() {
            self.step(from, if over { Input::Done } else { Input::Leave });
        }
        if end.is_some() {
            self.quieten();
        } else if joined && !done {
            self.remember(id);
        }
        self.rest(None);
    }

    /// A breaker that has given up stays closed, unless nobody need come back.
    fn remember(&mut self, id: u64) {
        let Some(i) = self.closed.iter().position(|c| c.id == id) else {
            return;
        };
        if matches!(self.machine.phase(), Phase::Idle | Phase::Expired) {
            let _mine = self.closed.remove(i);
            return;
        }
        // One that gives up again and again must not fill memory.
        let mine = &self.closed[i];
        let (range, folios, grace) = (mine.closed, mine.folios, mine.grace);
        let rehearsal = mine.rehearsal;
        let same = self
            .closed
            .iter_mut()
            .find(|c| c.id != id && !c.present && c.closed.overlaps(&range));
        if let Some(other) = same {
            other.closed = other.closed.hull(&range);
            other.folios = other.folios.hull(&folios);
            other.grace = other.grace.max(grace);
            other.rehearsal &= rehearsal;
            let _mine = self.closed.remove(i);
        }
    }
}
