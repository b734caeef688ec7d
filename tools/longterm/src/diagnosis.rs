// SPDX-License-Identifier: GPL-2.0

//! What the facts mean: is it as it should be, and if not, what to do.

use crate::{
    facts::{Facts, FileFacts, Kind, MountFacts},
    human,
};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Fine,
    /// Good to know; not wrong.
    Note,
    Wrong,
}

/// A line of the report.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    pub(crate) text: String,
    pub(crate) fix: Option<String>,
}

/// Bits of CapEff.
const CAP_IPC_LOCK: u32 = 14;
const CAP_LEASE: u32 = 28;

/// Less than this hardly is a limit that anybody meant for pins.
const MEMLOCK_LOW: u64 = 64 << 20;

/// Where blocks can be protected.
const FILESYSTEMS: [&str; 2] = ["ext4", "xfs"];

#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, verdict: Verdict, text: impl Into<String>, fix: Option<String>) {
        self.0.push(Finding {
            verdict,
            text: text.into(),
            fix,
        });
    }
    fn fine(&mut self, text: impl Into<String>) {
        self.add(Verdict::Fine, text, None);
    }
    fn note(&mut self, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Verdict::Note, text, Some(fix.into()));
    }
    fn wrong(&mut self, text: impl Into<String>, fix: impl Into<String>) {
        self.add(Verdict::Wrong, text, Some(fix.into()));
    }
}

/// In the order in which one would mend it.
pub(crate) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut report = Report::default();
    kernel(facts, &mut report);
    if facts.module {
        settings(facts, &mut report);
    }
    leases(facts, &mut report);
    if facts.files.is_empty() {
        dax(&facts.dax_mounts, &mut report);
    }
    for f in &facts.files {
        file(facts, f, &mut report);
    }
    memlock(facts, &mut report);
    tracing(facts, &mut report);
    report.0
}

fn kernel(facts: &Facts, report: &mut Report) {
    match facts.patched {
        Some(true) => report.fine("the kernel has the hooks for long-term leases"),
        Some(false) => report.wrong(
            "the kernel is not patched",
            "apply the series in patches/, set CONFIG_LONGTERM_LEASE=y, build and boot it",
        ),
        None => report.note(
            "the kernel hides its symbols",
            "if insmod says 'Unknown symbol longterm_register', it is not patched",
        ),
    }
    match (facts.module, facts.tables) {
        (true, true) => report.fine("the module is loaded"),
        (true, false) => report.wrong(
            "the loaded module has no /proc/fs/longterm",
            "build the module from the same source as this program, rmmod longterm, insmod longterm.ko",
        ),
        (false, _) => report.wrong("the module is not loaded", "modprobe longterm, or insmod longterm.ko"),
    }
}

fn settings(facts: &Facts, report: &mut Report) {
    for name in ["max_leases", "max_files", "max_records"] {
        if facts.sysctls.get(name) == Some(&0) {
            report.wrong(
                format!("fs.longterm.{name} is 0: only CAP_SYS_RESOURCE may hold anything"),
                format!("sysctl fs.longterm.{name}=8192"),
            );
        }
    }
    if facts.sysctls.get("require_lease") == Some(&2) {
        report.note(
            "fs.longterm.require_lease is 2: pins without a lease fail with EOPNOTSUPP",
            "applications have to take the lease, or sysctl fs.longterm.require_lease=0",
        );
    }
}

fn leases(facts: &Facts, report: &mut Report) {
    match facts.leases_enable {
        Some(0) => report.wrong(
            "fs.leases-enable is 0: F_SETLEASE fails with EINVAL",
            "sysctl fs.leases-enable=1",
        ),
        Some(_) => report.fine("leases are enabled"),
        None => report.note("fs.leases-enable can't be read", "is /proc mounted?"),
    }
    let ours = facts.sysctls.get("break_time").copied().unwrap_or(-1);
    let (name, seconds) = match ours {
        -1 => ("fs.lease-break-time", facts.lease_break_time),
        own => ("fs.longterm.break_time", Some(own)),
    };
    match seconds {
        None => {}
        Some(0) => report.wrong(
            format!("{name} is 0: a holder has 100 ms from SIGIO to SIGBUS"),
            format!("sysctl {name}=45"),
        ),
        Some(s) if s > 3600 => report.note(
            format!("{name} is {s}: who breaks a lease may wait for hours"),
            format!("sysctl {name}=45"),
        ),
        Some(s) => report.fine(format!("a holder has {s} s from SIGIO to SIGBUS ({name})")),
    }
}

fn dax(mounts: &[MountFacts], report: &mut Report) {
    if mounts.is_empty() {
        report.wrong(
            "no filesystem is mounted with DAX",
            "mount -o dax=always /dev/pmem0 /mnt/dax (ext4 or xfs on an fsdax namespace, see ndctl list)",
        );
    }
    for m in mounts {
        if !FILESYSTEMS.contains(&m.fs.as_str()) {
            report.wrong(
                format!("{} is {}, which can't protect pinned blocks", m.point, m.fs),
                "use ext4 or xfs",
            );
        } else if m.device == Some(false) {
            report.wrong(
                format!("the device of {} can't do DAX", m.point),
                "ndctl create-namespace -f -m fsdax -e NAMESPACE makes one that can (and erases it)",
            );
        } else {
            report.fine(format!("{} is {} with DAX", m.point, m.fs));
        }
    }
}

fn file(facts: &Facts, f: &FileFacts, report: &mut Report) {
    let path = &f.path;
    if let Some(error) = &f.error {
        return report.wrong(format!("{path}: {error}"), "name a file that is there");
    }
    match f.kind {
        Kind::Other => {
            return report.wrong(
                format!("{path} is no regular file"),
                "only those can be leased",
            )
        }
        Kind::Directory => {
            let of: Vec<_> = facts
                .dax_mounts
                .iter()
                .filter(|m| m.point == f.point)
                .cloned()
                .collect();
            if of.is_empty() {
                return no_dax(f, report);
            }
            return dax(&of, report);
        }
        Kind::Regular => {}
    }
    if !f.dax {
        return no_dax(f, report);
    }
    if !FILESYSTEMS.contains(&f.fs.as_str()) {
        return report.wrong(
            format!("{path} is on {}, which can't protect pinned blocks", f.fs),
            "use ext4 or xfs",
        );
    }
    report.fine(format!("{path} is a DAX file on {}", f.fs));
    match f.shared {
        Some(true) => report.wrong(
            format!("{path} shares blocks with another file (reflink)"),
            format!("make a copy of its own: cp --reflink=never {path} NEW"),
        ),
        None if f.fs == "xfs" => report.note(
            format!("{path}: can't tell whether it shares blocks (reflink)"),
            "install filefrag (e2fsprogs)",
        ),
        _ => {}
    }
    if f.owner == facts.uid || has(facts, CAP_LEASE) {
        report.fine(format!("you may take a lease on {path}"));
    } else {
        report.wrong(
            format!("you are not the owner of {path} (uid {})", f.owner),
            "run as the owner, or setcap cap_lease+ep PROGRAM",
        );
    }
}

fn no_dax(f: &FileFacts, report: &mut Report) {
    let (path, fs) = (&f.path, &f.fs);
    if fs == "overlay" {
        return report.wrong(
            format!("{path} is on overlayfs"),
            "use the file by its path in the upper layer, or mount the DAX filesystem where it is needed",
        );
    }
    if !FILESYSTEMS.contains(&fs.as_str()) {
        return report.wrong(
            format!(
                "{path} is on {}",
                if fs.is_empty() {
                    "an unknown filesystem"
                } else {
                    fs
                }
            ),
            "keep the file on ext4 or xfs with DAX, on persistent memory",
        );
    }
    if f.wants_dax && f.kind == Kind::Regular {
        report.wrong(
            format!("{path} is on {} with DAX, but does not use it", f.point),
            format!(
                "xfs_io -c 'chattr +x' {path}, close it everywhere; or mount with -o dax=always"
            ),
        );
    } else {
        report.wrong(
            format!("{} ({fs}) is mounted without DAX", f.point),
            format!(
                "umount {0} and mount it with -o dax=always; remounting is not enough",
                f.point
            ),
        );
    }
}

fn memlock(facts: &Facts, report: &mut Report) {
    let Some(limit) = facts.memlock.filter(|_| !has(facts, CAP_IPC_LOCK)) else {
        return report.fine("you may pin as much as you like (RLIMIT_MEMLOCK)");
    };
    let wanted = facts.files.iter().filter(|f| f.dax).map(|f| f.size).max();
    if limit < wanted.unwrap_or(MEMLOCK_LOW) {
        report.wrong(
            format!("RLIMIT_MEMLOCK is {} bytes: larger pins fail with ENOMEM", human::bytes(limit)),
            "ulimit -l unlimited; memlock in /etc/security/limits.conf; LimitMEMLOCK=infinity in a unit",
        );
    } else {
        report.fine(format!(
            "you may pin {} (RLIMIT_MEMLOCK)",
            human::bytes(limit)
        ));
    }
}

fn tracing(facts: &Facts, report: &mut Report) {
    if facts.tracefs {
        report.fine("tracefs is mounted");
    } else {
        report.wrong(
            "tracefs is not mounted: no 'longterm events', no 'timeline --live'",
            "mount -t tracefs tracefs /sys/kernel/tracing",
        );
    }
    if !facts.trace_cmd {
        report.note(
            "there is no trace-cmd, which 'longterm timeline trace.dat' needs",
            "apt-get install trace-cmd",
        );
    }
}

fn has(facts: &Facts, capability: u32) -> bool {
    (facts.capabilities >> capability) & 1 == 1
}

#[cfg(test)]
#[path = "diagnosis_tests.rs"]
mod tests;
