// SPDX-License-Identifier: GPL-2.0

//! `longterm man`: the manual pages, made from the command line's description.

use crate::{
    cli::Cli,
    error::{Error, Result},
    output::print,
};
use clap::CommandFactory;
use std::path::Path;

pub(super) fn run(dir: Option<&Path>) -> Result<()> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return print(&String::from_utf8_lossy(&page));
    };
    clap_mangen::generate_to(Cli::command(), dir).map_err(|e| Error::about(dir.display(), e))
}
