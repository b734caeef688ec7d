// SPDX-License-Identifier: GPL-2.0

//! What can go wrong, as one line for a person.

use std::{fmt, io};

/// The reason why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Error {
    /// A sentence that says what to do.
    Say(String),
    /// Output or input failed.
    Io(io::Error),
}

/// What most functions return.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Has our reader gone?
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }

    /// An error of a call about a file.
    pub(crate) fn about(what: impl fmt::Display, e: io::Error) -> Self {
        Self::Say(format!("{what}: {}", reason(&e)))
    }
}

/// Without the number that Rust appends.
pub(crate) fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    match text.split_once(" (os error") {
        Some((plain, _)) => plain.to_string(),
        None => text,
    }
}

/// To end with a sentence.
pub(crate) fn say<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Say(text.into()))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Say(text) => f.write_str(text),
            Self::Io(e) => f.write_str(&reason(e)),
        }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl From<serde_json::Error> for Error {
    fn from(e: serde_json::Error) -> Self {
        Self::Io(e.into())
    }
}
