// SPDX-License-Identifier: GPL-2.0

//! /proc/fs/longterm: one file of lines, one of counters.
//!
//! Both call an implementation of [`View`], which is there as long as they are:
//! [`Registration`](super::registration::Registration) makes them once it can be found, and takes
//! them away before it goes, which waits for calls under way. Who has one open after that reads EIO.

use core::{
    marker::PhantomData,
    ptr::{null_mut, NonNull}, //
};

use super::{
    bindings,
    file::KeptPath,
    hooks::Operations,
    process::{Comm, ThreadGroup},
    vtable::implementation,
};
use kernel::{bindings as kb, error::to_result, prelude::*, seq_file::SeqFile};
use pin_init::Zeroable;

/// What a module shows in /proc.
pub(crate) trait View: Operations {
    /// Where a reader stands. All zeros: at the beginning.
    type Cursor: Zeroable + Copy;
    /// What is shown as one line.
    type Line;

    /// Shows what stands above all lines.
    fn head(&self, m: &SeqFile);
    /// The first line that is not before `at`, which is then that line's place.
    fn line(&self, at: &mut Self::Cursor) -> Option<Self::Line>;
    /// Goes on behind the line that [`Self::line`] has put `at` at.
    fn step(&self, at: &mut Self::Cursor);
    /// Shows a line; false if the reader must not see it.
    fn show(&self, line: &Self::Line, reader: &Reader<'_>) -> bool;
    /// Shows all counters.
    fn stat(&self, m: &SeqFile);
}

/// Whoever reads, and what is shown so far.
///
/// # Invariants
///
/// A `seq_file` of an entry in a proc filesystem, in its `show()` callback.
pub(crate) struct Reader<'a>(NonNull<kb::seq_file>, &'a SeqFile);

/// What a reader sees of a process.
pub(crate) struct Seen {
    /// Its number in the reader's pid namespace, 0 if it has gone.
    pub(crate) pid: i32,
    /// May the reader see what it has mapped?
    pub(crate) maps: bool,
    /// What it is called, if it is there.
    pub(crate) comm: Comm,
}

impl Reader<'_> {
    /// For `seq_print!`.
    pub(crate) fn out(&self) -> &SeqFile {
        self.1
    }

    /// What the reader may know of a process; [`None`]: not even that it is there.
    pub(crate) fn sees(&self, who: &ThreadGroup) -> Option<Seen> {
        let mut seen = Seen {
            pid: 0,
            maps: false,
            comm: Comm::none(),
        };
        // SAFETY: By the invariant the file is one of proc, and the pid is valid. The function
        // writes to the three places, of the last one LT_COMM_LEN bytes with a zero.
        let sees = unsafe {
            bindings::lt_proc_sees(
                self.0.as_ptr(),
                who.as_ptr().cast_mut(),
                &mut seen.pid,
                &mut seen.maps,
                seen.comm.as_mut_ptr(),
            )
        };
        sees.then_some(seen)
    }

    /// Ends the line: mount, command and path.
    pub(crate) fn place(&self, comm: &Comm, path: Option<&KeptPath>) {
        let path = path.map_or(core::ptr::null(), KeptPath::as_ptr);
        // SAFETY: By the invariant the file is valid; the name ends with a zero, and the path is
        // null or referenced.
        unsafe { bindings::lt_proc_place(self.0.as_ptr(), comm.as_ptr(), path) }
    }
}

/// What an entry is iterated by stands for the head, or is a `KBox<T::Line>` that belongs to the
/// one call of `next()` or `stop()` that follows.
const HEAD: *mut c_void = core::ptr::without_provenance_mut(1);

/// Makes the entries.
///
/// # Safety
///
/// The implementation that is found must be a `T`, until [`stop`] has returned.
pub(super) unsafe fn start<T: View>() -> Result {
    // SAFETY: The table is constant, and its functions keep to what seq_file asks for, with memory of
    // that size, all zeros at first, for the cursor.
    to_result(unsafe {
        bindings::lt_proc_start(
            &Table::<T>::HOLDERS,
            size_of::<T::Cursor>() as c_uint,
            Some(stat::<T>),
        )
    })
}

struct Table<T>(PhantomData<T>);

impl<T: View> Table<T> {
    const HOLDERS: kb::seq_operations = kb::seq_operations {
        start: Some(first::<T>),
        next: Some(next::<T>),
        stop: Some(end::<T>),
        show: Some(show::<T>),
    };
}

/// Takes them away, and waits for readers.
pub(super) fn stop() {
    // SAFETY: They are there, or were never made, which is fine too.
    unsafe { bindings::lt_proc_stop() }
}

/// # Safety
///
/// `m` must be what seq_file gave to a callback of ours.
unsafe fn line<T: View>(m: *mut kb::seq_file) -> *mut c_void {
    // SAFETY: Entries are there only while the implementation is; `private` is memory for one
    // cursor, and seq_file makes one call at a time.
    let (this, at) = unsafe {
        (
            implementation::<T>(),
            &mut *(*m).private.cast::<T::Cursor>(),
        )
    };
    let Some(line) = this.line(at) else {
        return null_mut();
    };
    match KBox::new(line, GFP_KERNEL) {
        Ok(line) => KBox::into_raw(line).cast(),
        // The cursor stays: it will be asked for again.
        Err(_) => Error::to_ptr(ENOMEM),
    }
}

/// # Safety
///
/// For seq_file.
unsafe extern "C" fn first<T: View>(m: *mut kb::seq_file, pos: *mut kb::loff_t) -> *mut c_void {
    // SAFETY: seq_file passes valid pointers. Zeros are a cursor.
    unsafe {
        if *pos == 0 {
            (*m).private.cast::<T::Cursor>().write(pin_init::zeroed());
            return HEAD;
        }
        line::<T>(m)
    }
}

/// # Safety
///
/// For seq_file.
unsafe extern "C" fn next<T: View>(
    m: *mut kb::seq_file,
    v: *mut c_void,
    pos: *mut kb::loff_t,
) -> *mut c_void {
    // SAFETY: seq_file passes valid pointers, and what was given to it last.
    unsafe {
        end::<T>(m, v);
        *pos += 1;
        if v != HEAD {
            implementation::<T>().step(&mut *(*m).private.cast::<T::Cursor>());
        }
        // Lines that nobody may see can be very many, and ever more.
        bindings::lt_proc_pause();
        if kernel::current!().signal_pending() {
            return Error::to_ptr(EINTR);
        }
        line::<T>(m)
    }
}

/// # Safety
///
/// For seq_file.
unsafe extern "C" fn end<T: View>(_m: *mut kb::seq_file, v: *mut c_void) {
    // SAFETY: `v` is what was given to seq_file last, or null or an error, and it doesn't use it any
    // more.
    unsafe {
        if v != HEAD && !v.is_null() && !kb::IS_ERR(v) {
            drop(KBox::<T::Line>::from_raw(v.cast()));
        }
    }
}

/// # Safety
///
/// For seq_file.
unsafe extern "C" fn show<T: View>(m: *mut kb::seq_file, v: *mut c_void) -> c_int {
    // SAFETY: Entries are there only while the implementation is.
    let this = unsafe { implementation::<T>() };
    // SAFETY: Valid, and nobody else uses it during this call.
    let out = unsafe { SeqFile::from_raw(m) };
    if v == HEAD {
        this.head(out);
        return 0;
    }
    // SAFETY: Valid, so not null.
    // INVARIANT: This is `show()` of an entry of ours.
    let reader = Reader(unsafe { NonNull::new_unchecked(m) }, out);
    // SAFETY: seq_file shows only what it was given, and not what was an error.
    let line = unsafe { &*v.cast::<T::Line>() };
    c_int::from(!this.show(line, &reader))
}

/// # Safety
///
/// For seq_file.
unsafe extern "C" fn stat<T: View>(m: *mut kb::seq_file, _v: *mut c_void) -> c_int {
    // SAFETY: As in `show()`.
    unsafe { implementation::<T>().stat(SeqFile::from_raw(m)) };
    0
}
