// SPDX-License-Identifier: GPL-2.0

//! `longterm timeline`: a trace, or what happens while a command runs, as a picture.

use super::file_of;
use crate::{
    cli::Timeline,
    error::{say, Error, Result},
    names::Names,
    output::print,
    picture::Picture,
    story::Story,
    trace::{live::Listener, record, Event, What},
};
use rustix::process::{kill_process, Pid, Signal};
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus},
    time::{Duration, Instant},
};

/// How often to look whether the command has ended.
const LOOK: Duration = Duration::from_millis(50);
/// Records are settled by workers: what comes within this still belongs to the command.
const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn run(args: &Timeline) -> Result<ExitCode> {
    let mut names = Names::default();
    for path in &args.path {
        names.set_file(file_of(path)?, path.display().to_string());
    }
    let (events, code) = if args.live.is_empty() {
        let trace = args.trace.as_deref().unwrap_or(Path::new("trace.dat"));
        (record::read(trace)?, ExitCode::SUCCESS)
    } else {
        live(&args.live, &mut names)?
    };
    for event in &events {
        names.set_command(event.tid, &event.task);
    }
    if args.live.is_empty() {
        // Of files that are still held.
        names.learn_holders();
    }
    if !events
        .iter()
        .any(|e| matches!(e.what, What::Range { .. } | What::State { .. }))
    {
        return say(
            "no event of a lease, a pin or a break: record with trace-cmd record -e longterm",
        );
    }
    let picture = Picture {
        names: &names,
        title: args.title.as_deref(),
    };
    let svg = picture.draw(Story::new(&events));
    if args.output == Path::new("-") {
        print(&svg)?;
    } else {
        fs::write(&args.output, svg).map_err(|e| Error::about(args.output.display(), e))?;
    }
    Ok(code)
}

/// All events from before the command begins until it has ended and what it held is given back.
fn live(command: &[String], names: &mut Names) -> Result<(Vec<Event>, ExitCode)> {
    let mut listener = Listener::new()?;
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .spawn()
        .map_err(|e| Error::about(&command[0], e))?;
    let mut events: Vec<Event> = Vec::new();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    let mut heard = Instant::now();
    let mut asked = false;
    loop {
        let seen = listener.wait(LOOK)?;
        for event in &seen.events {
            if let (Some(file), What::Range { pid, .. }) = (event.file(), &event.what) {
                names.learn(file, *pid);
            }
            heard = Instant::now();
        }
        events.extend(seen.events);
        if seen.signal {
            // A second time: no more patience.
            if asked {
                break;
            }
            asked = true;
            pass_on(&child);
        }
        if ended.is_none() {
            ended = child.try_wait()?.map(|status| (status, Instant::now()));
        }
        if let Some((_, since)) = ended {
            if (heard.elapsed() > QUIET && since.elapsed() > QUIET) || since.elapsed() > PATIENCE {
                break;
            }
        }
    }
    events.sort_by_key(|e| e.time);
    let code = match ended {
        Some((status, _)) => status.code().unwrap_or(128 + status.signal().unwrap_or(0)),
        None => 1,
    };
    Ok((events, ExitCode::from(code as u8)))
}

/// Ctrl-C reaches the command by itself, a signal to us alone does not.
fn pass_on(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}
