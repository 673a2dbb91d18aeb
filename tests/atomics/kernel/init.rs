//! Pinned initialisation, in which values are made and moved.

use core::convert::Infallible;
use core::pin::Pin;

/// How a value is made.
pub trait PinInit<T, E = Infallible> {
    /// Makes it.
    ///
    /// # Errors
    ///
    /// Whatever stands against it.
    fn make(self) -> Result<T, E>;
}

impl<T, E, F: FnOnce() -> Result<T, E>> PinInit<T, E> for F {
    fn make(self) -> Result<T, E> {
        self()
    }
}

/// What is done before a value is dropped.
pub trait PinnedDrop {
    /// Does it.
    fn drop(self: Pin<&mut Self>);
}

/// How a value is made of the values of its fields.
#[macro_export]
macro_rules! pin_init {
    (Self { $($field:ident: $value:expr),* $(,)? }) => {
        || Ok(Self { $($field: $value),* })
    };
}

/// How a value is made of fields that are made as well.
#[macro_export]
macro_rules! try_pin_init {
    (Self { $($field:ident <- $made:expr),* $(,)? }) => {
        || Ok(Self { $($field: $crate::init::PinInit::make($made)?),* })
    };
}
