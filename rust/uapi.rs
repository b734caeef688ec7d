// SPDX-License-Identifier: GPL-2.0

//! What programs and the module exchange, as bindgen reads it in `include/uapi/linux/longterm.h`.

use super::bindings;
use core::mem::size_of;
use kernel::transmute::{AsBytes, FromBytes};

pub(crate) use bindings::{
    longterm_event as RawEvent,
    longterm_ioc_adopt as RawAdopt,
    longterm_ioc_break as RawBreak,
    longterm_ioc_info as RawInfo,
    longterm_ioc_lease as RawLease, //
};

/// The commands, see the header.
#[allow(missing_docs)]
pub(crate) mod command {
    use kernel::ioctl::_IO;
    const TYPE: u32 = super::bindings::LONGTERM_IOC_TYPE;
    pub(crate) const LEASE: u32 = _IO(TYPE, 0);
    pub(crate) const INFO: u32 = _IO(TYPE, 1);
    pub(crate) const BREAK: u32 = _IO(TYPE, 2);
    pub(crate) const ADOPT: u32 = _IO(TYPE, 3);
}

pub(crate) use bindings::{
    LONGTERM_BREAKING,
    LONGTERM_EVENT_BREAK,
    LONGTERM_EVENT_END,
    LONGTERM_EVENT_MERGED,
    LONGTERM_EVENT_REVOKED,
    LONGTERM_HELD,
    LONGTERM_LEASE_NONBLOCK,
    LONGTERM_LEASE_UNBREAKABLE,
    LONGTERM_REVOKED, //
};

/// A structure that begins with its size as the program knows it.
///
/// `FIRST` is the size of its first version.
pub(crate) trait Versioned: FromBytes + AsBytes + Default {
    /// Size of the first version.
    const FIRST: usize;
}

macro_rules! structures {
    ($($name:ident = $first:literal;)*) => { $(
        // SAFETY: Integers only, for which all bits are good.
        unsafe impl FromBytes for bindings::$name {}
        // SAFETY: Integers only, and no padding: the size is that of the fields, see the header,
        // and the assertion below.
        unsafe impl AsBytes for bindings::$name {}
        impl Versioned for bindings::$name {
            const FIRST: usize = $first;
        }
        const _: () = assert!(size_of::<bindings::$name>() == $first);
    )* };
}

structures! {
    longterm_ioc_lease = 32;
    longterm_ioc_break = 32;
    longterm_ioc_adopt = 8;
    longterm_ioc_info = 88;
    longterm_event = 56;
}
