//! What the kernel logged since the machine started, as far as it is still there.

use crate::port::HostError;
use crate::remap_core::event::Severity;
use crate::remap_core::units::Timestamp;

/// One record that the kernel itself logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number; counts up from 0 while the machine is up.
    pub sequence: u64,
    /// How much it asks of the operator.
    pub severity: Severity,
    /// When it was logged; shown, never compared. Time during which the machine slept
    /// since then is missing from it, for the kernel's own clock stood still.
    pub time: Timestamp,
    /// What it says. Not fit to be shown as it is.
    pub text: String,
}

/// What a look at the log brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// What was logged since the last look, oldest first.
    pub records: Vec<Record>,
    /// Whether something before these was overwritten before it was read.
    pub overwritten: bool,
}

/// The kernel's log, from its oldest record on.
pub trait KernelLog: Send {
    /// What was logged since the last look; at the first, everything that is still there.
    /// Never waits.
    ///
    /// # Errors
    ///
    /// [`HostError`] if it cannot be read.
    fn read(&mut self) -> Result<Records, HostError>;
}
