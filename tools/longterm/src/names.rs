// SPDX-License-Identifier: GPL-2.0

//! Names for the numbers in events: of files and of processes, while they are there.

use crate::{cmd::file_id, holders::FileId, module};
use std::{
    collections::{HashMap, HashSet},
    fs,
    time::{Duration, Instant},
};

/// The table may be long: it is not read for each event.
const PAUSE: Duration = Duration::from_millis(200);

/// What is known, and looked up on demand.
#[derive(Default)]
pub(crate) struct Names {
    files: HashMap<FileId, String>,
    commands: HashMap<u32, String>,
    /// Looked for in vain, in that process.
    missed: HashSet<(FileId, u32)>,
    looked: Option<Instant>,
}

impl Names {
    /// A name that somebody gave.
    pub(crate) fn set_file(&mut self, id: FileId, path: String) {
        self.files.insert(id, path);
    }

    /// A name that an event told.
    pub(crate) fn set_command(&mut self, pid: u32, name: &str) {
        if name != "<...>" && !self.commands.contains_key(&pid) {
            self.commands.insert(pid, name.into());
        }
    }

    /// What is known of a file.
    pub(crate) fn file(&self, id: FileId) -> Option<&str> {
        self.files.get(&id).map(String::as_str)
    }

    /// What is known of a process.
    pub(crate) fn command(&self, pid: u32) -> Option<&str> {
        self.commands.get(&pid).map(String::as_str)
    }

    /// Learn what can be known now. The pid is right in the initial pid namespace only: a name that
    /// does not fit the number is not taken, as files are compared by inode.
    pub(crate) fn learn(&mut self, id: FileId, pid: u32) {
        if let (false, Ok(comm)) = (
            self.commands.contains_key(&pid),
            fs::read_to_string(format!("/proc/{pid}/comm")),
        ) {
            self.commands.insert(pid, comm.trim_end().into());
        }
        if self.files.contains_key(&id) || self.missed.contains(&(id, pid)) {
            return;
        }
        if let Some(path) = open_file(id, pid) {
            self.files.insert(id, path);
            return;
        }
        if self.looked.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.looked = Some(Instant::now());
            self.learn_holders();
        }
        if !self.files.contains_key(&id) {
            self.missed.insert((id, pid));
        }
    }

    /// All that the module tells of those that hold something now.
    pub(crate) fn learn_holders(&mut self) {
        for line in module::lines().unwrap_or_default() {
            let file = line.file();
            if let Some(path) = line.path {
                self.files.entry(file).or_insert(path);
            }
        }
    }
}

/// A file that the process has open.
fn open_file(id: FileId, pid: u32) -> Option<String> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let here = fs::metadata(entry.path()).is_ok_and(|meta| file_id(&meta) == id);
        if here {
            return Some(
                fs::read_link(entry.path())
                    .ok()?
                    .to_string_lossy()
                    .into_owned(),
            );
        }
    }
    None
}
