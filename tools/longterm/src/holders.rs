// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/longterm/holders`: leases, pins and breaks, one a line.
//!
//! Columns go by the names in the first line, never by position: a newer module may have more,
//! which are kept as they are.

use crate::{
    error::{say, Error, Result},
    escape::text_of,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// A device's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Dev(pub(crate) u32, pub(crate) u32);

impl Dev {
    /// `MAJOR:MINOR`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for Dev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

impl Serialize for Dev {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId {
    pub(crate) dev: Dev,
    pub(crate) ino: u64,
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ino {}", self.dev, self.ino)
    }
}

/// A line of the table, and an object of `ls --json`: [`None`] is the kernel's `-`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) dev: Dev,
    pub(crate) ino: u64,
    pub(crate) start: Option<u64>,
    pub(crate) end: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) pid: Option<u32>,
    pub(crate) through: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) state: Option<String>,
    #[serde(rename = "left_ms")]
    pub(crate) left: Option<u64>,
    pub(crate) lease: Option<u64>,
    pub(crate) mount: Option<u64>,
    pub(crate) comm: Option<String>,
    pub(crate) path: Option<String>,
    /// Columns that this program does not know.
    #[serde(flatten)]
    pub(crate) more: BTreeMap<String, Option<String>>,
}

impl Line {
    /// Which file it is about.
    pub(crate) fn file(&self) -> FileId {
        FileId {
            dev: self.dev,
            ino: self.ino,
        }
    }
}

/// All lines of the table.
pub(crate) fn parse(table: &[u8]) -> Result<Vec<Line>> {
    let mut lines = table.split(|&b| b == b'\n').filter(|l| !l.is_empty());
    let Some(header) = lines.next().and_then(|l| l.strip_prefix(b"# ")) else {
        return say("/proc/fs/longterm/holders has no header: is the module of another kind?");
    };
    let header = String::from_utf8_lossy(header).into_owned();
    let names: Vec<&str> = header.split(' ').collect();
    for needed in ["what", "dev", "ino"] {
        if !names.contains(&needed) {
            return say(format!(
                "/proc/fs/longterm/holders has no column '{needed}'"
            ));
        }
    }
    lines.map(|l| line(&names, l)).collect()
}

fn line(names: &[&str], line: &[u8]) -> Result<Line> {
    let mut columns: BTreeMap<&str, &[u8]> = names
        .iter()
        .copied()
        .zip(line.split(|&b| b == b' '))
        .filter(|(_, value)| *value != b"-")
        .collect();
    let mut text = |name: &str| columns.remove(name).map(text_of);
    let bad = || {
        let shown = crate::escape::printable(&String::from_utf8_lossy(line));
        Error::Say(format!(
            "/proc/fs/longterm/holders: can't read the line '{shown}'"
        ))
    };
    let (Some(what), Some(dev), Some(ino)) = (
        text("what"),
        text("dev").and_then(|d| Dev::parse(&d)),
        text("ino").and_then(|i| i.parse().ok()),
    ) else {
        return Err(bad());
    };
    let mut number = |name: &str| match text(name).map(|n| n.parse::<u64>()) {
        None => Ok(None),
        Some(Ok(n)) => Ok(Some(n)),
        Some(Err(_)) => Err(bad()),
    };
    let (start, end, bytes) = (number("start")?, number("end")?, number("bytes")?);
    let (pid, left) = (number("pid")?, number("left")?);
    let (lease, mount) = (number("lease")?, number("mount")?);
    let mut line = Line {
        what,
        dev,
        ino,
        start,
        end,
        bytes,
        pid: pid.and_then(|p| p.try_into().ok()),
        through: text("through"),
        kind: text("kind"),
        state: text("state"),
        left,
        lease,
        mount,
        comm: text("comm"),
        path: text("path"),
        more: BTreeMap::new(),
    };
    for &name in names {
        if !KNOWN.contains(&name) {
            line.more
                .insert(name.into(), columns.remove(name).map(text_of));
        }
    }
    Ok(line)
}

const KNOWN: [&str; 15] = [
    "what", "dev", "ino", "start", "end", "bytes", "pid", "through", "kind", "state", "left",
    "lease", "mount", "comm", "path",
];

#[cfg(test)]
#[path = "holders_tests.rs"]
mod tests;
