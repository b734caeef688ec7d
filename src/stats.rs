// SPDX-License-Identifier: GPL-2.0

//! Counters: how many there are now, which decides whether a hook has anything to do, and how
//! often something has happened since the module was loaded. `Documentation/proc.rst` says what
//! each of them means; the names in there are stable.
//!
//! They are for reading, not for reasoning: nothing orders one against another.

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    seq_file::{seq_print, SeqFile},
    sync::atomic::{Atomic, Relaxed}, //
};

/// A number that any context may change.
pub(crate) struct Counter(Atomic<i64>);

impl Counter {
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// `n` more.
    pub(crate) fn add(&self, n: i64) {
        self.0.add(n, Relaxed);
    }

    /// One more.
    pub(crate) fn up(&self) {
        self.add(1);
    }

    /// One less.
    pub(crate) fn down(&self) {
        self.add(-1);
    }

    /// How many.
    pub(crate) fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Leases there are.
pub(crate) static LEASES: Counter = Counter::new();
/// Records there are.
pub(crate) static RECORDS: Counter = Counter::new();
/// Pages on record.
pub(crate) static PAGES: Counter = Counter::new();
/// Inodes about which something is known.
pub(crate) static INODES: Counter = Counter::new();
/// Operations under way that have closed a range.
pub(crate) static BREAKS: Counter = Counter::new();

/// Leases taken, or taken again.
pub(crate) static TAKEN: Counter = Counter::new();
/// Leases given back, or gone with their open file.
pub(crate) static RELEASED: Counter = Counter::new();
/// Leases revoked.
pub(crate) static REVOKED: Counter = Counter::new();
/// Pins made: GUP calls, or their shares of several mappings.
pub(crate) static PINS: Counter = Counter::new();
/// Records closed.
pub(crate) static UNPINS: Counter = Counter::new();
/// Notices sent to holders of leases.
pub(crate) static NOTIFIED: Counter = Counter::new();
/// Holders that were sent SIGBUS.
pub(crate) static SIGBUS: Counter = Counter::new();
/// Holders that were sent SIGKILL.
pub(crate) static SIGKILL: Counter = Counter::new();

/// Why a pin or a lease was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A break is under way there.
    Closed,
    /// Who asked has no right to it.
    Access,
    /// A limit of the user is reached.
    Limit,
    /// There is no lease, and fs.longterm.require_lease asks for one.
    NoLease,
    /// The file can't be protected.
    Unprotected,
    /// There is no memory.
    Memory,
    /// A signal came first.
    Interrupted,
    /// Pages are pinned under the lease.
    Busy,
    /// Something else.
    Other,
}

impl Reason {
    /// What an error stands for where nothing else is known.
    pub(crate) fn of(e: Error) -> Self {
        match e {
            EAGAIN => Self::Closed,
            EACCES | EPERM => Self::Access,
            ENOLCK => Self::Limit,
            EOPNOTSUPP => Self::Unprotected,
            ENOMEM => Self::Memory,
            EINTR | ERESTARTSYS => Self::Interrupted,
            EBUSY => Self::Busy,
            _ => Self::Other,
        }
    }
}

static REFUSED: [Counter; 9] = [const { Counter::new() }; 9];

/// A pin or a lease was refused.
pub(crate) fn refused(reason: Reason) {
    REFUSED[reason as usize].up();
}

/// How an operation that takes blocks away has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is done.
    Done,
    /// ETXTBSY: holders would not let go.
    Busy,
    /// EDEADLK: it was its own holder.
    Deadlock,
    /// EAGAIN: it could not wait.
    Again,
    /// A signal came first.
    Interrupted,
    /// It failed for reasons of its own.
    Failed,
}

impl End {
    /// What a result stands for.
    pub(crate) fn of(result: Result) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(ETXTBSY) => Self::Busy,
            Err(EDEADLK) => Self::Deadlock,
            Err(EAGAIN) => Self::Again,
            Err(EINTR) => Self::Interrupted,
            Err(_) => Self::Failed,
        }
    }
}

static ENDED: [Counter; 6] = [const { Counter::new() }; 6];
static WAITS: Histogram = Histogram::new();

/// An operation that takes blocks away has ended; `waited`: after so many milliseconds in which it
/// waited for holders.
pub(crate) fn ended(result: Result, waited: Option<u64>) {
    ENDED[End::of(result) as usize].up();
    if let Some(ms) = waited {
        WAITS.note(ms);
    }
}

/// How long something took, in milliseconds.
pub(crate) struct Histogram {
    counts: [Counter; Self::BOUNDS.len() + 1],
    sum: Counter,
}

impl Histogram {
    /// What fits into a bucket is not above its bound; the last bucket has none.
    pub(crate) const BOUNDS: [u64; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

    pub(crate) const fn new() -> Self {
        Self {
            counts: [const { Counter::new() }; Self::BOUNDS.len() + 1],
            sum: Counter::new(),
        }
    }

    /// It took `ms`.
    pub(crate) fn note(&self, ms: u64) {
        self.counts[Self::BOUNDS.partition_point(|bound| *bound < ms)].up();
        self.sum.add(i64::try_from(ms).unwrap_or(i64::MAX));
    }

    /// For each bucket, how often it took no longer than its bound; the last one: how often at all.
    pub(crate) fn cumulative(&self) -> [i64; Self::BOUNDS.len() + 1] {
        let mut all = 0;
        self.counts.each_ref().map(|count| {
            all += count.get();
            all
        })
    }

    /// All that it took.
    pub(crate) fn sum(&self) -> i64 {
        self.sum.get()
    }
}

static LINES: [(&str, &Counter); 27] = [
    ("leases", &LEASES),
    ("records", &RECORDS),
    ("inodes", &INODES),
    ("breaks", &BREAKS),
    ("lease_taken", &TAKEN),
    ("lease_released", &RELEASED),
    ("lease_revoked", &REVOKED),
    ("pin", &PINS),
    ("unpin", &UNPINS),
    ("notified", &NOTIFIED),
    ("sigbus", &SIGBUS),
    ("sigkill", &SIGKILL),
    ("refused_closed", &REFUSED[Reason::Closed as usize]),
    ("refused_access", &REFUSED[Reason::Access as usize]),
    ("refused_limit", &REFUSED[Reason::Limit as usize]),
    ("refused_no_lease", &REFUSED[Reason::NoLease as usize]),
    (
        "refused_unprotected",
        &REFUSED[Reason::Unprotected as usize],
    ),
    ("refused_memory", &REFUSED[Reason::Memory as usize]),
    (
        "refused_interrupted",
        &REFUSED[Reason::Interrupted as usize],
    ),
    ("refused_busy", &REFUSED[Reason::Busy as usize]),
    ("refused_other", &REFUSED[Reason::Other as usize]),
    ("break_done", &ENDED[End::Done as usize]),
    ("break_busy", &ENDED[End::Busy as usize]),
    ("break_deadlock", &ENDED[End::Deadlock as usize]),
    ("break_again", &ENDED[End::Again as usize]),
    ("break_interrupted", &ENDED[End::Interrupted as usize]),
    ("break_failed", &ENDED[End::Failed as usize]),
];

/// All of them, `NAME VALUE` on a line each.
pub(crate) fn show(m: &SeqFile) {
    for (name, counter) in &LINES {
        seq_print!(m, "{name} {}\n", counter.get());
    }
    let bytes = PAGES.get().saturating_mul(PAGE_SIZE as i64);
    seq_print!(m, "pinned_bytes {bytes}\n");

    let counts = WAITS.cumulative();
    for (bound, count) in Histogram::BOUNDS.iter().zip(counts) {
        seq_print!(m, "wait_ms_le_{bound} {count}\n");
    }
    let all = counts[Histogram::BOUNDS.len()];
    seq_print!(m, "wait_ms_le_inf {all}\n");
    seq_print!(m, "wait_ms_sum {}\n", WAITS.sum());
    seq_print!(m, "wait_count {all}\n");
}
