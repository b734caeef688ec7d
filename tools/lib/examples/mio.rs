// SPDX-License-Identifier: GPL-2.0
//! One loop for the leases of several files, by mio.
//!
//! ```text
//! longterm_mio FILE...
//! ```
//!
//! Prints what it is told.  A program that pins does so in `react`.

use longterm::{Error, Event, EventKind, Lease};
use mio::{Events, Interest, Poll, Token};
use std::fs::File;
use std::process::ExitCode;

/// What a program with pins would do.
fn react(path: &str, event: &Event) {
    match event.kind {
        EventKind::Break => {
            let left = event.deadline.map(|deadline| deadline.remaining());
            let range = event.range;
            println!("{path}: break of {range}, {left:?} left: unpin what is there");
        }
        EventKind::End => println!("{path}: end, generation {}: pin again", event.generation),
        kind => println!("{path}: {kind}"),
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut poll = Poll::new()?;
    let mut leases = Vec::new();
    for path in std::env::args().skip(1) {
        let file = File::options().read(true).write(true).open(&path)?;
        // mio is edge triggered: read until there is nothing left.
        let mut lease = Lease::options().nonblocking(true).take(&file, ..)?;
        let token = Token(leases.len());
        poll.registry()
            .register(&mut lease, token, Interest::READABLE)?;
        println!("{path}: lease taken");
        leases.push((path, lease));
    }
    let mut left = leases.len();
    let mut events = Events::with_capacity(16);
    while left > 0 {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for ready in &events {
            let (path, lease) = &mut leases[ready.token().0];
            loop {
                match lease.read() {
                    // Revoked, and nothing more to say.
                    Ok(read) if read.is_empty() => {
                        poll.registry().deregister(lease)?;
                        left -= 1;
                        break;
                    }
                    Ok(read) => read.for_each(|event| react(path, &event)),
                    Err(Error::WouldBlock) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    run().map_or_else(
        |error| {
            eprintln!("longterm_mio: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
