// SPDX-License-Identifier: GPL-2.0

//! /proc/fs/longterm/holders: who holds what, and who wants it back, a line each. What the columns
//! mean stands in `Documentation/proc.rst`.
//!
//! A line is taken down with the inode's mutex held, and shown without it: a path takes locks of its
//! own, and its last reference a filesystem's. Between two lines nothing is locked and nothing kept
//! but a [`Cursor`].

use super::{
    breaker::Closed,
    inode::{Inner, InodeState},
    kapi::{
        file::KeptPath,
        mapping::{InodeId, MappingKey},
        process::{Comm, ThreadGroup},
        procfs::Reader,
        report, //
    },
    lease::{Lease, State},
    position::{Class, Position},
    range::PageRange,
    record::{Charge, Record},
    table::Table,
};
use kernel::{
    fmt::{self, Display, Formatter},
    page::PAGE_SHIFT,
    prelude::*,
    seq_file::{seq_print, SeqFile}, //
};

/// What a line says.
pub(crate) struct Line {
    class: Class,
    inode: InodeId,
    range: PageRange,
    pages: u64,
    who: ThreadGroup,
    through: &'static str,
    kind: &'static str,
    state: &'static str,
    left: Option<u64>,
    lease: Option<u64>,
    /// What `who` was called then; else what it is called now.
    comm: Option<Comm>,
    /// A path of the file, and who had it open.
    place: Option<(KeptPath, ThreadGroup)>,
}

/// Where a reader stands. All zeros: before all lines.
#[derive(Clone, Copy, Zeroable)]
#[repr(C)]
pub(crate) struct Cursor {
    at: Position,
    /// The inode's newest name when the reader came to it. What comes later is not shown, or those
    /// who come and go might keep the reader for ever.
    newest: u64,
}

impl Cursor {
    /// The line here has been dealt with.
    pub(crate) fn step(&mut self) {
        self.at = self.at.behind();
    }
}

/// The names of the columns.
pub(crate) fn head(m: &SeqFile) {
    seq_print!(
        m,
        "# what dev ino start end bytes pid through kind state left lease mount comm path\n"
    );
}

/// The first line that is not before the cursor, which is then at that line's place.
pub(crate) fn line(table: &Table, cursor: &mut Cursor) -> Option<Line> {
    loop {
        let Cursor { at, newest } = cursor;
        let state = table.at_or_after(MappingKey::numbered(at.inode()))?;
        let inode = state.key.number();
        if inode != at.inode() {
            *at = Position::before(inode);
        }
        if at.at_begin() {
            // What is due anyway, so that nobody is shown who has let go.
            table.with(&state, |_, inner| {
                inner.settle_if_lost(false);
                *newest = inner.newest_id();
            });
        }
        let inner = state.inner.lock();
        let line = match inner.dead {
            true => None,
            false => inner.line(&state, at, *newest),
        };
        drop(inner);
        if line.is_some() {
            return line;
        }
        *at = at.next_inode()?;
    }
}

/// Shows a line; false if it is not for this reader.
pub(crate) fn show(line: &Line, reader: &Reader<'_>) -> bool {
    let Some(seen) = reader.sees(&line.who) else {
        return false;
    };
    let what = match line.class {
        Class::Lease => "lease",
        Class::Pin => "pin",
        Class::Break => "break",
    };
    let (major, minor) = line.inode.major_minor();
    let (ino, start, bytes) = (
        line.inode.ino,
        line.range.start_byte(),
        line.pages << PAGE_SHIFT,
    );
    let end = Known(Some(line.range.end_byte()).filter(|end| *end != i64::MAX));
    let (pid, left, lease) = (seen.pid, Known(line.left), Known(line.lease));
    let (through, kind, state) = (line.through, line.kind, line.state);
    let m = reader.out();
    seq_print!(
        m,
        "{what} {major}:{minor} {ino} {start} {end} {bytes} {pid} "
    );
    seq_print!(m, "{through} {kind} {state} {left} {lease}");
    let path = line.place.as_ref().filter(|(_, of)| match *of == line.who {
        true => seen.maps,
        false => reader.sees(of).is_some_and(|seen| seen.maps),
    });
    let comm = line.comm.as_ref().unwrap_or(&seen.comm);
    reader.place(comm, path.map(|(path, _)| path));
    true
}

/// A number, if there is one.
struct Known<T>(Option<T>);

impl<T: Display> Display for Known<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl Inner {
    fn line(&self, state: &InodeState, at: &mut Position, newest: u64) -> Option<Line> {
        let inode = state.key.number();
        let place = |class, first, id| Position::of(inode, class, first, id);

        let i = at.search(Class::Lease, &self.leases, |l| (0, l.id));
        if let Some(lease) = self.leases.get(i).filter(|l| l.id <= newest) {
            *at = place(Class::Lease, 0, lease.id);
            return Some(self.lease_line(lease));
        }
        let i = at.search(Class::Pin, &self.records, |r| (r.range.first(), r.id));
        if let Some(record) = self.records.iter().skip(i).find(|r| r.id <= newest) {
            *at = place(Class::Pin, record.range.first(), record.id);
            return Some(self.pin_line(record));
        }
        let i = at.search(Class::Break, &self.closed, |c| (0, c.id));
        let closed = self.closed.get(i).filter(|c| c.id <= newest)?;
        *at = place(Class::Break, 0, closed.id);
        Some(self.break_line(closed))
    }

    fn lease_line(&self, lease: &Lease) -> Line {
        Line {
            class: Class::Lease,
            inode: self.id,
            range: lease.range,
            pages: lease.pages,
            who: lease.holder.clone(),
            through: lease.through(),
            kind: match lease.unbreakable {
                true => "unbreakable",
                false => "breakable",
            },
            state: match lease.state {
                State::Held => "held",
                State::Breaking => "breaking",
                State::Revoked => "revoked",
            },
            left: self.left(lease.state != State::Held),
            lease: Some(lease.id),
            comm: None,
            place: lease.path().map(|path| (path, lease.holder.clone())),
        }
    }

    fn pin_line(&self, record: &Record) -> Line {
        let mut breakers = self.closed.iter().filter(|c| c.ticket.is_some());
        Line {
            class: Class::Pin,
            inode: self.id,
            range: record.range,
            pages: record.range.pages(),
            who: record.pinner.group().clone(),
            through: record.through.name(),
            kind: match record.charge {
                Charge::Automatic => "automatic",
                Charge::Orphan { .. } => "orphan",
                _ if record.charge.unbreakable() => "unbreakable",
                _ => "breakable",
            },
            state: match record.foreign {
                true => "foreign",
                false => "held",
            },
            left: self.left(breakers.any(|c| c.folios.overlaps(&record.range))),
            lease: match record.charge {
                Charge::Lease { id, .. } => Some(id),
                _ => None,
            },
            comm: Some(*record.pinner.comm()),
            place: Some(path_of(record)),
        }
    }

    fn break_line(&self, closed: &Closed) -> Line {
        let wanted = || self.records.overlapping(&closed.folios);
        let pages = wanted().filter_map(|r| r.range.intersection(&closed.folios));
        Line {
            class: Class::Break,
            inode: self.id,
            range: closed.folios,
            pages: pages.map(|range| range.pages()).sum(),
            who: closed.group.clone(),
            through: "-",
            kind: match (closed.may_wait, closed.present) {
                (false, _) => "nonblock",
                (true, true) => "wait",
                (true, false) => "interrupted",
            },
            state: self.machine.phase().name().to_str().unwrap_or("-"),
            left: self.left(closed.ticket.is_some()),
            lease: None,
            comm: Some(closed.comm),
            place: wanted().next().map(path_of).or_else(|| {
                let lease = self.leases.first()?;
                Some((lease.path()?, lease.holder.clone()))
            }),
        }
    }

    /// Milliseconds until the break under way goes on, for those whom it `concerns`.
    fn left(&self, concerns: bool) -> Option<u64> {
        let due = self.machine.deadline().filter(|_| concerns)?;
        Some(due.saturating_sub(report::now_ms()))
    }
}

fn path_of(record: &Record) -> (KeptPath, ThreadGroup) {
    (record.file.path(), record.pinner.group().clone())
}
