// SPDX-License-Identifier: GPL-2.0

//! The module's pure parts and their KUnit suites, without the module: they need no DAX, so
//! kunit.py can run them under UML.
//!
//! The list of pure files is the list of modules below. [`Machine`](machine::Machine) and the
//! others are used by the tests only here, hence the `dead_code`.

#![allow(dead_code)]

#[path = "../../src/events.rs"]
mod events;
#[path = "../../src/events_kunit.rs"]
mod events_kunit;
#[path = "../../src/ledger.rs"]
mod ledger;
#[path = "../../src/ledger_kunit.rs"]
mod ledger_kunit;
#[path = "../../src/lengths.rs"]
mod lengths;
#[path = "../../src/lengths_kunit.rs"]
mod lengths_kunit;
#[path = "../../src/limits.rs"]
mod limits;
#[path = "../../src/limits_kunit.rs"]
mod limits_kunit;
#[path = "../../src/machine.rs"]
mod machine;
#[path = "../../src/position.rs"]
mod position;
#[path = "../../src/position_kunit.rs"]
mod position_kunit;
#[path = "../../src/range.rs"]
mod range;
#[path = "../../src/range_kunit.rs"]
mod range_kunit;
#[path = "../../src/settling_kunit.rs"]
mod settling_kunit;
#[path = "../../src/slots.rs"]
mod slots;
#[path = "../../src/slots_kunit.rs"]
mod slots_kunit;
#[path = "../../src/stats.rs"]
mod stats;
#[path = "../../src/stats_kunit.rs"]
mod stats_kunit;
#[path = "../../src/versioned.rs"]
mod versioned;
#[path = "../../src/versioned_kunit.rs"]
mod versioned_kunit;

use kernel::prelude::*;

module! {
    type: Suites,
    name: "longterm_kunit",
    authors: ["Longterm maintainers"],
    description: "KUnit suites of longterm",
    license: "GPL",
}

struct Suites;

impl kernel::Module for Suites {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
