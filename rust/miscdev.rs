// SPDX-License-Identifier: GPL-2.0

//! The character device /dev/longterm, which knows nothing but ioctl.

use core::marker::PhantomData;

use super::{
    procfs::View,
    registration::{self, Registration},
    vtable::implementation, //
};
use kernel::{
    bindings as kb,
    error::to_result,
    module::this_module,
    prelude::*,
    types::Opaque,
    uaccess::UserPtr, //
};

/// What the device does.
pub(crate) trait DeviceOperations: View {
    /// ioctl(2).
    fn ioctl(&self, cmd: u32, arg: UserPtr) -> Result<isize>;
}

/// A registration of hooks, and the device while it lives.
#[pin_data(PinnedDrop)]
pub(crate) struct Device<T: DeviceOperations> {
    #[pin]
    misc: Opaque<kb::miscdevice>,
    // Dropped behind the device.
    _hooks: Pin<KBox<Registration<T>>>,
}

// SAFETY: The C side has its own lock for the device; nothing here changes it.
unsafe impl<T: DeviceOperations> Send for Device<T> {}
// SAFETY: As above.
unsafe impl<T: DeviceOperations> Sync for Device<T> {}

impl<T: DeviceOperations> Device<T> {
    /// Makes the device, which everybody may open, and lets hooks run.
    pub(crate) fn new(hooks: Pin<KBox<Registration<T>>>) -> Result<Pin<KBox<Self>>> {
        KBox::try_pin_init(
            kernel::try_pin_init!(Self {
                misc <- Opaque::try_ffi_init(|slot: *mut kb::miscdevice| {
                    let misc = kb::miscdevice {
                        minor: kb::MISC_DYNAMIC_MINOR as c_int,
                        name: c"longterm".as_char_ptr(),
                        fops: Calls::<T>::build(),
                        mode: 0o666,
                        ..pin_init::zeroed()
                    };
                    // SAFETY: `slot` is valid for writes and stays where it is until `drop()`.
                    to_result(unsafe {
                        slot.write(misc);
                        kb::misc_register(slot)
                    })?;
                    hooks.start_hooks().inspect_err(|_| {
                        // SAFETY: Registered just now.
                        unsafe { kb::misc_deregister(slot) };
                    })
                }),
                _hooks: hooks,
            }? Error),
            GFP_KERNEL,
        )
    }
}

#[pinned_drop]
impl<T: DeviceOperations> PinnedDrop for Device<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by `new()`.
        unsafe { kb::misc_deregister(self.misc.get()) };
    }
}

struct Calls<T>(PhantomData<T>);

impl<T: DeviceOperations> Calls<T> {
    const TABLE: kb::file_operations = kb::file_operations {
        owner: this_module::<crate::Longterm>().as_ptr(),
        open: Some(Self::open),
        llseek: Some(kb::noop_llseek),
        unlocked_ioctl: Some(Self::ioctl),
        #[cfg(CONFIG_COMPAT)]
        compat_ioctl: kb::compat_ptr_ioctl,
        ..pin_init::zeroed()
    };

    const fn build() -> &'static kb::file_operations {
        &Self::TABLE
    }

    /// # Safety
    ///
    /// For the kernel, as an operation of the device, whose registration waits for it to end.
    unsafe extern "C" fn open(_inode: *mut kb::inode, _filp: *mut kb::file) -> c_int {
        // The start of the module may still fail.
        match registration::live() {
            true => 0,
            false => ENXIO.to_errno(),
        }
    }

    /// # Safety
    ///
    /// For the kernel, as an operation of the device.
    unsafe extern "C" fn ioctl(_filp: *mut kb::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: The device is there only while `Device` keeps the registration that was made for
        // `T`; and who has it open holds the module, whose end is what drops that.
        let this = unsafe { implementation::<T>() };
        match this.ioctl(cmd, UserPtr::from_addr(arg)) {
            Ok(value) => value as c_long,
            Err(e) => e.to_errno() as c_long,
        }
    }
}
