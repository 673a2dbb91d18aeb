//! When what is shown changes by itself, so that nobody wakes before that.

use std::time::Duration;

use super::state::{Active, State, Tab};
use crate::remap_core::status::RepairStatus;

/// How long until something that is shown counts on; `None` where nothing does.
pub fn next_change(state: &State) -> Option<Duration> {
    let repairs = state
        .active
        .iter()
        .filter_map(|active| repair_counts_on(state, active));
    let shown = state
        .subject()
        .filter(|_| state.tab == Tab::Overview)
        .and_then(|subject| subject.active)
        .and_then(|active| times_count_on(state, active));
    repairs.chain(shown).min().map(Duration::from_millis)
}

/// Milliseconds until the countdown of a repair, which the line on top shows, goes on.
/// Once it is due, the worker's next answer is what changes it.
fn repair_counts_on(state: &State, active: &Active) -> Option<u64> {
    match active.status(state.now).repair {
        RepairStatus::Waiting { in_millis: 0, .. } => None,
        // Shown rounded up: it changes as soon as a whole second is reached.
        RepairStatus::Waiting { in_millis, .. } => Some((in_millis - 1) % 1000 + 1),
        RepairStatus::Idle | RepairStatus::GaveUp => None,
    }
}

/// Milliseconds until one of the times on the overview goes on.
fn times_count_on(state: &State, active: &Active) -> Option<u64> {
    let status = active.status(state.now);
    let passed = state.now.get().saturating_sub(active.seen.get());
    let ago = [status.last_scrub, status.last_repair]
        .into_iter()
        .flatten()
        .map(|seconds| unit(seconds) - seconds % unit(seconds));
    let ahead = status
        .next_scrub
        .filter(|seconds| *seconds > 0)
        .map(|seconds| seconds % unit(seconds) + 1);
    let seconds = ago.chain(ahead).min()?;
    Some(seconds * 1000 - passed % 1000)
}

/// The seconds of the smallest unit in which such a span is shown.
const fn unit(seconds: u64) -> u64 {
    match seconds {
        0..60 => 1,
        60..86_400 => 60,
        _ => 3600,
    }
}
