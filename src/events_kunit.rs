// SPDX-License-Identifier: GPL-2.0

//! Every way in which a short history can be interleaved with reading, and with reading that
//! fails, held against what a reader must know after it.

use super::{
    events::{Event, Events, Heard, Kind},
    range::PageRange,
};
use kernel::prelude::*;

/// What can happen next. Two ranges that lie apart, so that a hull is more than either.
const RANGES: [(u64, u64); 2] = [(0, 2), (6, 8)];
const DEPTH: usize = 6;

/// How things are, and what has become known of them.
#[derive(Clone, Copy)]
struct World {
    breaking: bool,
    revoked: bool,
    generation: u64,
    /// Pages that breaks wanted, as a set.
    wanted: u32,
}

/// What a reader has concluded.
#[derive(Clone, Copy)]
struct Reader {
    breaking: bool,
    revoked: bool,
    generation: u64,
    told: u32,
    reads: u32,
}

fn pages(range: &PageRange) -> u32 {
    (range.first()..=range.last()).fold(0, |set, page| set | 1 << page)
}

fn event(kind: Kind, world: &World, range: (u64, u64)) -> Event {
    Event {
        kind,
        merged: false,
        generation: world.generation,
        range: PageRange::new(range.0, range.1).unwrap_or(PageRange::whole()),
        deadline: world.generation,
        pinned: 1,
    }
}

fn copy(events: &Events) -> Events {
    let mut other = Events::new();
    for event in events.iter() {
        assert!(other.push(*event));
    }
    other
}

impl Reader {
    fn see(&mut self, event: &Event) {
        match event.kind {
            Kind::Break => {
                self.breaking = true;
                self.told |= pages(&event.range);
            }
            Kind::End => {
                assert!(self.breaking);
                self.breaking = false;
            }
            Kind::Revoked => {
                assert!(!self.revoked);
                self.revoked = true;
            }
        }
        assert!(event.generation >= self.generation);
        self.generation = event.generation;
        self.reads += 1;
    }

    /// After all was read it knows how things are.
    fn check(mut self, events: &Events, world: &World) {
        let mut events = copy(events);
        let mut left = 0;
        while let Some(event) = events.pop() {
            self.see(&event);
            left += 1;
        }
        assert!(left <= 4);
        assert_eq!(self.breaking, world.breaking);
        assert_eq!(self.revoked, world.revoked);
        assert_eq!(self.told & world.wanted, world.wanted);
        assert!(self.generation == world.generation);
    }
}

/// Goes on from here in every way; returns how many histories there were.
fn walk(events: &Events, world: World, reader: Reader, depth: usize) -> u64 {
    reader.check(events, &world);
    if depth == 0 {
        return 1;
    }
    let mut count = 0;
    for range in RANGES {
        let mut events = copy(events);
        let mut world = world;
        world.breaking = true;
        assert!(events.push(event(Kind::Break, &world, range)));
        world.wanted |= pages(&event(Kind::Break, &world, range).range);
        count += walk(&events, world, reader, depth - 1);
    }
    if world.breaking {
        for complete in [0, 1] {
            let mut events = copy(events);
            let mut world = world;
            world.breaking = false;
            world.generation += complete;
            assert!(events.push(event(Kind::End, &world, RANGES[0])));
            count += walk(&events, world, reader, depth - 1);
        }
        if !world.revoked {
            let mut events = copy(events);
            let mut world = world;
            world.revoked = true;
            assert!(events.push(event(Kind::Revoked, &world, RANGES[0])));
            count += walk(&events, world, reader, depth - 1);
        }
    }
    if !events.is_empty() {
        let mut events = copy(events);
        let mut reader = reader;
        if let Some(event) = events.pop() {
            reader.see(&event);
        }
        count += walk(&events, world, reader, depth - 1);
    }
    count
}

/// Takes one event, lets all kinds of things happen, and puts it back.
fn fail(events: &Events, world: World, reader: Reader) {
    let mut taken = copy(events);
    let Some(oldest) = taken.pop() else {
        return;
    };
    for first in 0..5 {
        for second in 0..5 {
            let mut events = copy(&taken);
            let mut now = world;
            for what in [first, second] {
                match what {
                    0 | 1 => {
                        now.breaking = true;
                        assert!(events.push(event(Kind::Break, &now, RANGES[what])));
                        now.wanted |= pages(&event(Kind::Break, &now, RANGES[what]).range);
                    }
                    2 if now.breaking => {
                        now.breaking = false;
                        now.generation += 1;
                        assert!(events.push(event(Kind::End, &now, RANGES[0])));
                    }
                    3 if now.breaking && !now.revoked => {
                        now.revoked = true;
                        assert!(events.push(event(Kind::Revoked, &now, RANGES[0])));
                    }
                    _ => (),
                }
            }
            assert!(events.put_back(oldest));
            reader.check(&events, &now);
        }
    }
}

fn walk_failing(events: &Events, world: World, reader: Reader, depth: usize) {
    fail(events, world, reader);
    if depth == 0 {
        return;
    }
    // For each step the range that it is about, if it is about one.
    let ranges = [RANGES[0], RANGES[1], RANGES[0], RANGES[0], RANGES[0]];
    for (step, range) in ranges.into_iter().enumerate() {
        let mut events = copy(events);
        let (mut world, mut reader) = (world, reader);
        match step {
            0 | 1 => {
                world.breaking = true;
                assert!(events.push(event(Kind::Break, &world, range)));
                world.wanted |= pages(&event(Kind::Break, &world, range).range);
            }
            2 if world.breaking => {
                world.breaking = false;
                world.generation += 1;
                assert!(events.push(event(Kind::End, &world, RANGES[0])));
            }
            3 if world.breaking && !world.revoked => {
                world.revoked = true;
                assert!(events.push(event(Kind::Revoked, &world, RANGES[0])));
            }
            4 => match events.pop() {
                Some(event) => reader.see(&event),
                None => continue,
            },
            _ => continue,
        }
        walk_failing(&events, world, reader, depth - 1);
    }
}

const QUIET: World = World {
    breaking: false,
    revoked: false,
    generation: 0,
    wanted: 0,
};

const NEW: Reader = Reader {
    breaking: false,
    revoked: false,
    generation: 0,
    told: 0,
    reads: 0,
};

#[kunit_tests(longterm_events)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_whenever_one_reads() {
        let histories = walk(&Events::new(), QUIET, NEW, DEPTH);
        assert!(histories > 3_000);
    }

    #[test]
    fn what_was_not_delivered_is_there_again() {
        walk_failing(&Events::new(), QUIET, NEW, 6);
    }

    #[test]
    fn breaks_that_nobody_reads_become_one() {
        let mut events = Events::new();
        let mut world = QUIET;
        for round in 0..1000 {
            assert!(events.push(event(Kind::Break, &world, RANGES[round % 2])));
            world.generation += 1;
            assert!(events.push(event(Kind::End, &world, RANGES[0])));
        }
        let one = events.pop().unwrap();
        assert_eq!(one.kind, Kind::Break);
        assert!(one.merged);
        assert_eq!((one.range.first(), one.range.last()), (0, 7));
        // The last one's.
        assert_eq!((one.generation, one.deadline), (999, 999));
        let end = events.pop().unwrap();
        assert_eq!(
            (end.kind, end.merged, end.generation),
            (Kind::End, false, 1000)
        );
        assert!(events.pop().is_none());
    }

    #[test]
    fn of_breaks_at_once_the_first_deadline_counts() {
        let mut events = Events::new();
        let later = |generation| Event {
            deadline: generation,
            ..event(Kind::Break, &QUIET, RANGES[1])
        };
        assert!(events.push(later(5)));
        assert!(events.push(later(7)));
        assert!(events.push(later(9)));
        assert_eq!(events.iter().next().unwrap().deadline, 5);
        // Those are over.
        assert!(events.push(event(Kind::End, &QUIET, RANGES[1])));
        assert!(events.push(later(8)));
        assert_eq!(events.iter().next().unwrap().deadline, 8);
        // Out with a reader when one more came up, and back.
        let first = events.pop().unwrap();
        assert!(events.push(later(11)));
        assert!(events.put_back(first));
        assert_eq!(events.pop().unwrap().deadline, 8);
        assert!(events.is_empty());
    }

    #[test]
    fn a_break_that_was_read_is_not_told_again() {
        let mut events = Events::new();
        assert!(events.push(event(Kind::Break, &QUIET, RANGES[0])));
        assert!(events.pop().is_some());
        assert!(events.push(event(Kind::Break, &QUIET, RANGES[1])));
        let next = events.pop().unwrap();
        assert!(!next.merged);
        assert_eq!((next.range.first(), next.range.last()), (6, 7));
    }

    #[test]
    fn what_lies_between_was_not_heard_of() {
        let r = |start, end| PageRange::new(start, end).unwrap();
        let mut heard = Heard::nothing();
        assert!(!heard.covers(&r(0, 1)));
        heard.add(&r(2, 4));
        heard.add(&r(6, 8));
        assert!(heard.covers(&r(2, 4)) && heard.covers(&r(7, 8)));
        assert!(!heard.covers(&r(4, 6)) && !heard.covers(&r(2, 8)) && !heard.covers(&r(3, 5)));
        for start in 10..100 {
            heard.add(&r(start, start + 1));
            heard.add(&r(start, start + 1));
            // Whatever has been forgotten, the last ones have not.
            for last in (start - 3).max(10)..=start {
                assert!(heard.covers(&r(last, last + 1)));
            }
        }
        assert!(!heard.covers(&r(2, 4)));
    }

    #[test]
    fn events_without_order_are_not_written_out_of_bounds() {
        let mut events = Events::new();
        for _ in 0..4 {
            assert!(events.push(event(Kind::End, &QUIET, RANGES[0])));
        }
        assert!(!events.push(event(Kind::End, &QUIET, RANGES[0])));
        assert!(!events.push(event(Kind::Break, &QUIET, RANGES[0])));
        assert_eq!(events.iter().count(), 4);
    }
}
