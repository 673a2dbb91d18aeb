//! Operations: what is asked for, the plan it comes to, and carrying that out.
//!
//! `plan` decides, from what it reads, and opens nothing for writing. A [`Plan`] is
//! shown, then confirmed; only a [`Confirmed`] plan can be carried out, after a fresh
//! look at what it was made from.

mod operation;
mod plan;
mod refusal;
pub mod step;

use std::sync::Arc;

pub use operation::{CorruptionKind, Operation, Target, UnknownKind};
pub use plan::{Confirmed, Outcome, Plan, PlannedWrite};
pub use refusal::Refusal;

use crate::port::journal::Journal;
use crate::port::Platform;

/// What planning and carrying out need besides a host.
pub struct Context {
    /// Where actions are logged.
    pub journal: Box<dyn Journal>,
    /// Time, to stamp what is written, and chance, to name arrays.
    pub platform: Arc<dyn Platform>,
    /// Whether every change is refused.
    pub read_only: bool,
}
