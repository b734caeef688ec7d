// SPDX-License-Identifier: GPL-2.0

//! Open files: what a lease hangs on, and what a record keeps.

use core::{marker::PhantomData, ptr::NonNull};

use super::{
    bindings,
    mapping::{Mapping, MappingKey},
    process::ThreadGroup, //
};
use kernel::{
    bindings as kb,
    error::to_result,
    fs::LocalFile,
    prelude::*,
    types::Opaque, //
};

/// Identity of an open file description. A number; of use until its `release` hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileKey(usize);

/// An open file description, borrowed from a hook.
///
/// # Invariants
///
/// The file is valid for `'a`, with its inode and mapping.
#[derive(Clone, Copy)]
pub(crate) struct OpenFile<'a>(NonNull<kb::file>, PhantomData<&'a kb::file>);

impl<'a> OpenFile<'a> {
    /// # Safety
    ///
    /// `ptr` must point to an open file that is valid for `'a`.
    pub(super) unsafe fn from_raw(ptr: *mut kb::file) -> Self {
        // SAFETY: Valid, so not null.
        // INVARIANT: As the caller promises.
        Self(unsafe { NonNull::new_unchecked(ptr) }, PhantomData)
    }

    /// Its identity.
    pub(crate) fn key(&self) -> FileKey {
        FileKey(self.0.as_ptr() as usize)
    }

    /// The file's address space.
    pub(crate) fn mapping(&self) -> Mapping<'a> {
        // SAFETY: By the invariant the file is valid; `f_mapping` is set at open and then stays.
        let mapping = unsafe { (*self.0.as_ptr()).f_mapping };
        // SAFETY: An open file has a mapping, and keeps its inode.
        unsafe { Mapping::from_raw(NonNull::new_unchecked(mapping)) }
    }

    /// Identity of the file's address space.
    pub(crate) fn mapping_key(&self) -> MappingKey {
        self.mapping().key()
    }

    /// Was it opened with O_NONBLOCK, or set so?
    pub(crate) fn nonblocking(&self) -> bool {
        // SAFETY: By the invariant the file is valid. The flags may change at any time, as any
        // reader of them has to live with.
        let flags = unsafe { (&raw const (*self.0.as_ptr()).f_flags).read_volatile() };
        flags & kb::O_NONBLOCK != 0
    }

    /// May the current task take a lease on it?
    pub(crate) fn may_lease(&self) -> bool {
        // SAFETY: By the invariant the file is valid.
        unsafe { bindings::lt_may_lease(self.0.as_ptr()) }
    }

    /// An open file that a descriptor named.
    pub(crate) fn of(file: &'a LocalFile) -> Self {
        // SAFETY: The reference keeps the file.
        unsafe { Self::from_raw(file.as_ptr()) }
    }

    /// May the current task take a lease of this kind, `F_LONGTERM` and so on, on it, as fcntl sees
    /// it?
    pub(crate) fn check_lease(&self, kind: u32) -> Result {
        // SAFETY: By the invariant the file is valid.
        to_result(unsafe { bindings::longterm_may_lease(self.0.as_ptr(), kind as c_int) })
    }

    /// May the current task make holders of its pages react?
    pub(crate) fn check_break(&self) -> Result {
        // SAFETY: By the invariant the file is valid.
        to_result(unsafe { bindings::lt_break_check(self.0.as_ptr()) })
    }

    /// Signals go to the current thread group, unless F_SETOWN has said or says otherwise.
    pub(crate) fn own_signals(&self) -> Result {
        // SAFETY: By the invariant the file is valid.
        to_result(unsafe { bindings::lt_setown(self.0.as_ptr()) })
    }

    /// Signals no longer go to `group`, if that is where [`Self::own_signals`] sent them.
    pub(crate) fn disown_signals(&self, group: &ThreadGroup) {
        // SAFETY: By the invariant the file is valid; `group` holds its pid, which is only compared
        // with the owner's, under the owner's lock.
        unsafe { bindings::lt_disown(self.0.as_ptr(), group.as_ptr()) };
    }
}

/// A list of those who asked for a signal: here of at most one, the file of a lease.
///
/// # Invariants
///
/// `head` is null or leads to entries that the C side owns and frees after a grace period. A file in
/// the list is open, as for any such list: it is taken out by the `release` hook at the latest.
#[pin_data(PinnedDrop)]
pub(crate) struct Fasync {
    #[pin]
    head: Opaque<*mut kb::fasync_struct>,
}

// SAFETY: The C side protects the list with its own lock and RCU.
unsafe impl Send for Fasync {}
// SAFETY: As above.
unsafe impl Sync for Fasync {}

impl Fasync {
    /// An empty list at a stable address.
    pub(crate) fn new() -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                // SAFETY: `slot` is valid for writes; an empty list is a null pointer.
                head <- Opaque::ffi_init(|slot: *mut *mut kb::fasync_struct| unsafe {
                    slot.write(core::ptr::null_mut())
                }),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// Adds the file, as known by descriptor `fd`; said again, it notes the descriptor.
    pub(crate) fn add(&self, file: &OpenFile<'_>, fd: u32) -> Result {
        // SAFETY: File and list are valid, and the list stays until `remove()`.
        let ret = unsafe { kb::fasync_helper(fd as c_int, file.0.as_ptr(), 1, self.head.get()) };
        if ret < 0 {
            return Err(Error::from_errno(ret));
        }
        Ok(())
    }

    /// Takes the file from the list.
    pub(crate) fn remove(self: Pin<&mut Self>, file: &OpenFile<'_>) {
        // SAFETY: File and list are valid. Removing does not fail.
        unsafe { kb::fasync_helper(0, file.0.as_ptr(), 0, self.head.get()) };
    }

    /// The path of the file in the list.
    pub(crate) fn path(&self) -> Option<KeptPath> {
        let mut path = kb::path::default();
        // SAFETY: The list is valid. By the invariant what is in it is open, and it stays in it, as
        // taking it out needs the list exclusively.
        let found = unsafe { bindings::lt_fasync_path(self.head.get(), &mut path) };
        // INVARIANT: `lt_fasync_path()` took the reference.
        found.then_some(KeptPath(path))
    }

    /// Sends SIGIO, or what F_SETSIG asked for.
    pub(crate) fn notify(&self) {
        // SAFETY: The list is valid; the C side reads it under RCU.
        unsafe { kb::kill_fasync(self.head.get(), kb::SIGIO as c_int, kb::POLL_MSG as c_int) };
    }
}

#[pinned_drop]
impl PinnedDrop for Fasync {
    fn drop(self: Pin<&mut Self>) {
        // A list that is not empty would leave entries that point to freed memory. Leases are
        // taken from their file before they are dropped.
        // SAFETY: Nobody else has the list any more.
        debug_assert!(unsafe { (*self.head.get()).is_null() });
    }
}

/// A file kept for a record: mount, dentry and inode; for pins that write, the mount's writability.
///
/// # Invariants
///
/// Owns a reference to the path, and write access to the mount if `write`. The path has an inode,
/// as nothing takes it from a dentry that somebody else refers to.
pub(crate) struct KeptFile {
    path: kb::path,
    write: bool,
}

// SAFETY: A path is reference counted and may be given back from any thread.
unsafe impl Send for KeptFile {}
// SAFETY: Nothing here changes it.
unsafe impl Sync for KeptFile {}

impl KeptFile {
    /// Keeps `file`'s path.
    pub(crate) fn new(file: &OpenFile<'_>, write: bool) -> Result<Self> {
        let mut path = kb::path::default();
        // SAFETY: The file is valid. On success the path has been written and referenced.
        to_result(unsafe { bindings::lt_path_get(file.0.as_ptr(), write, &mut path) })?;
        // INVARIANT: `lt_path_get()` has taken both and looked at the inode.
        Ok(Self { path, write })
    }

    /// The file's address space.
    pub(crate) fn mapping(&self) -> Mapping<'_> {
        // SAFETY: By the invariant the path keeps an inode, and every inode has an address space.
        unsafe {
            Mapping::from_raw(NonNull::new_unchecked(bindings::lt_path_mapping(
                &self.path,
            )))
        }
    }
}

impl KeptFile {
    /// Does it keep the mount writable?
    pub(crate) fn writes(&self) -> bool {
        self.write
    }

    /// Its path, for longer than it is kept itself.
    pub(crate) fn path(&self) -> KeptPath {
        let mut path = kb::path::default();
        // SAFETY: By the invariant the path is referenced.
        unsafe { bindings::lt_path_again(&self.path, &mut path) };
        // INVARIANT: The reference was taken just now.
        KeptPath(path)
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        // SAFETY: By the invariant both are ours to give back.
        unsafe { bindings::lt_path_put(&mut self.path, self.write) }
    }
}

/// A path by reference. To be taken under any lock of the module, to be dropped under none: the last
/// reference takes a filesystem's locks.
///
/// # Invariants
///
/// Owns a reference to the path.
pub(crate) struct KeptPath(kb::path);

// SAFETY: A path is reference counted and may be given back from any thread.
unsafe impl Send for KeptPath {}

impl KeptPath {
    /// For the C side; valid as long as `self`.
    pub(super) fn as_ptr(&self) -> *const kb::path {
        &self.0
    }
}

impl Drop for KeptPath {
    fn drop(&mut self) {
        // SAFETY: By the invariant the reference is ours to give back.
        unsafe { kb::path_put(&self.0) }
    }
}
