// SPDX-License-Identifier: GPL-2.0

//! `longterm events`: what happens, a line or a JSON object each.

use super::Wanted;
use crate::{
    cli::Events,
    error::Result,
    escape::printable,
    holders::{Dev, FileId},
    human,
    names::Names,
    output::print,
    trace::{live::Listener, Event, What},
};
use serde::Serialize;
use std::{process::ExitCode, time::Duration};

pub(super) fn run(args: &Events) -> Result<ExitCode> {
    let wanted = Wanted::new(&args.filter)?;
    let mut listener = Listener::new()?;
    let mut names = Names::default();
    names.learn_holders();
    // Who waits for us to be ready before it acts can know by this.
    if !args.json {
        eprintln!("longterm: listening; end with Ctrl-C");
    }
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let seen = listener.wait(Duration::MAX)?;
        let mut text = String::new();
        for event in &seen.events {
            if let (Some(file), Some(pid)) = (event.file(), pid(event)) {
                names.learn(file, pid);
            }
            names.set_command(event.tid, &event.task);
            if left > 0 && is_wanted(event, &wanted) {
                left -= 1;
                text += &match args.json {
                    true => serde_json::to_string(&object(event, &names))? + "\n",
                    false => line(event, &names),
                };
            }
        }
        print(&text)?;
        if seen.signal || seen.deaf {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pid(event: &Event) -> Option<u32> {
    match event.what {
        What::Range { pid, .. } => Some(pid),
        What::State { .. } => Some(event.tid),
        _ => None,
    }
}

/// A step of the machine has no process; who asks for one wants to see what happens to it.
fn is_wanted(event: &Event, wanted: &Wanted) -> bool {
    match &event.what {
        What::Range { file, pid, .. } => wanted.has(*file, Some(*pid)),
        What::State { file, .. } => wanted.has(*file, None),
        What::Lost(_) => true,
        What::Mark(_) => false,
    }
}

/// An object of `events --json`.
#[derive(Serialize, Default)]
struct Object<'a> {
    /// Seconds of CLOCK_MONOTONIC.
    time: f64,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dev: Option<Dev>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ino: Option<u64>,
    path: Option<&'a str>,
    #[serde(flatten)]
    range: Option<Range<'a>>,
    #[serde(flatten)]
    step: Option<Step<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
}

#[derive(Serialize)]
struct Range<'a> {
    start: u64,
    end: Option<u64>,
    pid: u32,
    comm: Option<&'a str>,
    result: i32,
    error: Option<String>,
}

#[derive(Serialize)]
struct Step<'a> {
    from: &'a str,
    input: &'a str,
    to: &'a str,
}

fn object<'a>(event: &'a Event, names: &'a Names) -> Object<'a> {
    let mut object = Object {
        time: event.time as f64 / 1e9,
        ..Object::default()
    };
    if let Some(file) = event.file() {
        (object.dev, object.ino) = (Some(file.dev), Some(file.ino));
        object.path = names.file(file);
    }
    match &event.what {
        What::Range {
            name,
            start,
            end,
            pid,
            result,
            ..
        } => {
            object.event = name;
            object.range = Some(Range {
                start: *start,
                end: *end,
                pid: *pid,
                comm: names.command(*pid),
                result: *result,
                error: (*result != 0).then(|| human::errno(*result)),
            });
        }
        What::State {
            from, input, to, ..
        } => {
            object.event = "break_state";
            object.step = Some(Step { from, input, to });
        }
        What::Lost(n) => (object.event, object.lost) = ("lost", Some(*n)),
        What::Mark(text) => object.event = text,
    }
    object
}

fn line(event: &Event, names: &Names) -> String {
    let name = |file: FileId| match names.file(file) {
        Some(path) => printable(path),
        None => file.to_string(),
    };
    let what = match &event.what {
        What::Range {
            name: event,
            file,
            start,
            end,
            pid,
            result,
        } => {
            let who = printable(names.command(*pid).unwrap_or("process"));
            let error = match result {
                0 => String::new(),
                n => format!("  {}", human::errno(*n)),
            };
            format!(
                "{event:13} {who} {pid}  {}  {}{error}",
                name(*file),
                human::range(*start, *end)
            )
        }
        What::State {
            file,
            from,
            input,
            to,
        } => {
            format!(
                "{:13} {from} -> {to} ({input})  {}",
                "break_state",
                name(*file)
            )
        }
        What::Lost(n) => return format!("{:>16} {n} events were lost\n", ""),
        What::Mark(text) => printable(text),
    };
    format!("{:16.6} {what}\n", event.time as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str =
        "  app-206 [001] .....  98.123456: pin: dev=259:0 ino=13 start=0 end=4096 pid=205 result=0";
    const BUSY: &str =
        "  cut-9 [001] .....  98.5: busy: dev=259:0 ino=13 start=0 end=9223372036854775807 pid=9 result=-26";
    const STEP: &str =
        "  cut-9 [001] .....  98.5: break_state: dev=259:0 ino=13 from=idle input=begin to=notified";

    fn known() -> Names {
        let mut names = Names::default();
        names.set_file(
            Event::parse(PIN).unwrap().file().unwrap(),
            "/mnt/dax/a\nb".into(),
        );
        names.set_command(205, "app");
        names
    }

    #[test]
    fn lines_for_people() {
        let said = |text: &str, names: &Names| line(&Event::parse(text).unwrap(), names);
        assert_eq!(
            said(PIN, &known()),
            "       98.123456 pin           app 205  /mnt/dax/a\\012b  0..4 KiB\n"
        );
        assert_eq!(
            said(BUSY, &Names::default()),
            "       98.500000 busy          process 9  259:0 ino 13  whole file  ETXTBSY\n"
        );
        assert!(said(STEP, &known()).contains("idle -> notified (begin)"));
    }

    #[test]
    fn objects_for_programs() {
        let said = |text: &str| {
            serde_json::to_string(&object(&Event::parse(text).unwrap(), &known())).unwrap()
        };
        assert_eq!(
            said(PIN),
            "{\"time\":98.123456,\"event\":\"pin\",\"dev\":\"259:0\",\"ino\":13,\"path\":\"/mnt/dax/a\\nb\",\
             \"start\":0,\"end\":4096,\"pid\":205,\"comm\":\"app\",\"result\":0,\"error\":null}"
        );
        assert!(said(BUSY)
            .contains("\"end\":null,\"pid\":9,\"comm\":null,\"result\":-26,\"error\":\"ETXTBSY\""));
        assert!(said(STEP).contains("\"from\":\"idle\",\"input\":\"begin\",\"to\":\"notified\""));
        assert!(
            said("CPU:1 [LOST 3 EVENTS]").contains("\"event\":\"lost\",\"path\":null,\"lost\":3")
        );
    }
}
