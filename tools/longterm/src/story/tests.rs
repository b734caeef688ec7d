// SPDX-License-Identifier: GPL-2.0

//! Short traces and what has to be seen in them.

use super::*;
use crate::trace::Event;

const MS: u64 = 1_000_000;
const ALL: u64 = i64::MAX as u64;

/// `(ms, event, pid, start, end, result)` on one file.
fn event(&(ms, name, pid, start, end, result): &(u64, &str, u32, u64, u64, i32)) -> Event {
    let (s, ms) = (ms / 1000, ms % 1000);
    Event::parse(&format!(
        "  t-{pid} [000] .....  {s}.{ms:03}: {name}: dev=8:1 ino=2 start={start} end={end} pid={pid} result={result}"
    ))
    .unwrap()
}

fn step(ms: u64, from: &str, to: &str) -> Event {
    let (s, ms) = (ms / 1000, ms % 1000);
    Event::parse(&format!(
        "  t-1 [000] .....  {s}.{ms:03}: break_state: dev=8:1 ino=2 from={from} input=x to={to}"
    ))
    .unwrap()
}

fn story(events: &[(u64, &str, u32, u64, u64, i32)]) -> Story {
    Story::new(&events.iter().map(event).collect::<Vec<_>>())
}

fn bars(lane: &Lane) -> Vec<(BarKind, u64, u64)> {
    lane.bars
        .iter()
        .map(|b| (b.kind, b.from / MS, b.to / MS))
        .collect()
}

#[test]
fn a_holder_that_reacts() {
    let s = story(&[
        (10, "lease_take", 5, 0, ALL, 0),
        (20, "pin", 5, 0, 8192, 0),
        (30, "break_begin", 9, 4096, ALL, 0),
        (31, "sigio", 5, 0, ALL, 0),
        (32, "break_wait", 9, 4096, ALL, 0),
        (40, "unpin", 5, 0, 8192, 0),
        (41, "break_end", 9, 4096, ALL, 0),
        (42, "lease_take", 5, 0, ALL, 0),
        (50, "lease_release", 5, 0, ALL, 0),
    ]);
    assert_eq!((s.from, s.to, s.files.len()), (10 * MS, 50 * MS, 1));
    let [holder, breaker] = &s.files[0].lanes[..] else {
        panic!("two lanes");
    };
    assert_eq!((holder.role, holder.pid), (Role::Holder, 5));
    assert_eq!(
        bars(holder),
        [(BarKind::Lease, 10, 50), (BarKind::Pin, 20, 40)]
    );
    assert_eq!(
        holder.signs,
        [Sign {
            at: 31 * MS,
            kind: SignKind::Sigio
        }]
    );
    let wait = BarKind::Break {
        waits: Some(32 * MS),
        result: Some(0),
    };
    assert_eq!(bars(breaker), [(wait, 30, 41)]);
    assert_eq!(s.files[0].breaks, [(30 * MS, 41 * MS)]);
    assert_eq!(
        (
            s.count(Role::Holder),
            s.count(Role::Breaker),
            s.signs(SignKind::Sigio)
        ),
        (1, 1, 1)
    );
}

#[test]
fn a_lease_that_is_revoked_and_taken_again() {
    let s = story(&[
        (0, "lease_take", 5, 0, ALL, 0),
        (10, "lease_revoke", 5, 0, ALL, 0),
        (11, "sigbus", 5, 0, 4096, 0),
        (20, "lease_take", 5, 0, ALL, 0),
        (30, "deny", 5, 0, 4096, -11),
    ]);
    let lane = &s.files[0].lanes[0];
    let want = [
        (BarKind::Lease, 0, 10),
        (BarKind::Revoked, 10, 20),
        (BarKind::Lease, 20, 30),
    ];
    assert_eq!(bars(lane), want);
    assert_eq!(lane.bars[2].open, (false, true));
    assert_eq!(lane.signs[1].kind, SignKind::Refused(-11));
}

#[test]
fn a_trace_that_begins_and_ends_in_the_middle() {
    let s = story(&[
        (5, "deny", 7, 0, 4096, -13),
        (10, "unpin", 5, 0, 4096, 0),
        (20, "lease_release", 5, 0, ALL, 0),
        (30, "break_end", 9, 0, ALL, -26),
        (35, "break_begin", 8, 0, ALL, 0),
        (40, "pin", 6, 0, 4096, 0),
        (50, "deny", 7, 0, 4096, -13),
    ]);
    let lane = |pid| s.files[0].lanes.iter().find(|l| l.pid == pid).unwrap();
    assert_eq!(
        bars(lane(5)),
        [(BarKind::Pin, 5, 10), (BarKind::Lease, 5, 20)]
    );
    assert!(lane(5).bars.iter().all(|b| b.open == (true, false)));
    assert_eq!(
        (lane(9).bars[0].from, lane(9).bars[0].to),
        (5 * MS, 30 * MS)
    );
    assert_eq!(
        (lane(8).bars[0].to, lane(8).bars[0].open),
        (50 * MS, (false, true))
    );
    assert_eq!(bars(lane(6)), [(BarKind::Pin, 40, 50)]);
}

#[test]
fn pins_that_go_in_pieces() {
    let s = story(&[
        (0, "pin", 5, 0, 12288, 0),
        (10, "unpin", 5, 4096, 8192, 0),
        (20, "unpin", 5, 0, 12288, 0),
    ]);
    let lane = &s.files[0].lanes[0];
    let ranges: Vec<_> = lane
        .bars
        .iter()
        .map(|b| (b.start, b.end, b.to / MS))
        .collect();
    assert_eq!(
        ranges,
        [
            (0, Some(4096), 20),
            (4096, Some(8192), 10),
            (8192, Some(12288), 20)
        ]
    );
}

#[test]
fn pieces_of_a_region_are_one_pin() {
    let s = story(&[
        (0, "pin", 5, 0, 4096, 0),
        (1, "pin", 5, 4096, 8192, 0),
        (2, "pin", 5, 8192, 12288, 0),
        (500, "pin", 5, 12288, 16384, 0),
        (600, "unpin", 5, 0, 12288, 0),
    ]);
    let lane = &s.files[0].lanes[0];
    let ranges: Vec<_> = lane
        .bars
        .iter()
        .map(|b| (b.start, b.end, b.from / MS, b.to / MS))
        .collect();
    assert_eq!(
        ranges,
        [(0, Some(12288), 0, 600), (12288, Some(16384), 500, 600)]
    );
}

#[test]
fn a_hundred_thousand_pins_are_quick() {
    let mut events = Vec::new();
    for n in 0..100_000 {
        events.push((n / 1000, "pin", 5, n * 8192, n * 8192 + 4096, 0));
    }
    for n in 0..100_000 {
        events.push((200 + n / 1000, "unpin", 5, n * 8192, n * 8192 + 4096, 0));
    }
    let began = std::time::Instant::now();
    assert_eq!(story(&events).files[0].lanes[0].bars.len(), 100_000);
    assert!(began.elapsed().as_secs() < 60, "took {:?}", began.elapsed());
}

#[test]
fn the_ladder_of_a_break() {
    let events = [
        step(10, "idle", "notified"),
        step(15, "notified", "notified"),
        step(20, "notified", "revoked"),
        step(30, "revoked", "idle"),
        step(50, "idle", "notified"),
        step(60, "notified", "idle"),
    ];
    let s = Story::new(&events);
    let rungs: Vec<_> = s.files[0]
        .ladder
        .iter()
        .map(|r| (r.phase.as_str(), r.from / MS, r.to / MS))
        .collect();
    assert_eq!(
        rungs,
        [
            ("notified", 10, 20),
            ("revoked", 20, 30),
            ("notified", 50, 60)
        ]
    );
    assert_eq!(s.files[0].breaks, [(10 * MS, 30 * MS), (50 * MS, 60 * MS)]);
}

#[test]
fn two_threads_break_at_once() {
    let begin = |tid: u32, ms: u64, name: &str| {
        Event::parse(&format!(
            "  t-{tid} [000] .....  0.{ms:03}: {name}: dev=8:1 ino=2 start=0 end=4096 pid=9 result=0"
        ))
        .unwrap()
    };
    let s = Story::new(&[
        begin(9, 1, "break_begin"),
        begin(10, 2, "break_begin"),
        begin(9, 3, "break_end"),
        begin(10, 4, "break_end"),
    ]);
    let times: Vec<_> = s.files[0].lanes[0]
        .bars
        .iter()
        .map(|b| (b.from / MS, b.to / MS))
        .collect();
    assert_eq!(times, [(1, 3), (2, 4)]);
    assert!(s.files[0].breaks.is_empty(), "nobody waited");
}

#[test]
fn folding_keeps_those_to_whom_something_happened() {
    let mut events: Vec<_> = (0..100)
        .map(|n| (n, "lease_take", 100 + n as u32, 0, ALL, 0))
        .collect();
    events.push((200, "sigbus", 177, 0, 4096, 0));
    events.push((201, "break_end", 9, 0, ALL, -26));
    let mut s = story(&events);
    s.fold(40);
    let file = &s.files[0];
    assert_eq!((file.lanes.len(), file.hidden), (40, (61, 0)));
    assert!(file.lanes.iter().any(|l| l.pid == 177) && file.lanes.iter().any(|l| l.pid == 9));
    assert_eq!((s.count(Role::Holder), s.count(Role::Breaker)), (100, 1));
    assert_eq!(s.hidden_files, 0);
}

#[test]
fn few_lanes_are_not_folded() {
    let mut s = story(&[(0, "pin", 5, 0, 4096, 0)]);
    s.fold(40);
    assert_eq!(s.files[0].hidden, (0, 0));
}

#[test]
fn no_events_no_story() {
    let s = Story::new(&[]);
    assert!(s.files.is_empty());
    assert_eq!((s.from, s.to), (0, 0));
}
