// SPDX-License-Identifier: GPL-2.0
//! What `<linux/longterm.h>` says, in Rust.  Each structure begins with its size;
//! none holds a pointer.

/// Like `struct longterm_ioc_lease` and `struct longterm_ioc_break`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Range {
    pub size: u32,
    pub flags: u32,
    pub fd: i32,
    pub reserved: u32,
    pub start: u64,
    pub length: u64,
}

/// Like `struct longterm_ioc_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Info {
    pub size: u32,
    pub flags: u32,
    pub fd: i32,
    pub state: u32,
    pub kind: u32,
    pub holders: u32,
    pub generation: u64,
    pub start: u64,
    pub end: u64,
    pub break_start: u64,
    pub break_end: u64,
    pub pinned: u64,
    pub deadline: u64,
    pub left: u64,
}

/// Like `struct longterm_ioc_adopt`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Adopt {
    pub size: u32,
    pub flags: u32,
}

/// `sizeof(struct longterm_event)` in its first version.
pub(crate) const EVENT_SIZE: usize = 56;

/// `LONGTERM_DEVICE`.
pub(crate) const DEVICE: &str = "/dev/longterm";
/// `LONGTERM_EOF`.
pub(crate) const EOF: u64 = i64::MAX as u64;

const TYPE: u32 = 0xb9;
pub(crate) const IOC_LEASE: u32 = TYPE << 8;
pub(crate) const IOC_INFO: u32 = (TYPE << 8) | 1;
pub(crate) const IOC_BREAK: u32 = (TYPE << 8) | 2;
pub(crate) const IOC_ADOPT: u32 = (TYPE << 8) | 3;

pub(crate) const LEASE_UNBREAKABLE: u32 = 1 << 0;
pub(crate) const LEASE_NONBLOCK: u32 = 1 << 1;

pub(crate) const HELD: u32 = 0;
pub(crate) const BREAKING: u32 = 1;
pub(crate) const REVOKED: u32 = 2;

pub(crate) const EVENT_BREAK: u32 = 1;
pub(crate) const EVENT_END: u32 = 2;
pub(crate) const EVENT_REVOKED: u32 = 3;
pub(crate) const EVENT_MERGED: u32 = 1 << 0;

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn sizes_are_those_of_the_header() {
        assert_eq!(size_of::<Range>(), 32);
        assert_eq!(size_of::<Info>(), 88);
        assert_eq!(size_of::<Adopt>(), 8);
        assert_eq!(offset_of!(Range, start), 16);
        assert_eq!(offset_of!(Info, generation), 24);
        assert_eq!(offset_of!(Info, left), 80);
    }
}
