// SPDX-License-Identifier: GPL-2.0

//! The functions behind `struct longterm_ops`: from C's calls to those of [`Operations`].
//!
//! Why the implementation is there whenever one of them runs, and why what comes in pairs does
//! come in pairs, stands in `registration.rs`.

use core::{
    ptr::{null_mut, NonNull},
    sync::atomic::Ordering,
};

use super::{
    bindings,
    file::OpenFile,
    hooks::{BreakRequest, Operations, PinRequest},
    mapping::MappingKey,
    process::GroupId,
    registration::IMPLEMENTATION,
    tag::Tag,
};
use kernel::{
    bindings as kb,
    module::this_module,
    pid_namespace::PidNamespace,
    prelude::*,
    seq_file::SeqFile, //
};

/// The hook table for an implementation of type `T`.
pub(super) fn table<T: Operations>() -> bindings::longterm_ops {
    bindings::longterm_ops {
        abi: bindings::LONGTERM_OPS_ABI,
        owner: this_module::<crate::Longterm>().as_ptr(),
        setlease: Some(setlease::<T>),
        getlease: Some(getlease::<T>),
        release: Some(release::<T>),
        show_locks: Some(show_locks::<T>),
        pin_begin: Some(pin_begin::<T>),
        pin_commit: Some(pin_commit::<T>),
        pin_abort: Some(pin_abort::<T>),
        untag_begin: Some(untag_begin::<T>),
        fold: Some(fold::<T>),
        untag_end: Some(untag_end::<T>),
        unpin: Some(unpin::<T>),
        break_begin: Some(break_begin::<T>),
        break_poll: Some(break_poll::<T>),
        break_end: Some(break_end::<T>),
    }
}

/// # Safety
///
/// To be called from a hook, from work, for an entry in /proc or from the device only, with the `T`
/// that was registered, and the result not to be used after it.
pub(super) unsafe fn implementation<'a, T: Operations>() -> &'a T {
    // SAFETY: Hooks, work and entries run only while the pointer is set, see the head of this file. Its
    // type is `T` as the table that was registered with it was made for `T`.
    unsafe { &*IMPLEMENTATION.load(Ordering::Acquire).cast::<T>() }
}

fn errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn setlease<T: Operations>(filp: *mut kb::file, fd: c_uint, arg: c_int) -> c_int {
    // SAFETY: A hook, with a file that its caller references.
    let (this, file) = unsafe { (implementation::<T>(), OpenFile::from_raw(filp)) };
    errno(this.setlease(&file, fd, arg as u32))
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn getlease<T: Operations>(filp: *mut kb::file) -> c_int {
    // SAFETY: As in `setlease()`.
    let (this, file) = unsafe { (implementation::<T>(), OpenFile::from_raw(filp)) };
    match this.getlease(&file) {
        Some(kind) => kind as c_int,
        None => ENOENT.to_errno(),
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn release<T: Operations>(filp: *mut kb::file) {
    // SAFETY: A hook; the file is valid until it returns.
    let (this, file) = unsafe { (implementation::<T>(), OpenFile::from_raw(filp)) };
    this.release(&file);
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn show_locks<T: Operations>(
    m: *mut kb::seq_file,
    ns: *mut kb::pid_namespace,
    id: kb::loff_t,
) {
    // SAFETY: A hook, with a seq_file that only its caller uses, and a namespace that the caller
    // keeps.
    let (this, m, ns) = unsafe {
        (
            implementation::<T>(),
            SeqFile::from_raw(m),
            PidNamespace::from_ptr(ns),
        )
    };
    this.show_locks(m, ns, id);
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn pin_begin<T: Operations>(pin: *mut bindings::longterm_pin) -> c_int {
    // SAFETY: A hook, with a share that its caller owns.
    let (this, request) = unsafe { (implementation::<T>(), PinRequest::from_raw(pin)) };
    match this.pin_begin(&request) {
        Ok(token) => {
            // SAFETY: The share is valid, and `cookie` is ours.
            unsafe { (*pin).cookie = KBox::into_raw(token).cast() };
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// `pin` must be a share for which `pin_begin()` said yes and whose token was not yet taken.
unsafe fn take_token<T: Operations>(pin: *mut bindings::longterm_pin) -> KBox<T::Token> {
    // SAFETY: `cookie` is what `pin_begin()` left there.
    unsafe {
        let token = (*pin).cookie.cast::<T::Token>();
        (*pin).cookie = null_mut();
        KBox::from_raw(token)
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn pin_commit<T: Operations>(
    pin: *mut bindings::longterm_pin,
    nr_pages: c_ulong,
) -> c_int {
    // SAFETY: A hook, after `pin_begin()` said yes for this share.
    let (this, request, token) = unsafe {
        (
            implementation::<T>(),
            PinRequest::from_raw(pin),
            &*(*pin).cookie.cast::<T::Token>(),
        )
    };
    match this.pin_commit(&request, token, nr_pages as u64) {
        Ok(()) => {
            // SAFETY: As above; `token` is not used any more, and no hook follows for this share.
            drop(unsafe { take_token::<T>(pin) });
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn pin_abort<T: Operations>(pin: *mut bindings::longterm_pin) {
    // SAFETY: A hook, the last one for a share that `pin_begin()` said yes for.
    let (this, token) = unsafe { (implementation::<T>(), take_token::<T>(pin)) };
    this.pin_abort(&token);
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn untag_begin<T: Operations>(tag: *mut bindings::longterm_tag) {
    // SAFETY: A hook, with a tag that only its caller uses.
    if let (this, Some(tag)) = unsafe { (implementation::<T>(), Tag::from_raw(tag)) } {
        this.untag_begin(&tag);
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn fold<T: Operations>(tag: *mut bindings::longterm_tag) {
    // SAFETY: As in `untag_begin()`.
    if let (this, Some(tag)) = unsafe { (implementation::<T>(), Tag::from_raw(tag)) } {
        this.fold(&tag);
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn untag_end<T: Operations>(tag: *mut bindings::longterm_tag) {
    // SAFETY: As in `untag_begin()`.
    if let (this, Some(mut tag)) = unsafe { (implementation::<T>(), Tag::from_raw(tag)) } {
        this.untag_end(&mut tag);
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn unpin<T: Operations>(mapping: *const kb::address_space) {
    // SAFETY: A hook.
    let this = unsafe { implementation::<T>() };
    this.unpin(MappingKey::of(mapping), GroupId::current());
}

/// # Safety
///
/// `brk` must be a break that the kernel gave to a hook.
unsafe fn take_breaker<T: Operations>(
    brk: *mut bindings::longterm_break,
) -> Option<KBox<T::Breaker>> {
    // SAFETY: `cookie` is null or what a hook left there.
    unsafe {
        let cookie = NonNull::new((*brk).cookie.cast::<T::Breaker>())?;
        (*brk).cookie = null_mut();
        Some(KBox::from_raw(cookie.as_ptr()))
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn break_begin<T: Operations>(brk: *mut bindings::longterm_break) -> c_int {
    // SAFETY: A hook, with a break that belongs to the current task.
    let (this, request, mut breaker) = unsafe {
        (
            implementation::<T>(),
            BreakRequest::from_raw(brk),
            take_breaker::<T>(brk),
        )
    };
    let result = this.break_begin(&request, &mut breaker);
    if let Some(breaker) = breaker {
        // SAFETY: The break is valid, and `cookie` is ours.
        unsafe { (*brk).cookie = KBox::into_raw(breaker).cast() };
    }
    errno(result)
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn break_poll<T: Operations>(
    brk: *mut bindings::longterm_break,
    timeout: *mut c_long,
) -> c_int {
    // SAFETY: A hook, called only while `cookie` is set; nobody else uses the breaker.
    let (this, request, breaker) = unsafe {
        (
            implementation::<T>(),
            BreakRequest::from_raw(brk),
            &mut *(*brk).cookie.cast::<T::Breaker>(),
        )
    };
    let mut wait_ms = None;
    let result = this.break_poll(&request, breaker, &mut wait_ms);
    if let Some(ms) = wait_ms {
        let ms = ms.min(i32::MAX as u64) as u32;
        // SAFETY: The caller gave a valid place to write to.
        unsafe { *timeout = kernel::time::msecs_to_jiffies(ms) as c_long };
    }
    errno(result)
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
unsafe extern "C" fn break_end<T: Operations>(brk: *mut bindings::longterm_break, result: c_int) {
    // SAFETY: A hook, the last one for this break.
    let (this, breaker) = unsafe { (implementation::<T>(), take_breaker::<T>(brk)) };
    if let Some(breaker) = breaker {
        this.break_end(&breaker, result);
    }
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
pub(super) unsafe extern "C" fn settle<T: Operations>(_work: *mut kb::work_struct) {
    // SAFETY: Work.
    unsafe { implementation::<T>() }.settle();
}

/// # Safety
///
/// For the kernel, which keeps to what `struct longterm_ops` or its work queue promises.
pub(super) unsafe extern "C" fn tick<T: Operations>(_work: *mut kb::work_struct) {
    // SAFETY: Work.
    unsafe { implementation::<T>() }.tick();
}
