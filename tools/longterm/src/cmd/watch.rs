// SPDX-License-Identifier: GPL-2.0

//! `longterm watch`: `ls` again and again; on a terminal in place, else a block for each look.

use super::{ls, Wanted};
use crate::{cli::Watch, error::Result, human, mounts, output::print};
use std::{
    io::{self, IsTerminal},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Home, and what is below is wiped once the new text is there: no flicker.
const HOME: &str = "\x1b[H";
const END_OF_LINE: &str = "\x1b[K\n";
const WIPE: &str = "\x1b[J";

pub(super) fn run(args: &Watch) -> Result<()> {
    let wanted = Wanted::new(&args.filter)?;
    let terminal = io::stdout().is_terminal();
    let mut looks = 0;
    if terminal {
        print("\x1b[2J")?;
    }
    loop {
        let lines = ls::look(&wanted)?;
        let mut pids: Vec<_> = lines
            .iter()
            .filter_map(|l| l.pid)
            .filter(|p| *p != 0)
            .collect();
        pids.sort_unstable();
        pids.dedup();
        let mut files: Vec<_> = lines.iter().map(|l| l.file()).collect();
        files.dedup();
        let head = format!(
            "{}   {}, {}, {}\n",
            clock(SystemTime::now()),
            human::count(files.len(), "file", "files"),
            human::count(pids.len(), "process", "processes"),
            human::count(
                lines.iter().filter(|l| l.what == "pin").count(),
                "pin",
                "pins"
            ),
        );
        let text = head + &ls::table(&lines, &mounts::all());
        looks += 1;
        let last = args.count.is_some_and(|n| looks >= n);
        if terminal {
            print(&format!("{HOME}{}{WIPE}", text.replace('\n', END_OF_LINE)))?;
        } else {
            print(&(text + if last { "" } else { "\n" }))?;
        }
        if last {
            return Ok(());
        }
        thread::sleep(Duration::from_secs_f64(args.interval));
    }
}

/// The time of day. UTC, as we know no time zone.
fn clock(now: SystemTime) -> String {
    let ms = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
    let s = ms / 1000 % 86400;
    format!(
        "{:02}:{:02}:{:02}.{:03} UTC",
        s / 3600,
        s / 60 % 60,
        s % 60,
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_day() {
        let at = UNIX_EPOCH + Duration::from_millis(86_400_000 + 3_723_004);
        assert_eq!(clock(at), "01:02:03.004 UTC");
    }
}
