// SPDX-License-Identifier: GPL-2.0

//! The table as the kernel writes it, and as it may look one day.

use super::*;

const HEADER: &str =
    "# what dev ino start end bytes pid through kind state left lease mount comm path\n";

fn parsed(lines: &str) -> Vec<Line> {
    parse(format!("{HEADER}{lines}").as_bytes()).unwrap()
}

#[test]
fn a_line_of_each_kind() {
    let lines = parsed(
        "lease 259:0 13 0 - 2097152 205 fcntl breakable breaking 1873 1 28 app /mnt/dax/file\n\
         pin 259:0 13 0 2097152 2097152 205 rdma breakable held - 1 28 app /mnt/dax/file\n\
         break 259:0 13 0 - 2097152 211 - wait notified 1873 - - shrink -\n",
    );
    assert_eq!(lines.len(), 3);
    let [lease, pin, wait] = &lines[..] else {
        panic!("three lines");
    };
    assert_eq!((lease.dev, lease.ino, lease.end), (Dev(259, 0), 13, None));
    assert_eq!(lease.left, Some(1873));
    assert_eq!(lease.path.as_deref(), Some("/mnt/dax/file"));
    assert_eq!(
        (pin.start, pin.end, pin.bytes),
        (Some(0), Some(2 << 20), Some(2 << 20))
    );
    assert_eq!((pin.left, pin.lease, pin.mount), (None, Some(1), Some(28)));
    assert_eq!(
        (wait.through.as_deref(), wait.path.as_deref()),
        (None, None)
    );
    assert_eq!(wait.pid, Some(211));
}

#[test]
fn octal_escapes_in_both_names() {
    let lines = parsed(
        "pin 8:1 2 0 4096 4096 7 other automatic held - - 3 a\\040b /a\\040b\\012\\134c\\040(deleted)\n",
    );
    assert_eq!(lines[0].comm.as_deref(), Some("a b"));
    assert_eq!(lines[0].path.as_deref(), Some("/a b\n\\c (deleted)"));
}

#[test]
fn nothing_held_is_no_line() {
    assert_eq!(parsed(""), []);
}

#[test]
fn columns_go_by_name() {
    let table = "# dev what colour ino path note\n8:1 pin red 7 /f -\n";
    let lines = parse(table.as_bytes()).unwrap();
    assert_eq!((lines[0].what.as_str(), lines[0].ino), ("pin", 7));
    assert_eq!(lines[0].more["colour"].as_deref(), Some("red"));
    assert_eq!(lines[0].more["note"], None);
    assert_eq!(lines[0].pid, None);
}

#[test]
fn unknown_words_pass() {
    let lines = parsed("fence 8:1 2 0 4096 0 7 teleport sturdy dancing - - 3 a /f\n");
    assert_eq!(lines[0].what, "fence");
    assert_eq!(lines[0].state.as_deref(), Some("dancing"));
}

#[test]
fn what_is_no_table() {
    for bad in [
        "",
        "lease 8:1 2\n",
        "# what dev\n",
        "# what dev ino\npin x 2\n",
        "# what dev ino\npin 8:1\n",
    ] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
    assert!(parse(format!("{HEADER}pin 8:1 2 zero - 0 7 - - - - - - a /f\n").as_bytes()).is_err());
}

#[test]
fn json_has_stable_names() {
    let lines = parsed("pin 8:1 2 0 - 4096 0 rdma orphan held - - 3 - -\n");
    assert_eq!(
        serde_json::to_string(&lines[0]).unwrap(),
        "{\"what\":\"pin\",\"dev\":\"8:1\",\"ino\":2,\"start\":0,\"end\":null,\"bytes\":4096,\
         \"pid\":0,\"through\":\"rdma\",\"kind\":\"orphan\",\"state\":\"held\",\"left_ms\":null,\
         \"lease\":null,\"mount\":3,\"comm\":null,\"path\":null}"
    );
}
