// SPDX-License-Identifier: GPL-2.0

//! A lease: the right of a thread group to hold blocks of a file, and to be told when someone
//! needs them.
//!
//! There are two doors to it: fcntl, for a whole file and with a signal, and the lease fd, for a
//! range and with events. What a lease is and how it fares is the same behind both.

use super::{
    events::Kind,
    kapi::{
        file::{Fasync, FileKey, KeptFile, KeptPath, OpenFile},
        process::ThreadGroup,
        registration::ModuleRef, //
    },
    quota::Quota,
    range::PageRange,
    record::Charge,
    stats,
    voice::Voice, //
};
use kernel::{pid_namespace::PidNamespace, prelude::*, sync::Arc};

/// Bits of F_SETLEASE's argument, as in `include/uapi/linux/longterm.h`.
pub(crate) const F_LONGTERM: u32 = 16;
/// What is pinned under the lease can't be taken away.
pub(crate) const F_UNBREAKABLE: u32 = 32;
/// No lease.
pub(crate) const F_UNLCK: u32 = 2;

/// Names a lease within its inode, for the records that are charged to it. Rises with age.
pub(crate) type LeaseId = u64;

/// Where a lease stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// All is well.
    Held,
    /// A break is under way and the holder was notified.
    Breaking,
    /// Its time was up with pins in the way. New pins need a new lease.
    Revoked,
}

/// Where a lease came from, and how its holders are told.
enum Door {
    /// F_SETLEASE. It belongs to the open file description, to which there is no reference: the
    /// release hook ends it. A signal.
    Fcntl {
        file: FileKey,
        fasync: Pin<KBox<Fasync>>,
    },
    /// A lease fd, which keeps the file, too, for longer than this. The open file that it was taken
    /// through, until that is released. Events.
    Fd {
        kept: Arc<KeptFile>,
        through: Option<FileKey>,
        voice: Voice,
    },
}

/// A process that has adopted a lease.
struct Adopter {
    group: ThreadGroup,
    /// It is counted for who adopted it.
    _quota: Quota,
}

/// A lease.
///
/// Owned by the state of its inode from F_SETLEASE to F_UNLCK or to the end of the open file
/// description, or for the life of its lease fd; all fields are protected by that state's mutex.
/// Keeps the module loaded.
pub(crate) struct Lease {
    /// Its name.
    pub(crate) id: LeaseId,
    /// What it covers.
    pub(crate) range: PageRange,
    /// Can what is pinned under it not be taken away?
    pub(crate) unbreakable: bool,
    /// Where it stands.
    pub(crate) state: State,
    /// The smallest range that has all in it that its holders know to be wanted, in the break under
    /// way.
    pub(crate) told: Option<PageRange>,
    /// Changes of the range's layout that were completed since it was taken.
    pub(crate) generation: u64,
    /// Revoked, but some of its pins have not been through a ladder: to be told of the next break.
    pub(crate) overdue: bool,
    /// Pages of the records that are charged to it.
    pub(crate) pages: u64,
    /// The thread group that took it.
    pub(crate) holder: ThreadGroup,
    /// Others that hold it, too.
    adopters: KVec<Adopter>,
    door: Door,
    /// It is counted for who took it, once it has been attached.
    quota: Option<Quota>,
    _module: ModuleRef,
}

impl Lease {
    fn new(range: PageRange, unbreakable: bool, door: Door) -> Result<Self> {
        let module = ModuleRef::get().ok_or(EINVAL)?;
        stats::LEASES.up();
        Ok(Self {
            id: 0,
            range,
            unbreakable,
            state: State::Held,
            told: None,
            generation: 0,
            overdue: false,
            pages: 0,
            holder: ThreadGroup::current(),
            adopters: KVec::new(),
            door,
            quota: None,
            _module: module,
        })
    }

    /// A lease on `file` as a whole for the current thread group. It still needs a name and
    /// [`Self::start`].
    pub(crate) fn of_file(file: &OpenFile<'_>, unbreakable: bool) -> Result<Self> {
        let door = Door::Fcntl {
            file: file.key(),
            fasync: Fasync::new()?,
        };
        Self::new(PageRange::whole(), unbreakable, door)
    }

    /// A lease on a range for the current thread group, taken through an open file. It still needs
    /// a name and [`Self::count`].
    pub(crate) fn of_fd(
        through: FileKey,
        kept: Arc<KeptFile>,
        range: PageRange,
        unbreakable: bool,
        voice: Voice,
    ) -> Result<Self> {
        let door = Door::Fd {
            kept,
            through: Some(through),
            voice,
        };
        Self::new(range, unbreakable, door)
    }

    /// Puts a fcntl lease on its file, which must be `file`, known as `fd`, counted for a user.
    pub(crate) fn start(&mut self, file: &OpenFile<'_>, fd: u32, quota: Quota) -> Result {
        self.attach(file, fd)?;
        if let Err(e) = file.own_signals() {
            self.detach(file);
            return Err(e);
        }
        self.count(quota);
        Ok(())
    }

    /// It is counted for a user.
    pub(crate) fn count(&mut self, quota: Quota) {
        self.quota = Some(quota);
    }

    /// Puts a fcntl lease on its file, which must be `file`, known as `fd`. To be said again if that
    /// descriptor changes.
    pub(crate) fn attach(&self, file: &OpenFile<'_>, fd: u32) -> Result {
        match &self.door {
            Door::Fcntl { fasync, .. } => fasync.add(file, fd),
            Door::Fd { .. } => Ok(()),
        }
    }

    /// Takes a fcntl lease off its file, which must be `file`. To be called before it is dropped.
    pub(crate) fn detach(&mut self, file: &OpenFile<'_>) {
        if let Door::Fcntl { fasync, .. } = &mut self.door {
            fasync.as_mut().remove(file);
        }
    }

    /// Is it the lease that fcntl has put on this open file?
    pub(crate) fn is_on(&self, key: FileKey) -> bool {
        matches!(&self.door, Door::Fcntl { file, .. } if *file == key)
    }

    /// The open file goes; another one may get its key.
    pub(crate) fn forget_file(&mut self, key: FileKey) {
        if let Door::Fd { through, .. } = &mut self.door {
            *through = through.filter(|file| *file != key);
        }
    }

    /// Has it a lease fd? Then those who break ranges that it covers are its concern one by one, as
    /// it is told of them; else the break of the file is as a whole.
    pub(crate) fn by_range(&self) -> bool {
        matches!(self.door, Door::Fd { .. })
    }

    /// `fcntl` or `fd`, for people.
    pub(crate) fn through(&self) -> &'static str {
        match self.door {
            Door::Fcntl { .. } => "fcntl",
            Door::Fd { .. } => "fd",
        }
    }

    /// The processes that hold it. Some may have gone.
    pub(crate) fn holders(&self) -> impl Iterator<Item = &ThreadGroup> + '_ {
        let adopters = self.adopters.iter().map(|a| &a.group);
        Iterator::chain(core::iter::once(&self.holder), adopters)
    }

    /// Does one of those hold it whom `is` knows?
    pub(crate) fn held_by(&self, is: impl Fn(&ThreadGroup) -> bool) -> bool {
        self.holders().any(is)
    }

    /// The number of a holder in `ns`, if one has one there.
    pub(crate) fn seen_in(&self, ns: &PidNamespace) -> Option<i32> {
        self.holders().find_map(|group| group.number_in(ns))
    }

    /// How near it is to a pin through an open file by those whom `is` knows: 0 is nearest; [`None`]
    /// if such a pin is none of its business.
    pub(crate) fn nearness(&self, key: FileKey, is: impl Fn(&ThreadGroup) -> bool) -> Option<u8> {
        match &self.door {
            Door::Fcntl { file, .. } if *file == key => Some(0),
            Door::Fd { through, .. } if *through == Some(key) => self.held_by(is).then_some(0),
            _ => self.held_by(is).then_some(1),
        }
    }

    /// The current process holds it, too, counted by what `quota` gives.
    pub(crate) fn adopt(&mut self, quota: impl FnOnce() -> Result<Quota>) -> Result {
        if self.state == State::Revoked {
            return Err(ESTALE);
        }
        let me = ThreadGroup::current();
        if self.held_by(|group| *group == me) {
            return Ok(());
        }
        // What has been adopted again and again must not fill memory.
        self.adopters.retain(|a| a.group.lives());
        self.adopters.reserve(1, GFP_KERNEL_ACCOUNT)?;
        let adopter = Adopter {
            group: me,
            _quota: quota()?,
        };
        Ok(self.adopters.push(adopter, GFP_KERNEL_ACCOUNT)?)
    }

    /// Is there anything in `range`, which a breaker is after, that its holders have not been told?
    pub(crate) fn to_be_told(&self, range: &PageRange) -> bool {
        match self.state {
            _ if self.overdue => true,
            State::Held => true,
            State::Breaking => self.by_range() && !self.has_told(range),
            State::Revoked => false,
        }
    }

    /// Have its holders been told, in the break under way, that all of `range` is wanted? Those of a
    /// file as a whole are told once.
    pub(crate) fn has_told(&self, range: &PageRange) -> bool {
        match &self.door {
            Door::Fcntl { .. } => self.told.is_some(),
            Door::Fd { voice, .. } => voice.has_told(range),
        }
    }

    /// Tells the holders that someone wants `range`. `deadline`: when they will have had their
    /// time. `pinned`: how much they have pinned in a range.
    pub(crate) fn notify(
        &mut self,
        range: &PageRange,
        deadline: u64,
        pinned: impl Fn(&PageRange) -> u64,
    ) {
        self.overdue = false;
        if self.state == State::Held {
            self.state = State::Breaking;
        }
        self.told = Some(self.told.map_or(*range, |told| told.hull(range)));
        match &mut self.door {
            Door::Fcntl { fasync, .. } => fasync.notify(),
            Door::Fd { voice, .. } => {
                voice.note(Some(range));
                let range = voice.unread().map_or(*range, |unread| unread.hull(range));
                let bytes = pinned(&range);
                voice.say(Kind::Break, &range, self.generation, deadline, bytes);
            }
        }
        self.look();
    }

    /// Its time was up. `pinned`: how much is still in the way.
    pub(crate) fn revoke(&mut self, pinned: impl Fn(&PageRange) -> u64) {
        self.state = State::Revoked;
        self.say(Kind::Revoked, pinned);
        self.look();
    }

    /// Nobody wants anything of it any more.
    pub(crate) fn rest(&mut self, pinned: impl Fn(&PageRange) -> u64) {
        if self.told.is_none() {
            return;
        }
        if self.state == State::Breaking {
            self.state = State::Held;
        }
        self.say(Kind::End, pinned);
        self.told = None;
        if let Some(voice) = self.voice() {
            voice.note(None);
        }
        self.look();
    }

    fn say(&mut self, kind: Kind, pinned: impl Fn(&PageRange) -> u64) {
        if let Door::Fd { voice, .. } = &mut self.door {
            let range = self.told.unwrap_or(self.range);
            voice.say(kind, &range, self.generation, 0, pinned(&range));
        }
    }

    /// What those see who wait for a lease fd follows from its state.
    fn look(&mut self) {
        let revoked = self.state == State::Revoked;
        let quiet = self.told.is_none();
        if let Door::Fd { voice, .. } = &mut self.door {
            voice.settle(revoked, quiet);
        }
    }

    /// What a lease fd reads from.
    pub(crate) fn voice(&mut self) -> Option<&mut Voice> {
        match &mut self.door {
            Door::Fd { voice, .. } => Some(voice),
            Door::Fcntl { .. } => None,
        }
    }

    /// What F_GETLEASE reports.
    pub(crate) fn reported(&self) -> u32 {
        match self.state {
            State::Held if self.unbreakable => F_LONGTERM | F_UNBREAKABLE,
            State::Held => F_LONGTERM,
            _ => F_UNLCK,
        }
    }

    /// A path of the file, if one is kept.
    pub(crate) fn path(&self) -> Option<KeptPath> {
        match &self.door {
            Door::Fcntl { fasync, .. } => fasync.path(),
            Door::Fd { kept, .. } => Some(kept.path()),
        }
    }
}

/// `pages` more are charged to one of these leases, the oldest of which come first; or less.
pub(crate) fn account(leases: &mut [Lease], charge: &Charge, pages: i64) {
    if let Charge::Lease { id, .. } = *charge {
        if let Ok(i) = leases.binary_search_by_key(&id, |l| l.id) {
            leases[i].pages = leases[i].pages.saturating_add_signed(pages);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        stats::LEASES.down();
    }
}
