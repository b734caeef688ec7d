// SPDX-License-Identifier: GPL-2.0

//! Standard output: a reader that goes away is an error like others, not a panic.

use crate::error::Result;
use std::io::{self, Write};

/// Print all of it at once.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
