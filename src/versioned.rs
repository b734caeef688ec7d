// SPDX-License-Identifier: GPL-2.0

//! Structures that a program and the kernel may know in different sizes: how much of one is read,
//! and written, and which ranges a program may ask for. Pure.

use super::range::PageRange;
use kernel::{page::PAGE_SIZE, prelude::*};

/// The end of a range that goes to the end of the file; LONGTERM_EOF.
pub(crate) const EOF: u64 = i64::MAX as u64;

/// How to read a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The first bytes, which both know. What else the kernel knows is 0.
    pub(crate) both: usize,
    /// The bytes behind these, which only the program knows, and which must be 0.
    pub(crate) more: usize,
}

impl Sizes {
    /// For a structure that had `first` bytes in its first version, has `known` in the kernel's,
    /// and `size` in the program's.
    pub(crate) fn of(size: u32, first: usize, known: usize) -> Result<Self> {
        let size = size as usize;
        if size < first {
            return Err(EINVAL);
        }
        if size > PAGE_SIZE {
            return Err(E2BIG);
        }
        Ok(Self {
            both: size.min(known),
            more: size.saturating_sub(known),
        })
    }

    /// [`E2BIG`] unless `rest`, bytes that only the program knows, says nothing.
    pub(crate) fn check_rest(rest: &[u8]) -> Result {
        if rest.iter().any(|byte| *byte != 0) {
            return Err(E2BIG);
        }
        Ok(())
    }
}

/// `value`, unless it has bits that are not in `known`.
pub(crate) fn flags(value: u32, known: u32) -> Result<u32> {
    if value & !known != 0 {
        return Err(EINVAL);
    }
    Ok(value)
}

/// The pages that `length` bytes from `start` touch; 0 bytes are all to the end of the file.
pub(crate) fn range(start: u64, length: u64) -> Result<PageRange> {
    let end = match length {
        0 => EOF,
        _ => start.checked_add(length).ok_or(EINVAL)?,
    };
    if end > EOF {
        return Err(EINVAL);
    }
    PageRange::of_bytes(start as i64, end as i64).ok_or(EINVAL)
}
