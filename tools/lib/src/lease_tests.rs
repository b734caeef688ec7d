// SPDX-License-Identifier: GPL-2.0
//! What can be said without the kernel's side: reading, through a socket, and what
//! becomes of descriptors that are none of a lease.

use super::*;
use crate::Device;
use std::fs::File;
use std::os::unix::net::UnixStream;

const END: [u32; 4] = [56, 2, 0, 0];

fn pair() -> (Lease, OwnedFd) {
    let (reader, writer) = UnixStream::pair().unwrap();
    (Lease::from(OwnedFd::from(reader)), writer.into())
}

fn send(to: &OwnedFd, head: [u32; 4]) {
    let mut bytes = [0u8; 56];
    for (place, word) in bytes.chunks_exact_mut(4).zip(head) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    assert_eq!(rustix::io::write(to, &bytes), Ok(56));
}

#[test]
fn events_until_there_is_nothing_more_to_say() {
    let (lease, kernel) = pair();
    send(&kernel, [56, 1, 0, 0]);
    send(&kernel, END);
    drop(kernel);
    let kinds: Vec<_> = lease.events().map(|event| event.unwrap().kind).collect();
    assert_eq!(kinds, [EventKind::Break, EventKind::End]);
}

#[test]
fn nonblocking_does_not_wait() {
    let (lease, kernel) = pair();
    lease.set_nonblocking(true).unwrap();
    assert!(matches!(lease.read(), Err(Error::WouldBlock)));
    send(&kernel, END);
    assert_eq!(lease.read().unwrap().count(), 1);
    lease.set_nonblocking(false).unwrap();
    send(&kernel, END);
    assert_eq!(lease.read().unwrap().count(), 1);
}

#[test]
fn what_is_no_lease_says_so() {
    let lease = Lease::from(OwnedFd::from(File::open("/dev/null").unwrap()));
    assert!(matches!(lease.info(), Err(Error::NotALease)));
    assert!(matches!(lease.adopt(), Err(Error::NotALease)));
    assert!(matches!(
        lease.wait_for_break_end(|_| ()),
        Err(Error::NotALease)
    ));
}

#[test]
fn clones_are_of_one_lease() {
    let (lease, kernel) = pair();
    let other = lease.try_clone().unwrap();
    drop(lease);
    send(&kernel, END);
    assert_eq!(other.read().unwrap().count(), 1);
}

/// Where tests are built there is no module.
#[test]
fn without_the_module() {
    if std::path::Path::new(crate::abi::DEVICE).exists() {
        let file = File::open("/proc/self/exe").unwrap();
        assert!(Lease::take(&file, ..).is_err());
    } else {
        assert!(matches!(Device::open(), Err(Error::NoModule)));
    }
}
