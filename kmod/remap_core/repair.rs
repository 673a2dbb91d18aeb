// SPDX-License-Identifier: GPL-2.0-or-later
//! When a repair is tried: after 1 s, 2 s, 3 s and no more often, at most five times.
//!
//! The back-off holds no clock; whoever drives it says what time it is.

use core::fmt;

use crate::remap_core::units::Millis;

/// How often a repair is tried before it waits for the next scrub or for a person.
pub const MAX_ATTEMPTS: u8 = 5;

/// How long to wait before attempt `attempt`, counted from 1, in milliseconds.
pub const fn delay_before(attempt: u8) -> u64 {
    match attempt {
        0 | 1 => 1000,
        2 => 2000,
        _ => 3000,
    }
}

/// Where a device's repair stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is to be repaired.
    #[default]
    Idle,
    /// An attempt is due.
    Waiting {
        /// Which, from 1 to [`MAX_ATTEMPTS`].
        attempt: u8,
        /// When, on the caller's clock.
        due: Millis,
    },
    /// Every attempt failed. The next damage found by a scrub starts anew.
    GaveUp,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Repaired.
    Done,
    /// The next attempt is due after so many milliseconds.
    Retry {
        /// Which, from 2 to [`MAX_ATTEMPTS`].
        attempt: u8,
        /// The wait, in milliseconds.
        wait: u64,
    },
    /// That was the last.
    GaveUp,
}

/// The repair state of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    phase: Phase,
}

impl Backoff {
    /// A back-off that stands where an earlier one stood.
    pub const fn resumed(phase: Phase) -> Self {
        Self { phase }
    }

    /// Where the repair stands.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Damage was found. Schedules the first attempt, unless one is already due;
    /// returns whether it did.
    pub fn damage_found(&mut self, now: Millis) -> bool {
        match self.phase {
            Phase::Waiting { .. } => false,
            Phase::Idle | Phase::GaveUp => {
                self.phase = Phase::Waiting {
                    attempt: 1,
                    due: now.after(delay_before(1)),
                };
                true
            }
        }
    }

    /// A scrub found no damage: whatever was scheduled is moot.
    pub fn found_intact(&mut self) {
        self.phase = Phase::Idle;
    }

    /// When the next attempt is due.
    pub const fn due(&self) -> Option<Millis> {
        match self.phase {
            Phase::Waiting { due, .. } => Some(due),
            Phase::Idle | Phase::GaveUp => None,
        }
    }

    /// Whether an attempt is due by `now`.
    pub fn is_due(&self, now: Millis) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// An attempt ended, the scheduled one or one that a person asked for.
    pub fn attempt_ended(&mut self, repaired: bool, now: Millis) -> Next {
        let made = match self.phase {
            Phase::Waiting { attempt, .. } => attempt,
            Phase::Idle | Phase::GaveUp => 0,
        };
        if repaired {
            self.phase = Phase::Idle;
            return Next::Done;
        }
        if made >= MAX_ATTEMPTS {
            self.phase = Phase::GaveUp;
            return Next::GaveUp;
        }
        let attempt = made.saturating_add(1);
        let wait = delay_before(attempt);
        self.phase = Phase::Waiting {
            attempt,
            due: now.after(wait),
        };
        Next::Retry { attempt, wait }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Waiting { attempt, .. } => write!(f, "attempt {attempt} of {MAX_ATTEMPTS} due"),
            Self::GaveUp => f.write_str("gave up"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_wait_1_2_3_3_3_seconds_and_then_give_up() {
        let mut backoff = Backoff::default();
        let mut now = Millis::new(50_000);
        assert!(backoff.damage_found(now));
        let mut waits = [0; 5];
        for (attempt, wait) in waits.iter_mut().enumerate() {
            let due = backoff.due().unwrap();
            *wait = due.get() - now.get();
            assert!(!backoff.is_due(Millis::new(due.get() - 1)));
            now = due;
            assert!(backoff.is_due(now));
            let next = backoff.attempt_ended(false, now);
            assert_eq!(next == Next::GaveUp, attempt == 4, "{next:?}");
        }
        assert_eq!(waits, [1000, 2000, 3000, 3000, 3000]);
        assert_eq!(backoff.phase(), Phase::GaveUp);
        assert_eq!(backoff.due(), None);
    }

    #[test]
    fn more_damage_does_not_postpone_a_scheduled_attempt() {
        let mut backoff = Backoff::default();
        assert!(backoff.damage_found(Millis::new(0)));
        assert!(!backoff.damage_found(Millis::new(900)));
        assert_eq!(backoff.due(), Some(Millis::new(1000)));
    }

    #[test]
    fn success_ends_it_and_the_next_damage_starts_at_one_second() {
        let mut backoff = Backoff::default();
        backoff.damage_found(Millis::new(0));
        backoff.attempt_ended(false, Millis::new(1000));
        assert_eq!(backoff.attempt_ended(true, Millis::new(3000)), Next::Done);
        assert_eq!(backoff.due(), None);
        assert!(backoff.damage_found(Millis::new(9000)));
        assert_eq!(backoff.due(), Some(Millis::new(10_000)));
    }

    #[test]
    fn damage_after_giving_up_starts_anew() {
        let mut backoff = Backoff::resumed(Phase::GaveUp);
        assert!(backoff.damage_found(Millis::new(0)));
        assert_eq!(
            backoff.phase(),
            Phase::Waiting {
                attempt: 1,
                due: Millis::new(1000)
            }
        );
    }
}
