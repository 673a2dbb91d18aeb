//! What the worker asks of a target.

use core::pin::Pin;

/// A kind of target.
pub trait Target: Sized + 'static {
    /// One target.
    type Data<'t>: Send + Sync;

    /// Deals with the bios that the worker holds.
    fn work(target: Pin<&Self::Data<'_>>);

    /// Does what is due.
    fn timer(target: Pin<&Self::Data<'_>>);
}
