// SPDX-License-Identifier: GPL-2.0

//! `longterm status`: what is loaded, set and counted.

use crate::{
    cli::Status,
    counters,
    error::Result,
    human,
    module::{self, attribute, number},
    output::print,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, fs};

/// The object of `status --json`.
#[derive(Serialize)]
struct Report {
    kernel: String,
    module: Module,
    sysctls: BTreeMap<String, i64>,
    counters: BTreeMap<String, i64>,
}

#[derive(Serialize)]
struct Module {
    version: Option<String>,
    srcversion: Option<String>,
    /// Of the hook table.
    abi: Option<i64>,
    /// References to it: it can't be unloaded while there are any.
    users: Option<i64>,
}

pub(super) fn run(args: &Status) -> Result<()> {
    module::require()?;
    let stat = module::read(module::STAT)?;
    let mut list = counters::parse(&String::from_utf8_lossy(&stat));
    let abi = list
        .iter()
        .position(|(n, _)| n == "abi")
        .map(|at| list.remove(at).1);
    let report = Report {
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .into(),
        module: Module {
            version: attribute("version"),
            srcversion: attribute("srcversion"),
            abi,
            users: attribute("refcnt").and_then(|n| n.parse().ok()),
        },
        sysctls: settings(),
        counters: list.iter().cloned().collect(),
    };
    if args.json {
        return print(&(serde_json::to_string_pretty(&report)? + "\n"));
    }
    print(&text(&report, &list))
}

/// Ours by their names under fs.longterm, and the kernel's own that have a say.
fn settings() -> BTreeMap<String, i64> {
    let mut all: BTreeMap<_, _> = module::sysctls()
        .into_iter()
        .filter_map(|(name, value)| Some((format!("fs.longterm.{name}"), value.parse().ok()?)))
        .collect();
    for name in ["lease-break-time", "leases-enable"] {
        if let Some(value) = number(&format!("/proc/sys/fs/{name}")) {
            all.insert(format!("fs.{name}"), value);
        }
    }
    all
}

fn text(report: &Report, list: &[(String, i64)]) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "kernel   {}", report.kernel);
    let _ = write!(out, "module   loaded");
    if let Some(version) = &report.module.version {
        let _ = write!(out, ", version {version}");
    }
    if let Some(abi) = report.module.abi {
        let _ = write!(out, ", ABI {abi}");
    }
    match report.module.users {
        Some(0) => out.push_str(", not in use\n"),
        Some(n) => {
            let _ = writeln!(
                out,
                ", {}",
                human::count(n as usize, "reference", "references")
            );
        }
        None => out.push('\n'),
    }
    out.push_str("\nsettings\n");
    let width = report.sysctls.keys().map(|n| n.len()).max().unwrap_or(0);
    for (name, value) in &report.sysctls {
        let _ = writeln!(out, "  {name:width$}  {value}{}", meaning(name, *value));
    }
    out.push_str("\ncounters\n");
    let width = list.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
    for (name, value) in list {
        let _ = writeln!(out, "  {name:width$}  {value}");
    }
    out
}

/// What a number says that does not speak for itself.
fn meaning(name: &str, value: i64) -> &'static str {
    match (name, value) {
        ("fs.longterm.require_lease", 0) => "  (without a lease there is an automatic one)",
        ("fs.longterm.require_lease", 1) => "  (without a lease: ENOLCK)",
        ("fs.longterm.require_lease", 2) => "  (without a lease: EOPNOTSUPP)",
        ("fs.longterm.break_time", -1) => "  (as fs.lease-break-time)",
        ("fs.longterm.break_time", 0) => "  (100 ms a step)",
        ("fs.longterm.sigkill", 0) => "  (SIGBUS is the last step)",
        ("fs.longterm.sigkill", 1) => "  (SIGKILL is the last step)",
        ("fs.longterm.unbreakable", 0) => "  (nobody may)",
        ("fs.longterm.unbreakable", 1) => "  (CAP_LEASE may)",
        ("fs.longterm.unbreakable", 2) => "  (the owner may)",
        ("fs.leases-enable", 0) => "  (no leases at all)",
        ("fs.lease-break-time", _) => "  (seconds)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_known_is_said() {
        let list = vec![("pin".to_string(), 3), ("new_thing".to_string(), 4)];
        let report = Report {
            kernel: "7.3.0".into(),
            module: Module {
                version: None,
                srcversion: None,
                abi: Some(3),
                users: Some(2),
            },
            sysctls: [("fs.longterm.break_time".to_string(), -1)].into(),
            counters: list.iter().cloned().collect(),
        };
        let text = text(&report, &list);
        for part in [
            "kernel   7.3.0\n",
            "ABI 3, 2 references\n",
            "break_time  -1  (as fs.lease",
            "new_thing  4\n",
        ] {
            assert!(text.contains(part), "no '{part}' in\n{text}");
        }
    }
}
