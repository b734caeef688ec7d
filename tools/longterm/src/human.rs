// SPDX-License-Identifier: GPL-2.0

//! Numbers as people read them.

const UNITS: [(u64, &str); 4] = [
    (1 << 40, "TiB"),
    (1 << 30, "GiB"),
    (1 << 20, "MiB"),
    (1 << 10, "KiB"),
];

/// Exact: a unit only where it divides.
pub(crate) fn bytes(n: u64) -> String {
    for (size, unit) in UNITS {
        if n >= size && n % size == 0 {
            return format!("{} {unit}", n / size);
        }
    }
    n.to_string()
}

/// A half-open range; without an end it goes to the end of the file and beyond.
pub(crate) fn range(start: u64, end: Option<u64>) -> String {
    match end {
        None if start == 0 => "whole file".into(),
        None => format!("{} to the end", bytes(start)),
        Some(end) => {
            let (from, to) = (bytes(start), bytes(end));
            // "2..4 MiB" rather than "2 MiB..4 MiB".
            match (from.split_once(' '), to.split_once(' ')) {
                (Some((n, unit)), Some((_, same))) if unit == same => format!("{n}..{to}"),
                _ => format!("{from}..{to}"),
            }
        }
    }
}

/// Milliseconds, to three digits or so.
pub(crate) fn millis(ms: u64) -> String {
    span(ms as f64 / 1000.0)
}

/// Seconds, in the unit that keeps it short.
pub(crate) fn span(seconds: f64) -> String {
    let s = seconds.abs();
    match s {
        _ if s < 0.0095 => format!("{:.2} ms", seconds * 1e3),
        _ if s < 0.0995 => format!("{:.1} ms", seconds * 1e3),
        _ if s < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        _ if s < 9.995 => format!("{seconds:.2} s"),
        _ if s < 99.95 => format!("{seconds:.1} s"),
        _ if s < 3600.0 => format!("{} min {:02} s", s as u64 / 60, s as u64 % 60),
        _ if s < 86400.0 => format!("{} h {:02} min", s as u64 / 3600, s as u64 / 60 % 60),
        _ => format!("{} d {:02} h", s as u64 / 86400, s as u64 / 3600 % 24),
    }
}

/// `n` things.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// An errno's name; a negative one is the kernel's way to say the same.
pub(crate) fn errno(number: i32) -> String {
    let name = match number.unsigned_abs() {
        1 => "EPERM",
        2 => "ENOENT",
        4 => "EINTR",
        5 => "EIO",
        9 => "EBADF",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        16 => "EBUSY",
        22 => "EINVAL",
        26 => "ETXTBSY",
        28 => "ENOSPC",
        30 => "EROFS",
        35 => "EDEADLK",
        37 => "ENOLCK",
        75 => "EOVERFLOW",
        95 => "EOPNOTSUPP",
        116 => "ESTALE",
        // The kernel's own, before it becomes EINTR or a restart.
        512..=516 => "interrupted",
        other => return format!("errno {other}"),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact() {
        assert_eq!(bytes(0), "0");
        assert_eq!(bytes(1023), "1023");
        assert_eq!(bytes(1024), "1 KiB");
        assert_eq!(bytes((2 << 20) + 1024), "2049 KiB");
        assert_eq!(bytes(u64::MAX), u64::MAX.to_string());
        assert_eq!(bytes(3 << 40), "3 TiB");
    }

    #[test]
    fn ranges() {
        assert_eq!(range(0, None), "whole file");
        assert_eq!(range(4096, None), "4 KiB to the end");
        assert_eq!(range(0, Some(2 << 20)), "0..2 MiB");
        assert_eq!(range(2 << 20, Some(4 << 20)), "2..4 MiB");
        assert_eq!(range(4096, Some(4 << 20)), "4 KiB..4 MiB");
    }

    #[test]
    fn times() {
        assert_eq!(span(0.000_42), "0.42 ms");
        assert_eq!(span(0.0123), "12.3 ms");
        assert_eq!(span(0.25), "250 ms");
        assert_eq!(span(2.0), "2.00 s");
        assert_eq!(span(45.0), "45.0 s");
        assert_eq!(span(61.0), "61.0 s");
        assert_eq!(span(150.0), "2 min 30 s");
        assert_eq!(span(7260.0), "2 h 01 min");
        assert_eq!(span(90000.0), "1 d 01 h");
        assert_eq!(millis(1500), "1.50 s");
    }

    #[test]
    fn errors_by_name() {
        assert_eq!(errno(-26), "ETXTBSY");
        assert_eq!(errno(26), "ETXTBSY");
        assert_eq!(errno(-512), "interrupted");
        assert_eq!(errno(-999), "errno 999");
    }
}
