//! A device, which is its number.

use core::marker::PhantomData;

use kernel::bindings::block_device;

use crate::remap_core::units::{Errno, Sectors};
use crate::target::MAIN;

/// A device.
pub struct Device<'t>(usize, PhantomData<&'t ()>);

impl Device<'_> {
    /// Device `number`.
    pub fn new(number: usize) -> Self {
        Self(number, PhantomData)
    }

    /// Its size.
    pub fn size(&self) -> Sectors {
        MAIN
    }

    pub(super) fn bdev(&self) -> *mut block_device {
        // None is at the address that stands for no device.
        (self.0 + 1) as *mut block_device
    }
}

/// An error number of the kernel's as the shared rules have it.
pub(super) fn errno_of(error: i32) -> Errno {
    Errno::new(error.saturating_neg())
}
