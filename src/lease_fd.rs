// SPDX-License-Identifier: GPL-2.0

//! The lease fd: a lease on a range, as a file that can be read and polled.

use super::{
    events::{Event, Kind},
    fcntl::wait_until_quiet,
    inode::{fields, Inner, InodeState},
    kapi::{
        anonfd::{self, Bell, Nameless},
        file::{KeptFile, OpenFile},
        process::ThreadGroup,
        report,
        trace,
        uapi::{self, command, RawAdopt, RawEvent, RawInfo}, //
    },
    lease::{Lease, LeaseId, State, F_LONGTERM, F_UNBREAKABLE},
    limits, policy,
    quota::Quotas,
    range::PageRange,
    stats::{self, Reason},
    table::Table,
    user_copy::{read, write_back},
    versioned,
    voice::Voice,
};
use core::mem::size_of;
use kernel::{
    fs::file::FileDescriptorReservation,
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    sync::{Arc, Mutex},
    uaccess::{UserPtr, UserSliceWriter}, //
};

const NS_PER_MS: u64 = 1_000_000;

/// What is behind a lease fd. Dropped with its last copy, which ends the lease.
#[pin_data(PinnedDrop)]
pub(crate) struct LeaseFd {
    table: Arc<Table>,
    quotas: Arc<Quotas>,
    state: Arc<InodeState>,
    id: LeaseId,
    bell: Arc<Bell>,
    /// Whoever takes events out. Page faults are served with it held, so that it comes before all
    /// other locks.
    #[pin]
    reader: Mutex<()>,
    // Dropped last, and without a lock: it keeps the inode that the lease is on.
    _kept: Arc<KeptFile>,
}

/// What a lease is to be.
pub(crate) struct Wish {
    /// What it covers.
    pub(crate) range: PageRange,
    /// As F_UNBREAKABLE.
    pub(crate) unbreakable: bool,
    /// Neither taking it nor reading from it waits.
    pub(crate) nonblocking: bool,
}

/// Takes a lease on `file`. Returns its lease fd.
pub(crate) fn take(
    table: &Arc<Table>,
    quotas: &Arc<Quotas>,
    file: &OpenFile<'_>,
    wish: &Wish,
) -> Result<u32> {
    let kind = match wish.unbreakable {
        true => F_LONGTERM | F_UNBREAKABLE,
        false => F_LONGTERM,
    };
    file.check_lease(kind)?;
    let result = try_take(table, quotas, file, wish);
    let event = |result| {
        let id = file.mapping().id();
        fields(id, &wish.range, &ThreadGroup::current(), result)
    };
    match &result {
        Ok(_) => {
            stats::TAKEN.up();
            trace::lease_take(|| event(Ok(())));
        }
        Err(e) => {
            stats::refused(Reason::of(*e));
            trace::deny(|| event(Err(*e)));
        }
    }
    result
}

fn try_take(
    table: &Arc<Table>,
    quotas: &Arc<Quotas>,
    file: &OpenFile<'_>,
    wish: &Wish,
) -> Result<u32> {
    if wish.unbreakable {
        policy::unbreakable_leases()?;
    }
    let reserved = FileDescriptorReservation::get_unused_fd_flags(anonfd::CLOSE_ON_EXEC)?;
    let bell = Arc::pin_init(Bell::new(), GFP_KERNEL_ACCOUNT)?;
    let kept = Arc::new(KeptFile::new(file, false)?, GFP_KERNEL_ACCOUNT)?;
    let mut fresh = Some(Lease::of_fd(
        file.key(),
        kept.clone(),
        wish.range,
        wish.unbreakable,
        Voice::new(bell.clone()),
    )?);

    let mapping = file.mapping();
    let nonblocking = wish.nonblocking || file.nonblocking();
    let (known, id) = table.with_new(mapping.key(), mapping.id(), |state, inner| {
        wait_until_quiet(state, inner, &wish.range, nonblocking)?;
        // The file may have come to share blocks meanwhile.
        if !mapping.protectable() {
            return Err(EOPNOTSUPP);
        }
        inner.leases.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let quota = quotas.take(limits::Kind::Lease, mapping.key())?;
        let id = inner.next_id();
        if let Some(mut lease) = fresh.take() {
            lease.id = id;
            lease.count(quota);
            inner.leases.push(lease, GFP_KERNEL_ACCOUNT)?;
        }
        Ok::<_, Error>((state.clone(), id))
    })??;

    // From here on the lease ends with this. It must not have the last reference to the path.
    let _path = kept.clone();
    let state = known.clone();
    let object = KBox::pin_init(
        pin_init!(LeaseFd {
            table: table.clone(),
            quotas: quotas.clone(),
            state,
            id,
            bell,
            reader <- new_mutex!((), "longterm::reader"),
            _kept: kept,
        }),
        GFP_KERNEL_ACCOUNT,
    );
    match object {
        Ok(object) => anonfd::open(object, reserved, wish.nonblocking),
        Err(e) => {
            end(table, &known, id);
            Err(e)
        }
    }
}

/// The lease ends. What is pinned under it is an orphan's.
fn end(table: &Table, state: &Arc<InodeState>, id: LeaseId) {
    table.with(state, |_, inner| {
        if let Some(i) = inner.lease_named(id) {
            let lease = &inner.leases[i];
            trace::lease_release(|| inner.fields(&lease.range, &lease.holder, Ok(())));
            inner.end_lease(i);
        }
    });
}

#[pinned_drop]
impl PinnedDrop for LeaseFd {
    fn drop(self: Pin<&mut Self>) {
        end(&self.table, &self.state, self.id);
    }
}

impl LeaseFd {
    fn voice<R>(&self, f: impl FnOnce(&mut Voice) -> R) -> Result<R> {
        let with = self.table.with(&self.state, |_, inner| {
            let i = inner.lease_named(self.id)?;
            inner.leases[i].voice().map(f)
        });
        with.flatten().ok_or(EIO)
    }

    /// Delivers what there is and fits.
    fn deliver(&self, out: &mut UserSliceWriter) -> Result<usize> {
        let _reader = self.reader.lock();
        let mut done = 0;
        while out.len() >= size_of::<RawEvent>() {
            let Some(event) = self.voice(|voice| voice.take())? else {
                break;
            };
            if let Err(e) = out.write(&raw(&event)) {
                self.voice(|voice| voice.put_back(event))?;
                return if done > 0 { Ok(done) } else { Err(e) };
            }
            done += size_of::<RawEvent>();
        }
        Ok(done)
    }

    fn adopt(&self) -> Result {
        self.table
            .with(&self.state, |state, inner| {
                let i = inner.lease_named(self.id).ok_or(EIO)?;
                let quota = || self.quotas.take(limits::Kind::Lease, state.key);
                inner.leases[i].adopt(quota)
            })
            .unwrap_or(Err(EIO))
    }
}

impl Nameless for LeaseFd {
    const NAME: &'static CStr = c"[longterm]";

    fn bell(&self) -> &Bell {
        &self.bell
    }

    fn read(&self, out: &mut UserSliceWriter, nonblocking: bool) -> Result<usize> {
        if out.len() < size_of::<RawEvent>() {
            return Err(EINVAL);
        }
        loop {
            let done = self.deliver(out)?;
            if done > 0 || self.voice(|voice| voice.over())? {
                return Ok(done);
            }
            if nonblocking {
                return Err(EAGAIN);
            }
            self.bell.wait_readable()?;
        }
    }

    fn ioctl(&self, cmd: u32, arg: UserPtr) -> Result<isize> {
        match cmd {
            command::INFO => {
                let mut info: RawInfo = read(arg)?;
                if info.fd != -1 {
                    return Err(EINVAL);
                }
                versioned::flags(info.flags, 0)?;
                self.table
                    .with(&self.state, |_, inner| {
                        let i = inner.lease_named(self.id).ok_or(EIO)?;
                        inner.inform(i, &mut info);
                        Ok(())
                    })
                    .unwrap_or(Err(EIO))?;
                write_back(arg, info)
            }
            command::ADOPT => {
                let adopt: RawAdopt = read(arg)?;
                versioned::flags(adopt.flags, 0)?;
                self.adopt()?;
                Ok(0)
            }
            _ => Err(ENOTTY),
        }
    }
}

fn raw(event: &Event) -> RawEvent {
    RawEvent {
        size: size_of::<RawEvent>() as u32,
        type_: match event.kind {
            Kind::Break => uapi::LONGTERM_EVENT_BREAK,
            Kind::End => uapi::LONGTERM_EVENT_END,
            Kind::Revoked => uapi::LONGTERM_EVENT_REVOKED,
        },
        flags: match event.merged {
            true => uapi::LONGTERM_EVENT_MERGED,
            false => 0,
        },
        reserved: 0,
        generation: event.generation,
        start: event.range.start_byte() as u64,
        end: event.range.end_byte() as u64,
        deadline: event.deadline.saturating_mul(NS_PER_MS),
        pinned: event.pinned,
    }
}

impl Inner {
    /// How things stand with lease `i`.
    pub(crate) fn inform(&mut self, i: usize, info: &mut RawInfo) {
        let range = self.leases[i].range;
        // What was unpinned is not to count any more.
        self.settle_near(&range);
        let now = report::now_ms();
        let deadline = self.deadline_of(i);
        let lease = &self.leases[i];
        let bytes = |range: &PageRange| (range.start_byte() as u64, range.end_byte() as u64);

        info.state = match lease.state {
            State::Held => uapi::LONGTERM_HELD,
            State::Breaking => uapi::LONGTERM_BREAKING,
            State::Revoked => uapi::LONGTERM_REVOKED,
        };
        info.kind = match lease.unbreakable {
            true => uapi::LONGTERM_LEASE_UNBREAKABLE,
            false => 0,
        };
        info.holders = lease.holders().filter(|group| group.lives()).count() as u32;
        info.generation = lease.generation;
        (info.start, info.end) = bytes(&range);
        (info.break_start, info.break_end) = lease.told.as_ref().map_or((0, 0), bytes);
        info.pinned = lease.pages << PAGE_SHIFT;
        info.deadline = deadline.unwrap_or(0).saturating_mul(NS_PER_MS);
        let left = deadline.map_or(0, |deadline| deadline.saturating_sub(now));
        info.left = left.saturating_mul(NS_PER_MS);
    }
}
