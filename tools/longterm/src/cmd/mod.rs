// SPDX-License-Identifier: GPL-2.0

//! The commands, a file each.

mod break_range;
mod completions;
mod doctor;
mod events;
mod ls;
mod man;
mod metrics;
mod status;
mod timeline;
mod watch;

use crate::{
    cli::{Cli, Command, Filter},
    error::{Error, Result},
    holders::{Dev, FileId},
};
use std::{fs, os::unix::fs::MetadataExt, path::Path, process::ExitCode};

/// Do what the command line says.
pub(crate) fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Ls(args) => ls::run(&args)?,
        Command::Watch(args) => watch::run(&args)?,
        Command::Events(args) => return events::run(&args),
        Command::Timeline(args) => return timeline::run(&args),
        Command::Status(args) => status::run(&args)?,
        Command::Metrics => metrics::run()?,
        Command::Break(args) => break_range::run(&args)?,
        Command::Doctor(args) => return doctor::run(&args),
        Command::Completions { shell } => completions::run(shell)?,
        Command::Man { dir } => man::run(dir.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Which file a path leads to, as the kernel's tables name it.
pub(crate) fn file_of(path: &Path) -> Result<FileId> {
    let meta = fs::metadata(path).map_err(|e| Error::about(path.display(), e))?;
    Ok(file_id(&meta))
}

/// The same, of a file that has been looked at.
pub(crate) fn file_id(meta: &fs::Metadata) -> FileId {
    FileId {
        dev: Dev(rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev())),
        ino: meta.ino(),
    }
}

/// A [`Filter`] whose path has been looked up.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    file: Option<FileId>,
    pid: Option<u32>,
}

impl Wanted {
    /// Look up the path.
    pub(crate) fn new(filter: &Filter) -> Result<Self> {
        Ok(Self {
            file: filter.file.as_deref().map(file_of).transpose()?,
            pid: filter.pid,
        })
    }

    /// Is it about what is wanted?
    pub(crate) fn has(&self, file: FileId, pid: Option<u32>) -> bool {
        self.file.is_none_or(|f| f == file) && (self.pid.is_none() || self.pid == pid)
    }
}
