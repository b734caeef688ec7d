// SPDX-License-Identifier: GPL-2.0
//! What read() gives, taken apart.

use super::*;

/// Like `struct longterm_event`, with what a later kernel might append.
fn event(size: u32, kind: u32, flags: u32, numbers: [u64; 5]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [size, kind, flags, 0] {
        bytes.extend(word.to_ne_bytes());
    }
    for number in numbers {
        bytes.extend(number.to_ne_bytes());
    }
    bytes.resize(size as usize, 0xff);
    bytes
}

fn read(parts: &[Vec<u8>]) -> Events {
    let all = parts.concat();
    let mut events = Events::none();
    events
        .fill(|buffer| {
            buffer[..all.len()].copy_from_slice(&all);
            Ok::<_, ()>(all.len())
        })
        .unwrap();
    events
}

#[test]
fn fields() {
    let mut events = read(&[event(56, 1, 1, [3, 4096, 8192, 77, 512])]);
    let got = events.next().unwrap();
    assert_eq!(got.kind, EventKind::Break);
    assert!(got.merged);
    assert_eq!(got.generation, 3);
    assert_eq!(got.range, ByteRange::from(4096..8192));
    assert_eq!(got.deadline.map(Deadline::as_nanos), Some(77));
    assert_eq!(got.pinned, 512);
    assert_eq!(events.next(), None);
}

#[test]
fn from_one_to_the_next_by_size() {
    let mut events = read(&[
        event(56, 1, 0, [0, 0, 1, 9, 0]),
        event(80, 2, 0, [1, 0, 1, 0, 0]),
        event(72, 3, 0, [1, 0, 1, 0, 0]),
    ]);
    assert!(!events.is_empty());
    let kinds: Vec<_> = events.by_ref().map(|e| e.kind).collect();
    assert_eq!(
        kinds,
        [EventKind::Break, EventKind::End, EventKind::Revoked]
    );
    assert!(events.is_empty());
}

#[test]
fn a_kind_of_the_future_is_passed_on() {
    let got = read(&[event(56, 9, 0, [0; 5])]).next().unwrap();
    assert_eq!(got.kind, EventKind::Unknown(9));
    assert_eq!(got.deadline, None);
}

#[test]
fn what_is_no_event_ends_the_list() {
    for bytes in [vec![1; 3], event(56, 1, 0, [0; 5])[..55].to_vec()] {
        assert_eq!(read(&[bytes]).next(), None);
    }
    // A size of 0, or too small, must not keep us here for ever.
    for size in [0u32, 8, 55] {
        let mut bytes = event(56, 1, 0, [0; 5]);
        bytes[..4].copy_from_slice(&size.to_ne_bytes());
        let mut events = read(&[bytes]);
        assert_eq!(events.next(), None);
        assert!(events.is_empty());
    }
}

#[test]
fn four_of_the_longest_fit() {
    let longest = event(256, 1, 0, [0; 5]);
    assert_eq!(read(&vec![longest; 4]).count(), 4);
}
