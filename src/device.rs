// SPDX-License-Identifier: GPL-2.0

//! /dev/longterm: what it is asked, and who answers.

use super::{
    breaker,
    kapi::{
        file::OpenFile,
        hooks::BreakRequest,
        miscdev::DeviceOperations,
        uapi::{self, command, RawBreak, RawInfo, RawLease}, //
    },
    lease_fd::{self, Wish},
    manager::Manager,
    range::PageRange,
    user_copy::{read, write_back},
    versioned,
};
use kernel::{
    fs::file::LocalFile,
    prelude::*,
    sync::aref::ARef,
    uaccess::UserPtr, //
};

impl DeviceOperations for Manager {
    fn ioctl(&self, cmd: u32, arg: UserPtr) -> Result<isize> {
        match cmd {
            command::LEASE => self.lease(read(arg)?),
            command::INFO => self.info(arg, read(arg)?),
            command::BREAK => self.rehearse(read(arg)?),
            _ => Err(ENOTTY),
        }
    }
}

fn file_of(fd: i32) -> Result<ARef<LocalFile>> {
    Ok(LocalFile::fget(fd as u32)?)
}

fn range_of(start: u64, length: u64, reserved: u32) -> Result<PageRange> {
    if reserved != 0 {
        return Err(EINVAL);
    }
    versioned::range(start, length)
}

impl Manager {
    fn lease(&self, asked: RawLease) -> Result<isize> {
        let known = uapi::LONGTERM_LEASE_UNBREAKABLE | uapi::LONGTERM_LEASE_NONBLOCK;
        let flags = versioned::flags(asked.flags, known)?;
        let wish = Wish {
            range: range_of(asked.start, asked.length, asked.reserved)?,
            unbreakable: flags & uapi::LONGTERM_LEASE_UNBREAKABLE != 0,
            nonblocking: flags & uapi::LONGTERM_LEASE_NONBLOCK != 0,
        };
        let file = file_of(asked.fd)?;
        let fd = lease_fd::take(&self.table, &self.quotas, &OpenFile::of(&file), &wish)?;
        Ok(fd as isize)
    }

    /// For an open file with a fcntl lease.
    fn info(&self, arg: UserPtr, mut info: RawInfo) -> Result<isize> {
        versioned::flags(info.flags, 0)?;
        let file = file_of(info.fd)?;
        let file = OpenFile::of(&file);
        self.table
            .with_known(file.mapping_key(), |_, inner| {
                let lease = inner.leases.iter().position(|l| l.is_on(file.key()));
                inner.inform(lease.ok_or(ENOENT)?, &mut info);
                Ok(())
            })
            .unwrap_or(Err(ENOENT))?;
        write_back(arg, info)
    }

    /// A break without a change of the layout.
    fn rehearse(&self, asked: RawBreak) -> Result<isize> {
        versioned::flags(asked.flags, 0)?;
        let range = range_of(asked.start, asked.length, asked.reserved)?;
        let file = file_of(asked.fd)?;
        let file = OpenFile::of(&file);
        file.check_break()?;
        let request = BreakRequest::rehearsal(&file, range.start_byte(), range.end_byte());

        let mut cookie = None;
        let mut result = breaker::begin(&self.table, &self.clock, &request, &mut cookie);
        if let Some(breaker) = cookie {
            if result == Err(EAGAIN) {
                result = breaker::wait(&self.table, &self.clock, &request, &breaker);
            }
            let errno = result.map_or_else(|e| e.to_errno(), |()| 0);
            breaker::end(&self.table, &self.clock, &breaker, errno);
        }
        result.map(|()| 0)
    }
}
