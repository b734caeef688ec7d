// SPDX-License-Identifier: GPL-2.0

//! Pins: admission, and the record that is made of one.

use super::{
    inode::{fields, InFlight, Inner, InodeState},
    kapi::{
        file::KeptFile,
        hooks::PinRequest,
        process::{Identity, ThreadGroup},
        registration::ModuleRef,
        tag::{Place, Tag, Through},
        trace, //
    },
    lease,
    ledger::Claim,
    limits::Kind,
    policy,
    quota::Quotas,
    range::PageRange,
    record::{Charge, Piece, Record},
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
        charge(inner, pin, &range, &mut why)?;
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
    let mut tag = pin.tag();
    let known = tag.as_ref().and_then(Tag::place);
    // Large regions come piece by piece: for all but the first nothing has to be made.
    let known_here = known.filter(|place| place.mapping == token.state.key);
    if let Some(place) = known_here {
        let extended = table.with(&token.state, |_, inner| {
            let piece = inner.piece(pin, range, why)?;
            let extended = inner.records.extend(&piece, Some(&place));
            if extended {
                inner.committed(token, &piece);
            }
            Ok(extended)
        });
        if extended.unwrap_or(Err(EAGAIN))? {
            return Ok(());
        }
    }

    let file = pin.file();
    let module = ModuleRef::get().ok_or(EOPNOTSUPP)?;
    let kept = KeptFile::new(&file, pin.shared_writable())?;
    let through = tag.as_ref().map_or(Through::Other, Tag::through);
    // Made before the mutex is taken; dropped after it if it is not needed.
    let mut record = Some(Record::new(through, kept, module)?);
    if let (Some(record), Some(place)) = (record.as_mut(), known) {
        record.prev = Some(KBox::new(place, GFP_KERNEL_ACCOUNT)?);
    }
    table
        .with(&token.state, |_, inner| {
            let piece = inner.piece(pin, range, why)?;
            inner.records.reserve()?;
            // A region that goes on is still one record.
            if tag.is_some() || !inner.records.extend(&piece, None) {
                let place = Place {
                    mapping: token.state.key,
                    first: range.first(),
                    id: inner.next_id(),
                };
                if let Some(new) = record.as_mut() {
                    new.quota = Some(quotas.take(Kind::Record, token.state.key)?);
                    new.id = place.id;
                    new.joined = known_here.is_some_and(|place| inner.ends_at(&place, &range));
                    new.start(&piece);
                }
                record = record.take().and_then(|new| inner.records.insert(new));
                if let Some(tag) = tag.as_mut() {
                    tag.set(place);
                }
            }
            inner.committed(token, &piece);
            Ok(())
        })
        .unwrap_or(Err(EAGAIN))
}

/// Nothing was pinned, or it was unpinned. See `Operations::pin_abort`.
pub(crate) fn abort(table: &Table, token: &Token) {
    table.with(&token.state, |_, inner| {
        inner.forget(token.id);
        // Pins that might have been this one's are no longer.
        inner.records.again();
    });
    // A breaker may have waited for this.
    token.state.key.wake();
}

/// Calls `f` for each record of a tag, the newest first; `f` returns the one before it.
fn each_of(place: Option<Place>, mut f: impl FnMut(&Place) -> Option<Place>) {
    let mut next = place;
    while let Some(place) = next {
        next = f(&place);
    }
}

/// Changes what the records of a tag stand for.
fn claim(table: &Table, tag: &Tag<'_>, what: impl Fn(&Record) -> Claim) {
    each_of(tag.place(), |place| {
        table.with_burial(place.mapping, |inner| {
            let i = inner.records.find(place)?;
            let record = &mut inner.records[i];
            record.claim = what(record);
            record.prev.as_deref().copied()
        })?
    });
}

/// A tag's pages are about to be unpinned. See `Operations::untag_begin`.
pub(crate) fn untag_begin(table: &Table, tag: &Tag<'_>) {
    claim(table, tag, |_| Claim::Going);
}

/// A tag is about to keep one pin for each folio. See `Operations::fold`.
pub(crate) fn fold(table: &Table, tag: &Tag<'_>) {
    claim(table, tag, |record| Claim::Folded {
        joined: record.joined,
    });
}

/// A tag's pages were unpinned. See `Operations::untag_end`.
pub(crate) fn untag_end(table: &Table, tag: &mut Tag<'_>) {
    each_of(tag.place(), |place| {
        table.with_burial(place.mapping, |inner| {
            let record = inner.records.remove(place)?;
            trace::unpin(|| inner.fields(&record.range, record.pinner.group(), Ok(())));
            let prev = record.prev.as_deref().copied();
            let pages = record.range.pages() as i64;
            lease::account(&mut inner.leases, &record.charge, -pages);
            inner.discarded.push(record);
            // What was in doubt as long as nobody knew how many of these pins were left.
            inner.records.again();
            prev
        })?
    });
    tag.clear();
}

/// What a pin is charged to; notes `why` it can't be where its error does not say.
fn charge(
    inner: &Inner,
    pin: &PinRequest<'_>,
    range: &PageRange,
    why: &mut Option<Reason>,
) -> Result<Charge> {
    let file = pin.file();
    let me = ThreadGroup::current();
    let of_group = |group: &ThreadGroup| {
        if pin.foreign() {
            group.runs_on(pin.mm())
        } else {
            *group == me
        }
    };
    if let Some(charge) = inner.lease_for(file.key(), range, of_group) {
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
    /// Pages that the current task has pinned, if they may stay so.
    fn piece(
        &mut self,
        pin: &PinRequest<'_>,
        range: PageRange,
        why: &mut Option<Reason>,
    ) -> Result<Piece> {
        if !pin.file().mapping().protectable() {
            return Err(EOPNOTSUPP);
        }
        if self.is_closed(&range) {
            return Err(EAGAIN);
        }
        let charge = charge(self, pin, &range, why)?;
        self.records.keep_memory(&pin.file().mapping(), &range)?;
        Ok(Piece {
            range,
            addr: pin.addr(),
            charge,
            foreign: pin.foreign(),
            writes: pin.shared_writable(),
            young: self.machine.active(),
            tagged: pin.tag().is_some(),
            pinner: Identity::current_id(),
        })
    }

    /// They are on record.
    fn committed(&mut self, token: &Token, piece: &Piece) {
        let pages = piece.range.pages() as i64;
        trace::pin(|| self.fields(&piece.range, &ThreadGroup::current(), Ok(())));
        self.forget(token.id);
        lease::account(&mut self.leases, &piece.charge, pages);
        stats::PINS.up();
        stats::PAGES.add(pages);
    }

    /// Does a tag's newest record end where `range` begins?
    fn ends_at(&self, place: &Place, range: &PageRange) -> bool {
        let newest = self.records.find(place).map(|i| &self.records[i]);
        newest.is_some_and(|record| record.range.meets(range))
    }

    fn forget(&mut self, token: u64) {
        self.tokens.retain(|t| t.id != token);
        self.records.tidy();
    }
}
