//! What every file takes.

pub use core::ffi::CStr;
pub use core::pin::Pin;

pub use crate::alloc::{KBox, KVVec, GFP_KERNEL};
pub use crate::error::{Error, Result, EINVAL, ENOMEM};
pub use crate::init::{PinInit, PinnedDrop};
pub use crate::{pin_init, try_pin_init};
pub use macros::{pin_data, pinned_drop};

/// What the kernel's strings add.
pub trait CStrExt {
    /// Where it begins.
    fn as_char_ptr(&self) -> *const core::ffi::c_char;
}

impl CStrExt for CStr {
    fn as_char_ptr(&self) -> *const core::ffi::c_char {
        self.as_ptr()
    }
}
