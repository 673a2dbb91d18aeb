//! Putting back what lay there before, where an action that is all or nothing came half-way.

use super::bytes;
use super::progress::{Progress, Work};
use super::{Operation, Plan};
use crate::error::Error;
use crate::format::backup::SavedRange;
use crate::port::BlockStore;
use crate::remap_core::units::{Sector, Sectors, BLOCK_4K_SECTORS};

/// The code of the error that tells of an early end that was asked for.
pub const INTERRUPTED: &str = "interrupted";

impl Plan {
    /// Whether carrying it out can end early: what was written by then is put back.
    ///
    /// Setting up is all or nothing. A repair that came half-way has made nothing worse and
    /// takes but a moment; half an undo would be neither what was there before nor what is
    /// there now.
    pub fn can_end_early(&self) -> bool {
        matches!(
            self.operation,
            Operation::Create { .. } | Operation::WriteInactive { .. } | Operation::Migrate { .. }
        )
    }
}

/// An early end of what changed something already.
pub(super) fn interrupted(title: &str) -> Error {
    let message = format!("Interrupted: {title} was ended before it was done.");
    Error::failed(INTERRUPTED, message)
}

/// An early end before anything was changed.
pub(super) fn not_begun(title: &str) -> Error {
    interrupted(title).advise("Nothing was changed.")
}

/// Tells what became of what was written before `error`.
pub(super) fn advise(plan: &Plan, error: Error, rolled_back: bool, kept_as: &str) -> Error {
    let again = match error.code {
        INTERRUPTED => " The same command begins anew.",
        _ => "",
    };
    error.advise(match (rolled_back, plan.undoable) {
        (true, true) => format!("What was there before has been written back.{again}"),
        (true, false) => format!(
            "Copies and headers are what they were before; what lay where the remap table \
             goes was too much to be kept.{again}"
        ),
        (false, true) => format!("What was there before is kept as {kept_as}"),
        (false, false) => "Not all of what was there before could be written back.".to_owned(),
    })
}

/// Writes `before` back, headers of what was `written` first: without them no part of a new
/// table is taken for a device, whatever happens next. Whether it is all there again.
pub(super) fn roll_back(
    store: &mut dyn BlockStore,
    before: &[SavedRange],
    written: &[(Sector, Sectors)],
    progress: &Progress,
) -> bool {
    let progress = progress.to_the_end();
    let total = bytes::total(&bytes::extents(before)).get();
    progress.expect(Sectors::new(total.saturating_mul(2)));
    let block = Sectors::new(BLOCK_4K_SECTORS);
    let headers: Vec<_> = written.iter().map(|(at, _)| (*at, block)).collect();
    let headers = bytes::within(before, &headers);
    // Whether they are there is found out below, with all the rest.
    let _ = bytes::write_ranges(store, &headers, Work::Restoring, &Progress::silent());
    let _ = store.flush();
    bytes::write_ranges(store, before, Work::Restoring, &progress).is_ok()
        && store.flush().is_ok()
        && matches!(bytes::first_difference(store, before, &progress), Ok(None))
}
