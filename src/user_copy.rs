// SPDX-License-Identifier: GPL-2.0

//! Structures from and to programs, in the sizes that both sides know: `versioned.rs` has the rules.

use super::{
    kapi::uapi::{RawInfo, Versioned},
    versioned::Sizes,
};
use core::mem::size_of;
use kernel::{
    prelude::*,
    transmute::AsBytes,
    uaccess::{UserPtr, UserSlice}, //
};

/// Reads a structure. The size that counts is the one that is there when this begins.
pub(crate) fn read<T: Versioned>(from: UserPtr) -> Result<T> {
    let size: u32 = UserSlice::new(from, size_of::<u32>()).reader().read()?;
    let sizes = Sizes::of(size, T::FIRST, size_of::<T>())?;
    let mut reader = UserSlice::new(from, sizes.both + sizes.more).reader();
    let mut value = T::default();
    reader.read_slice(&mut value.as_bytes_mut()[..sizes.both])?;
    let mut left = sizes.more;
    while left > 0 {
        let mut rest = [0; 64];
        let part = left.min(rest.len());
        reader.read_slice(&mut rest[..part])?;
        Sizes::check_rest(&rest[..part])?;
        left -= part;
    }
    // It may have changed meanwhile.
    value.as_bytes_mut()[..size_of::<u32>()].copy_from_slice(&size.to_ne_bytes());
    Ok(value)
}

/// Writes back what the program has room for.
pub(crate) fn write_back(to: UserPtr, mut info: RawInfo) -> Result<isize> {
    let both = (info.size as usize).min(size_of::<RawInfo>());
    info.size = both as u32;
    UserSlice::new(to, both)
        .writer()
        .write_slice(&info.as_bytes()[..both])?;
    Ok(0)
}
