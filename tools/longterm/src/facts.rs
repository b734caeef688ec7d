// SPDX-License-Identifier: GPL-2.0

//! What `doctor` looks at. Nothing is tried that could disturb: no lease is taken.

use crate::{
    holders::Dev,
    module,
    mounts::{self, Mount},
};
use rustix::fs::{statx, AtFlags, StatxAttributes, StatxFlags, CWD};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, ErrorKind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// All that [`super::diagnosis`] judges. [`None`]: it can't be told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) patched: Option<bool>,
    pub(crate) module: bool,
    pub(crate) tables: bool,
    pub(crate) sysctls: BTreeMap<String, i64>,
    pub(crate) leases_enable: Option<i64>,
    pub(crate) lease_break_time: Option<i64>,
    pub(crate) dax_mounts: Vec<MountFacts>,
    pub(crate) uid: u32,
    /// CapEff of `/proc/self/status`.
    pub(crate) capabilities: u64,
    /// Bytes; [`None`]: no limit.
    pub(crate) memlock: Option<u64>,
    pub(crate) tracefs: bool,
    pub(crate) trace_cmd: bool,
    pub(crate) files: Vec<FileFacts>,
}

/// A mount that asks for DAX.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MountFacts {
    pub(crate) point: String,
    pub(crate) fs: String,
    /// Can its device do DAX?
    pub(crate) device: Option<bool>,
}

/// A file named on the command line.
#[derive(Clone, Debug)]
pub(crate) struct FileFacts {
    pub(crate) path: String,
    /// Why it can't be looked at.
    pub(crate) error: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) fs: String,
    pub(crate) wants_dax: bool,
    pub(crate) point: String,
    pub(crate) dax: bool,
    /// Does it share blocks with other files?
    pub(crate) shared: Option<bool>,
    pub(crate) owner: u32,
    pub(crate) size: u64,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Regular,
    Directory,
    Other,
}

/// Look at all of it.
pub(crate) fn gather(paths: &[PathBuf]) -> Facts {
    let mounts = mounts::all();
    let module = module::loaded();
    Facts {
        // The module does not load without them.
        patched: if module { Some(true) } else { has_hooks() },
        module,
        tables: Path::new(module::HOLDERS).exists() && Path::new(module::STAT).exists(),
        sysctls: module::sysctls()
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
            .collect(),
        leases_enable: module::number("/proc/sys/fs/leases-enable"),
        lease_break_time: module::number("/proc/sys/fs/lease-break-time"),
        dax_mounts: mounts
            .iter()
            .filter(|m| m.wants_dax())
            .map(|m| MountFacts {
                point: m.point.clone(),
                fs: m.fs.clone(),
                device: device_dax(m.dev),
            })
            .collect(),
        uid: rustix::process::geteuid().as_raw(),
        capabilities: status_field("CapEff:")
            .and_then(|h| u64::from_str_radix(&h, 16).ok())
            .unwrap_or(0),
        memlock: memlock(),
        tracefs: mounts.iter().any(|m| m.fs == "tracefs"),
        trace_cmd: in_path("trace-cmd"),
        files: paths.iter().map(|p| file(p, &mounts)).collect(),
    }
}

/// Names are there even where addresses are hidden.
fn has_hooks() -> Option<bool> {
    let symbols = BufReader::new(fs::File::open("/proc/kallsyms").ok()?);
    let mut any = false;
    for line in symbols.lines().map_while(std::result::Result::ok) {
        any = true;
        if line.ends_with(" longterm_register") {
            return Some(true);
        }
    }
    any.then_some(false)
}

/// Of the disk, or of the partition's disk.
fn device_dax(dev: Dev) -> Option<bool> {
    let base = format!("/sys/dev/block/{dev}");
    let queue = [format!("{base}/queue/dax"), format!("{base}/../queue/dax")];
    let text = queue.iter().find_map(|p| fs::read_to_string(p).ok())?;
    Some(text.trim() == "1")
}

fn status_field(name: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.trim().to_string())
}

fn memlock() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max locked memory"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Could we run it?
pub(crate) fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|d| d.join(program).is_file());
    found
}

fn file(path: &Path, mounts: &[Mount]) -> FileFacts {
    let mut facts = FileFacts {
        path: path.display().to_string(),
        error: None,
        kind: Kind::Other,
        fs: String::new(),
        wants_dax: false,
        point: String::new(),
        dax: false,
        shared: None,
        owner: 0,
        size: 0,
    };
    let stat = match statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS) {
        Ok(stat) => stat,
        Err(e) => {
            facts.error = Some(crate::error::reason(&e.into()));
            return facts;
        }
    };
    facts.kind = match u32::from(stat.stx_mode) & 0o170_000 {
        0o100_000 => Kind::Regular,
        0o040_000 => Kind::Directory,
        _ => Kind::Other,
    };
    facts.dax = stat.stx_attributes.contains(StatxAttributes::DAX);
    (facts.owner, facts.size) = (stat.stx_uid, stat.stx_size);
    let dev = Dev(stat.stx_dev_major, stat.stx_dev_minor);
    // Of several mounts of one filesystem the one that the name goes through.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let mount = mounts
        .iter()
        .filter(|m| m.dev == dev && real.starts_with(&m.point))
        .max_by_key(|m| m.point.len());
    if let Some(mount) = mount {
        facts.fs = mount.fs.clone();
        facts.point = mount.point.clone();
        facts.wants_dax = mount.wants_dax();
    }
    if facts.fs == "xfs" && facts.kind == Kind::Regular {
        facts.shared = shares_blocks(path);
    }
    facts
}

/// Only the file's extents tell, and filefrag knows how to ask.
fn shares_blocks(path: &Path) -> Option<bool> {
    let asked = Command::new("filefrag")
        .arg("-v")
        .arg(path)
        .stdin(Stdio::null())
        .output();
    match asked {
        Ok(done) if done.status.success() => {
            Some(String::from_utf8_lossy(&done.stdout).lines().any(|l| {
                l.rsplit(':')
                    .next()
                    .is_some_and(|f| f.split(',').any(|w| w.trim() == "shared"))
            }))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        _ => None,
    }
}
