// SPDX-License-Identifier: GPL-2.0

//! The module's files, and what to say where they are missing.

use crate::{
    error::{say, Error, Result},
    holders::{self, Line},
};
use std::{fs, io, path::Path};

pub(crate) const HOLDERS: &str = "/proc/fs/longterm/holders";
pub(crate) const STAT: &str = "/proc/fs/longterm/stat";
pub(crate) const SYSCTLS: &str = "/proc/sys/fs/longterm";
const SYSFS: &str = "/sys/module/longterm";

/// Is the module there? Its sysctls tell where sysfs is not mounted.
pub(crate) fn loaded() -> bool {
    Path::new(SYSFS).exists() || Path::new(SYSCTLS).exists()
}

/// An error if the module is not loaded.
pub(crate) fn require() -> Result<()> {
    if loaded() {
        return Ok(());
    }
    say("the module is not loaded: modprobe longterm, or insmod longterm.ko ('longterm doctor' says more)")
}

/// One of the module's tables.
pub(crate) fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(path).or_else(|e| {
        require()?;
        match e.kind() {
            io::ErrorKind::NotFound => say(format!(
                "there is no {path}: the loaded module is older than this program, or /proc is not mounted"
            )),
            _ => Err(Error::about(path, e)),
        }
    })
}

/// Leases, pins and breaks as they are now.
pub(crate) fn lines() -> Result<Vec<Line>> {
    holders::parse(&read(HOLDERS)?)
}

/// All settings under `/proc/sys/fs/longterm`, by name.
pub(crate) fn sysctls() -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(SYSCTLS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let value = fs::read_to_string(entry.path()).ok()?;
            Some((
                entry.file_name().into_string().ok()?,
                value.trim().to_string(),
            ))
        })
        .collect();
    found.sort();
    found
}

/// A file of the module in sysfs, if it says something.
pub(crate) fn attribute(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("{SYSFS}/{name}")).ok()?;
    Some(text.trim().to_string()).filter(|t| !t.is_empty())
}

/// A number in a file of /proc/sys.
pub(crate) fn number(path: &str) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
