// SPDX-License-Identifier: GPL-2.0

//! Room for texts: none lies over another.

/// Fonts differ between viewers: rather too wide than too narrow.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    let units: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'l' | 'j' | 't' | 'f' | 'r' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' '
            | '(' | ')' | '/' => 0.4,
            'm' | 'w' | 'M' | 'W' => 0.95,
            'A'..='Z' => 0.74,
            c if c.is_ascii() => 0.64,
            // Wide ones of other scripts.
            _ => 1.05,
        })
        .sum();
    units * size
}

/// Shortened in its middle to what fits: the ends tell more.
pub(crate) fn cut(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.into();
    }
    let chars: Vec<char> = text.chars().collect();
    for keep in (2..chars.len()).rev() {
        let (head, tail) = (keep / 2, keep - keep / 2);
        let short: String = chars[..head]
            .iter()
            .chain(&['…'])
            .chain(&chars[chars.len() - tail..])
            .collect();
        if width(&short, size) <= room {
            return short;
        }
    }
    "…".into()
}

/// Rows one above another, with what is taken in each.
pub(crate) struct Rows {
    taken: Vec<Vec<(f64, f64)>>,
    /// Of that, what is text.
    texts: Vec<Vec<(f64, f64)>>,
    left: f64,
    right: f64,
}

/// Where a text may stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spot {
    pub(crate) row: usize,
    /// Its left end.
    pub(crate) x: f64,
}

/// Between two things in a row.
const GAP: f64 = 5.0;

impl Rows {
    /// So many rows, from `left` to `right`.
    pub(crate) fn new(rows: usize, left: f64, right: f64) -> Self {
        Self {
            taken: vec![Vec::new(); rows],
            texts: vec![Vec::new(); rows],
            left,
            right,
        }
    }

    /// Room for a sign at `x` that reaches `around` to both sides, with a text of that width to
    /// its right or, at the edge, to its left. A line leads from the sign down through the lower
    /// rows: it crosses no text there. `free`: no such line.
    pub(crate) fn put(&mut self, x: f64, around: f64, width: f64, free: bool) -> Option<Spot> {
        for row in 0..self.taken.len() {
            let crossed = |r: &Vec<(f64, f64)>| r.iter().any(|t| t.0 - 1.0 < x && x < t.1 + 1.0);
            if !free && self.texts[..row].iter().any(crossed) {
                return None;
            }
            for (from, to, at) in [
                (x - around, x + around + 3.0 + width, x + around + 3.0),
                (
                    x - around - 3.0 - width,
                    x + around,
                    x - around - 3.0 - width,
                ),
            ] {
                let clear = self.taken[row]
                    .iter()
                    .all(|t| to + GAP <= t.0 || t.1 + GAP <= from);
                if clear && self.left <= from && to <= self.right {
                    self.taken[row].push((from, to));
                    self.texts[row].push((at, at + width));
                    return Some(Spot { row, x: at });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_goes_above() {
        let mut rows = Rows::new(2, 0.0, 1000.0);
        assert_eq!(
            rows.put(100.0, 6.0, 50.0, false),
            Some(Spot { row: 0, x: 109.0 })
        );
        // To its left there is room.
        assert_eq!(
            rows.put(90.0, 6.0, 50.0, false),
            Some(Spot { row: 1, x: 99.0 })
        );
        assert_eq!(
            rows.put(500.0, 6.0, 50.0, false),
            Some(Spot { row: 0, x: 509.0 })
        );
    }

    #[test]
    fn at_the_edge_text_stands_left() {
        let mut rows = Rows::new(1, 0.0, 200.0);
        assert_eq!(
            rows.put(190.0, 6.0, 50.0, false),
            Some(Spot { row: 0, x: 131.0 })
        );
        assert_eq!(rows.put(150.0, 6.0, 50.0, false), None);
    }

    #[test]
    fn no_line_through_a_text() {
        let mut rows = Rows::new(3, 0.0, 1000.0);
        rows.put(94.0, 3.0, 100.0, false);
        assert_eq!(rows.put(150.0, 6.0, 20.0, false), None);
        assert!(rows.put(150.0, 6.0, 20.0, true).is_some());
    }

    #[test]
    fn nothing_overlaps_whatever_comes() {
        let mut rows = Rows::new(4, 0.0, 500.0);
        let mut seed = 1u32;
        for _ in 0..200 {
            seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12345);
            rows.put(
                f64::from((seed >> 16) & 511),
                6.0,
                f64::from((seed >> 8) & 63),
                false,
            );
        }
        for row in &rows.taken {
            for (i, a) in row.iter().enumerate() {
                assert!(a.0 >= 0.0 && a.1 <= 500.0);
                assert!(
                    row[i + 1..].iter().all(|b| a.1 <= b.0 || b.1 <= a.0),
                    "{row:?}"
                );
            }
        }
    }

    #[test]
    fn long_names_keep_their_ends() {
        let long = "/mnt/dax/a/very/long/path/to/some/file.db";
        let short = cut(long, 12.0, 150.0);
        assert!(
            width(&short, 12.0) <= 150.0 && short.starts_with("/mnt") && short.ends_with(".db"),
            "{short}"
        );
        assert_eq!(cut("short", 12.0, 150.0), "short");
        assert_eq!(cut("whatever", 12.0, 1.0), "…");
    }
}
