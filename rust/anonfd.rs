// SPDX-License-Identifier: GPL-2.0

//! Open files of our own, without a name: what can be read from, polled, and asked by ioctl.
//!
//! # Life
//!
//! The object behind such a file lives until the file's release, and with it the [`Bell`] on which
//! others wait. Epoll takes its entries off a file before the release, and poll(2), io_uring and
//! readers hold the file while they wait; so no entry is left in the bell's queue when it goes, and
//! the queue needs no POLLFREE. The file holds the module, as the owner of its operations.

use core::{marker::PhantomData, ptr::NonNull};

use super::bindings;
use kernel::{
    bindings as kb,
    error::{from_err_ptr, to_result},
    fs::{
        file::FileDescriptorReservation,
        File, //
    },
    module::this_module,
    prelude::*,
    sync::aref::ARef,
    types::Opaque,
    uaccess::{UserPtr, UserSlice, UserSliceWriter},
};

/// For the reservation of a descriptor.
pub(crate) const CLOSE_ON_EXEC: u32 = kb::O_CLOEXEC;

/// What a [`Bell`] says to who looks.
#[derive(Clone, Copy, Default)]
pub(crate) struct Signs {
    /// There is something to read.
    pub(crate) readable: bool,
    /// POLLHUP.
    pub(crate) hung_up: bool,
    /// There will be nothing to read any more.
    pub(crate) over: bool,
}

/// Where those wait whom something about an open file concerns.
#[pin_data(PinnedDrop)]
pub(crate) struct Bell {
    #[pin]
    inner: Opaque<bindings::lt_bell>,
}

// SAFETY: The wait queue has its own lock, the list of those who want a signal has the C side's,
// the state is read and written as a whole.
unsafe impl Send for Bell {}
// SAFETY: As above.
unsafe impl Sync for Bell {}

impl Bell {
    /// One at which nobody waits.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes, and pinned: the queue's list head stays put.
            inner <- Opaque::ffi_init(|slot| unsafe { bindings::lt_bell_init(slot) }),
        })
    }

    /// Changes what is said. Callers take turns.
    pub(crate) fn set(&self, signs: Signs) {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let state = bit(signs.readable, bindings::lt_bell_state_LT_BELL_READABLE)
            | bit(signs.hung_up, bindings::lt_bell_state_LT_BELL_HUNG_UP)
            | bit(signs.over, bindings::lt_bell_state_LT_BELL_OVER);
        // SAFETY: The bell was initialised.
        unsafe { bindings::lt_bell_set(self.inner.get(), state) };
    }

    /// Whoever waits looks again.
    pub(crate) fn wake(&self) {
        // SAFETY: The bell was initialised.
        unsafe { bindings::lt_bell_wake(self.inner.get()) };
    }

    /// The same, and a signal goes to who has asked for one.
    pub(crate) fn ring(&self) {
        // SAFETY: The bell was initialised.
        unsafe { bindings::lt_bell_ring(self.inner.get()) };
    }

    /// Waits until there is something to read, or never will be.
    pub(crate) fn wait_readable(&self) -> Result {
        let states =
            bindings::lt_bell_state_LT_BELL_READABLE | bindings::lt_bell_state_LT_BELL_OVER;
        // SAFETY: The bell was initialised.
        to_result(unsafe { bindings::lt_bell_wait(self.inner.get(), states) })
    }
}

#[pinned_drop]
impl PinnedDrop for Bell {
    fn drop(self: Pin<&mut Self>) {
        // The last close has taken the file off the list.
        // SAFETY: Nobody else has the bell any more.
        debug_assert!(unsafe { (*self.inner.get()).fasync.is_null() });
    }
}

/// What is behind an open file. Dropped at its release.
pub(crate) trait Nameless: Sized + Send + Sync + 'static {
    /// What /proc/PID/fd calls it.
    const NAME: &'static CStr;

    /// Where those wait who read or poll.
    fn bell(&self) -> &Bell;
    /// read(2).
    fn read(&self, out: &mut UserSliceWriter, nonblocking: bool) -> Result<usize>;
    /// ioctl(2).
    fn ioctl(&self, cmd: u32, arg: UserPtr) -> Result<isize>;
}

/// Opens a file with `object` behind it, and returns its descriptor, which is `reserved`.
pub(crate) fn open<T: Nameless>(
    object: Pin<KBox<T>>,
    reserved: FileDescriptorReservation,
    nonblocking: bool,
) -> Result<u32> {
    let flags = kb::O_RDONLY | if nonblocking { kb::O_NONBLOCK } else { 0 };
    // SAFETY: Nobody moves it out from behind the pointer.
    let private = KBox::into_raw(unsafe { Pin::into_inner_unchecked(object) });
    // SAFETY: The name is zero terminated and copied; the operations are static, with the module
    // as their owner, and made for a `T`.
    let filp = from_err_ptr(unsafe {
        bindings::anon_inode_getfile(
            T::NAME.as_char_ptr(),
            Operations::<T>::build(),
            private.cast(),
            flags as c_int,
        )
    })
    .inspect_err(|_| {
        // SAFETY: There is no file that could have it.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(private)) });
    })?;
    // SAFETY: Not null, not an error; the reference is ours. `File` is a transparent wrapper.
    let file: ARef<File> = unsafe { ARef::from_raw(NonNull::new_unchecked(filp.cast())) };
    let fd = reserved.reserved_fd();
    reserved.fd_install(file);
    Ok(fd)
}

struct Operations<T>(PhantomData<T>);

/// # Safety
///
/// `filp` must be a file with the operations of `T`, valid for `'a`.
unsafe fn object<'a, T: Nameless>(filp: *mut kb::file) -> &'a T {
    // SAFETY: `open()` put it there, and it stays until the release.
    unsafe { &*(*filp).private_data.cast::<T>() }
}

impl<T: Nameless> Operations<T> {
    const TABLE: kb::file_operations = kb::file_operations {
        owner: this_module::<crate::Longterm>().as_ptr(),
        llseek: Some(kb::noop_llseek),
        read: Some(Self::read),
        poll: Some(Self::poll),
        unlocked_ioctl: Some(Self::ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: kb::compat_ptr_ioctl,
        fasync: Some(Self::fasync),
        release: Some(Self::release),
        ..pin_init::zeroed()
    };

    const fn build() -> &'static kb::file_operations {
        &Self::TABLE
    }

    /// # Safety
    ///
    /// For the kernel, as an operation of such a file.
    unsafe extern "C" fn read(
        filp: *mut kb::file,
        buffer: *mut c_char,
        len: usize,
        _pos: *mut kb::loff_t,
    ) -> isize {
        // SAFETY: The caller holds the file. The flags may change at any time.
        let (this, flags) = unsafe {
            (
                object::<T>(filp),
                (&raw const (*filp).f_flags).read_volatile(),
            )
        };
        let mut out = UserSlice::new(UserPtr::from_ptr(buffer.cast()), len).writer();
        match this.read(&mut out, flags & kb::O_NONBLOCK != 0) {
            Ok(bytes) => bytes as isize,
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// For the kernel, as an operation of such a file.
    unsafe extern "C" fn poll(
        filp: *mut kb::file,
        wait: *mut kb::poll_table_struct,
    ) -> kb::__poll_t {
        // SAFETY: The caller holds the file, or is in its epoll entry's way out; see the head of
        // this file for how long the bell lives.
        unsafe { bindings::lt_bell_poll(object::<T>(filp).bell().inner.get(), filp, wait) }
    }

    /// # Safety
    ///
    /// For the kernel, as an operation of such a file.
    unsafe extern "C" fn ioctl(filp: *mut kb::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The caller holds the file.
        let this = unsafe { object::<T>(filp) };
        match this.ioctl(cmd, UserPtr::from_addr(arg)) {
            Ok(value) => value as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }

    /// # Safety
    ///
    /// For the kernel, as an operation of such a file.
    unsafe extern "C" fn fasync(fd: c_int, filp: *mut kb::file, on: c_int) -> c_int {
        // SAFETY: The caller holds the file, or is its release, which comes here before ours.
        unsafe { bindings::lt_bell_fasync(object::<T>(filp).bell().inner.get(), fd, filp, on) }
    }

    /// # Safety
    ///
    /// For the kernel, as an operation of such a file.
    unsafe extern "C" fn release(_inode: *mut kb::inode, filp: *mut kb::file) -> c_int {
        // SAFETY: The last thing that is done with the object that `open()` put there.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw((*filp).private_data.cast::<T>())) });
        0
    }
}
