// SPDX-License-Identifier: GPL-2.0

//! Address spaces: the identity of a file, and where its pins are counted.

use core::{marker::PhantomData, ptr::NonNull};

use super::bindings;
use kernel::{bindings as kb, prelude::*};

/// Identity of an address space. A number: of use as long as something else keeps the inode, and
/// never turned back into a pointer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MappingKey(usize);

impl MappingKey {
    pub(super) fn of(mapping: *const kb::address_space) -> Self {
        Self(mapping as usize)
    }

    /// As a number.
    pub(crate) fn number(self) -> u64 {
        self.0 as u64
    }

    /// As [`Self::number`] gave it.
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number as usize)
    }

    /// The next one that an ordered search could find.
    pub(crate) fn successor(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// The smallest one.
    pub(crate) const fn first() -> Self {
        Self(0)
    }

    /// For the C side, as a key only.
    pub(super) fn as_ptr(self) -> *const kb::address_space {
        self.0 as *const kb::address_space
    }

    /// Wakes the breakers that wait for this mapping.
    pub(crate) fn wake(self) {
        // SAFETY: `longterm_wake()` uses the pointer as a key only.
        unsafe { bindings::longterm_wake(self.as_ptr()) }
    }
}

/// The names of an inode that people know.
#[derive(Clone, Copy)]
pub(crate) struct InodeId {
    /// The device, as `new_encode_dev()` has it.
    pub(crate) dev: u32,
    /// The inode number.
    pub(crate) ino: u64,
}

impl InodeId {
    /// The two parts of the device number.
    pub(crate) fn major_minor(&self) -> (u32, u32) {
        // As `new_encode_dev()` put them together.
        let minor = (self.dev & 0xff) | ((self.dev >> 12) & 0xfff00);
        ((self.dev >> 8) & 0xfff, minor)
    }
}

/// A borrowed address space, with its inode.
///
/// # Invariants
///
/// The address space is that of an inode that lives for at least `'a`.
#[derive(Clone, Copy)]
pub(crate) struct Mapping<'a>(
    NonNull<kb::address_space>,
    PhantomData<&'a kb::address_space>,
);

impl Mapping<'_> {
    /// # Safety
    ///
    /// `ptr` must point to the address space of an inode that lives for at least `'a`.
    pub(super) unsafe fn from_raw(ptr: NonNull<kb::address_space>) -> Self {
        // INVARIANT: As the caller promises.
        Self(ptr, PhantomData)
    }

    /// Its identity.
    pub(crate) fn key(&self) -> MappingKey {
        MappingKey::of(self.0.as_ptr())
    }

    fn inode(&self) -> *const kb::inode {
        // SAFETY: By the invariant the address space is valid; `host` never changes.
        unsafe { (*self.0.as_ptr()).host }
    }

    /// The inode's names.
    pub(crate) fn id(&self) -> InodeId {
        let inode = self.inode();
        // SAFETY: By the invariant the inode is valid; both read fields that do not change.
        unsafe {
            InodeId {
                dev: bindings::lt_inode_dev(inode),
                ino: bindings::lt_inode_ino(inode),
            }
        }
    }

    /// Can the filesystem still protect pins of this file?
    pub(crate) fn protectable(&self) -> bool {
        // SAFETY: By the invariant the address space is valid; this reads one flag.
        unsafe { bindings::lt_mapping_longterm(self.0.as_ptr()) }
    }

    /// May the current task take blocks of this file back from whoever holds them?
    pub(crate) fn may_take_back(&self) -> bool {
        // SAFETY: By the invariant the inode is valid.
        unsafe { bindings::lt_may_take_back(self.inode()) }
    }

    /// Counts the long-term pins on the folios that have pages in `first..=last`.
    pub(crate) fn pins(&self, first: u64, last: u64) -> PinCount {
        let (mut first, mut last) = (first as c_ulong, last as c_ulong);
        let mut exact = false;
        // SAFETY: By the invariant the address space is valid; the function takes its own locks
        // and writes only to the two indexes and the flag.
        let pins = unsafe {
            bindings::dax_longterm_pins(self.0.as_ptr(), &mut first, &mut last, &mut exact)
        };
        PinCount {
            pins: pins as u64,
            first: first as u64,
            last: last as u64,
            exact,
        }
    }

    /// The page frame of a pinned page, or of the first page of its entry.
    pub(super) fn pinned_pfn(&self, index: u64) -> Option<c_ulong> {
        // SAFETY: By the invariant the address space is valid; this looks at one entry under RCU.
        let pfn = unsafe { bindings::lt_pinned_pfn(self.0.as_ptr(), index as c_ulong) };
        (pfn != 0).then_some(pfn)
    }
}

/// What counting has found.
pub(crate) struct PinCount {
    /// Long-term pins: at least as many as there are.
    pub(crate) pins: u64,
    /// First page of the folios that were looked at.
    pub(crate) first: u64,
    /// Their last page.
    pub(crate) last: u64,
    /// Just as many: no transient pin can have been taken for a long-term one.
    pub(crate) exact: bool,
}

/// How many pages the largest entry of a DAX file has.
pub(crate) const ENTRY_PAGES: u64 = bindings::lt_constants_LT_ENTRY_PAGES as u64;
