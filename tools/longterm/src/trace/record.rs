// SPDX-License-Identifier: GPL-2.0

//! Traces that were recorded: by trace-cmd, or as the text of a `trace` file.

use super::Event;
use crate::error::{say, Error, Result};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
    process::{Command, Stdio},
};

/// How trace.dat begins.
const MAGIC: &[u8] = b"\x17\x08Dtracing";

/// All events, in order.
pub(crate) fn read(path: &Path) -> Result<Vec<Event>> {
    let mut head = Vec::new();
    let about = |e| Error::about(path.display(), e);
    let file = File::open(path).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::Say(format!(
            "there is no {}: make one with trace-cmd record -e longterm, or use --live CMD",
            path.display()
        )),
        _ => about(e),
    })?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut head)
        .map_err(about)?;
    let text = if head == MAGIC {
        report(path)?
    } else {
        String::from_utf8_lossy(&fs::read(path).map_err(about)?).into_owned()
    };
    let mut events: Vec<Event> = text.lines().filter_map(Event::parse).collect();
    events.sort_by_key(|e| e.time);
    Ok(events)
}

/// What trace-cmd makes of it: times to the nanosecond, fields without the kernel's formatting,
/// which needs functions that no program has.
fn report(path: &Path) -> Result<String> {
    let run = Command::new("trace-cmd")
        .args(["report", "-t", "-R", "-i"])
        .arg(path)
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(done) if done.status.success() => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        Ok(done) => {
            let said = String::from_utf8_lossy(&done.stderr);
            let last = said.lines().last().unwrap_or("it does not say why");
            say(format!("trace-cmd can't read {}: {last}", path.display()))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            say("there is no trace-cmd, which reads trace.dat: apt-get install trace-cmd")
        }
        Err(e) => Err(Error::about("trace-cmd", e)),
    }
}
