// SPDX-License-Identifier: GPL-2.0
//! A task for each of several files, by tokio.
//!
//! ```text
//! longterm_tokio FILE...
//! ```
//!
//! Prints what it is told.  A program that pins does so where the comments are.

use longterm::{AsyncLease, EventKind, Lease, Result, State};
use std::fs::File;
use std::process::ExitCode;

async fn watch(path: String) -> Result<()> {
    let file = File::options().read(true).write(true).open(&path);
    let file = file.map_err(longterm::Error::Other)?;
    let mut lease = AsyncLease::new(Lease::take(&file, ..)?)?;
    println!("{path}: lease taken");
    while let Some(event) = lease.next().await? {
        match event.kind {
            EventKind::Break => {
                println!("{path}: break of {}", event.range);
                // Unpin what is in the range here.
                let info = lease
                    .wait_for_break_end(|more| println!("{path}: break of {}", more.range))
                    .await?;
                if info.state == State::Held {
                    // Look at the file's size and pin again here.
                    println!("{path}: over, generation {}", info.generation);
                }
            }
            kind => println!("{path}: {kind}"),
        }
    }
    Ok(())
}

async fn run() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut tasks = tokio::task::JoinSet::new();
    for path in std::env::args().skip(1) {
        tasks.spawn(watch(path));
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    run().await.map_or_else(
        |error| {
            eprintln!("longterm_tokio: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
