// SPDX-License-Identifier: GPL-2.0

//! `longterm ls`: leases, pins and breaks, file by file.

use super::Wanted;
use crate::{
    cli::Ls,
    error::Result,
    escape::printable,
    holders::Line,
    human, module,
    mounts::{self, Mount},
    output::print,
};
use comfy_table::{presets, CellAlignment, Table};

pub(super) fn run(args: &Ls) -> Result<()> {
    let lines = look(&Wanted::new(&args.filter)?)?;
    if args.json {
        return print(&(serde_json::to_string_pretty(&lines)? + "\n"));
    }
    print(&table(&lines, &mounts::all()))
}

/// The lines that are wanted, file by file: first who breaks it, then each lease with its pins.
pub(super) fn look(wanted: &Wanted) -> Result<Vec<Line>> {
    let mut lines = module::lines()?;
    lines.retain(|l| wanted.has(l.file(), l.pid));
    sort(&mut lines);
    Ok(lines)
}

fn sort(lines: &mut [Line]) {
    let rank = |what: &str| match what {
        "break" => 0,
        "lease" => 1,
        _ => 2,
    };
    lines.sort_by(|a, b| {
        let key = |l: &Line| {
            (
                l.file(),
                l.what != "break",
                l.lease.unwrap_or(u64::MAX),
                rank(&l.what),
                l.start,
            )
        };
        key(a).cmp(&key(b))
    });
}

/// As people read it.
pub(super) fn table(lines: &[Line], mounts: &[Mount]) -> String {
    if lines.is_empty() {
        return "nothing is held\n".into();
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "WHAT", "RANGE", "PINNED", "PID", "COMMAND", "THROUGH", "KIND", "STATE", "LEFT", "FILE",
    ]);
    for line in lines {
        let word = |w: &Option<String>| w.as_deref().map_or("-".into(), printable);
        let pid = match line.pid {
            Some(0) => "gone".into(),
            Some(pid) => pid.to_string(),
            None => "-".into(),
        };
        table.add_row([
            printable(&line.what),
            human::range(line.start.unwrap_or(0), line.end),
            human::bytes(line.bytes.unwrap_or(0)),
            pid,
            word(&line.comm),
            word(&line.through),
            word(&line.kind),
            word(&line.state),
            line.left.map_or("-".into(), human::millis),
            file(line, mounts),
        ]);
    }
    for column in [2, 3, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table.trim_fmt() + "\n"
}

/// Its name; where that is not to be seen, at least which filesystem it is on.
fn file(line: &Line, mounts: &[Mount]) -> String {
    if let Some(path) = &line.path {
        return printable(path);
    }
    let by_id = mounts.iter().find(|m| Some(m.id) == line.mount);
    match by_id.or_else(|| mounts.iter().find(|m| m.dev == line.dev)) {
        Some(mount) => format!("{} on {}", line.file(), printable(&mount.point)),
        None => line.file().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holders;

    const TABLE: &str =
        "# what dev ino start end bytes pid through kind state left lease mount comm path
pin 259:0 13 2097152 4194304 2097152 205 rdma breakable held - 1 28 app /mnt/dax/f
pin 259:0 12 0 4096 4096 0 rdma orphan held - - 28 - -
pin 259:0 13 0 2097152 2097152 205 rdma breakable held - 1 28 app /mnt/dax/f
lease 259:0 13 0 - 4194304 205 fcntl breakable breaking 1873 1 28 a\\033b /mnt/dax/f
break 259:0 13 0 - 4194304 211 - wait notified 1873 - - shrink -
";

    fn sorted() -> Vec<Line> {
        let mut lines = holders::parse(TABLE.as_bytes()).unwrap();
        sort(&mut lines);
        lines
    }

    #[test]
    fn files_together_breaks_first_pins_behind_their_lease() {
        let order: Vec<_> = sorted()
            .iter()
            .map(|l| (l.ino, l.what.clone(), l.start))
            .collect();
        let want = [
            (12, "pin", 0),
            (13, "break", 0),
            (13, "lease", 0),
            (13, "pin", 0),
            (13, "pin", 2 << 20),
        ];
        assert_eq!(order, want.map(|(i, w, s)| (i, w.to_string(), Some(s))));
    }

    #[test]
    fn a_table_for_people() {
        let mount = Mount {
            id: 28,
            dev: crate::holders::Dev(259, 0),
            point: "/mnt/dax".into(),
            fs: "ext4".into(),
            options: String::new(),
        };
        let text = table(&sorted(), &[mount]);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows.len(), 6);
        assert!(rows[0].starts_with("WHAT "), "{text}");
        assert!(
            rows[1].contains(" gone ") && rows[1].ends_with("259:0 ino 12 on /mnt/dax"),
            "{text}"
        );
        assert!(
            rows[3].contains("1.87 s") && rows[3].contains("a\\033b"),
            "{text}"
        );
        assert!(
            rows[5].contains("2..4 MiB") && rows[5].ends_with("/mnt/dax/f"),
            "{text}"
        );
    }

    #[test]
    fn nothing_is_said_in_words() {
        assert_eq!(table(&[], &[]), "nothing is held\n");
    }
}
