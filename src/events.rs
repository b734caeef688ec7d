// SPDX-License-Identifier: GPL-2.0

//! What a lease fd has to say and nobody has read yet. Pure.
//!
//! There is room for four events and no need for more, so that whoever breaks never waits for a
//! reader. What comes up is: breaks, each followed by others or by an end, and once, in between,
//! that the lease is revoked. Of the breaks that wait to be read there is only one: the next one is
//! merged into it, and the end between them is left out. So the most that can wait is the end of a
//! break that was read, a break, that the lease is revoked, and an end.
//!
//! Who reads all that there is knows every range that was concerned, and how things stand.

use super::range::PageRange;

/// What has come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Somebody wants the blocks of a range.
    Break,
    /// Nobody does any more.
    End,
    /// The lease was revoked.
    Revoked,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// What.
    pub(crate) kind: Kind,
    /// It stands for several.
    pub(crate) merged: bool,
    /// Changes of the layout that were complete then.
    pub(crate) generation: u64,
    /// The pages that it is about.
    pub(crate) range: PageRange,
    /// Until when to react, in milliseconds; 0 where there is nothing to do.
    pub(crate) deadline: u64,
    /// How many bytes were pinned there.
    pub(crate) pinned: u64,
}

/// What its holders have heard to be wanted, in the break under way.
///
/// One that has been forgotten for want of room is told again, which does no harm; but none is
/// taken to have been told that was not, as it lies between two that were.
pub(crate) struct Heard([Option<PageRange>; ROOM]);

impl Heard {
    /// Nothing.
    pub(crate) const fn nothing() -> Self {
        Self([None; ROOM])
    }

    /// Have they heard of all of `range`?
    pub(crate) fn covers(&self, range: &PageRange) -> bool {
        self.0.iter().flatten().any(|heard| heard.covers(range))
    }

    /// They have now. The one that they heard of first is forgotten if need be.
    pub(crate) fn add(&mut self, range: &PageRange) {
        if !self.covers(range) {
            self.0.rotate_right(1);
            self.0[0] = Some(*range);
        }
    }
}

const ROOM: usize = 4;

/// Events that wait to be read, the oldest first.
pub(crate) struct Events {
    waiting: [Option<Event>; ROOM],
}

impl Events {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            waiting: [None; ROOM],
        }
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting[0].is_none()
    }

    /// All there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Event> + '_ {
        self.waiting.iter().flatten()
    }

    fn position(&self, kind: Kind) -> Option<usize> {
        self.waiting
            .iter()
            .position(|e| e.is_some_and(|e| e.kind == kind))
    }

    /// The range that the break has which waits to be read.
    pub(crate) fn breaking(&self) -> Option<PageRange> {
        let i = self.position(Kind::Break)?;
        self.waiting[i].map(|e| e.range)
    }

    /// One more, the newest. Returns whether there was room, which there is if they come in the
    /// order that is described above.
    pub(crate) fn push(&mut self, new: Event) -> bool {
        if new.kind == Kind::Break {
            if let Some(i) = self.position(Kind::Break) {
                let over = self.remove_end_behind(i);
                if let Some(old) = self.waiting[i].as_mut() {
                    *old = Event {
                        merged: true,
                        range: old.range.hull(&new.range),
                        // Who is not over does not wait for who came later.
                        deadline: if over {
                            new.deadline
                        } else {
                            old.deadline.min(new.deadline)
                        },
                        ..new
                    };
                }
                // What is behind it now is not older.
                for event in self.waiting[i..].iter_mut().flatten() {
                    event.generation = event.generation.max(new.generation);
                }
                return true;
            }
        }
        match self.waiting.iter_mut().find(|e| e.is_none()) {
            Some(free) => *free = Some(new),
            None => return false,
        }
        true
    }

    /// Returns whether there was one.
    fn remove_end_behind(&mut self, i: usize) -> bool {
        let behind = |e: &Option<Event>| e.is_some_and(|e| e.kind == Kind::End);
        let end = self.waiting[i..].iter().position(behind);
        end.and_then(|end| self.remove(i + end)).is_some()
    }

    fn remove(&mut self, i: usize) -> Option<Event> {
        let event = self.waiting[i].take();
        self.waiting[i..].rotate_left(1);
        event
    }

    /// Takes the oldest.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.remove(0)
    }

    /// Puts back what was taken last, and could not be delivered. Returns whether there was room.
    pub(crate) fn put_back(&mut self, oldest: Event) -> bool {
        let mut all = Self::new();
        let mut room = all.push(oldest);
        for event in self.iter() {
            room &= all.push(*event);
        }
        *self = all;
        room
    }
}
