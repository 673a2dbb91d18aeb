// SPDX-License-Identifier: GPL-2.0-or-later
//! Strings that end with a NUL.

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ops::Deref;

use crate::alloc::flags::GFP_KERNEL;
use crate::alloc::KVec;
use crate::error::code::EINVAL;
use crate::error::Result;
use crate::ffi::c_char;

/// Conversions to and from the `char` of the kernel's crate.
pub trait CStrExt {
    /// Takes a pointer of C's.
    ///
    /// # Safety
    ///
    /// A string with a NUL must be there for as long as the reference is used.
    unsafe fn from_char_ptr<'a>(from: *const c_char) -> &'a Self;

    /// Gives one.
    fn as_char_ptr(&self) -> *const c_char;
}

impl CStrExt for CStr {
    unsafe fn from_char_ptr<'a>(from: *const c_char) -> &'a Self {
        // SAFETY: as the caller promises.
        unsafe { CStr::from_ptr(from.cast()) }
    }

    fn as_char_ptr(&self) -> *const c_char {
        self.as_ptr().cast()
    }
}

/// A string on the heap.
///
/// # Invariants
///
/// One NUL, which is its last byte.
pub struct CString(KVec<u8>);

struct Count(usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

struct Fill<'a>(&'a mut KVec<u8>);

impl Write for Fill<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let pushed = text
            .bytes()
            .try_for_each(|byte| self.0.push_within_capacity(byte));
        pushed.map_err(|_| fmt::Error)
    }
}

impl CString {
    /// Formats a text.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `EINVAL` if there is a NUL in it.
    pub fn try_from_fmt(text: fmt::Arguments<'_>) -> Result<Self> {
        let mut count = Count(1);
        count.write_fmt(text)?;
        let mut bytes = KVec::with_capacity(count.0, GFP_KERNEL)?;
        Fill(&mut bytes).write_fmt(text)?;
        bytes.push_within_capacity(0).map_err(|_| EINVAL)?;
        CStr::from_bytes_with_nul(&bytes).map_err(|_| EINVAL)?;
        // INVARIANT: it was checked just now.
        Ok(Self(bytes))
    }
}

impl Deref for CString {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        // SAFETY: by the invariants.
        unsafe { CStr::from_bytes_with_nul_unchecked(&self.0) }
    }
}
