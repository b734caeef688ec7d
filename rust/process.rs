// SPDX-License-Identifier: GPL-2.0

//! Processes: whom a lease or a pin belongs to, and who may be signalled.

use core::ptr::NonNull;

use super::bindings;
use kernel::{
    bindings as kb,
    cred::Credential,
    error::to_result,
    pid_namespace::PidNamespace,
    prelude::*,
    sync::aref::ARef, //
};

/// A thread group by reference: never mistaken for another one, whatever becomes of its number.
///
/// # Invariants
///
/// Owns a reference to the `struct pid`.
pub(crate) struct ThreadGroup(NonNull<kb::pid>);

// SAFETY: `struct pid` is reference counted and may be used from any thread.
unsafe impl Send for ThreadGroup {}
// SAFETY: As above; nothing here changes it.
unsafe impl Sync for ThreadGroup {}

impl ThreadGroup {
    /// That of the current task.
    pub(crate) fn current() -> Self {
        // SAFETY: `current` is valid, and a running task has a pid of every type.
        let pid = unsafe {
            kb::get_task_pid(kernel::task::Task::current_raw(), kb::pid_type_PIDTYPE_TGID)
        };
        // SAFETY: See above: not null.
        // INVARIANT: `get_task_pid()` took the reference.
        Self(unsafe { NonNull::new_unchecked(pid) })
    }

    /// For the C side; valid as long as `self`.
    pub(super) fn as_ptr(&self) -> *const kb::pid {
        self.0.as_ptr()
    }

    /// Something to compare.
    pub(crate) fn id(&self) -> GroupId {
        GroupId(self.0.as_ptr() as usize)
    }

    /// Its number in the initial pid namespace.
    pub(crate) fn number(&self) -> i32 {
        // SAFETY: By the invariant the pid is valid; `init_pid_ns` is static.
        unsafe { kb::pid_nr_ns(self.0.as_ptr(), &raw mut kb::init_pid_ns) }
    }

    /// Its number in `ns`, if it has one there.
    pub(crate) fn number_in(&self, ns: &PidNamespace) -> Option<i32> {
        // SAFETY: By the invariant the pid is valid, and so is the namespace.
        let nr = unsafe { kb::pid_nr_ns(self.0.as_ptr(), ns.as_ptr()) };
        (nr != 0).then_some(nr)
    }

    /// Is there a process?
    pub(crate) fn lives(&self) -> bool {
        // SAFETY: By the invariant the pid is valid.
        unsafe { bindings::lt_group_lives(self.0.as_ptr()) }
    }

    /// Could the current task kill(2) it?
    pub(crate) fn killable(&self) -> bool {
        // SAFETY: By the invariant the pid is valid.
        unsafe { bindings::longterm_may_kill(self.0.as_ptr()) }
    }

    /// Does it run on the address space that `mm` stands for?
    pub(crate) fn runs_on(&self, mm: MmKey) -> bool {
        // SAFETY: By the invariant the pid is valid; the address space is only compared.
        unsafe { bindings::lt_runs_on(self.0.as_ptr(), mm.0 as *const kb::mm_struct) }
    }

    /// Sends SIGBUS to the process, about user address `addr`.
    pub(crate) fn sigbus(&self, addr: usize) -> Result {
        // SAFETY: By the invariant the pid is valid.
        to_result(unsafe { bindings::longterm_sigbus(self.0.as_ptr(), addr) })
    }

    /// Sends SIGKILL.
    pub(crate) fn sigkill(&self) -> Result {
        // SAFETY: By the invariant the pid is valid.
        to_result(unsafe { kb::kill_pid(self.0.as_ptr(), kb::SIGKILL as c_int, 1) })
    }
}

impl Clone for ThreadGroup {
    fn clone(&self) -> Self {
        // SAFETY: By the invariant the pid is valid.
        unsafe { bindings::lt_get_pid(self.0.as_ptr()) };
        // INVARIANT: The reference was taken just now.
        Self(self.0)
    }
}

impl Drop for ThreadGroup {
    fn drop(&mut self) {
        // SAFETY: By the invariant the reference is ours to give back.
        unsafe { kb::put_pid(self.0.as_ptr()) }
    }
}

impl PartialEq for ThreadGroup {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Identity of a thread group. A number: two are the same for sure only while a [`ThreadGroup`]
/// keeps one of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GroupId(usize);

impl GroupId {
    /// That of the current task, in any context; [`None`] in an interrupt or a kernel thread.
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: Looks at the current task only.
        let pid = unsafe { bindings::lt_current_group() };
        (!pid.is_null()).then_some(Self(pid as usize))
    }

    /// As a number.
    pub(crate) fn number(self) -> u64 {
        self.0 as u64
    }
}

/// Identity of a user address space, to be compared only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MmKey(usize);

impl MmKey {
    pub(super) fn of(mm: *const kb::mm_struct) -> Self {
        Self(mm as usize)
    }
}

/// A command's name, cut off and zero terminated as the kernel keeps it.
#[derive(Clone, Copy)]
pub(crate) struct Comm([u8; bindings::lt_constants_LT_COMM_LEN as usize]);

impl Comm {
    /// That of the current task.
    pub(crate) fn current() -> Self {
        let mut comm = [0; bindings::lt_constants_LT_COMM_LEN as usize];
        // SAFETY: The function writes LT_COMM_LEN bytes, the last one a zero.
        unsafe { bindings::lt_current_comm(comm.as_mut_ptr().cast()) };
        Self(comm)
    }

    /// A name for nobody.
    pub(crate) const fn unknown() -> Self {
        Self(*b"-\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
    }

    /// No name at all.
    pub(super) const fn none() -> Self {
        Self([0; bindings::lt_constants_LT_COMM_LEN as usize])
    }

    pub(super) fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    /// For the C side to write a name to.
    pub(super) fn as_mut_ptr(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }
}

/// A process as it was when it pinned: who it was, and what it ran.
pub(crate) struct Identity {
    group: ThreadGroup,
    cred: ARef<Credential>,
    exec_id: u64,
    comm: Comm,
}

impl Identity {
    /// The current process as it is.
    pub(crate) fn current() -> Self {
        // SAFETY: The current task has credentials; the call takes a reference to them.
        let cred = unsafe { bindings::lt_get_current_cred() };
        // SAFETY: Not null; the reference just taken is handed over. `Credential` is a transparent
        // wrapper.
        let cred = unsafe { ARef::from_raw(NonNull::new_unchecked(cred.cast_mut()).cast()) };
        Self {
            group: ThreadGroup::current(),
            cred,
            // SAFETY: Reads a field of the current task.
            exec_id: unsafe { bindings::lt_current_exec_id() },
            comm: Comm::current(),
        }
    }

    /// The thread group.
    pub(crate) fn group(&self) -> &ThreadGroup {
        &self.group
    }

    /// What it was called.
    pub(crate) fn comm(&self) -> &Comm {
        &self.comm
    }

    /// That of the current process, to compare: nothing has to be referenced for it.
    pub(crate) fn current_id() -> IdentityId {
        // SAFETY: All read fields of the current task, which has credentials.
        unsafe {
            IdentityId(
                GroupId(bindings::lt_current_tgid() as usize),
                bindings::lt_current_exec_id(),
                bindings::lt_current_cred() as usize,
            )
        }
    }

    /// Something to compare: equal for the same process, having run nothing else in between, with
    /// the same credentials.
    pub(crate) fn id(&self) -> IdentityId {
        IdentityId(self.group.id(), self.exec_id, self.cred.as_ptr() as usize)
    }

    /// May it be stopped for what it did: does it run the same program with the same credentials,
    /// and is it not a process that others can't live without?
    pub(crate) fn accountable(&self) -> bool {
        // SAFETY: Pid and credentials are valid, being referenced.
        unsafe { bindings::lt_may_signal(self.group.0.as_ptr(), self.exec_id, self.cred.as_ptr()) }
    }
}

/// Identity of an [`Identity`]. Numbers: good while it is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdentityId(GroupId, u64, usize);

/// A task, to compare with the current one while it is known to live.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskKey(usize);

impl TaskKey {
    /// The current task.
    pub(crate) fn current() -> Self {
        Self(kernel::task::Task::current_raw() as usize)
    }
}

/// Is the current task the only thread of its process?
pub(crate) fn current_alone() -> bool {
    // SAFETY: Reads the current task's own thread list state.
    unsafe { bindings::lt_current_alone() }
}
