// SPDX-License-Identifier: GPL-2.0

//! The hook table of `linux/longterm.h`, as a trait for policy to implement.

use core::ptr::NonNull;

use super::{
    bindings,
    file::OpenFile,
    mapping::{Mapping, MappingKey},
    process::{GroupId, MmKey},
    tag::Tag,
};
use kernel::{
    bindings as kb,
    pid_namespace::PidNamespace,
    prelude::*,
    seq_file::SeqFile, //
};

/// What a module that manages long-term leases provides.
///
/// Contexts are those of `struct longterm_ops`: all but [`Self::unpin`] may sleep, and only a break
/// that is [`BreakRequest::net`] comes with locks of a filesystem held.
pub(crate) trait Operations: Send + Sync {
    /// What is in flight between `pin_begin` and `pin_commit` or `pin_abort`.
    type Token: Send;
    /// What a breaker has between `break_begin` and `break_end`.
    type Breaker: Send;

    /// `fcntl(fd, F_SETLEASE, arg)`. [`ENOIOCTLCMD`] hands it on to the ordinary code.
    fn setlease(&self, file: &OpenFile<'_>, fd: u32, arg: u32) -> Result;
    /// What F_GETLEASE reports for the file, [`None`] if it has no long-term lease.
    fn getlease(&self, file: &OpenFile<'_>) -> Option<u32>;
    /// The last reference to the file goes.
    fn release(&self, file: &OpenFile<'_>);
    /// Lines for /proc/locks, numbered from `id`.
    fn show_locks(&self, m: &SeqFile, ns: &PidNamespace, id: i64);

    /// May this be pinned?
    fn pin_begin(&self, pin: &PinRequest<'_>) -> Result<KBox<Self::Token>>;
    /// The first `pages` pages are pinned. After an error `pin_abort` follows.
    fn pin_commit(&self, pin: &PinRequest<'_>, token: &Self::Token, pages: u64) -> Result;
    /// Nothing was pinned, or it was unpinned.
    fn pin_abort(&self, token: &Self::Token);
    /// The owner of the tag is about to unpin its pages: until [`Self::untag_end`] nobody knows how many
    /// of them are still pinned.
    fn untag_begin(&self, tag: &Tag<'_>);
    /// All but one of the tag's pins on each folio are about to go.
    fn fold(&self, tag: &Tag<'_>);
    /// All pins of the tag have gone. Its caller has locks: no file or path may be given back.
    fn untag_end(&self, tag: &mut Tag<'_>);
    /// A page of the mapping lost a pin, in the context of `by`; [`None`] where that says nothing
    /// about whose it was. Any context.
    fn unpin(&self, mapping: MappingKey, by: Option<GroupId>);

    /// A range is about to be taken away. Sets `breaker` if `break_end` shall follow.
    fn break_begin(
        &self,
        request: &BreakRequest<'_>,
        breaker: &mut Option<KBox<Self::Breaker>>,
    ) -> Result;
    /// Is the range free? [`EAGAIN`]: no, look again at the time that is written to `until`, in
    /// milliseconds from now.
    fn break_poll(
        &self,
        request: &BreakRequest<'_>,
        breaker: &mut Self::Breaker,
        wait_ms: &mut Option<u64>,
    ) -> Result;
    /// The operation is over.
    fn break_end(&self, breaker: &Self::Breaker, result: i32);

    /// Deferred: records may have lost their last pin.
    fn settle(&self);
    /// Deferred: a deadline may have passed.
    fn tick(&self);
}

/// One mapping's share of one long-term GUP call.
///
/// # Invariants
///
/// The `struct longterm_pin` is valid for `'a`, and its file is.
pub(crate) struct PinRequest<'a>(&'a bindings::longterm_pin);

impl<'a> PinRequest<'a> {
    /// # Safety
    ///
    /// `pin` must be what the kernel gave to a hook, and that hook must last for `'a`.
    pub(super) unsafe fn from_raw(pin: *const bindings::longterm_pin) -> Self {
        // SAFETY: As the caller promises.
        // INVARIANT: The GUP call references the file for the life of the struct.
        Self(unsafe { &*pin })
    }

    /// The mapping's open file.
    pub(crate) fn file(&self) -> OpenFile<'a> {
        // SAFETY: By the invariant.
        unsafe { OpenFile::from_raw(self.0.file) }
    }

    /// Identity of the address space that is pinned.
    pub(crate) fn mm(&self) -> MmKey {
        MmKey::of(self.0.mm)
    }

    /// First user address.
    pub(crate) fn addr(&self) -> usize {
        self.0.addr
    }

    /// Index in the file of the first page.
    pub(crate) fn index(&self) -> u64 {
        self.0.index as u64
    }

    /// Number of pages.
    pub(crate) fn pages(&self) -> u64 {
        self.0.nr_pages as u64
    }

    /// Is the mapping shared and writable?
    pub(crate) fn shared_writable(&self) -> bool {
        let want = kb::VM_SHARED | kb::VM_WRITE;
        self.0.vm_flags & want == want
    }

    /// Is it another process's address space?
    pub(crate) fn foreign(&self) -> bool {
        self.0.foreign
    }

    /// The tag of whoever pins.
    pub(crate) fn tag(&self) -> Option<Tag<'a>> {
        // SAFETY: By the invariant; the tag outlives the call, and is used in it only.
        unsafe { Tag::from_raw(self.0.tag) }
    }
}

/// An operation that takes blocks away.
///
/// # Invariants
///
/// The inode is valid for `'a`.
pub(crate) struct BreakRequest<'a> {
    mapping: Mapping<'a>,
    start: i64,
    end: i64,
    flags: u32,
    rehearsal: bool,
}

impl<'a> BreakRequest<'a> {
    /// One that leaves the file as it is.
    pub(crate) fn rehearsal(file: &OpenFile<'a>, start: i64, end: i64) -> Self {
        let flags = match file.nonblocking() {
            true => bindings::LONGTERM_BREAK_NONBLOCK,
            false => 0,
        };
        // INVARIANT: The open file keeps the inode.
        Self {
            mapping: file.mapping(),
            start,
            end,
            flags,
            rehearsal: true,
        }
    }

    /// # Safety
    ///
    /// `brk` must be what the kernel gave to a hook, and that hook must last for `'a`.
    pub(super) unsafe fn from_raw(brk: *const bindings::longterm_break) -> Self {
        // SAFETY: As the caller promises; only the breaker's own task uses the struct.
        let brk = unsafe { &*brk };
        // SAFETY: The breaker keeps the inode until the operation is over; every inode has an
        // address space.
        let mapping = unsafe { Mapping::from_raw(NonNull::new_unchecked((*brk.inode).i_mapping)) };
        // INVARIANT: See above.
        Self {
            mapping,
            start: brk.start,
            end: brk.end,
            flags: brk.flags,
            rehearsal: false,
        }
    }

    /// The file's address space.
    pub(crate) fn mapping(&self) -> Mapping<'a> {
        self.mapping
    }

    /// First byte and the byte behind the last one.
    pub(crate) fn bytes(&self) -> (i64, i64) {
        (self.start, self.end)
    }

    /// The caller does not wait.
    pub(crate) fn nonblocking(&self) -> bool {
        self.flags & bindings::LONGTERM_BREAK_NONBLOCK != 0
    }

    /// The filesystem has come upon pins, with its locks held. If the current task has a break of
    /// this inode open, that one has let it pass in vain.
    pub(crate) fn net(&self) -> bool {
        self.flags & bindings::LONGTERM_BREAK_NET != 0
    }

    /// The layout will not change.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.rehearsal
    }

    /// Nobody is to be told: [`ETXTBSY`] where pages in the range are pinned.
    pub(crate) fn quiet(&self) -> bool {
        self.flags & bindings::LONGTERM_BREAK_QUIET != 0
    }
}
