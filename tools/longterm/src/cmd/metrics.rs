// SPDX-License-Identifier: GPL-2.0

//! `longterm metrics`: the counters in Prometheus' text format.

use crate::{counters, error::Result, module, output::print};

pub(super) fn run() -> Result<()> {
    let stat = module::read(module::STAT)?;
    print(&counters::prometheus(&counters::parse(
        &String::from_utf8_lossy(&stat),
    )))
}
