// SPDX-License-Identifier: GPL-2.0

//! From events to what they tell.

use super::{ranges::Ranges, Bar, BarKind, File, Lane, Role, Rung, Sign, SignKind, Story};
use crate::{
    holders::FileId,
    trace::{Event, What},
};
use std::collections::BTreeMap;

/// Pieces of a region follow one another at once; this is ample for a slow machine.
const PIECE: u64 = 100_000_000;

/// What is not over yet.
#[derive(Default)]
struct Doing {
    bars: Vec<Bar>,
    signs: Vec<Sign>,
    /// The lease that is held, as a bar without an end.
    lease: Option<Bar>,
    /// Pins that live, but for the one made last.
    pins: Ranges<Bar>,
    growing: Option<Bar>,
    /// All whose beginning or end has been seen.
    seen: Ranges<()>,
    /// Breaks under way, by thread.
    breaks: BTreeMap<u32, Bar>,
    first: u64,
}

#[derive(Default)]
struct Place {
    lanes: BTreeMap<(Role, u32), Doing>,
    ladder: Vec<Rung>,
    phase: Option<(u64, String)>,
    first: u64,
}

impl Story {
    /// Put events together; they are in order.
    pub(crate) fn new(events: &[Event]) -> Self {
        let mut story = Self::default();
        let mut places: BTreeMap<FileId, Place> = BTreeMap::new();
        let timed = || events.iter().filter(|e| !matches!(e.what, What::Lost(_)));
        story.from = timed().map(|e| e.time).min().unwrap_or(0);
        story.to = timed().map(|e| e.time).max().unwrap_or(0);
        for event in events {
            match &event.what {
                What::Lost(n) => story.lost += n,
                What::Mark(text) => story.marks.push((event.time, text.clone())),
                What::State { file, from, to, .. } => {
                    let began = story.from;
                    place(&mut places, *file, event.time).step(event.time, began, from, to);
                }
                What::Range { file, .. } => {
                    let began = story.from;
                    place(&mut places, *file, event.time).take(event, began);
                }
            }
        }
        let mut files: Vec<_> = places.into_iter().collect();
        files.sort_by_key(|(_, place)| place.first);
        let to = story.to;
        story.files = files
            .into_iter()
            .map(|(id, place)| place.finish(id, to))
            .collect();
        story
    }
}

fn place(places: &mut BTreeMap<FileId, Place>, file: FileId, now: u64) -> &mut Place {
    places.entry(file).or_insert_with(|| Place {
        first: now,
        ..Place::default()
    })
}

impl Place {
    fn step(&mut self, now: u64, began: u64, from: &str, to: &str) {
        let (since, phase) = self.phase.take().unwrap_or((began, from.to_string()));
        // A breaker that joins is a step that leads nowhere.
        if phase == to {
            self.phase = Some((since, phase));
            return;
        }
        if phase != "idle" && since < now {
            self.ladder.push(Rung {
                from: since,
                to: now,
                phase,
            });
        }
        self.phase = Some((now, to.to_string()));
    }

    fn take(&mut self, event: &Event, began: u64) {
        let What::Range {
            name,
            start,
            end,
            pid,
            result,
            ..
        } = &event.what
        else {
            return;
        };
        let now = event.time;
        let role = if name.starts_with("break_") || name == "busy" {
            Role::Breaker
        } else {
            Role::Holder
        };
        let lane = self.lanes.entry((role, *pid)).or_insert_with(|| Doing {
            first: now,
            ..Doing::default()
        });
        let bar = |kind, from| Bar {
            kind,
            from,
            to: now,
            start: *start,
            end: *end,
            open: (from == began && from != now, false),
        };
        match name.as_str() {
            "lease_take" if *result == 0 => lane.lease_begins(bar(BarKind::Lease, now)),
            "pin" if *result == 0 => lane.pin(bar(BarKind::Pin, now)),
            "lease_take" | "pin" | "deny" => lane.sign(now, SignKind::Refused(*result)),
            "lease_release" => lane.lease_ends(now, began),
            "lease_revoke" => {
                lane.lease_ends(now, began);
                lane.lease = Some(bar(BarKind::Revoked, now));
            }
            "unpin" => lane.unpin(&bar(BarKind::Pin, began)),
            "sigio" => lane.sign(now, SignKind::Sigio),
            "sigbus" => lane.sign(now, SignKind::Sigbus),
            "sigkill" => lane.sign(now, SignKind::Sigkill),
            "break_begin" => {
                let kind = BarKind::Break {
                    waits: None,
                    result: None,
                };
                lane.breaks.insert(event.tid, bar(kind, now));
            }
            "break_wait" | "break_end" => {
                let kind = BarKind::Break {
                    waits: Some(began),
                    result: None,
                };
                let open = lane
                    .breaks
                    .entry(event.tid)
                    .or_insert_with(|| bar(kind, began));
                if let BarKind::Break { waits, result: end } = &mut open.kind {
                    if name == "break_wait" {
                        *waits = waits.or(Some(now));
                        return;
                    }
                    *end = Some(*result);
                }
                open.to = now;
                lane.bars.extend(lane.breaks.remove(&event.tid));
            }
            // Its break_end says the same.
            _ => {}
        }
    }

    fn finish(mut self, id: FileId, to: u64) -> File {
        if let Some((from, phase)) = self
            .phase
            .take()
            .filter(|(from, p)| p != "idle" && *from < to)
        {
            self.ladder.push(Rung { from, to, phase });
        }
        let mut lanes: Vec<(u64, Lane)> = self
            .lanes
            .into_iter()
            .map(|((role, pid), doing)| (doing.first, doing.finish(role, pid, to)))
            .filter(|(_, lane)| !lane.bars.is_empty() || !lane.signs.is_empty())
            .collect();
        lanes.sort_by_key(|(first, lane)| (lane.role, *first));
        let lanes: Vec<Lane> = lanes.into_iter().map(|(_, lane)| lane).collect();
        let waited = lanes
            .iter()
            .flat_map(|l| &l.bars)
            .filter_map(|b| match b.kind {
                BarKind::Break { waits, result }
                    if waits.is_some() || result.is_some_and(|r| r != 0) =>
                {
                    Some((b.from, b.to))
                }
                _ => None,
            });
        let breaks = union(
            waited
                .chain(self.ladder.iter().map(|r| (r.from, r.to)))
                .collect(),
        );
        File {
            id,
            lanes,
            ladder: self.ladder,
            breaks,
            hidden: (0, 0),
        }
    }
}

impl Doing {
    fn sign(&mut self, at: u64, kind: SignKind) {
        self.signs.push(Sign { at, kind });
    }

    /// Taken again while it is held: nothing new to see.
    fn lease_begins(&mut self, new: Bar) {
        match &self.lease {
            Some(held) if held.kind == BarKind::Lease => {}
            _ => {
                self.close_lease(new.from);
                self.lease = Some(new);
            }
        }
    }

    fn lease_ends(&mut self, now: u64, began: u64) {
        if self.lease.is_none() && self.bars.iter().all(|b| b.kind != BarKind::Lease) {
            self.lease = Some(Bar {
                kind: BarKind::Lease,
                from: began,
                to: now,
                start: 0,
                end: None,
                open: (began != now, false),
            });
        }
        self.close_lease(now);
    }

    fn close_lease(&mut self, now: u64) {
        self.bars
            .extend(self.lease.take().map(|b| Bar { to: now, ..b }));
    }

    /// The kernel pins a large region piece by piece: that is one pin to whoever asked for it.
    fn pin(&mut self, new: Bar) {
        if let Some(last) = &mut self.growing {
            if last.end == Some(new.start) && new.from - last.to < PIECE {
                (last.end, last.to) = (new.end, new.to);
                return;
            }
        }
        self.settle();
        self.growing = Some(new);
    }

    /// The region that was pinned last grows no more.
    fn settle(&mut self) {
        if let Some(pin) = self.growing.take() {
            self.seen.add(pin.start, end_of(&pin), ());
            self.pins.add(pin.start, end_of(&pin), pin);
        }
    }

    /// A record may be closed whole or in other pieces than it was made of.
    fn unpin(&mut self, gone: &Bar) {
        self.settle();
        let (start, end) = (gone.start, end_of(gone));
        for pin in self.pins.take(start, end) {
            let pin_end = end_of(&pin);
            if pin.start < start {
                let left = Bar {
                    end: Some(start),
                    ..pin.clone()
                };
                self.pins.add(left.start, start, left);
            }
            if end < pin_end {
                let left = Bar {
                    start: end,
                    ..pin.clone()
                };
                self.pins.add(end, pin_end, left);
            }
            self.bars.push(Bar {
                start: pin.start.max(start),
                end: Some(pin_end.min(end)).filter(|e| *e != u64::MAX),
                to: gone.to,
                ..pin
            });
        }
        // Of before the trace. One whose beginning we saw is not closed twice.
        if !self.seen.any(start, end) {
            self.seen.add(start, end, ());
            self.bars.push(gone.clone());
        }
    }

    fn finish(mut self, role: Role, pid: u32, to: u64) -> Lane {
        self.settle();
        let left = self.lease.take().into_iter().chain(self.pins.drain());
        let left = left.chain(std::mem::take(&mut self.breaks).into_values());
        self.bars.extend(left.map(|b| Bar {
            to,
            open: (b.open.0, true),
            ..b
        }));
        self.bars.sort_by_key(|b| (b.from, b.start));
        self.signs.sort_by_key(|s| s.at);
        Lane {
            role,
            pid,
            bars: self.bars,
            signs: self.signs,
        }
    }
}

fn end_of(bar: &Bar) -> u64 {
    bar.end.unwrap_or(u64::MAX)
}

/// The same times without overlaps.
fn union(mut spans: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    spans.sort_unstable();
    let mut out: Vec<(u64, u64)> = Vec::new();
    for (from, to) in spans {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}
