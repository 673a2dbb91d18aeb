//! Values of C's.

use core::cell::UnsafeCell;

use crate::error::{Error, Result};
use crate::init::PinInit;

/// A value of C's, which changes it as it likes.
pub struct Opaque<T>(UnsafeCell<T>);

impl<T: Default> Opaque<T> {
    /// One that is all zero.
    pub fn zeroed() -> Self {
        Self(UnsafeCell::new(T::default()))
    }

    /// One that C makes.
    pub fn try_ffi_init(make: impl FnOnce(*mut T) -> Result) -> impl PinInit<Self, Error> {
        || {
            let made = Self::zeroed();
            make(made.get())?;
            Ok(made)
        }
    }
}

impl<T> Opaque<T> {
    /// The value.
    pub fn get(&self) -> *mut T {
        self.0.get()
    }
}
