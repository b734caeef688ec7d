// SPDX-License-Identifier: GPL-2.0

//! What events tell, put together: who held which file from when to when, who waited for it.
//!
//! A trace may begin and end in the middle: what was there before has no known beginning, what
//! stays has no end. Nothing here knows of pictures.

mod build;
mod fold;
mod ranges;
#[cfg(test)]
mod tests;

use crate::holders::FileId;

/// All of a trace.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) files: Vec<File>,
    /// Texts that somebody wrote into the trace.
    pub(crate) marks: Vec<(u64, String)>,
    /// Nanoseconds: the first event and the last.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) lost: u64,
    /// Files whose lanes were all left out.
    pub(crate) hidden_files: usize,
}

/// What happened to a file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) id: FileId,
    pub(crate) lanes: Vec<Lane>,
    /// The steps of its breaks, in order.
    pub(crate) ladder: Vec<Rung>,
    /// When somebody waited for it; these do not overlap.
    pub(crate) breaks: Vec<(u64, u64)>,
    /// Holders and breakers that were left out.
    pub(crate) hidden: (usize, usize),
}

/// How long a break was in a phase.
#[derive(Debug, PartialEq)]
pub(crate) struct Rung {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) phase: String,
}

/// A process has one for each part that it plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Holder,
    Breaker,
}

/// What a process did to the file.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) role: Role,
    pub(crate) pid: u32,
    pub(crate) bars: Vec<Bar>,
    pub(crate) signs: Vec<Sign>,
}

/// Something that lasted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) kind: BarKind,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    /// It began before the trace, it went on after it.
    pub(crate) open: (bool, bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BarKind {
    Lease,
    /// Still there, of no use any more.
    Revoked,
    Pin,
    /// An operation that takes blocks; when it began to wait, how it ended.
    Break {
        waits: Option<u64>,
        result: Option<i32>,
    },
}

/// Something that took no time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sign {
    pub(crate) at: u64,
    pub(crate) kind: SignKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignKind {
    Sigio,
    Sigbus,
    Sigkill,
    Refused(i32),
}

impl Story {
    /// How many lanes have that role, those left out counted.
    pub(crate) fn count(&self, role: Role) -> usize {
        self.files
            .iter()
            .map(|f| {
                let hidden = match role {
                    Role::Holder => f.hidden.0,
                    Role::Breaker => f.hidden.1,
                };
                f.lanes.iter().filter(|l| l.role == role).count() + hidden
            })
            .sum()
    }

    /// How many signs of that kind are shown.
    pub(crate) fn signs(&self, kind: SignKind) -> usize {
        let lanes = self.files.iter().flat_map(|f| &f.lanes);
        lanes
            .flat_map(|l| &l.signs)
            .filter(|s| s.kind == kind)
            .count()
    }
}
