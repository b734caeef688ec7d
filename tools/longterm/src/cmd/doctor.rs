// SPDX-License-Identifier: GPL-2.0

//! `longterm doctor`: why a lease or a pin would fail, and what to do; a line for each finding.

use crate::{
    cli::Doctor,
    diagnosis::{judge, Verdict},
    error::Result,
    escape::printable,
    facts,
    output::print,
};
use std::{fmt::Write, process::ExitCode};

pub(super) fn run(args: &Doctor) -> Result<ExitCode> {
    let mut out = String::new();
    let mut wrong = false;
    for finding in judge(&facts::gather(&args.paths)) {
        wrong |= finding.verdict == Verdict::Wrong;
        let word = match finding.verdict {
            Verdict::Fine => "ok",
            Verdict::Note => "note",
            Verdict::Wrong => "WRONG",
        };
        let _ = write!(out, "{word:6} {}", printable(&finding.text));
        match finding.fix {
            Some(fix) => {
                let _ = writeln!(out, ": {}", printable(&fix));
            }
            None => out.push('\n'),
        }
    }
    print(&out)?;
    Ok(ExitCode::from(u8::from(wrong)))
}
