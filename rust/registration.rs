// SPDX-License-Identifier: GPL-2.0

//! Registration of an implementation of [`Operations`] with the kernel.
//!
//! The hooks have no context argument, so the implementation is found through a static pointer.
//! There is at most one [`Registration`] at a time, as the kernel has room for one only.
//!
//! Whoever gets something from a hook or from the device keeps the module loaded by it, except that
//! nothing keeps a module whose start fails. So hooks run, and the device can be opened, only when
//! nothing can fail any more.
//!
//! End of life, in this order: no hook runs any more (`longterm_unregister()` waits for SRCU and
//! RCU), nobody reads our entries in /proc or can, no work of ours runs or can be queued, the
//! pointer goes, the implementation goes. Hooks that come in pairs are safe across this because each
//! token and each waiting breaker holds a reference to the module: the first by [`ModuleRef`], the
//! second by the kernel.

use core::{
    marker::PhantomPinned,
    ptr::null_mut,
    sync::atomic::{AtomicBool, AtomicPtr, Ordering},
};

use super::{
    bindings,
    procfs::{self, View},
    vtable, //
};
use kernel::{
    bindings as kb,
    error::to_result,
    module::this_module,
    prelude::*, //
};

/// The implementation in use: null, or set by a [`Registration`] of the matching type.
pub(super) static IMPLEMENTATION: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Hooks run. Until then nobody may get anything that would outlive a module whose start fails.
static LIVE: AtomicBool = AtomicBool::new(false);

/// Do hooks run?
pub(super) fn live() -> bool {
    LIVE.load(Ordering::Acquire)
}

/// The ABI number of the kernel's hook table, and the one that this module was built for.
pub(crate) fn abi() -> (u32, u32) {
    // SAFETY: A constant of the kernel.
    let kernel = unsafe { (&raw const bindings::longterm_ops_abi).read() };
    (kernel, bindings::LONGTERM_OPS_ABI)
}

/// A reference to this module, which keeps it loaded.
pub(crate) struct ModuleRef(());

impl ModuleRef {
    /// Takes one; [`None`] if the module is being removed.
    pub(crate) fn get() -> Option<Self> {
        // SAFETY: `THIS_MODULE` is this module's own, or null if built in, which is fine too.
        unsafe { kb::try_module_get(this_module::<crate::Longterm>().as_ptr()) }.then_some(Self(()))
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: Gives back what `get()` took. Whoever drops the last one is a hook, for which
        // `longterm_unregister()` waits, a reader in /proc, for whom `lt_proc_stop()` waits, or
        // work, for which `lt_work_stop()` waits.
        unsafe { kb::module_put(this_module::<crate::Longterm>().as_ptr()) }
    }
}

/// An implementation that can be found while this lives, and is in use once it is [`started`].
///
/// [`started`]: Self::start_hooks
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: View> {
    table: bindings::longterm_ops,
    /// Can be found.
    found: AtomicBool,
    /// Hooks were registered.
    live: AtomicBool,
    #[pin]
    implementation: T,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: `T` may be used from and sent to any thread; the table is constant.
unsafe impl<T: View> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: View> Sync for Registration<T> {}

impl<T: View> Registration<T> {
    /// Makes all that `implementation` needs, so that only hooks are missing.
    pub(crate) fn new(implementation: impl PinInit<T, Error>) -> Result<Pin<KBox<Self>>> {
        let this = KBox::try_pin_init(
            kernel::try_pin_init!(Self {
                table: vtable::table::<T>(),
                found: AtomicBool::new(false),
                live: AtomicBool::new(false),
                implementation <- implementation,
                _pin: PhantomPinned,
            }? Error),
            GFP_KERNEL,
        )?;
        this.start()?;
        Ok(this)
    }

    fn start(&self) -> Result {
        let ptr = core::ptr::from_ref(&self.implementation)
            .cast_mut()
            .cast::<c_void>();
        IMPLEMENTATION
            .compare_exchange(null_mut(), ptr, Ordering::AcqRel, Ordering::Acquire)
            .map_err(|_| EBUSY)?;
        // SAFETY: The functions have the right type, and nobody uses the queue yet.
        let ret =
            unsafe { bindings::lt_work_start(Some(vtable::settle::<T>), Some(vtable::tick::<T>)) };
        if let Err(e) = to_result(ret) {
            IMPLEMENTATION.store(null_mut(), Ordering::Release);
            return Err(e);
        }
        // SAFETY: The pointer is to a `T`, and `stop()` is called before it goes.
        if let Err(e) = unsafe { procfs::start::<T>() } {
            self.stop();
            return Err(e);
        }
        self.found.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Lets hooks run. The last step that may fail: a lease that one of them has taken can't be given
    /// up any more.
    pub(super) fn start_hooks(&self) -> Result {
        // SAFETY: The table is pinned and lives until `drop()` has unregistered it.
        let ret = unsafe { bindings::longterm_register(&self.table) };
        to_result(ret).inspect_err(|e| {
            if *e == EBUSY {
                pr_err!("another module manages long-term leases already\n");
            }
        })?;
        self.live.store(true, Ordering::Relaxed);
        LIVE.store(true, Ordering::Release);
        Ok(())
    }

    /// Everything but unregistering.
    fn stop(&self) {
        procfs::stop();
        // SAFETY: The queue was started, and neither a hook nor a reader runs that could queue.
        unsafe { bindings::lt_work_stop() };
        IMPLEMENTATION.store(null_mut(), Ordering::Release);
    }
}

#[pinned_drop]
impl<T: View> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        if self.live.load(Ordering::Relaxed) {
            LIVE.store(false, Ordering::Release);
            // SAFETY: Registered by `start_hooks()`. After this no hook runs.
            unsafe { bindings::longterm_unregister(&self.table) };
        }
        if self.found.load(Ordering::Relaxed) {
            self.stop();
        }
    }
}
