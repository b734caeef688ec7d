// SPDX-License-Identifier: GPL-2.0

//! Where somebody stands who reads what there is on all inodes, line by line, with no lock held
//! between two lines.
//!
//! Lines are sorted by what does not change about them, and a reader remembers no more than the
//! smallest position that it has not shown. So whatever comes and goes meanwhile, no line is shown
//! twice, and one that is there all the time is not left out.

use kernel::prelude::*;

/// What a line is about, in the order of lines about one inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Class {
    /// A lease.
    Lease = 0,
    /// A record of pins.
    Pin = 1,
    /// An operation that takes blocks away.
    Break = 2,
}

/// A place between, before or behind all lines; or that of a line. All zeros: before all lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Zeroable)]
#[repr(C)]
pub(crate) struct Position {
    /// The inode's number in the table; no inode has 0.
    inode: u64,
    /// [`Class`].
    class: u64,
    /// What lines of the class are sorted by first.
    first: u64,
    /// The name within the inode; nothing has 0.
    id: u64,
}

impl Position {
    /// That of a line.
    pub(crate) const fn of(inode: u64, class: Class, first: u64, id: u64) -> Self {
        Self {
            inode,
            class: class as u64,
            first,
            id,
        }
    }

    /// Before all lines about an inode.
    pub(crate) const fn before(inode: u64) -> Self {
        Self::of(inode, Class::Lease, 0, 0)
    }

    /// Right behind this line.
    pub(crate) const fn behind(self) -> Self {
        Self {
            id: self.id.saturating_add(1),
            ..self
        }
    }

    /// Behind all lines about this inode; [`None`] if there can't be another one.
    pub(crate) fn next_inode(self) -> Option<Self> {
        self.inode.checked_add(1).map(Self::before)
    }

    /// The inode.
    pub(crate) const fn inode(&self) -> u64 {
        self.inode
    }

    /// Is no line of the inode before it?
    pub(crate) fn at_begin(&self) -> bool {
        *self == Self::before(self.inode)
    }

    /// Where in the lines of one class, which are sorted by what `key` says, those begin that are
    /// not before this position.
    pub(crate) fn search<T>(
        &self,
        class: Class,
        lines: &[T],
        key: impl Fn(&T) -> (u64, u64),
    ) -> usize {
        lines.partition_point(|line| {
            let (first, id) = key(line);
            Self::of(self.inode, class, first, id) < *self
        })
    }
}
