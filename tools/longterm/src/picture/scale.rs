// SPDX-License-Identifier: GPL-2.0

//! From times to places, and times in words: milliseconds to days.

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;
const MIN: u64 = 60 * S;
const H: u64 = 60 * MIN;
const DAY: u64 = 24 * H;

/// Times from left to right.
pub(crate) struct Scale {
    from: u64,
    span: u64,
    left: f64,
    right: f64,
}

impl Scale {
    /// A trace of no length still has a scale.
    pub(crate) fn new(from: u64, to: u64, left: f64, right: f64) -> Self {
        Self {
            from,
            span: to.saturating_sub(from).max(MS / 100),
            left,
            right,
        }
    }

    /// Where a time is.
    pub(crate) fn x(&self, at: u64) -> f64 {
        let share = at.saturating_sub(self.from) as f64 / self.span as f64;
        self.left + share * (self.right - self.left)
    }

    /// Round times, six to twelve of them, with their words.
    pub(crate) fn ticks(&self) -> Vec<(u64, String)> {
        let step = step(self.span);
        (0..=self.span / step)
            .map(|n| (self.from + n * step, words(n * step, step)))
            .collect()
    }

    /// A time in words, as exact as the picture is.
    pub(crate) fn moment(&self, at: u64) -> String {
        words(at.saturating_sub(self.from), (self.span / 2000).max(1000))
    }
}

fn step(span: u64) -> u64 {
    let mut decade = 1000;
    while decade < S {
        for n in [1, 2, 5] {
            if span / (n * decade) <= 10 {
                return n * decade;
            }
        }
        decade *= 10;
    }
    let steps = [
        S,
        2 * S,
        5 * S,
        10 * S,
        30 * S,
        MIN,
        2 * MIN,
        5 * MIN,
        10 * MIN,
        30 * MIN,
        H,
        2 * H,
        6 * H,
        12 * H,
    ];
    steps
        .into_iter()
        .find(|s| span / s <= 10)
        .unwrap_or_else(|| DAY * (span / DAY / 10 + 1))
}

/// `exact`: what has to be told apart.
fn words(t: u64, exact: u64) -> String {
    let digits = |unit: u64| {
        let mut digits = 0;
        let mut part = unit;
        while part > exact && digits < 6 {
            part /= 10;
            digits += 1;
        }
        digits
    };
    match t {
        0 => "0".into(),
        _ if t < S && exact < S / 10 => format!("{:.*} ms", digits(MS), t as f64 / MS as f64),
        _ if t < 2 * MIN => {
            let text = format!("{:.*}", digits(S).min(3), t as f64 / S as f64);
            format!("{text} s")
        }
        _ if t < H && t % MIN == 0 => format!("{} min", t / MIN),
        _ if t < H => format!("{} min {:02} s", t / MIN, t % MIN / S),
        _ if t < DAY && t % H == 0 => format!("{} h", t / H),
        _ if t < DAY => format!("{} h {:02} min", t / H, t % H / MIN),
        _ => format!("{} d {:02} h", t / DAY, t % DAY / H),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_ticks_at_any_span() {
        let mut span = 10_000;
        while span < 400 * DAY {
            let scale = Scale::new(7, 7 + span, 0.0, 1000.0);
            let ticks = scale.ticks();
            assert!((3..=11).contains(&ticks.len()), "{span}: {}", ticks.len());
            let mut texts: Vec<_> = ticks.iter().map(|t| t.1.clone()).collect();
            texts.dedup();
            assert_eq!(texts.len(), ticks.len(), "{span}: {texts:?}");
            span = span * 13 / 10;
        }
    }

    #[test]
    fn places_are_linear() {
        let scale = Scale::new(1000 * MS, 3000 * MS, 100.0, 300.0);
        assert_eq!(
            (scale.x(1000 * MS), scale.x(2000 * MS), scale.x(3000 * MS)),
            (100.0, 200.0, 300.0)
        );
    }

    #[test]
    fn times_in_words() {
        assert_eq!(words(0, MS), "0");
        assert_eq!(words(787_300_000, MS / 10), "787.3 ms");
        assert_eq!(words(2_143_400_000, MS), "2.143 s");
        assert_eq!(words(90 * S, S), "90 s");
        assert_eq!(words(150 * S, S), "2 min 30 s");
        assert_eq!(words(180 * S, S), "3 min");
        assert_eq!(words(3 * H + 5 * MIN, MIN), "3 h 05 min");
        assert_eq!(words(2 * DAY, H), "2 d 00 h");
    }

    #[test]
    fn no_span_is_no_division_by_zero() {
        let scale = Scale::new(5, 5, 0.0, 100.0);
        assert_eq!(scale.x(5), 0.0);
        assert!(!scale.ticks().is_empty());
    }
}
