// SPDX-License-Identifier: GPL-2.0

//! The counters' text, and that what comes out is Prometheus' format.

use super::*;
use std::collections::BTreeSet;

const STAT: &str = "leases 2\nrecords 3\npinned_bytes 4096\ninodes 1\nbreaks 0\nlease_taken 5\n\
    lease_released 3\nlease_revoked 0\npin 7\nunpin 4\nnotified 1\nsigbus 0\nsigkill 0\n\
    refused_closed 1\nrefused_no_lease 2\nbreak_done 4\nbreak_busy 1\n\
    wait_ms_le_1 0\nwait_ms_le_10 1\nwait_ms_le_1000 2\nwait_ms_le_inf 3\nwait_ms_sum 2500\nwait_count 3\n";

/// What a scraper insists on: each sample belongs to the metric whose HELP and TYPE come directly
/// before; none comes twice; names and labels are of the right characters.
fn well_formed(text: &str) -> BTreeSet<String> {
    let (mut metrics, mut samples) = (BTreeSet::new(), BTreeSet::new());
    let (mut helped, mut current, mut kind) = (None, String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("help has a text");
            assert!(!help.is_empty());
            helped = Some(name.to_string());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, k) = rest.split_once(' ').expect("a type");
            assert_eq!(helped.take().as_deref(), Some(name), "HELP before TYPE");
            assert!(
                ["gauge", "counter", "histogram", "untyped"].contains(&k),
                "{k}"
            );
            assert!(metrics.insert(name.to_string()), "{name} twice");
            assert!(k != "counter" || name.ends_with("_total"), "{name}");
            (current, kind) = (name.into(), k.into());
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            value.parse::<f64>().expect("a number");
            let name = series.split('{').next().unwrap();
            let base = if kind == "histogram" {
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|s| name.strip_suffix(s))
                    .expect("a part")
            } else {
                name
            };
            assert_eq!(base, current, "{line}");
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{name}"
            );
            assert!(samples.insert(series.to_string()), "{series} twice");
        }
    }
    assert!(text.ends_with('\n'));
    samples
}

#[test]
fn lines_that_are_none_are_left_out() {
    assert_eq!(
        parse("pin 3\nrubbish\nx y\n\nnew_thing -1\n"),
        [("pin".to_string(), 3), ("new_thing".to_string(), -1)]
    );
}

#[test]
fn every_counter_is_a_metric() {
    let text = prometheus(&parse(STAT));
    let samples = well_formed(&text);
    for line in [
        "longterm_leases 2",
        "longterm_pinned_bytes 4096",
        "longterm_lease_taken_total 5",
        "longterm_refused_total{reason=\"no_lease\"} 2",
        "longterm_break_ended_total{result=\"busy\"} 1",
        "longterm_break_wait_seconds_bucket{le=\"0.001\"} 0",
        "longterm_break_wait_seconds_bucket{le=\"1\"} 2",
        "longterm_break_wait_seconds_bucket{le=\"+Inf\"} 3",
        "longterm_break_wait_seconds_sum 2.5",
        "longterm_break_wait_seconds_count 3",
    ] {
        assert!(text.lines().any(|l| l == line), "no '{line}' in\n{text}");
    }
    assert_eq!(samples.len(), parse(STAT).len());
}

#[test]
fn unknown_counters_pass_through() {
    let text = prometheus(&parse("pin 1\nfresh-thing 7\n"));
    well_formed(&text);
    assert!(text.contains("# TYPE longterm_fresh_thing untyped\nlongterm_fresh_thing 7\n"));
}

#[test]
fn buckets_in_any_order_and_without_the_last() {
    let text = prometheus(&parse(
        "wait_ms_le_100 2\nwait_ms_le_10 1\nwait_count 5\nwait_ms_sum 9\n",
    ));
    well_formed(&text);
    let buckets: Vec<&str> = text.lines().filter(|l| l.contains("_bucket")).collect();
    assert_eq!(
        buckets,
        [
            "longterm_break_wait_seconds_bucket{le=\"0.01\"} 1",
            "longterm_break_wait_seconds_bucket{le=\"0.1\"} 2",
            "longterm_break_wait_seconds_bucket{le=\"+Inf\"} 5",
        ]
    );
}

#[test]
fn nothing_counted_is_no_text() {
    assert_eq!(prometheus(&[]), "");
}
