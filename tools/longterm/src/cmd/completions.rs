// SPDX-License-Identifier: GPL-2.0

//! `longterm completions SHELL`.

use crate::{cli::Cli, error::Result, output::print};
use clap::CommandFactory;
use clap_complete::{generate, Shell};

pub(super) fn run(shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "longterm", &mut text);
    print(&String::from_utf8_lossy(&text))
}
