// SPDX-License-Identifier: GPL-2.0

//! `/proc/self/mountinfo`: which mount has which number, filesystem and options.

use crate::{escape::text_of, holders::Dev};
use std::fs;

/// A line of mountinfo.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mount {
    pub(crate) id: u64,
    pub(crate) dev: Dev,
    pub(crate) point: String,
    pub(crate) fs: String,
    pub(crate) options: String,
}

impl Mount {
    /// Is DAX asked for? `dax=inode` leaves it to each file.
    pub(crate) fn wants_dax(&self) -> bool {
        self.options
            .split(',')
            .any(|o| matches!(o, "dax" | "dax=always" | "dax=inode"))
    }
}

/// All mounts that we see; none where /proc is not mounted.
pub(crate) fn all() -> Vec<Mount> {
    parse(&fs::read("/proc/self/mountinfo").unwrap_or_default())
}

fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&b| b == b'\n').filter_map(line).collect()
}

fn line(text: &[u8]) -> Option<Mount> {
    let words: Vec<&[u8]> = text.split(|&b| b == b' ').collect();
    // Optional fields end with a dash.
    let dash = words.iter().position(|w| *w == b"-")?;
    let word = |i: usize| words.get(i).map(|w| text_of(w));
    Some(Mount {
        id: word(0)?.parse().ok()?,
        dev: Dev::parse(&word(2)?)?,
        point: word(4)?,
        fs: word(dash + 1)?,
        options: format!("{},{}", word(5)?, word(dash + 3).unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_optional_fields() {
        let found = parse(
            b"28 1 259:0 / /mnt/dax rw,relatime - ext4 /dev/pmem0 rw,dax=always\n\
              29 28 0:5 / /a\\040b rw shared:3 master:1 - tmpfs tmp rw\nrubbish\n\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id, found[0].dev), (28, Dev(259, 0)));
        assert!(found[0].wants_dax());
        assert_eq!(
            (found[1].point.as_str(), found[1].fs.as_str()),
            ("/a b", "tmpfs")
        );
        assert!(!found[1].wants_dax());
    }
}
