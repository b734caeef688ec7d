// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the C interfaces that the `kernel` crate lacks.
//!
//! All `unsafe` of the module lives here; policy lives in `src/` and has none.

pub(crate) mod anonfd;
pub(crate) mod bindings;
pub(crate) mod deferred;
pub(crate) mod file;
pub(crate) mod hooks;
pub(crate) mod mapping;
pub(crate) mod memory;
pub(crate) mod miscdev;
pub(crate) mod process;
pub(crate) mod procfs;
pub(crate) mod registration;
pub(crate) mod report;
pub(crate) mod sysctl;
pub(crate) mod tag;
pub(crate) mod trace;
pub(crate) mod uapi;
pub(crate) mod user;
mod vtable;
