// SPDX-License-Identifier: GPL-2.0
//! Ranges of bytes in a file.

use crate::abi::EOF;
use crate::{Error, Result};
use std::fmt;
use std::ops::{Bound, Range, RangeBounds};

/// Bytes of a file, half open: `end` is the byte behind the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The byte behind the last one, or [`ByteRange::EOF`].
    pub end: u64,
}

impl ByteRange {
    /// As `end`: to the end of the file and beyond.
    pub const EOF: u64 = EOF;

    /// From Rust's ranges; `..` is the whole file, now and later.  An empty one,
    /// or one beyond the largest offset, is [`Error::Invalid`].
    ///
    /// ```
    /// use longterm::ByteRange;
    /// assert_eq!(ByteRange::new(4096..)?.end, ByteRange::EOF);
    /// assert!(ByteRange::new(4096..4096).is_err());
    /// # Ok::<(), longterm::Error>(())
    /// ```
    pub fn new(bounds: impl RangeBounds<u64>) -> Result<Self> {
        let start = match bounds.start_bound() {
            Bound::Included(&start) => Some(start),
            Bound::Excluded(&before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match bounds.end_bound() {
            Bound::Included(&last) => last.checked_add(1),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => Some(EOF),
        };
        match (start, end) {
            (Some(start), Some(end)) if start < end && end <= EOF => Ok(ByteRange { start, end }),
            _ => Err(Error::Invalid),
        }
    }

    /// Do the two have a byte in common?
    ///
    /// ```
    /// use longterm::ByteRange;
    /// let buffer = ByteRange::new(0..8192)?;
    /// assert!(buffer.meets(ByteRange::new(8191..)?));
    /// assert!(!buffer.meets(ByteRange::new(8192..)?));
    /// # Ok::<(), longterm::Error>(())
    /// ```
    pub fn meets(self, other: impl Into<ByteRange>) -> bool {
        let other = other.into();
        self.start.max(other.start) < self.end.min(other.end)
    }

    /// Is the end open?
    pub fn is_to_eof(self) -> bool {
        self.end == EOF
    }

    /// The number of bytes; `None` if it goes to the end of the file.
    pub fn length(self) -> Option<u64> {
        (!self.is_to_eof()).then(|| self.end.saturating_sub(self.start))
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        ByteRange {
            start: range.start,
            end: range.end,
        }
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_to_eof() {
            write!(f, "{}-", self.start)
        } else {
            write!(f, "{}-{}", self.start, self.end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let of = |range: Result<ByteRange>| range.ok().map(|r| (r.start, r.end));
        assert_eq!(of(ByteRange::new(..)), Some((0, EOF)));
        assert_eq!(of(ByteRange::new(5..)), Some((5, EOF)));
        assert_eq!(of(ByteRange::new(5..=5)), Some((5, 6)));
        assert_eq!(of(ByteRange::new(..EOF)), Some((0, EOF)));
        assert_eq!(of(ByteRange::new(..=EOF)), None);
        assert_eq!(of(ByteRange::new(..=u64::MAX)), None);
        assert_eq!(of(ByteRange::new(EOF..)), None);
        assert_eq!(of(ByteRange::new(7..7)), None);
    }

    #[test]
    fn meeting_is_symmetric_and_half_open() {
        let ranges = [0..1, 0..4, 3..4, 4..9, 2..6, 8..EOF];
        for a in ranges.clone() {
            for b in ranges.clone() {
                let common = a.clone().take(9).any(|byte| b.contains(&byte));
                assert_eq!(
                    ByteRange::from(a.clone()).meets(b.clone()),
                    common,
                    "{a:?} {b:?}"
                );
            }
        }
    }

    #[test]
    fn lengths_and_text() {
        assert_eq!(ByteRange::from(4..9).length(), Some(5));
        assert_eq!(ByteRange::from(4..EOF).length(), None);
        assert_eq!(ByteRange::from(4..9).to_string(), "4-9");
        assert_eq!(ByteRange::from(4..EOF).to_string(), "4-");
    }
}
