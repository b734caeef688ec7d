// SPDX-License-Identifier: GPL-2.0

//! Pins: admission, and the record that is made of one.

use super::{
    inode::{fields, InFlight, Inner, InodeState},
    kapi::{
        file::KeptFile,
        hooks::PinRequest,
        process::ThreadGroup,
        registration::ModuleRef,
        trace, //
    },
    lease,
    limits::Kind,
    policy,
    quota::Quotas,
    range::PageRange,
    record::{Charge, Record},
    stats::{self, Reason},
    table::Table,
};
use kernel::{prelude::*, sync::Arc};

/// A pin in flight: counted in its inode from `pin_begin` to `pin_commit` or `pin_abort`. Keeps the
/// module loaded in between, where no hook runs.
pub(crate) struct Token {
    state: Arc<InodeState>,
    id: u64,
    _module: ModuleRef,
}

/// May this be pinned? See `Operations::pin_begin`.
pub(crate) fn begin(table: &Table, quotas: &Quotas, pin: &PinRequest<'_>) -> Result<KBox<Token>> {
    let range = PageRange::of_pages(pin.index(), pin.pages()).ok_or(EINVAL)?;
    let mapping = pin.file().mapping();
    let mut why = None;
    let result = table.with_new(mapping.key(), mapping.id(), |state, inner| {
        if inner.is_closed(&range) {
            return Err(EAGAIN);
        }
        charge(inner, pin, &mut why)?;
        // What was unpinned is not to count any more. When the new pins are there it is too late
        // to tell them from the old ones.
        if quotas.at_limit(Kind::Record, state.key) {
            inner.settle();
        }
        let id = inner.next_id();
        let token = KBox::new(
            Token {
                state: state.clone(),
                id,
                _module: ModuleRef::get().ok_or(EOPNOTSUPP)?,
            },
            GFP_KERNEL_ACCOUNT,
        )?;
        inner
            .tokens
            .push(InFlight { id, range }, GFP_KERNEL_ACCOUNT)?;
        Ok(token)
    });
    let result = match result {
        Ok(result) => result,
        Err(e) => Err(e),
    };
    if let Err(e) = &result {
        deny(pin, &range, *e, why);
    }
    result
}

/// The first pages are pinned. See `Operations::pin_commit`.
pub(crate) fn commit(
    table: &Table,
    quotas: &Arc<Quotas>,
    pin: &PinRequest<'_>,
    token: &Token,
    pages: u64,
) -> Result {
    let range = PageRange::of_pages(pin.index(), pages).ok_or(EINVAL)?;
    let mut why = None;
    let result = commit_range(table, quotas, pin, token, range, &mut why);
    match result {
        // A breaker may wait for what was in flight and has not been pinned after all.
        Ok(()) => token.state.key.wake(),
        Err(e) => deny(pin, &range, e, why),
    }
    result
}

fn commit_range(
    table: &Table,
    quotas: &Arc<Quotas>,
    pin: &PinRequest<'_>,
    token: &Token,
    range: PageRange,
    why: &mut Option<Reason>,
) -> Result {
    let file = pin.file();
    let module = ModuleRef::get().ok_or(EOPNOTSUPP)?;
    let kept = KeptFile::new(&file, pin.shared_writable())?;
    // Made before the mutex is taken; dropped after it if it is not needed.
    let mut record = Some(Record::new(
        range,
        pin.addr(),
        Charge::Automatic,
        pin.foreign(),
        kept,
        module,
    )?);
    table
        .with(&token.state, |_, inner| {
            if !file.mapping().protectable() {
                return Err(EOPNOTSUPP);
            }
            if inner.is_closed(&range) {
                return Err(EAGAIN);
            }
            let charge = charge(inner, pin, why)?;
            inner.records.reserve()?;
            if let Some(new) = record.as_mut() {
                new.charge = charge;
                new.young = inner.machine.active();
                new.id = inner.next_id();
                // A region that goes on is still one record.
                if !inner.records.extend(new) {
                    new.quota = Some(quotas.take(Kind::Record, token.state.key)?);
                    record = record.take().and_then(|new| inner.records.insert(new));
                }
                trace::pin(|| inner.fields(&range, &ThreadGroup::current(), Ok(())));
            }
            inner.forget(token.id);
            lease::account(&mut inner.leases, &charge, range.pages() as i64);
            stats::PINS.up();
            stats::PAGES.add(range.pages() as i64);
            Ok(())
        })
        .unwrap_or(Err(EAGAIN))
}

/// Nothing was pinned, or it was unpinned. See `Operations::pin_abort`.
pub(crate) fn abort(table: &Table, token: &Token) {
    table.with(&token.state, |_, inner| inner.forget(token.id));
    // A breaker may have waited for this.
    token.state.key.wake();
}

/// What a pin is charged to; notes `why` it can't be where its error does not say.
fn charge(inner: &Inner, pin: &PinRequest<'_>, why: &mut Option<Reason>) -> Result<Charge> {
    let file = pin.file();
    let key = file.key();
    let me = ThreadGroup::current();
    let of_group = |group: &ThreadGroup| {
        if pin.foreign() {
            group.runs_on(pin.mm())
        } else {
            *group == me
        }
    };
    if let Some(charge) = inner.lease_for(|lease| lease.file == key, of_group) {
        return Ok(charge);
    }
    policy::automatic_leases().inspect_err(|_| *why = Some(Reason::NoLease))?;
    // Who can only read the file can't hold up its owner.
    if pin.shared_writable() || file.may_lease() {
        Ok(Charge::Automatic)
    } else {
        Err(EACCES)
    }
}

fn deny(pin: &PinRequest<'_>, range: &PageRange, e: Error, why: Option<Reason>) {
    stats::refused(why.unwrap_or(Reason::of(e)));
    trace::deny(|| {
        let id = pin.file().mapping().id();
        fields(id, range, &ThreadGroup::current(), Err(e))
    });
}

impl Inner {
    fn forget(&mut self, token: u64) {
        self.tokens.retain(|t| t.id != token);
    }
}
