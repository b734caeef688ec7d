// SPDX-License-Identifier: GPL-2.0

//! Events of the group `longterm`, from wherever they come.

pub(crate) mod instance;
pub(crate) mod live;
pub(crate) mod record;

use crate::holders::{Dev, FileId};

/// To the end of the file, as the kernel writes it.
const TO_THE_END: u64 = i64::MAX as u64;

/// A line of a trace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Nanoseconds on the trace's clock.
    pub(crate) time: u64,
    /// Who was running: name and thread.
    pub(crate) task: String,
    pub(crate) tid: u32,
    pub(crate) what: What,
}

/// What it tells.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// One of the events about a range of a file.
    Range {
        /// As in `src/trace.h`.
        name: String,
        file: FileId,
        start: u64,
        end: Option<u64>,
        pid: u32,
        /// An errno or 0.
        result: i32,
    },
    /// The machine of a break took a step.
    State {
        file: FileId,
        from: String,
        input: String,
        to: String,
    },
    /// Text written to trace_marker.
    Mark(String),
    /// So many events were lost.
    Lost(u64),
}

impl Event {
    /// Read a line of tracefs or of `trace-cmd report`, raw or not; [`None`]: it is something else.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        if let Some(lost) = lost(line) {
            return Some(Self {
                time: 0,
                task: String::new(),
                tid: 0,
                what: What::Lost(lost),
            });
        }
        let (before, after) = split_at_cpu(line)?;
        let (task, tid) = task(before)?;
        let (time, rest) = time(after)?;
        let (name, fields) = rest.split_once(':')?;
        let name = name.trim();
        Some(Self {
            time,
            task,
            tid,
            what: what(name, fields.trim())?,
        })
    }

    /// The file that it is about.
    pub(crate) fn file(&self) -> Option<FileId> {
        match &self.what {
            What::Range { file, .. } | What::State { file, .. } => Some(*file),
            _ => None,
        }
    }
}

/// `CPU:0 [LOST 12 EVENTS]`, or trace-cmd's `CPU 0: 12 EVENTS DROPPED`.
fn lost(line: &str) -> Option<u64> {
    let line = line.trim();
    let number = line
        .strip_prefix("CPU:")
        .and_then(|l| l.split_once("[LOST ")?.1.strip_suffix(" EVENTS]"))
        .or_else(|| {
            line.strip_prefix("CPU")?
                .split_once(':')?
                .1
                .trim()
                .strip_suffix(" EVENTS DROPPED")
        });
    number?.parse().ok()
}

/// At ` [002] `, with a time behind it: names of tasks may look like anything.
fn split_at_cpu(line: &str) -> Option<(&str, &str)> {
    for (at, _) in line.match_indices(" [") {
        let rest = &line[at + 2..];
        if let Some((cpu, after)) = rest.split_once(']') {
            if !cpu.is_empty() && cpu.bytes().all(|b| b.is_ascii_digit()) && time(after).is_some() {
                return Some((&line[..at], after));
            }
        }
    }
    None
}

fn task(text: &str) -> Option<(String, u32)> {
    let mut text = text.trim();
    // The thread group, if tracefs was asked to show it.
    if let Some((before, group)) = text.rsplit_once('(') {
        let group = group.trim_end_matches(')').trim();
        if text.ends_with(')') && group.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            text = before.trim_end();
        }
    }
    let (name, tid) = text.rsplit_once('-')?;
    Some((name.to_string(), tid.parse().ok()?))
}

/// Seconds with a fraction and a colon, among the first two words.
fn time(text: &str) -> Option<(u64, &str)> {
    let mut rest = text.trim_start();
    for _ in 0..2 {
        let (word, after) = rest.split_once(' ')?;
        if let Some(time) = word.strip_suffix(':').and_then(nanoseconds) {
            return Some((time, after));
        }
        rest = after.trim_start();
    }
    None
}

fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10u64.pow(9 - fraction.len() as u32);
    let fraction: u64 = fraction.parse().ok()?;
    seconds
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(fraction * scale)
}

const NAMES: [&str; 13] = [
    "lease_take",
    "lease_release",
    "lease_revoke",
    "pin",
    "unpin",
    "break_begin",
    "break_wait",
    "break_end",
    "sigio",
    "sigbus",
    "sigkill",
    "busy",
    "deny",
];

fn what(name: &str, fields: &str) -> Option<What> {
    if name == "tracing_mark_write" || name == "print" {
        // Raw: "ip=0x... buf=text".
        let text = fields.split_once("buf=").map_or(fields, |(_, text)| text);
        return Some(What::Mark(text.trim().to_string()));
    }
    // trace-cmd may say which group an event is of.
    let name = name.rsplit(['/', ' ']).next().unwrap_or(name);
    let file = || {
        Some(FileId {
            dev: dev(field(fields, "dev")?)?,
            ino: number(field(fields, "ino")?)? as u64,
        })
    };
    if name == "break_state" {
        let word = |name| field(fields, name).map(str::to_string);
        return Some(What::State {
            file: file()?,
            from: word("from")?,
            input: word("input")?,
            to: word("to")?,
        });
    }
    if !NAMES.contains(&name) {
        return None;
    }
    let value = |name| number(field(fields, name)?);
    let end = value("end")? as u64;
    Some(What::Range {
        name: name.into(),
        file: file()?,
        start: value("start")? as u64,
        end: (end < TO_THE_END).then_some(end),
        pid: value("pid")? as u32,
        result: value("result")? as i32,
    })
}

fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields
        .split_whitespace()
        .find_map(|f| f.strip_prefix(name)?.strip_prefix('='))
}

/// Decimal, or hexadecimal as raw output has it.
fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok().map(|n| n as i64),
        None => text
            .parse()
            .ok()
            .or_else(|| text.parse::<u64>().ok().map(|n| n as i64)),
    }
}

/// `MAJOR:MINOR`, or the kernel's number for it.
fn dev(text: &str) -> Option<Dev> {
    Dev::parse(text).or_else(|| {
        let n = number(text)? as u32;
        Some(Dev((n & 0xfff00) >> 8, (n & 0xff) | ((n >> 12) & 0xfff00)))
    })
}

#[cfg(test)]
mod tests;
