//! Names that every file takes.

pub use core::ffi::CStr;

pub use crate::alloc::{KBox, KVVec, GFP_KERNEL};
pub use crate::error::{Error, Result, EINVAL, ENOMEM};

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
