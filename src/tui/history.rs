//! The counters of a device over time, in as many parts as there are columns.

use crate::port::history::Sample;
use crate::remap_core::units::Timestamp;

/// A counter of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Scrubs that ended.
    Scrubs,
    /// Scrubs that found damage.
    CorruptionDetected,
    /// Repairs after which everything was intact.
    RepairsCompleted,
    /// Repairs tried.
    RepairAttempts,
    /// Blocks served from the spare.
    Remapped,
    /// Blocks that cannot be read until they are written.
    Pending,
    /// Replacement blocks that are not free.
    SpareUsed,
    /// Blocks of main that failed to be written.
    WriteErrors,
    /// Blocks of main that failed to be read.
    ReadErrors,
}

impl Counter {
    /// Every counter, in the order in which they are shown.
    pub const ALL: [Self; 9] = [
        Self::Scrubs,
        Self::CorruptionDetected,
        Self::RepairsCompleted,
        Self::RepairAttempts,
        Self::Remapped,
        Self::Pending,
        Self::SpareUsed,
        Self::WriteErrors,
        Self::ReadErrors,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scrubs => "scrubs",
            Self::CorruptionDetected => "corruption detected",
            Self::RepairsCompleted => "repairs completed",
            Self::RepairAttempts => "repair attempts",
            Self::Remapped => "blocks on the spare",
            Self::Pending => "blocks unreadable",
            Self::SpareUsed => "spare blocks used",
            Self::WriteErrors => "write errors",
            Self::ReadErrors => "read errors",
        }
    }

    /// Whether it can go down, so that where it stands is of interest and not how fast it
    /// rises.
    pub const fn is_level(self) -> bool {
        matches!(self, Self::Remapped | Self::Pending | Self::SpareUsed)
    }

    /// What it is in `sample`.
    pub const fn of(self, sample: &Sample) -> u64 {
        match self {
            Self::Scrubs => sample.scrubs,
            Self::CorruptionDetected => sample.corruption_detected,
            Self::RepairsCompleted => sample.repairs_completed,
            Self::RepairAttempts => sample.repair_attempts,
            Self::Remapped => sample.active_blocks,
            Self::Pending => sample.pending_blocks,
            Self::SpareUsed => sample.used_blocks,
            Self::WriteErrors => sample.write_errors,
            Self::ReadErrors => sample.read_errors,
        }
    }
}

/// Spans of time to look back over, in seconds.
pub const WINDOWS: [u64; 6] = [600, 3600, 6 * 3600, 86_400, 7 * 86_400, 30 * 86_400];

/// The one that is looked back over at first: an hour.
pub const USUAL_WINDOW: usize = 1;

/// What a counter was over the last `window` seconds before `now`, in `parts` equal
/// spans: how much it rose in each or, of a level, where it stood at its end. `None` for
/// spans before the first sample.
pub fn parts(
    samples: &[Sample],
    counter: Counter,
    now: Timestamp,
    window: u64,
    parts: usize,
) -> Vec<Option<u64>> {
    let mut values = vec![None; parts];
    let (Some(first), true) = (samples.first(), parts > 0) else {
        return values;
    };
    // A clock that was set back puts samples in the future: the last part is theirs.
    let begin = now.get().saturating_sub(window);
    let part_of = |time: u64| {
        let along = u128::from(time.saturating_sub(begin)) * parts as u128;
        let part = along / u128::from(window.max(1));
        usize::try_from(part).unwrap_or(parts).min(parts - 1)
    };
    let known_from = if first.time_seconds <= begin {
        0
    } else {
        part_of(first.time_seconds)
    };
    for value in &mut values[known_from..] {
        *value = Some(0);
    }
    if counter.is_level() {
        let mut before = counter.of(first);
        let mut next = 0;
        for sample in samples {
            let part = if sample.time_seconds < begin {
                0
            } else {
                part_of(sample.time_seconds)
            };
            for value in &mut values[next.max(known_from)..part.max(known_from)] {
                *value = Some(before);
            }
            next = next.max(part);
            before = counter.of(sample);
        }
        for value in &mut values[next.max(known_from)..] {
            *value = Some(before);
        }
        return values;
    }
    for pair in samples.windows(2) {
        let [before, after] = pair else {
            continue;
        };
        if after.time_seconds < begin {
            continue;
        }
        if let Some(Some(value)) = values.get_mut(part_of(after.time_seconds)) {
            *value += rise(counter.of(before), counter.of(after));
        }
    }
    values
}

/// How much a counter rose. One that is lower than before began anew.
const fn rise(before: u64, after: u64) -> u64 {
    match after.checked_sub(before) {
        Some(rise) => rise,
        None => after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time_seconds: u64, scrubs: u64, active_blocks: u64) -> Sample {
        Sample {
            time_seconds,
            scrubs,
            active_blocks,
            ..Sample::default()
        }
    }

    #[test]
    fn rises_add_up_and_levels_stay_where_they_were() {
        let samples = [
            sample(100, 5, 1),
            sample(130, 7, 4),
            sample(135, 8, 9),
            // The device was taken apart and came up again.
            sample(170, 2, 9),
            sample(190, 3, 0),
        ];
        let now = Timestamp::new(200);
        let of = |counter, window, count| parts(&samples, counter, now, window, count);
        assert_eq!(
            of(Counter::Scrubs, 100, 5),
            [Some(0), Some(3), Some(0), Some(2), Some(1)]
        );
        assert_eq!(
            of(Counter::Remapped, 100, 5),
            [Some(1), Some(9), Some(9), Some(9), Some(0)]
        );
        assert_eq!(of(Counter::Scrubs, 200, 4), [None, None, Some(3), Some(3)]);
        assert_eq!(
            of(Counter::Remapped, 200, 4),
            [None, None, Some(9), Some(0)]
        );
        assert_eq!(of(Counter::Remapped, 20, 2), [Some(9), Some(0)]);
        assert_eq!(of(Counter::Scrubs, 20, 0), []);
        assert_eq!(parts(&[], Counter::Scrubs, now, 60, 2), [None, None]);
        let early = Timestamp::new(10);
        let future = parts(&samples, Counter::Scrubs, early, 5, 3);
        assert_eq!(future, [None, None, Some(6)]);
    }

    #[test]
    fn no_part_is_lost_at_any_width() {
        let samples: Vec<Sample> = (0..300).map(|at| sample(1000 + at * 7, at, at)).collect();
        let now = Timestamp::new(1000 + 300 * 7);
        for count in 1..120 {
            let rises = parts(&samples, Counter::Scrubs, now, 1_000_000, count);
            assert_eq!(rises.iter().flatten().sum::<u64>(), 299, "{count} parts");
            let levels = parts(&samples, Counter::Remapped, now, 2000, count);
            assert_eq!(levels.last(), Some(&Some(299)));
            assert!(levels.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }
}
