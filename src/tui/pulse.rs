//! When what is shown changes by itself, so that nobody wakes before that.

use std::time::Duration;

use super::listing::Active;
use super::state::{State, Tab};
use crate::remap_core::status::RepairStatus;

/// How long until something that is shown counts on; `None` where nothing does.
pub fn next_change(state: &State) -> Option<Duration> {
    let underway = state.underway.next_change().map(Duration::from_millis);
    if state.frozen.is_some() {
        return underway;
    }
    let repairs = state
        .up()
        .iter()
        .filter_map(|active| repair_counts_on(state, active));
    let shown = state
        .subject()
        .filter(|_| matches!(state.tab, Tab::Overview | Tab::Counters))
        .and_then(|subject| subject.active)
        .and_then(|active| times_count_on(state, active));
    let changed = state
        .subject()
        .filter(|_| state.tab == Tab::Copies)
        .and_then(|subject| state.changes.get(subject.store)?.counts_on(state.now));
    repairs
        .chain(shown)
        .chain(changed)
        .map(Duration::from_millis)
        .chain(underway)
        .min()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap_core::quorum::Verdict;
    use crate::remap_core::status::Status;
    use crate::remap_core::units::Millis;
    use crate::tui::event::{Answer, Event};
    use crate::tui::headline::headline;
    use crate::tui::sample::{self, happen, mapped, well, COLOUR};
    use crate::tui::show;

    fn shown(state: &State) -> (String, Vec<Option<String>>) {
        let status = state.subject().unwrap().active.unwrap().status(state.now);
        let times = [status.last_scrub, status.next_scrub, status.last_repair];
        let times = times.map(|time| time.map(show::span));
        (headline(state).text, times.to_vec())
    }

    fn state_of(status: Status) -> State {
        let mut state = sample::state(COLOUR, 80, 24);
        let listed = Answer::Listed {
            devices: sample::devices_but_the_weak(),
            mapped: vec![mapped("vault", "disk-a", "disk-b", status)],
        };
        happen(&mut state, 5000, Event::Told(listed));
        state
    }

    /// Lets time go by in steps of 50 ms beside the pulse, and compares.
    fn wakes_when_something_changes(mut state: State, seconds: u64) -> usize {
        let mut wakes = 0;
        let mut now = state.now.get();
        let end = now + seconds * 1000;
        while let Some(wait) = next_change(&state) {
            let wait = u64::try_from(wait.as_millis()).unwrap();
            assert!(wait > 0, "a pulse without a pause");
            let before = shown(&state);
            for at in (now..now + wait).step_by(50) {
                state.now = Millis::new(at);
                assert_eq!(shown(&state), before, "changed before the pulse");
            }
            now += wait;
            if now > end {
                break;
            }
            happen(&mut state, now, Event::Tick);
            assert_ne!(shown(&state), before, "a pulse for nothing");
            wakes += 1;
        }
        wakes
    }

    #[test]
    fn nobody_wakes_for_what_does_not_change() {
        let long_ago = Status {
            last_scrub: Some(100),
            last_repair: Some(7000),
            next_scrub: Some(3500),
            ..well()
        };
        let wakes = wakes_when_something_changes(state_of(long_ago), 600);
        assert!((10..=31).contains(&wakes), "{wakes} wakes in ten minutes");
    }

    #[test]
    fn a_countdown_wakes_once_a_second() {
        let repairing = Status {
            verdict: Verdict::Degraded,
            ..sample::damaged()
        };
        let wakes = wakes_when_something_changes(state_of(repairing), 15);
        assert!((15..=30).contains(&wakes), "{wakes} wakes in 15 s");
    }

    #[test]
    fn without_anything_that_counts_there_is_no_pulse() {
        let idle = Status {
            last_scrub: None,
            next_scrub: None,
            last_repair: None,
            ..well()
        };
        assert_eq!(next_change(&state_of(idle)), None);
        let mut elsewhere = state_of(well());
        sample::press(&mut elsewhere, "4");
        assert_eq!(next_change(&elsewhere), None);
    }
}
