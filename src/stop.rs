//! A wish that something long ends before it is done: nobody waits for it any more, or
//! somebody asked for its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// The wish. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks for the end. It comes at the next point at which that is safe.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether anybody asked for it.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether the two are one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether anybody else has it, who may mind it.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// An early end where one was asked for.
    ///
    /// # Errors
    ///
    /// [`Stopped`] then.
    pub fn check(&self) -> Result<(), Stopped> {
        match self.is_asked() {
            true => Err(Stopped),
            false => Ok(()),
        }
    }
}

/// An end before something was done, because it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;
