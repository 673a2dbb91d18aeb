//! What the counters of mapped devices were, kept from one run of the application to the
//! next.

use std::io;

use serde::{Deserialize, Serialize};

use crate::remap_core::status::Status;
use crate::remap_core::units::Timestamp;

/// Samples that are kept of one device. Where there are more, the older half is thinned
/// out: what happened long ago is known less closely, but not forgotten.
pub const SAMPLES_KEPT: usize = 512;

/// The counters of one device at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// When they were read, in seconds since 1970; shown, and never decided by.
    pub time_seconds: u64,
    /// Scrubs that ended.
    pub scrubs: u64,
    /// Scrubs that found damage.
    pub corruption_detected: u64,
    /// Repairs after which everything was intact.
    pub repairs_completed: u64,
    /// Repairs tried.
    pub repair_attempts: u64,
    /// Blocks served from the spare.
    pub active_blocks: u64,
    /// Blocks that the next write moves to the spare.
    pub pending_blocks: u64,
    /// Replacement blocks that are not free.
    pub used_blocks: u64,
    /// Blocks of main that failed to be written.
    pub write_errors: u64,
    /// Blocks of main that failed to be read.
    pub read_errors: u64,
}

impl Sample {
    /// What `status` tells at `time`.
    pub const fn of(status: &Status, time: Timestamp) -> Self {
        Self {
            time_seconds: time.get(),
            scrubs: status.scrubs,
            corruption_detected: status.corruption_detected,
            repairs_completed: status.repairs_completed,
            repair_attempts: status.repair_attempts,
            active_blocks: status.active.get(),
            pending_blocks: status.pending.get(),
            used_blocks: status.used.get(),
            write_errors: status.write_errors,
            read_errors: status.read_errors,
        }
    }

    fn says_the_same(&self, other: &Self) -> bool {
        let then = Self {
            time_seconds: self.time_seconds,
            ..*other
        };
        *self == then
    }
}

/// The samples of one device, oldest first: one for each change that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series(Vec<Sample>);

impl Series {
    /// Samples that were kept, in any order.
    pub fn new(mut samples: Vec<Sample>) -> Self {
        samples.sort_by_key(|sample| sample.time_seconds);
        let mut series = Self(samples);
        series.thin_out();
        series
    }

    /// Oldest first.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// Adds a sample, and whether it says anything new. A clock that was set back does not
    /// undo what was seen: a sample is never older than the one before it.
    pub fn add(&mut self, sample: Sample) -> bool {
        let Some(last) = self.0.last_mut() else {
            self.0.push(sample);
            return true;
        };
        if last.says_the_same(&sample) {
            return false;
        }
        let sample = Sample {
            time_seconds: sample.time_seconds.max(last.time_seconds),
            ..sample
        };
        if sample.time_seconds == last.time_seconds && self.0.len() > 1 {
            // Within one second only the last word counts.
            if let Some(last) = self.0.last_mut() {
                *last = sample;
            }
        } else {
            self.0.push(sample);
        }
        self.thin_out();
        true
    }

    fn thin_out(&mut self) {
        while self.0.len() > SAMPLES_KEPT {
            let older = self.0.len() / 2;
            let mut place = 0;
            self.0.retain(|_| {
                place += 1;
                // The first is kept: it says how far back the rest goes.
                place > older || place % 2 == 1
            });
        }
    }
}

/// Where histories are kept.
pub trait History: Send {
    /// The samples of the device of this name; none where nothing was kept, or nothing
    /// that can be read.
    fn load(&self, name: &str) -> Vec<Sample>;

    /// Keeps the samples of a device in the place of those kept before: whoever reads
    /// them, and whatever crash comes, finds the old ones or the new ones.
    ///
    /// # Errors
    ///
    /// Whatever the operating system says; what was kept before is still there then.
    fn save(&self, name: &str, samples: &[Sample]) -> io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(time_seconds: u64, scrubs: u64) -> Sample {
        Sample {
            time_seconds,
            scrubs,
            ..Sample::default()
        }
    }

    #[test]
    fn only_changes_are_kept_and_time_never_goes_back() {
        let mut series = Series::default();
        assert!(series.add(sample(100, 1)));
        assert!(!series.add(sample(200, 1)), "nothing changed");
        assert!(series.add(sample(300, 2)));
        assert!(series.add(sample(300, 3)), "within one second");
        assert!(series.add(sample(50, 4)), "the clock was set back");
        assert_eq!(
            series.samples(),
            [sample(100, 1), sample(300, 4)],
            "the last word of a second counts"
        );
    }

    #[test]
    fn a_history_is_bounded_and_reaches_back_to_its_beginning() {
        let mut series = Series::default();
        for time in 0..100_000 {
            series.add(sample(time, time));
        }
        let kept = series.samples();
        assert!((SAMPLES_KEPT / 2..=SAMPLES_KEPT).contains(&kept.len()));
        assert_eq!(kept[0], sample(0, 0));
        assert_eq!(kept.last(), Some(&sample(99_999, 99_999)));
        assert!(kept
            .windows(2)
            .all(|pair| pair[0].time_seconds < pair[1].time_seconds));
        let again = Series::new(kept.iter().rev().copied().collect());
        assert_eq!(again, series);
    }
}
