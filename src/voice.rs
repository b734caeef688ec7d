// SPDX-License-Identifier: GPL-2.0

//! What a lease fd says: the events that wait to be read, and the bell for those who wait for them.

use super::{
    events::{Event, Events, Heard, Kind},
    kapi::anonfd::{Bell, Signs},
    range::PageRange,
};
use kernel::sync::Arc;

/// The lease's end of a lease fd. Protected by the mutex of the inode's state.
///
/// Saying something needs no memory and waits for nobody.
pub(crate) struct Voice {
    events: Events,
    heard: Heard,
    bell: Arc<Bell>,
    /// Something was said that those who wait have not been woken for.
    news: bool,
    revoked: bool,
    quiet: bool,
}

impl Voice {
    /// One that has said nothing, heard at `bell`.
    pub(crate) fn new(bell: Arc<Bell>) -> Self {
        Self {
            events: Events::new(),
            heard: Heard::nothing(),
            bell,
            news: false,
            revoked: false,
            quiet: true,
        }
    }

    /// The range of the break that nobody has read of yet.
    pub(crate) fn unread(&self) -> Option<PageRange> {
        self.events.breaking()
    }

    /// Have the holders been told that all of `range` is wanted?
    pub(crate) fn has_told(&self, range: &PageRange) -> bool {
        self.heard.covers(range)
    }

    /// They are being told, or nothing is wanted any more.
    pub(crate) fn note(&mut self, range: Option<&PageRange>) {
        match range {
            Some(range) => self.heard.add(range),
            None => self.heard = Heard::nothing(),
        }
    }

    /// Something has come up. [`Self::settle`] follows.
    pub(crate) fn say(
        &mut self,
        kind: Kind,
        range: &PageRange,
        generation: u64,
        deadline: u64,
        pinned: u64,
    ) {
        let room = self.events.push(Event {
            kind,
            merged: false,
            generation,
            range: *range,
            deadline,
            pinned,
        });
        debug_assert!(room);
        self.news = true;
    }

    /// How the lease stands: revoked, and is no break under way? Those who wait are woken for
    /// what was said.
    pub(crate) fn settle(&mut self, revoked: bool, quiet: bool) {
        self.revoked = revoked;
        self.quiet = quiet;
        self.show();
        if core::mem::take(&mut self.news) {
            self.bell.ring();
        }
    }

    fn show(&self) {
        let empty = self.events.is_empty();
        self.bell.set(Signs {
            readable: !empty,
            hung_up: self.revoked,
            over: self.over(),
        });
    }

    /// There will be nothing to read any more, unless somebody comes for what is still pinned.
    pub(crate) fn over(&self) -> bool {
        self.revoked && self.quiet && self.events.is_empty()
    }

    /// Takes the oldest event. Who waits was woken for it, and looks again: if it was the last one,
    /// all is over.
    pub(crate) fn take(&mut self) -> Option<Event> {
        let event = self.events.pop();
        self.show();
        event
    }

    /// The event that was taken last could not be delivered.
    pub(crate) fn put_back(&mut self, event: Event) {
        let room = self.events.put_back(event);
        debug_assert!(room);
        self.show();
        self.bell.wake();
    }
}
