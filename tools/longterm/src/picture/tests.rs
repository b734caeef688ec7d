// SPDX-License-Identifier: GPL-2.0

//! What every picture must have: the shapes of what happened, and no text over another.

use super::*;
use crate::trace::Event;

/// Texts with their boxes: left, right, baseline, size.
fn texts(svg: &str) -> Vec<(f64, f64, f64, f64, String)> {
    let value = |tag: &str, name: &str| {
        let rest = tag.split_once(&format!(" {name}=\""))?.1;
        Some(rest.split_once('"')?.0.to_string())
    };
    let mut out = Vec::new();
    for part in svg.split("<text").skip(1) {
        let (tag, body) = part.split_once('>').unwrap();
        let tag = format!(" {}", tag.replace('\n', " "));
        let number = |name| value(&tag, name).unwrap().parse::<f64>().unwrap();
        let body = body.split("</text").next().unwrap();
        let body = body
            .split("<title")
            .next()
            .unwrap()
            .trim()
            .replace("&gt;", ">");
        let (x, y, size) = (number("x"), number("y"), number("font-size"));
        // Narrower than what is reserved: what the common fonts take.
        let wide = place::width(&body, size) * 0.85;
        let left = match value(&tag, "text-anchor").as_deref() {
            Some("middle") => x - wide / 2.0,
            Some("end") => x - wide,
            _ => x,
        };
        out.push((left, left + wide, y, size, body));
    }
    out
}

fn no_overlaps(svg: &str) {
    let all = texts(svg);
    for (i, a) in all.iter().enumerate() {
        assert!(a.0 >= 0.0 && a.1 <= WIDTH, "outside: {a:?}");
        for b in &all[i + 1..] {
            let apart = a.1 <= b.0 || b.1 <= a.0 || (a.2 - b.2).abs() >= a.3.min(b.3) * 0.75;
            assert!(apart, "{a:?} over {b:?}");
        }
    }
}

fn draw(lines: &[String]) -> String {
    let events: Vec<Event> = lines.iter().filter_map(|l| Event::parse(l)).collect();
    assert_eq!(events.len(), lines.len());
    let mut names = Names::default();
    names.set_file(
        events.iter().find_map(Event::file).unwrap(),
        "/mnt/dax/<file> & more".into(),
    );
    for event in &events {
        names.set_command(event.tid, &event.task);
    }
    let picture = Picture {
        names: &names,
        title: None,
    };
    picture.draw(Story::new(&events))
}

fn event(us: u64, name: &str, ino: u64, pid: u32, range: (u64, u64), result: i32) -> String {
    format!(
        "  t-{pid} [000] .....  {}.{:06}: {name}: dev=8:1 ino={ino} start={} end={} pid={pid} result={result}",
        us / 1_000_000,
        us % 1_000_000,
        range.0,
        range.1
    )
}

const ALL: (u64, u64) = (0, i64::MAX as u64);
const PART: (u64, u64) = (0, 2 << 20);

fn scene() -> Vec<String> {
    vec![
        "  demo-1 [000] .....  0.000001: tracing_mark_write: scene: A holder that does not listen".into(),
        event(1_000, "lease_take", 2, 5, ALL, 0),
        event(14_000, "pin", 2, 5, PART, 0),
        event(100_000, "break_begin", 2, 9, ALL, 0),
        "  t-9 [000] .....  0.100500: break_state: dev=8:1 ino=2 from=idle input=begin to=notified".into(),
        event(101_000, "sigio", 2, 5, ALL, 0),
        event(102_000, "break_wait", 2, 9, ALL, 0),
        "  t-9 [000] .....  2.100500: break_state: dev=8:1 ino=2 from=notified input=tick to=revoked".into(),
        event(2_100_600, "lease_revoke", 2, 5, ALL, 0),
        event(2_101_000, "sigbus", 2, 5, PART, 0),
        event(2_101_500, "deny", 2, 5, PART, -11),
        event(4_100_000, "sigkill", 2, 5, PART, 0),
        "  t-9 [000] .....  6.100500: break_state: dev=8:1 ino=2 from=revoked input=tick to=expired".into(),
        event(6_200_000, "break_end", 2, 9, ALL, -26),
        "  t-9 [000] .....  6.300500: break_state: dev=8:1 ino=2 from=expired input=leave to=idle".into(),
    ]
}

#[test]
fn a_break_has_all_its_elements() {
    let svg = draw(&scene());
    for part in [
        "SIGIO 101 ms",
        "SIGBUS 2.101 s",
        "SIGKILL 4.100 s",
        "EAGAIN",
        "notified, 2.00 s",
        "revoked, 4.00 s",
        "ETXTBSY after 6.10 s",
        "t 5",
        "t 9",
        "pin 0..2 MiB",
        "lease held",
        "break under way",
        "A holder that does not listen",
        "/mnt/dax/&lt;file&gt; &amp; more",
        "device 8:1, inode 2",
        "1 holder, 1 breaker, SIGIO, SIGBUS, SIGKILL",
    ] {
        assert!(svg.contains(part), "no '{part}'");
    }
    assert!(svg.contains("#fdf0d5"), "no shade");
    no_overlaps(&svg);
}

#[test]
fn many_holders_are_folded() {
    let mut lines: Vec<String> = (0..300)
        .map(|n| event(n, "lease_take", 2, 100 + n as u32, ALL, 0))
        .collect();
    lines.push(event(9_000, "sigbus", 2, 250, PART, 0));
    let svg = draw(&lines);
    assert!(svg.contains("and 260 holders to whom less happened, not shown"));
    assert!(svg.contains("t 250") && svg.contains("300 holders"));
    no_overlaps(&svg);
}

#[test]
fn signs_in_one_place_do_not_hide_one_another() {
    let mut lines = scene();
    for n in 0..50 {
        lines.push(event(2_110_000 + n * 700, "deny", 2, 5, PART, -11));
        lines.push(event(2_110_100 + n * 40_000, "sigio", 2, 5, PART, 0));
        lines.push(event(3_000_000 + n * 30_000, "sigbus", 2, 5, PART, 0));
    }
    lines.sort_by_cached_key(|l| Event::parse(l).unwrap().time);
    no_overlaps(&draw(&lines));
}

#[test]
fn thousands_of_pins_make_no_large_file() {
    let mut lines = vec![event(0, "lease_take", 2, 5, ALL, 0)];
    for n in 0..20_000u64 {
        lines.push(event(1_000 + n * 10, "pin", 2, 5, PART, 0));
        lines.push(event(1_005 + n * 10, "unpin", 2, 5, PART, 0));
    }
    for n in 0..20_000u64 {
        lines.push(event(300_000 + n * 10, "lease_take", 2, 6, ALL, 0));
        lines.push(event(300_005 + n * 10, "lease_release", 2, 6, ALL, 0));
        lines.push(event(500_000 + n * 10, "break_begin", 2, 7, ALL, 0));
        lines.push(event(500_005 + n * 10, "break_end", 2, 7, ALL, -11));
    }
    lines.sort_by_cached_key(|l| Event::parse(l).unwrap().time);
    let svg = draw(&lines);
    assert!(svg.len() < 400_000, "{} bytes", svg.len());
}

#[test]
fn pins_at_once_lie_below_one_another_or_together() {
    let pins = |count: u64| {
        let mut lines: Vec<String> = (0..count)
            .map(|n| event(n * 1000, "pin", 2, 5, (2 * n * 4096, (2 * n + 1) * 4096), 0))
            .collect();
        lines.push(event(100_000, "lease_take", 2, 5, ALL, 0));
        draw(&lines)
    };
    let four = pins(4);
    assert_eq!(
        texts(&four)
            .iter()
            .filter(|t| t.4.starts_with("pin ") && t.4.ends_with("KiB"))
            .count(),
        4
    );
    assert!(pins(40).contains("40 pins"));
    no_overlaps(&pins(40));
}

#[test]
fn any_scale() {
    for factor in [1, 1000, 60_000_000, 5_000_000_000] {
        let lines = [
            event(0, "lease_take", 2, 5, ALL, 0),
            event(factor, "pin", 2, 5, PART, 0),
            event(3 * factor, "sigio", 2, 5, ALL, 0),
            event(7 * factor, "lease_release", 2, 5, ALL, 0),
        ];
        no_overlaps(&draw(&lines));
    }
}

#[test]
fn many_files() {
    let lines: Vec<String> = (0..30)
        .map(|n| event(n * 1000, "lease_take", n, 100 + (n / 3) as u32, ALL, 0))
        .collect();
    let svg = draw(&lines);
    assert!(svg.contains("Who held 30 files, who wanted their blocks"));
    assert!(svg.contains("ino 29"));
    assert!(
        !svg.contains("inode 29"),
        "a file without a name has its number twice"
    );
    no_overlaps(&svg);
}
