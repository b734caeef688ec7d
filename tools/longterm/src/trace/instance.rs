// SPDX-License-Identifier: GPL-2.0

//! A trace instance of our own: nobody else's tracing is touched, and it goes with us.

use crate::{
    error::{say, Error, Result},
    module,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
};

const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Removed when dropped; whoever has files of it open must have closed them then.
pub(crate) struct Instance {
    dir: PathBuf,
}

impl Instance {
    /// One in which the events of group `longterm` are on.
    pub(crate) fn new() -> Result<Self> {
        let root = tracefs()?;
        module::require()?;
        let instances = root.join("instances");
        sweep(&instances);
        let instance = Self {
            dir: make(&instances)?,
        };
        instance.set("trace_clock", "mono")?;
        // Wake us at the first event, not when half of the buffer is full.
        instance.set("buffer_percent", "0")?;
        instance.set("events/longterm/enable", "1")?;
        Ok(instance)
    }

    fn set(&self, name: &str, value: &str) -> Result<()> {
        let path = self.dir.join(name);
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut f| f.write_all(value.as_bytes()))
            .map_err(|e| Error::about(path.display(), e))
    }

    /// Its events, as they come; reading does not block.
    pub(crate) fn pipe(&self) -> Result<File> {
        let path = self.dir.join("trace_pipe");
        OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
            .open(&path)
            .map_err(|e| Error::about(path.display(), e))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

/// Where tracefs is, if it is anywhere and we may look.
fn tracefs() -> Result<&'static Path> {
    for root in TRACEFS {
        match fs::metadata(format!("{root}/instances")) {
            Ok(_) => return Ok(Path::new(root)),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                return say("only root may trace: run it with sudo");
            }
            Err(_) => {}
        }
    }
    say("tracefs is not mounted: mount -t tracefs tracefs /sys/kernel/tracing")
}

/// A name may be taken by a process of the same number in another pid namespace.
fn make(instances: &Path) -> Result<PathBuf> {
    let base = format!("longterm-{}", process::id());
    for attempt in 0..100 {
        let dir = instances.join(match attempt {
            0 => base.clone(),
            n => format!("{base}-{n}"),
        });
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == ErrorKind::PermissionDenied => {
                return say("only root may trace: run it with sudo");
            }
            Err(e) => return Err(Error::about(dir.display(), e)),
        }
    }
    say(format!(
        "{}/{base}: there are too many of that name",
        instances.display()
    ))
}

/// What a process left behind that was killed. In use by one that we can't see: it stays, busy.
fn sweep(instances: &Path) {
    for entry in fs::read_dir(instances).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|n| n.strip_prefix("longterm-"))
            .map(|n| n.split('-').next().unwrap_or(n));
        let gone = |pid: &str| {
            pid.bytes().all(|b| b.is_ascii_digit()) && !Path::new("/proc").join(pid).exists()
        };
        if Path::new("/proc/self").exists() && owner.is_some_and(gone) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}
