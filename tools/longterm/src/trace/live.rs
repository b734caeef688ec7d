// SPDX-License-Identifier: GPL-2.0

//! Events while they happen, until a signal says that it is enough.

use super::{instance::Instance, Event};
use crate::error::Result;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::pipe,
};
use std::{
    fs::File,
    io::{self, ErrorKind, Read},
    os::unix::net::UnixStream,
    time::Duration,
};

/// Were a wake-up missed, it is made good after this.
const LOOK: Duration = Duration::from_millis(500);

/// Listens to an instance of its own.
pub(crate) struct Listener {
    // In this order: the instance can be removed once its pipe is closed.
    pipe: File,
    _instance: Instance,
    signals: UnixStream,
    text: Vec<u8>,
}

/// What [`Listener::wait`] has seen.
pub(crate) struct Seen {
    pub(crate) events: Vec<Event>,
    /// A signal asks us to end.
    pub(crate) signal: bool,
    /// Nobody reads our output any more.
    pub(crate) deaf: bool,
}

impl Listener {
    /// Begin to listen.
    pub(crate) fn new() -> Result<Self> {
        // First: a signal from here on ends us in order, without an instance left behind.
        let (signals, wake) = UnixStream::pair()?;
        signals.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            pipe::register(signal, wake.try_clone()?)?;
        }
        let instance = Instance::new()?;
        Ok(Self {
            pipe: instance.pipe()?,
            _instance: instance,
            signals,
            text: Vec::new(),
        })
    }

    /// Wait for something to happen, not longer than `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<Seen> {
        let limit = limit.min(LOOK);
        let timeout = Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        };
        let stdout = io::stdout();
        let mut fds = [
            PollFd::new(&self.pipe, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&stdout, PollFlags::empty()),
        ];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(io::Error::from(e).into()),
        }
        let deaf = fds[2].revents().contains(PollFlags::ERR);
        let mut byte = [0; 16];
        let signal = matches!(self.signals.read(&mut byte), Ok(n) if n > 0);
        Ok(Seen {
            events: self.read()?,
            signal,
            deaf,
        })
    }

    fn read(&mut self) -> Result<Vec<Event>> {
        let mut chunk = [0; 1 << 14];
        // Bounded, so that signals are heard in a flood of events.
        for _ in 0..64 {
            match self.pipe.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => self.text.extend_from_slice(&chunk[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        let whole = self
            .text
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.text.drain(..whole).collect();
        Ok(String::from_utf8_lossy(&lines)
            .lines()
            .filter_map(Event::parse)
            .collect())
    }
}
