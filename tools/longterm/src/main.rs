// SPDX-License-Identifier: GPL-2.0

//! `longterm`: what an administrator sees of long-term leases, pins and breaks.
//!
//! A file a command under `cmd/`; what they read is understood in modules of its own, which know
//! nothing of terminals.

mod cli;
mod cmd;
mod counters;
mod diagnosis;
mod error;
mod escape;
mod facts;
mod holders;
mod human;
mod module;
mod mounts;
mod names;
mod output;
mod picture;
mod story;
mod trace;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = cmd::run(cli::Cli::parse());
    match done {
        Ok(code) => code,
        // Whoever read us has seen enough.
        Err(e) if e.is_broken_pipe() => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("longterm: {e}");
            ExitCode::FAILURE
        }
    }
}
