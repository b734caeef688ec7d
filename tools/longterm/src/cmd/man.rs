// SPDX-License-Identifier: GPL-2.0

//! `longterm man`: the manual pages, made from the command line's description.

use crate::{
    cli::{Cli, STATUS},
    error::{Error, Result},
    output::print,
};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::{fs, io, io::Write, path::Path};

/// When what the command line says has changed. An empty one would leave its place to the next.
const DATE: &str = "2026-11-27";
const SOURCE: &str = concat!("longterm ", env!("CARGO_PKG_VERSION"));

pub(super) fn run(dir: Option<&Path>) -> Result<()> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    cli.build();
    let Some(dir) = dir else {
        return print(&String::from_utf8_lossy(&page(&cli)?));
    };
    let shown = cli.get_subcommands().filter(|c| !c.is_hide_set());
    for command in shown.chain([&cli]) {
        let path = dir.join(format!("{}.1", name(command)));
        fs::write(&path, page(command)?).map_err(|e| Error::about(path.display(), e))?;
    }
    Ok(())
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .date(DATE)
        .source(SOURCE)
        .manual("Long-term leases");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    writeln!(page, ".SH EXIT STATUS\n{STATUS}.")?;
    writeln!(
        page,
        ".SH SEE ALSO\n.BR longterm (1),\n.BR F_LONGTERM (2const),\n.BR longterm (4)"
    )?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_its_sections() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands().chain([&cli]) {
            let text = String::from_utf8(page(command).unwrap()).unwrap();
            assert!(
                text.contains(&format!(".TH {} 1 ", name(command))),
                "{text}"
            );
            for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "SEE ALSO"] {
                assert!(
                    text.contains(&format!(".SH {section}")),
                    "{section}: {text}"
                );
            }
        }
    }
}
