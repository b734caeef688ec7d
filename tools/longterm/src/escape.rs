// SPDX-License-Identifier: GPL-2.0

//! Octal escapes of the kernel's tables, and text that is safe to print.

/// The bytes that `\ooo` stand for; what is no escape stays.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] if byte == b'\\' => {
                out.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                rest = tail;
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

/// As text, whatever bytes it is of.
pub(crate) fn text_of(column: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(column)).into_owned()
}

/// Names come from other users: no control character of theirs reaches a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.push_str(&format!("\\{:03o}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_the_kernel() {
        assert_eq!(unescape(b"/a\\040b\\011c\\012d\\134e"), b"/a b\tc\nd\\e");
        assert_eq!(unescape(b"/a\\040(deleted)"), b"/a (deleted)");
        assert_eq!(unescape(b"\\377\\303\\274"), [0xff, 0xc3, 0xbc]);
    }

    #[test]
    fn what_is_no_escape_stays() {
        for same in [
            &b"\\"[..],
            b"\\0",
            b"\\04",
            b"\\400",
            b"\\08x",
            b"plain",
            b"",
        ] {
            assert_eq!(unescape(same), same);
        }
        assert_eq!(unescape(b"\\134040"), b"\\040");
    }

    #[test]
    fn bytes_that_are_no_text() {
        assert_eq!(text_of(b"a\\377b"), "a\u{fffd}b");
    }

    #[test]
    fn nothing_that_a_terminal_obeys() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{9b}"), "a\\033[2Jb\\012\\233");
        assert_eq!(printable("größe \\ ok"), "größe \\ ok");
    }
}
