// SPDX-License-Identifier: GPL-2.0

//! A lane: bars of what lasted, signs of what happened, and what the shapes mean.

use super::{
    paint::{colour, Canvas},
    place::{cut, width, Rows, Spot},
    scale::Scale,
    LEFT, RIGHT,
};
use crate::{
    human,
    story::{Bar, BarKind, File, Lane, Role, Sign, SignKind},
};

/// A row of text above the bars.
const LABELS: f64 = 15.0;
const LABEL_ROWS: usize = 4;
/// A pin's bar with its text.
const PIN: f64 = 13.0;
/// More at once than this are drawn as one.
const PIN_ROWS: usize = 4;
const SIGN: f64 = 6.0;
const SMALL: f64 = 10.5;

/// The steps of a file's breaks; the next lane's top.
pub(super) fn ladder(canvas: &mut Canvas, file: &File, scale: &Scale, top: f64) -> f64 {
    canvas.text(16.0, top + 15.0, 11.5, colour::FAINT, "state of the break");
    let mut shown = Shown::default();
    for rung in &file.ladder {
        let (x, end) = (scale.x(rung.from), scale.x(rung.to));
        let room = (end - x).max(1.5);
        if shown.hides((), x, room) {
            continue;
        }
        let took = human::span((rung.to - rung.from) as f64 / 1e9);
        let (fill, edge) = match rung.phase.as_str() {
            "notified" => ("#ffe9a8", "#c79a00"),
            "revoked" => ("#f5b36b", "#b85f00"),
            "killed" => ("#d0743c", "#8a3a00"),
            _ => ("#d2d2d2", "#7a7a7a"),
        };
        let hint = format!(
            "{} for {took}, from {}",
            rung.phase,
            scale.moment(rung.from)
        );
        canvas.bar((x, top + 4.0), (room, 15.0), fill, edge, &hint);
        let words = [format!("{}, {took}", rung.phase), rung.phase.clone()];
        if let Some(text) = words.iter().find(|t| width(t, SMALL) + 6.0 <= room) {
            canvas.text(x + 4.0, top + 15.2, SMALL, colour::TEXT, text);
        }
    }
    canvas.line(8.0, top + 23.0, RIGHT + 16.0, top + 23.0, colour::RULE, 1.0);
    top + 23.0
}

/// One lane; the next one's top.
pub(super) fn draw(
    canvas: &mut Canvas,
    lane: &Lane,
    command: &str,
    scale: &Scale,
    top: f64,
) -> f64 {
    let pins = pin_rows(lane, scale);
    let bar_height = match lane.role {
        Role::Holder => (pins.len().max(1) as f64) * PIN + 7.0,
        Role::Breaker => 14.0,
    };
    let mut rows = Rows::new(LABEL_ROWS, LEFT, RIGHT);
    let signs = place_signs(lane, scale, &mut rows);
    let ends = match lane.role {
        Role::Breaker => place_ends(lane, scale, &mut rows),
        Role::Holder => Vec::new(),
    };
    let used = signs.iter().map(|s| s.spot.map_or(0, |spot| spot.row + 1));
    let used = used
        .chain(ends.iter().map(|(spot, _)| spot.row + 1))
        .max()
        .unwrap_or(0);
    let bars_top = top + 5.0 + used as f64 * LABELS;
    let row_y = |row: usize| bars_top - row as f64 * LABELS - 5.0;

    let name = format!("{command} {}", lane.pid);
    let role = match lane.role {
        Role::Holder => "holds",
        Role::Breaker => "breaks",
    };
    let middle = bars_top + bar_height / 2.0 + 4.0;
    canvas.text(16.0, middle, 11.5, colour::FAINT, role);
    let shown = cut(&name, 12.5, LEFT - 64.0);
    canvas
        .text(58.0, middle, 12.5, colour::TEXT, &shown)
        .hint(&name);

    let mut shown = Shown::default();
    for bar in &lane.bars {
        let (x, room) = ends_of(bar, scale);
        match bar.kind {
            BarKind::Pin => {}
            _ if shown.hides(std::mem::discriminant(&bar.kind), x, room) => {}
            BarKind::Lease | BarKind::Revoked => lease(canvas, bar, scale, bars_top, bar_height),
            BarKind::Break { waits, .. } => breaking(canvas, bar, waits, scale, bars_top),
        }
    }
    for (row, bars) in pins.iter().enumerate() {
        let y = bars_top + 3.5 + row as f64 * PIN;
        for pin in bars {
            draw_pin(canvas, pin, &signs, y);
        }
    }
    for (spot, text) in &ends {
        canvas.text(spot.x, row_y(spot.row) + 1.0, SMALL, colour::TEXT, text);
    }
    for sign in &signs {
        let stroke = look(sign.kind).2;
        let Some(spot) = sign.spot else {
            canvas.line(
                sign.x,
                bars_top - 3.0,
                sign.x,
                bars_top + bar_height,
                stroke,
                1.2,
            );
            continue;
        };
        let y = row_y(spot.row) - 3.0;
        canvas.line(sign.x, y, sign.x, bars_top + bar_height, stroke, 1.2);
        draw_sign(canvas, sign.kind, sign.x, y, &sign.text);
        if sign.named {
            canvas.text(spot.x, y + 4.0, SMALL, colour::TEXT, &sign.text);
        }
    }
    bars_top + bar_height + 6.0
}

/// What a picture shows already: thousands of bars at one place would only make a large file.
struct Shown<K> {
    last: Option<(K, f64)>,
}

impl<K> Default for Shown<K> {
    fn default() -> Self {
        Self { last: None }
    }
}

impl<K: PartialEq> Shown<K> {
    /// Is a bar of that kind to be seen there already? Else this one is, from now on.
    fn hides(&mut self, kind: K, x: f64, room: f64) -> bool {
        match &self.last {
            Some((last, end)) if *last == kind && room < 2.5 && x + room <= end + 0.7 => true,
            _ => {
                self.last = Some((kind, x + room));
                false
            }
        }
    }
}

fn ends_of(bar: &Bar, scale: &Scale) -> (f64, f64) {
    let x = scale.x(bar.from);
    (x, (scale.x(bar.to) - x).max(2.0))
}

fn lease(canvas: &mut Canvas, bar: &Bar, scale: &Scale, y: f64, height: f64) {
    let (x, room) = ends_of(bar, scale);
    let (word, fill, edge) = match bar.kind {
        BarKind::Revoked => ("lease, revoked", colour::REVOKED, "#8a8a8a"),
        _ => ("lease", colour::LEASE, colour::LEASE_EDGE),
    };
    let hint = format!(
        "{word}: {} to {}{}",
        scale.moment(bar.from),
        scale.moment(bar.to),
        goes_on(bar)
    );
    canvas.bar((x, y), (room, height), fill, edge, &hint);
}

fn goes_on(bar: &Bar) -> &'static str {
    match bar.open {
        (_, true) => " (the trace's end)",
        (true, _) => " (since before the trace)",
        _ => "",
    }
}

fn breaking(canvas: &mut Canvas, bar: &Bar, waits: Option<u64>, scale: &Scale, y: f64) {
    let (x, room) = ends_of(bar, scale);
    let hint = format!("{}: {}", human::range(bar.start, bar.end), ending(bar));
    canvas.bar((x, y), (room, 14.0), colour::WORK, colour::WORK, &hint);
    if let Some(since) = waits {
        let from = scale.x(since);
        canvas.bar(
            (from, y),
            ((x + room - from).max(1.5), 14.0),
            colour::WAIT,
            "#a06e00",
            &hint,
        );
    }
}

/// How a break ended, in words.
fn ending(bar: &Bar) -> String {
    let took = human::span((bar.to - bar.from) as f64 / 1e9);
    match bar.kind {
        _ if bar.open.1 => format!("still waits after {took}"),
        BarKind::Break {
            result: Some(0),
            waits: None,
        } => format!("free to go, {took}"),
        BarKind::Break {
            result: Some(0), ..
        } => format!("done after {took}"),
        BarKind::Break {
            result: Some(e), ..
        } => format!("{} after {took}", human::errno(e)),
        _ => took,
    }
}

/// Several pins that are drawn as one, or one.
struct Drawn {
    x: f64,
    room: f64,
    text: String,
    hint: String,
    together: bool,
}

/// Pins that overlap in time lie below one another; too many are drawn together.
fn pin_rows(lane: &Lane, scale: &Scale) -> Vec<Vec<Drawn>> {
    let pins: Vec<&Bar> = lane
        .bars
        .iter()
        .filter(|b| b.kind == BarKind::Pin)
        .collect();
    let mut free: Vec<u64> = Vec::new();
    let mut rows: Vec<Vec<Drawn>> = Vec::new();
    for pin in &pins {
        let row = match free.iter().position(|&f| f <= pin.from) {
            Some(row) => row,
            None if free.len() == PIN_ROWS => return vec![together(&pins, scale)],
            None => {
                free.push(0);
                rows.push(Vec::new());
                free.len() - 1
            }
        };
        free[row] = pin.to;
        let (x, room) = ends_of(pin, scale);
        // Thousands of short ones would make a large file and no other picture.
        match rows[row].last_mut() {
            Some(last) if room < 2.5 && x <= last.x + last.room + 0.5 => {
                last.room = (x + room - last.x).max(last.room);
                last.text.clear();
                last.hint = "many short pins".into();
            }
            _ => rows[row].push(Drawn {
                x,
                room,
                text: human::range(pin.start, pin.end),
                together: false,
                hint: format!(
                    "pin of {}: {} to {}{}",
                    human::range(pin.start, pin.end),
                    scale.moment(pin.from),
                    scale.moment(pin.to),
                    goes_on(pin)
                ),
            }),
        }
    }
    rows
}

fn together(pins: &[&Bar], scale: &Scale) -> Vec<Drawn> {
    let mut out: Vec<(u64, u64, usize)> = Vec::new();
    for pin in pins {
        match out.last_mut() {
            Some(last) if pin.from <= last.1 => *last = (last.0, last.1.max(pin.to), last.2 + 1),
            _ => out.push((pin.from, pin.to, 1)),
        }
    }
    let shown = out.into_iter().map(|(from, to, count)| {
        let x = scale.x(from);
        let text = human::count(count, "pin", "pins");
        Drawn {
            x,
            room: (scale.x(to) - x).max(2.0),
            hint: format!("{text}: {} to {}", scale.moment(from), scale.moment(to)),
            together: true,
            text,
        }
    });
    shown.collect()
}

fn draw_pin(canvas: &mut Canvas, pin: &Drawn, signs: &[Placed], y: f64) {
    canvas.bar(
        (pin.x, y),
        (pin.room, PIN - 1.5),
        colour::PIN,
        colour::WHITE,
        &pin.hint,
    );
    if pin.text.is_empty() {
        return;
    }
    // "3 pins" and "whole file" speak for themselves.
    let words = [format!("pin {}", pin.text), pin.text.clone()];
    let words = &words[usize::from(pin.together)..];
    for text in words {
        let wide = width(text, 9.5);
        // At its beginning, or behind one of the lines that go through it.
        let starts = signs.iter().map(|s| s.x).filter(|x| *x > pin.x);
        let mut starts: Vec<f64> = std::iter::once(pin.x)
            .chain(starts)
            .map(|x| x + 4.0)
            .collect();
        starts.sort_by(f64::total_cmp);
        let clear = |from: f64| {
            from + wide + 4.0 <= pin.x + pin.room
                && !signs
                    .iter()
                    .any(|s| from - 2.0 < s.x && s.x < from + wide + 2.0)
        };
        if let Some(x) = starts.into_iter().find(|x| clear(*x)) {
            canvas.text(x, y + 9.0, 9.5, colour::WHITE, text);
            return;
        }
    }
}

/// A sign with its room; where there is none for its text, a pointer still finds it.
struct Placed {
    x: f64,
    kind: SignKind,
    text: String,
    spot: Option<Spot>,
    named: bool,
}

/// From right to left, so that no line goes through a text; what lies together has one text.
fn place_signs(lane: &Lane, scale: &Scale, rows: &mut Rows) -> Vec<Placed> {
    let mut groups: Vec<(Sign, usize)> = Vec::new();
    for sign in &lane.signs {
        let near = groups.iter_mut().rev().find(|(first, _)| {
            first.kind == sign.kind && scale.x(sign.at) - scale.x(first.at) < 2.0 * SIGN
        });
        match near {
            Some((_, count)) => *count += 1,
            None => groups.push((*sign, 1)),
        }
    }
    let mut placed: Vec<Placed> = Vec::new();
    for (sign, count) in groups.into_iter().rev() {
        let times = if count > 1 {
            format!(" ×{count}")
        } else {
            String::new()
        };
        let text = format!("{}{times} {}", name(sign.kind), scale.moment(sign.at));
        let x = scale.x(sign.at);
        let whole = rows.put(x, SIGN, width(&text, SMALL), false);
        placed.push(Placed {
            x,
            kind: sign.kind,
            text,
            spot: whole.or_else(|| rows.put(x, SIGN, 0.0, false)),
            named: whole.is_some(),
        });
    }
    placed
}

/// What became of each breaker that waited or failed, beside its bar's end.
fn place_ends(lane: &Lane, scale: &Scale, rows: &mut Rows) -> Vec<(Spot, String)> {
    let mut out = Vec::new();
    for bar in lane.bars.iter().rev() {
        let BarKind::Break { waits, result } = bar.kind else {
            continue;
        };
        if waits.is_none() && result.is_none_or(|r| r == 0) {
            continue;
        }
        let text = ending(bar);
        let spot = rows.put(scale.x(bar.from), 0.0, width(&text, SMALL), true);
        out.extend(spot.map(|s| (s, text)));
    }
    out
}

fn name(kind: SignKind) -> String {
    match kind {
        SignKind::Sigio => "SIGIO".into(),
        SignKind::Sigbus => "SIGBUS".into(),
        SignKind::Sigkill => "SIGKILL".into(),
        SignKind::Refused(e) => human::errno(e),
    }
}

/// Fill, rim, and the line that leads down from it.
fn look(kind: SignKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        SignKind::Sigio => (colour::SIGIO, colour::WHITE, colour::SIGIO),
        SignKind::Sigbus => (colour::SIGBUS, colour::WHITE, colour::SIGBUS),
        SignKind::Sigkill => (colour::SIGKILL, colour::WHITE, colour::SIGKILL),
        SignKind::Refused(_) => (colour::WHITE, colour::REFUSED, colour::REFUSED),
    }
}

fn draw_sign(canvas: &mut Canvas, kind: SignKind, x: f64, y: f64, hint: &str) {
    let s = SIGN;
    let data = match kind {
        // A flag that points down.
        SignKind::Sigio => format!(
            "M{:.1} {:.1}h{:.1}l{:.1} {:.1}z",
            x - s,
            y - s + 1.0,
            2.0 * s,
            -s,
            2.0 * s - 2.0
        ),
        // A diamond.
        SignKind::Sigbus => format!("M{:.1} {:.1}l{s} {s}l-{s} {s}l-{s} -{s}z", x, y - s),
        // A square.
        SignKind::Sigkill => format!(
            "M{:.1} {:.1}h{w}v{w}h-{w}z",
            x - s + 1.0,
            y - s + 1.0,
            w = 2.0 * s - 2.0
        ),
        // A ring.
        SignKind::Refused(_) => {
            let r = s - 1.5;
            format!(
                "M{:.1} {y:.1}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",
                x - r,
                d = 2.0 * r
            )
        }
    };
    let (fill, rim, _) = look(kind);
    canvas.shape(&data, fill, rim, hint);
}

/// An entry of the legend.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    Bar(&'static str, &'static str),
    Pin,
    Shade,
    Sign(SignKind),
}

pub(super) const LEGEND: [(Entry, &str); 10] = [
    (Entry::Bar(colour::LEASE, colour::LEASE_EDGE), "lease held"),
    (Entry::Bar(colour::REVOKED, "#8a8a8a"), "lease revoked"),
    (Entry::Pin, "pinned: a device may write there"),
    (Entry::Bar(colour::WAIT, "#a06e00"), "breaker waits"),
    (Entry::Bar(colour::WORK, colour::WORK), "breaker works"),
    (Entry::Shade, "break under way"),
    (Entry::Sign(SignKind::Sigio), "SIGIO: please let go"),
    (Entry::Sign(SignKind::Sigbus), "SIGBUS: time is up"),
    (Entry::Sign(SignKind::Sigkill), "SIGKILL"),
    (Entry::Sign(SignKind::Refused(0)), "pin or lease refused"),
];

/// Its shape, 28 wide and 14 high.
pub(super) fn legend(canvas: &mut Canvas, entry: Entry, x: f64, y: f64) {
    match entry {
        Entry::Bar(fill, edge) => canvas.bar((x, y), (28.0, 13.0), fill, edge, ""),
        Entry::Pin => canvas.bar(
            (x, y + 1.0),
            (28.0, PIN - 2.0),
            colour::PIN,
            colour::WHITE,
            "",
        ),
        Entry::Shade => canvas.bar((x, y), (28.0, 13.0), colour::SHADE, "#e6d3a8", ""),
        Entry::Sign(kind) => draw_sign(canvas, kind, x + 20.0, y + 6.5, ""),
    }
}
