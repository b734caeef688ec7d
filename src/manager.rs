// SPDX-License-Identifier: GPL-2.0

//! The module's one object: what the hooks and the deferred work operate on.

use super::{
    breaker::{self, Breaker},
    clock::Clock,
    fcntl,
    holders::{self, Cursor},
    kapi::{
        deferred,
        file::OpenFile,
        hooks::{BreakRequest, Operations, PinRequest},
        mapping::MappingKey,
        process::GroupId,
        procfs::{Reader, View},
        report,
        tag::Tag, //
    },
    marks::UNPINNED,
    pin::{self, Token},
    quota::Quotas,
    stats,
    table::Table,
};
use kernel::{pid_namespace::PidNamespace, prelude::*, seq_file::SeqFile, sync::Arc};

/// The module's state. Lives as long as its registration.
#[pin_data]
pub(crate) struct Manager {
    pub(crate) table: Arc<Table>,
    #[pin]
    pub(crate) clock: Clock,
    pub(crate) quotas: Arc<Quotas>,
}

impl Manager {
    /// With nothing known.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        kernel::try_pin_init!(Self {
            table: Arc::pin_init(Table::new(), GFP_KERNEL)?,
            clock <- Clock::new(),
            quotas: Quotas::new()?,
        }? Error)
    }
}

impl Operations for Manager {
    type Token = Token;
    type Breaker = Breaker;

    fn setlease(&self, file: &OpenFile<'_>, fd: u32, arg: u32) -> Result {
        fcntl::set(&self.table, &self.quotas, file, fd, arg)
    }

    fn getlease(&self, file: &OpenFile<'_>) -> Option<u32> {
        fcntl::get(&self.table, file)
    }

    fn release(&self, file: &OpenFile<'_>) {
        fcntl::release(&self.table, file);
    }

    fn show_locks(&self, m: &SeqFile, ns: &PidNamespace, id: i64) {
        fcntl::show(&self.table, m, ns, id);
    }

    fn pin_begin(&self, request: &PinRequest<'_>) -> Result<KBox<Token>> {
        pin::begin(&self.table, &self.quotas, request)
    }

    fn pin_commit(&self, request: &PinRequest<'_>, token: &Token, pages: u64) -> Result {
        pin::commit(&self.table, &self.quotas, request, token, pages)
    }

    fn pin_abort(&self, token: &Token) {
        pin::abort(&self.table, token);
    }

    fn untag_begin(&self, tag: &Tag<'_>) {
        pin::untag_begin(&self.table, tag);
    }

    fn fold(&self, tag: &Tag<'_>) {
        pin::fold(&self.table, tag);
    }

    fn untag_end(&self, tag: &mut Tag<'_>) {
        pin::untag_end(&self.table, tag);
    }

    fn unpin(&self, mapping: MappingKey, by: Option<GroupId>) {
        if UNPINNED.set(mapping, by) {
            deferred::settle_soon();
        }
    }

    fn break_begin(
        &self,
        request: &BreakRequest<'_>,
        breaker: &mut Option<KBox<Breaker>>,
    ) -> Result {
        breaker::begin(&self.table, &self.clock, request, breaker)
    }

    fn break_poll(
        &self,
        request: &BreakRequest<'_>,
        breaker: &mut Breaker,
        wait_ms: &mut Option<u64>,
    ) -> Result {
        breaker::poll(&self.table, &self.clock, request, breaker, wait_ms)
    }

    fn break_end(&self, breaker: &Breaker, result: i32) {
        breaker::end(&self.table, &self.clock, breaker, result);
    }

    fn settle(&self) {
        let crowd = UNPINNED.take_crowd();
        self.table.each(|_, inner| {
            inner.settle_if_lost(crowd);
        });
        self.table.bury();
    }

    fn tick(&self) {
        self.clock.ring();
        let mut next: Option<u64> = None;
        self.table.each(|state, inner| {
            if inner.advance(report::now_ms()) {
                state.key.wake();
            }
            next = match (next, inner.deadline()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        });
        self.clock.arm(next, report::now_ms());
    }
}

impl View for Manager {
    type Cursor = Cursor;
    type Line = holders::Line;

    fn head(&self, m: &SeqFile) {
        holders::head(m);
    }

    fn line(&self, cursor: &mut Cursor) -> Option<holders::Line> {
        holders::line(&self.table, cursor)
    }

    fn step(&self, cursor: &mut Cursor) {
        cursor.step();
    }

    fn show(&self, line: &holders::Line, reader: &Reader<'_>) -> bool {
        holders::show(line, reader)
    }

    fn stat(&self, m: &SeqFile) {
        stats::show(m);
    }
}
