// SPDX-License-Identifier: GPL-2.0

//! Tags: by which the owner of some pins names what is on record for them.

use core::{marker::PhantomData, ptr::NonNull};

use super::{bindings, mapping::MappingKey};
use kernel::prelude::*;

/// Through what pages were pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    /// Nobody said.
    Other,
    /// A memory region.
    Rdma,
    /// A registered buffer.
    IoUring,
}

impl Through {
    /// As administrators see it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Rdma => "rdma",
            Self::IoUring => "io_uring",
        }
    }
}

/// Where a record is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its file's mapping.
    pub(crate) mapping: MappingKey,
    /// Its first page.
    pub(crate) first: u64,
    /// Its name within its inode, not 0.
    pub(crate) id: u64,
}

/// A tag, borrowed from a hook.
///
/// # Invariants
///
/// The `struct longterm_tag` is valid for `'a`, and nobody else uses it.
pub(crate) struct Tag<'a>(
    NonNull<bindings::longterm_tag>,
    PhantomData<&'a mut bindings::longterm_tag>,
);

impl Tag<'_> {
    /// [`None`] for null.
    ///
    /// # Safety
    ///
    /// `tag` must be null or what the kernel gave to a hook, and that hook must last for `'a`.
    pub(super) unsafe fn from_raw(tag: *mut bindings::longterm_tag) -> Option<Self> {
        // INVARIANT: As the caller promises; who owns the tag makes one call at a time with it.
        Some(Self(NonNull::new(tag)?, PhantomData))
    }

    /// Through what its owner pins.
    pub(crate) fn through(&self) -> Through {
        // SAFETY: By the invariant.
        match unsafe { (*self.0.as_ptr()).through }.into() {
            bindings::longterm_through_LONGTERM_THROUGH_RDMA => Through::Rdma,
            bindings::longterm_through_LONGTERM_THROUGH_IO_URING => Through::IoUring,
            _ => Through::Other,
        }
    }

    /// Its newest record.
    pub(crate) fn place(&self) -> Option<Place> {
        // SAFETY: By the invariant.
        let tag = unsafe { &*self.0.as_ptr() };
        (tag.id != 0).then(|| Place {
            mapping: MappingKey::of(tag.mapping),
            first: tag.index as u64,
            id: tag.id,
        })
    }

    /// It has a new one.
    pub(crate) fn set(&mut self, place: Place) {
        // SAFETY: By the invariant.
        let tag = unsafe { &mut *self.0.as_ptr() };
        tag.mapping = place.mapping.as_ptr();
        tag.index = place.first as c_ulong;
        tag.id = place.id;
    }

    /// It has none any more.
    pub(crate) fn clear(&mut self) {
        // SAFETY: By the invariant.
        unsafe { (*self.0.as_ptr()).id = 0 };
    }
}
