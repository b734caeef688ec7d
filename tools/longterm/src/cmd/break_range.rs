// SPDX-License-Identifier: GPL-2.0

//! `longterm break`: all that an operation on the range would do to its holders, but for the
//! operation.

use crate::{
    cli::Break,
    error::{Error, Result},
    module,
    output::print,
};
use longterm::{Device, Error as Refusal};
use rustix::fs::OFlags;
use std::{fs::File, os::unix::fs::OpenOptionsExt, time::Instant};

pub(super) fn run(args: &Break) -> Result<()> {
    let about = |e| Error::about(args.file.display(), e);
    let mut how = File::options();
    how.write(true);
    if args.no_wait {
        how.custom_flags(OFlags::NONBLOCK.bits() as i32);
    }
    let file = how.open(&args.file).map_err(about)?;
    let device = Device::open().or_else(|e| {
        module::require()?;
        Err(Error::Say(e.to_string()))
    })?;
    let began = Instant::now();
    let range = args.range;
    match device.break_range(&file, range.start..range.end) {
        Ok(()) => print(&format!("free after {} ms\n", began.elapsed().as_millis())),
        Err(Refusal::WouldBlock) => Err(Error::Say(format!(
            "{}: pins are in the way; their holders have been told",
            args.file.display()
        ))),
        Err(other) => Err(Error::Say(format!("{}: {other}", args.file.display()))),
    }
}
