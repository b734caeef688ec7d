// SPDX-License-Identifier: GPL-2.0

//! The memory of a device: its `struct page`s, which go when the device is unbound.

use core::ptr::NonNull;

use super::{bindings, mapping::Mapping};
use kernel::{bindings as kb, prelude::*};

/// The memory that a page of a file is in, kept: unbinding the device waits for this to be dropped,
/// which may be done in any context.
///
/// # Invariants
///
/// Owns a reference to the page map.
pub(crate) struct DeviceMemory(NonNull<kb::dev_pagemap>);

// SAFETY: A page map is reference counted, and the reference may be given back from any thread.
unsafe impl Send for DeviceMemory {}

impl DeviceMemory {
    /// Keeps, in addition to what is in `known`, the memory of a pinned page; [`None`] if that is
    /// there already. [`EOPNOTSUPP`] where the device is being unbound.
    pub(crate) fn of(mapping: &Mapping<'_>, index: u64, known: &[Self]) -> Result<Option<Self>> {
        let pfn = mapping.pinned_pfn(index).ok_or(EAGAIN)?;
        if known.iter().any(|memory| memory.has(pfn)) {
            return Ok(None);
        }
        // SAFETY: Takes any number.
        let map = unsafe { bindings::lt_pagemap_get(pfn) };
        // INVARIANT: The reference was taken just now.
        NonNull::new(map)
            .map(|map| Some(Self(map)))
            .ok_or(EOPNOTSUPP)
    }

    fn has(&self, pfn: c_ulong) -> bool {
        // SAFETY: By the invariant the page map lives, and its ranges do not change.
        unsafe { bindings::lt_pagemap_has(self.0.as_ptr(), pfn) }
    }
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        // SAFETY: By the invariant the reference is ours to give back.
        unsafe { bindings::lt_pagemap_put(self.0.as_ptr()) }
    }
}
