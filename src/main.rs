// SPDX-License-Identifier: GPL-2.0

//! Long-term leases: pins of DAX files that can be taken back.
//!
//! Policy only, and safe Rust only. The kernel's side is `mm/longterm.c`, the way to it `rust/`.

#[path = "../rust/mod.rs"]
mod kapi;

mod attendance;
mod breaker;
mod certain;
mod clock;
mod device;
mod events;
#[cfg(CONFIG_KUNIT)]
mod events_kunit;
mod fcntl;
mod generation;
mod holders;
mod inode;
mod lease;
mod lease_fd;
mod ledger;
#[cfg(CONFIG_KUNIT)]
mod ledger_kunit;
mod lengths;
#[cfg(CONFIG_KUNIT)]
mod lengths_kunit;
mod limits;
#[cfg(CONFIG_KUNIT)]
mod limits_kunit;
mod machine;
mod manager;
mod marks;
mod notice;
mod pin;
mod policy;
mod position;
#[cfg(CONFIG_KUNIT)]
mod position_kunit;
mod quota;
mod range;
#[cfg(CONFIG_KUNIT)]
mod range_kunit;
mod record;
mod records;
mod settle;
#[cfg(CONFIG_KUNIT)]
mod settling_kunit;
mod slots;
#[cfg(CONFIG_KUNIT)]
mod slots_kunit;
mod stats;
#[cfg(CONFIG_KUNIT)]
mod stats_kunit;
mod table;
mod user_copy;
mod versioned;
#[cfg(CONFIG_KUNIT)]
mod versioned_kunit;
mod voice;

use self::{
    kapi::{
        miscdev::Device,
        registration::{abi, Registration},
        sysctl::Sysctls, //
    },
    manager::Manager, //
};
use kernel::prelude::*;

module! {
    type: Longterm,
    name: "longterm",
    authors: ["Longterm maintainers"],
    description: "Long-term leases on files of DAX filesystems",
    license: "GPL",
}

/// The module while it is loaded.
struct Longterm {
    _device: Pin<KBox<Device<Manager>>>,
    // Behind the device and its registration, whose hooks look at them.
    _sysctls: Sysctls,
}

impl kernel::Module for Longterm {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let (kernel, ours) = abi();
        if kernel != ours {
            pr_err!(
                "kernel hook table ABI {kernel}, module wants {ours}: rebuild the module against this kernel\n"
            );
            return Err(EPROTO);
        }
        let sysctls = Sysctls::new()?;
        let registration = Registration::new(Manager::new())?;
        Ok(Self {
            _device: Device::new(registration)?,
            _sysctls: sysctls,
        })
    }
}
