//! Errors.

use core::ffi::c_int;

/// An error number, which is negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(c_int);

/// A result with one.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

/// There is no such argument.
pub const EINVAL: Error = Error(-22);
/// There is no memory.
pub const ENOMEM: Error = Error(-12);

impl Error {
    /// The error number.
    pub fn to_errno(self) -> c_int {
        self.0
    }
}

impl From<crate::alloc::AllocError> for Error {
    fn from(_: crate::alloc::AllocError) -> Self {
        ENOMEM
    }
}

/// What a function of C returned.
///
/// # Errors
///
/// What is negative.
pub fn to_result(code: c_int) -> Result {
    if code < 0 {
        return Err(Error(code));
    }
    Ok(())
}
