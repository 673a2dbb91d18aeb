// SPDX-License-Identifier: GPL-2.0-or-later
//! Error numbers.

use core::num::NonZeroI32;

use crate::alloc::AllocError;
use crate::ffi::c_int;

/// A result with an error number.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// The greatest error number.
const MOST: c_int = 4095;

/// A negative error number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error(NonZeroI32);

impl Error {
    const fn new(errno: i32) -> Self {
        match NonZeroI32::new(-errno) {
            Some(errno) => Self(errno),
            None => panic!(),
        }
    }

    /// The error of a negative number; `EINVAL` if it is none.
    pub const fn from_errno(errno: c_int) -> Self {
        match NonZeroI32::new(errno) {
            Some(number) if errno < 0 && errno >= -MOST => Self(number),
            _ => code::EINVAL,
        }
    }

    /// The negative number.
    pub const fn to_errno(self) -> c_int {
        self.0.get()
    }
}

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Self {
        code::ENOMEM
    }
}

impl From<core::fmt::Error> for Error {
    fn from(_: core::fmt::Error) -> Self {
        code::EINVAL
    }
}

/// The numbers that the module names; they are the same for every kernel of an architecture.
pub mod code {
    use super::Error;

    macro_rules! codes {
        ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
            $($(#[$doc])* pub const $name: Error = Error::new($number);)*
        };
    }
    codes! {
        /// It is not allowed.
        EPERM = 1;
        /// Input or output failed.
        EIO = 5;
        /// There is no such device or address.
        ENXIO = 6;
        /// It is to be tried again.
        EAGAIN = 11;
        /// There is no memory.
        ENOMEM = 12;
        /// It is in use.
        EBUSY = 16;
        /// It exists already.
        EEXIST = 17;
        /// There is no such device.
        ENODEV = 19;
        /// There is no such argument.
        EINVAL = 22;
        /// There is no room.
        ENOSPC = 28;
        /// It is only to be read.
        EROFS = 30;
        /// It is out of range.
        ERANGE = 34;
        /// There are no data.
        ENODATA = 61;
        /// It is not supported.
        EOPNOTSUPP = 95;
        /// It is not what it was.
        ESTALE = 116;
        /// It needs repair.
        EUCLEAN = 117;
    }
}

/// Takes a negative number for an error.
///
/// # Errors
///
/// The number, if it is negative.
pub fn to_result(code: c_int) -> Result {
    if code < 0 {
        return Err(Error::from_errno(code));
    }
    Ok(())
}

/// Gives the number that C expects of a result.
pub fn from_result(inner: impl FnOnce() -> Result<c_int>) -> c_int {
    match inner() {
        Ok(value) => value,
        Err(error) => error.to_errno(),
    }
}
