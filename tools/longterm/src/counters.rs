// SPDX-License-Identifier: GPL-2.0

//! `/proc/fs/longterm/stat`, and its numbers as Prometheus wants them.
//!
//! Names that this program does not know pass through, without a type.

use std::{collections::BTreeMap, fmt::Write};

/// Names and values, in the kernel's order.
pub(crate) fn parse(text: &str) -> Vec<(String, i64)> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_string(), value.trim().parse().ok()?))
        })
        .collect()
}

/// What there is now: name in the kernel, metric, help.
const GAUGES: [(&str, &str, &str); 6] = [
    ("leases", "longterm_leases", "Leases that were taken, now."),
    (
        "records",
        "longterm_records",
        "Records of pinned regions now.",
    ),
    (
        "pinned_bytes",
        "longterm_pinned_bytes",
        "Bytes on record as pinned now.",
    ),
    (
        "inodes",
        "longterm_inodes",
        "Files about which something is known.",
    ),
    (
        "breaks",
        "longterm_breaks",
        "Operations under way that take blocks away.",
    ),
    (
        "abi",
        "longterm_abi",
        "Number of the hook table that kernel and module agree on.",
    ),
];

/// What has happened since insmod.
const COUNTERS: [(&str, &str, &str); 8] = [
    (
        "lease_taken",
        "longterm_lease_taken_total",
        "Leases taken or taken again.",
    ),
    (
        "lease_released",
        "longterm_lease_released_total",
        "Leases given back, or ended with their open file.",
    ),
    (
        "lease_revoked",
        "longterm_lease_revoked_total",
        "Leases revoked because time was up.",
    ),
    (
        "pin",
        "longterm_pin_total",
        "Calls that pinned pages, each file counted.",
    ),
    (
        "unpin",
        "longterm_unpin_total",
        "Records closed because their pins had gone.",
    ),
    (
        "notified",
        "longterm_notified_total",
        "Notices sent to holders of leases.",
    ),
    (
        "sigbus",
        "longterm_sigbus_total",
        "SIGBUS sent to holders of pins.",
    ),
    (
        "sigkill",
        "longterm_sigkill_total",
        "SIGKILL sent to holders of pins.",
    ),
];

/// Counters that differ in a label: prefix in the kernel, metric, label, help.
const FAMILIES: [(&str, &str, &str, &str); 2] = [
    (
        "refused_",
        "longterm_refused_total",
        "reason",
        "Pins and leases refused.",
    ),
    (
        "break_",
        "longterm_break_ended_total",
        "result",
        "How operations ended that take blocks away.",
    ),
];

const BUCKET: &str = "wait_ms_le_";
const WAIT: &str = "longterm_break_wait_seconds";
const WAIT_HELP: &str = "How long those waited who broke a lease.";

/// Prometheus' text format, version 0.0.4.
pub(crate) fn prometheus(counters: &[(String, i64)]) -> String {
    let mut left: Vec<(&str, i64)> = counters.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let mut out = String::new();
    for (table, kind) in [(&GAUGES[..], "gauge"), (&COUNTERS[..], "counter")] {
        for (name, metric, help) in table {
            for (_, value) in take(&mut left, |n| n == *name) {
                head(&mut out, metric, help, kind);
                sample(&mut out, metric, "", value);
            }
        }
    }
    for (prefix, metric, label, help) in FAMILIES {
        let members = take(&mut left, |n| n.starts_with(prefix));
        if members.is_empty() {
            continue;
        }
        head(&mut out, metric, help, "counter");
        for (name, value) in members {
            let value_of_label = clean(&name[prefix.len()..]);
            sample(
                &mut out,
                metric,
                &format!("{{{label}=\"{value_of_label}\"}}"),
                value,
            );
        }
    }
    histogram(&mut out, &mut left);
    for (name, value) in left {
        let metric = format!("longterm_{}", clean(name));
        head(&mut out, &metric, "Not known to this program.", "untyped");
        sample(&mut out, &metric, "", value);
    }
    out
}

/// Cumulative buckets in milliseconds become buckets in seconds.
fn histogram(out: &mut String, left: &mut Vec<(&str, i64)>) {
    let buckets = take(left, |n| n.starts_with(BUCKET));
    let rest: BTreeMap<_, _> = take(left, |n| n == "wait_ms_sum" || n == "wait_count")
        .into_iter()
        .collect();
    if buckets.is_empty() {
        return;
    }
    let mut bounds: Vec<(f64, i64)> = buckets
        .iter()
        .filter_map(|(name, value)| match &name[BUCKET.len()..] {
            "inf" => Some((f64::INFINITY, *value)),
            ms => Some((ms.parse::<f64>().ok()? / 1000.0, *value)),
        })
        .collect();
    bounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let count = rest.get("wait_count").copied();
    let total = count.or(bounds.last().map(|b| b.1)).unwrap_or(0);
    if !bounds.last().is_some_and(|b| b.0.is_infinite()) {
        bounds.push((f64::INFINITY, total));
    }
    head(out, WAIT, WAIT_HELP, "histogram");
    for (bound, value) in bounds {
        let le = if bound.is_infinite() {
            "+Inf".into()
        } else {
            bound.to_string()
        };
        sample(
            out,
            &format!("{WAIT}_bucket"),
            &format!("{{le=\"{le}\"}}"),
            value,
        );
    }
    let sum = rest.get("wait_ms_sum").copied().unwrap_or(0) as f64 / 1000.0;
    let _ = writeln!(out, "{WAIT}_sum {sum}");
    sample(out, &format!("{WAIT}_count"), "", total);
}

fn take<'a>(left: &mut Vec<(&'a str, i64)>, wanted: impl Fn(&str) -> bool) -> Vec<(&'a str, i64)> {
    let (taken, rest) = left.iter().partition(|(name, _)| wanted(name));
    *left = rest;
    taken
}

fn head(out: &mut String, metric: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {metric} {help}\n# TYPE {metric} {kind}");
}

fn sample(out: &mut String, metric: &str, labels: &str, value: i64) {
    let _ = writeln!(out, "{metric}{labels} {value}");
}

/// What a metric's name may be made of.
fn clean(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
