// SPDX-License-Identifier: GPL-2.0
//! A registration cache: regions of many files stay pinned between their uses, and
//! one loop listens to the leases of all.  A break invalidates the regions that it
//! meets and nothing else.
//!
//! ```text
//! longterm_cache CHUNK FILE...
//! ```
//!
//! Reads requests from its standard input, `get NUMBER OFFSET`: what is in the chunk
//! of that file that begins at the offset?

// Pinning is what a device's library does elsewhere, and no safe business.
#[allow(unsafe_code)]
mod pin;
mod regions;

use longterm::{ByteRange, Error, Event, EventKind, Lease};
use pin::{Region, Ring};
use regions::Regions;
use rustix::event::epoll;
use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;

struct Cached {
    path: String,
    file: File,
    lease: Lease,
    regions: Regions<Region>,
}

struct Cache {
    chunk: u64,
    ring: Ring,
    files: Vec<Cached>,
}

impl Cached {
    fn open(path: String) -> Result<Self, Error> {
        let file = File::options().read(true).write(true).open(&path);
        let file = file.map_err(Error::Other)?;
        let lease = Lease::options().nonblocking(true).take(&file, ..)?;
        println!("{path}: lease taken");
        Ok(Cached {
            path,
            file,
            lease,
            regions: Regions::new(),
        })
    }
}

impl Cache {
    fn get(&mut self, number: usize, offset: u64) -> io::Result<String> {
        let chunk = self.chunk;
        let file = self.files.get_mut(number).ok_or(io::ErrorKind::NotFound)?;
        let start = offset - offset % chunk;
        let how = match file.regions.get(start) {
            Some(_) => "hit",
            None => {
                let region = self.ring.pin(&file.file, start, chunk as usize)?;
                file.regions.insert((start..start + chunk).into(), region);
                "pinned"
            }
        };
        let bytes = match file.regions.get(start) {
            Some(region) => self.ring.peek(region)?,
            None => [0; 8],
        };
        Ok(format!("{how}, {}", bytes.escape_ascii()))
    }

    fn drop_regions(&mut self, number: usize, range: ByteRange) -> io::Result<usize> {
        let met = self.files[number].regions.take(range);
        let count = met.len();
        for region in met {
            self.ring.unpin(region)?;
        }
        Ok(count)
    }

    fn react(&mut self, number: usize, event: &Event) -> io::Result<()> {
        let path = self.files[number].path.clone();
        match event.kind {
            EventKind::Break => {
                let dropped = self.drop_regions(number, event.range)?;
                let kept: usize = self.files.iter().map(|file| file.regions.len()).sum();
                println!(
                    "{path}: break of {}: {dropped} dropped, {kept} kept",
                    event.range
                );
            }
            // Nothing to do: what is wanted again is pinned again.
            EventKind::End => println!("{path}: end, generation {}", event.generation),
            EventKind::Revoked => {
                let everything = (0..ByteRange::EOF).into();
                let dropped = self.drop_regions(number, everything)?;
                println!("{path}: revoked: {dropped} dropped");
            }
            _ => {}
        }
        Ok(())
    }

    /// All that a lease has to say.
    fn listen(&mut self, number: usize) -> Result<(), Box<dyn std::error::Error>> {
        loop {
            match self.files[number].lease.read() {
                Ok(events) if events.is_empty() => return Ok(()),
                Ok(events) => {
                    for event in events {
                        self.react(number, &event)?;
                    }
                }
                Err(Error::WouldBlock) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn request(&mut self, line: &str) {
        let mut words = line.split_whitespace().skip(1).map(str::parse::<u64>);
        let (Some(Ok(number)), Some(Ok(offset))) = (words.next(), words.next()) else {
            println!("{line}: not a request");
            return;
        };
        match self.get(number as usize, offset) {
            Ok(what) => println!("{line}: {what}"),
            Err(error) => println!("{line}: {error}"),
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    const STDIN: u64 = u64::MAX;
    let mut arguments = std::env::args().skip(1);
    let chunk = arguments
        .next()
        .ok_or("usage: longterm_cache CHUNK FILE...")?;
    let mut cache = Cache {
        chunk: chunk.parse()?,
        ring: Ring::new(1024)?,
        files: Vec::new(),
    };
    let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let readable = epoll::EventFlags::IN;
    epoll::add(
        &ready,
        io::stdin(),
        epoll::EventData::new_u64(STDIN),
        readable,
    )?;
    for path in arguments {
        let number = cache.files.len() as u64;
        cache.files.push(Cached::open(path)?);
        let lease = &cache.files[number as usize].lease;
        // Edge triggered: a revoked lease hangs up once, not for ever.
        let flags = readable | epoll::EventFlags::ET;
        epoll::add(&ready, lease, epoll::EventData::new_u64(number), flags)?;
    }
    let mut typed = String::new();
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        match epoll::wait(&ready, rustix::buffer::spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        // Leases first: no new use of what is to go.
        for event in events.iter().filter(|event| event.data.u64() != STDIN) {
            cache.listen(event.data.u64() as usize)?;
        }
        if events.iter().any(|event| event.data.u64() == STDIN) {
            // Larger than the buffer of Stdin, in which nothing is to be left.
            let mut bytes = [0; 1 << 16];
            match io::stdin().read(&mut bytes)? {
                0 => return Ok(()),
                n => typed.push_str(&String::from_utf8_lossy(&bytes[..n])),
            }
            while let Some(end) = typed.find('\n') {
                let line: String = typed.drain(..=end).collect();
                cache.request(line.trim());
            }
        }
    }
}

fn main() -> ExitCode {
    run().map_or_else(
        |error| {
            eprintln!("longterm_cache: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
