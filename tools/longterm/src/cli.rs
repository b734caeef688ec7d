// SPDX-License-Identifier: GPL-2.0

//! The command line. Help, manual pages and completions are made from it.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use longterm::ByteRange;
use std::path::PathBuf;

/// What a command ends with.
pub(crate) const STATUS: &str = "0 if all is well, 1 if not (doctor: something is wrong), \
2 for a command line that makes no sense";

/// Who holds the files of DAX filesystems, who waits for them, and for how long
#[derive(Parser)]
#[command(name = "longterm", version, after_help = format!("Exit status: {STATUS}."))]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List leases, pins and breaks
    ///
    /// Who holds which part of which file, what somebody waits for, and how long still.  Lines
    /// about processes that the caller may not see are left out, as in /proc.
    Ls(Ls),
    /// List them again and again
    ///
    /// In place on a terminal; else a block for each look, with a blank line between two.
    Watch(Watch),
    /// Print what happens, while it happens
    ///
    /// A line for each event: its time, the process that it is about, the file and the range.  It
    /// listens in a trace instance of its own, which needs root, until a signal ends it.
    Events(Events),
    /// Draw leases, pins, breaks and signals over time, as SVG
    ///
    /// Of what trace-cmd has recorded, or, with --live, of what happens while a command runs.  A
    /// lane for each holder and each breaker; a pointer that rests on a shape shows its times.
    Timeline(Timeline),
    /// Say what is loaded, set and counted
    Status(Status),
    /// Print the counters in Prometheus' text format
    ///
    /// For node_exporter's textfile collector, or a server that runs this.  Names stay.
    Metrics,
    /// Break the leases of a file, and leave the file as it is: to test how their holders react
    ///
    /// Does to who holds pins in the range what a hole punched there would do, and waits as that
    /// does: a notice, then SIGBUS for those who do not let go in time.  The file does not change.
    Break(Break),
    /// Find out why a lease or a pin would fail, and what to do
    ///
    /// A line for each thing that was looked at, with the remedy where something is wrong.  Run it
    /// as the user that the application runs as.  It tries nothing out.
    Doctor(Doctor),
    /// Print the completions for a shell
    Completions {
        /// The shell they are for
        shell: Shell,
    },
    /// Print the manual page, or write all of them to a directory
    #[command(hide = true)]
    Man {
        /// A directory for longterm.1 and a page for each command
        dir: Option<PathBuf>,
    },
}

/// Which lines are wanted.
#[derive(Args, Clone, Default)]
pub(crate) struct Filter {
    /// Only this file, by whatever name
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<PathBuf>,
    /// Only this process
    #[arg(long, value_name = "N")]
    pub(crate) pid: Option<u32>,
}

#[derive(Args)]
pub(crate) struct Ls {
    /// One JSON array instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

#[derive(Args)]
pub(crate) struct Watch {
    /// Seconds between two looks
    #[arg(short = 'i', long, default_value_t = 1.0, value_parser = seconds)]
    pub(crate) interval: f64,
    /// End after so many looks
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

#[derive(Args)]
pub(crate) struct Events {
    /// A JSON object for each event instead of a line
    #[arg(long)]
    pub(crate) json: bool,
    /// End after so many events
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

#[derive(Args)]
pub(crate) struct Timeline {
    /// What trace-cmd has recorded, or the text of a 'trace' file of tracefs [default: trace.dat]
    #[arg(conflicts_with = "live")]
    pub(crate) trace: Option<PathBuf>,
    /// The file to write, - for standard output
    #[arg(short, long, value_name = "FILE.svg")]
    pub(crate) output: PathBuf,
    /// A file that the trace is about, to be shown by name
    #[arg(short, long, value_name = "PATH")]
    pub(crate) path: Vec<PathBuf>,
    /// The line above the picture
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Run CMD (all that follows) and draw what happens meanwhile; ends with its status
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) live: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Status {
    /// One JSON object instead of lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// Files that should be leased, or directories [default: all DAX mounts]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Break {
    /// The file, which must be writable
    pub(crate) file: PathBuf,
    /// Only these bytes, like 0-2M or 4096- (to the end); K, M, G, T are of 1024
    #[arg(long, value_name = "A-B", value_parser = range, default_value = "0-")]
    pub(crate) range: ByteRange,
    /// Tell the holders, and do not wait for them
    #[arg(long)]
    pub(crate) no_wait: bool,
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn range(text: &str) -> Result<ByteRange, String> {
    text.split_once('-')
        .and_then(|(start, end)| {
            let end = match end {
                "" => ByteRange::EOF,
                _ => bytes(end)?,
            };
            ByteRange::new(bytes(start)?..end).ok()
        })
        .ok_or_else(|| "first byte and the one behind the last, like 0-2M or 4096-".into())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.01..=86400.0).contains(&s) => Ok(s),
        _ => Err("seconds, from 0.01 to 86400".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn all_behind_live_is_the_command() {
        let cli = Cli::parse_from(["longterm", "timeline", "-o", "x.svg", "--live", "ls", "-l"]);
        let Command::Timeline(t) = cli.command else {
            panic!("another command");
        };
        assert_eq!(t.live, ["ls", "-l"]);
    }

    #[test]
    fn ranges_of_bytes() {
        let of = |text| range(text).ok().map(|r| (r.start, r.end));
        assert_eq!(of("0-"), Some((0, ByteRange::EOF)));
        assert_eq!(of("4K-2M"), Some((4096, 2 << 20)));
        assert_eq!(of("1-2"), Some((1, 2)));
        for bad in [
            "",
            "-",
            "-5",
            "5",
            "2-1",
            "1-1",
            "1-2x",
            "1KK-4M",
            "1-99999999T",
            "a-b",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_interval_has_bounds() {
        assert!(seconds("0.5").is_ok());
        for bad in ["0", "-1", "nan", "inf", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
