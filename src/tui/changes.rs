//! What changed on a device while somebody looked on.

use super::listing::Active;
use super::state::State;
use super::subject::Subject;
use crate::inspect::Inspection;
use crate::remap_core::quorum::Reading;
use crate::remap_core::status::RepairStatus;
use crate::remap_core::superblock::RawCopy;
use crate::remap_core::units::{Millis, PerSlot, Slot};

/// How long a change is pointed at, in milliseconds.
pub const POINTED_AT: u64 = 10_000;

/// What a copy was until lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    /// When it was seen to have changed.
    pub seen: Millis,
    /// What it was worth, by its letter.
    pub letter: char,
    /// The name of that state.
    pub state: &'static str,
    /// Its bytes, if they could be read.
    raw: Option<Box<RawCopy>>,
}

impl Before {
    /// Whether the byte at `offset` was another one than now, in `now`.
    pub fn differs(&self, offset: usize, now: &RawCopy) -> bool {
        self.raw
            .as_ref()
            .is_some_and(|raw| raw.get(offset) != now.get(offset))
    }

    /// Milliseconds since it changed.
    pub fn age(&self, now: Millis) -> u64 {
        now.get().saturating_sub(self.seen.get())
    }
}

/// What the five copies of one device were until lately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes(PerSlot<Option<Before>>);

impl Default for Changes {
    fn default() -> Self {
        Self(PerSlot::from_fn(|_| None))
    }
}

impl Changes {
    /// Notes in what `after` differs from `before`; whether it does at all. What was there
    /// before the first copies was no damage, and is not looked back on.
    pub fn note(&mut self, before: &Inspection, after: &Inspection, now: Millis) -> bool {
        if !before.is_ours() {
            *self = Self::default();
            return false;
        }
        let mut any = false;
        for slot in Slot::ALL {
            let (was, is) = (before.survey.slots.get(slot), after.survey.slots.get(slot));
            if was == is {
                continue;
            }
            any = true;
            let state = before.judgement.states.get(slot);
            *self.0.get_mut(slot) = Some(Before {
                seen: now,
                letter: state.letter(),
                state: state.name(),
                raw: match was {
                    Reading::Read { raw, .. } => Some(Box::new(*raw)),
                    Reading::Unreadable(_) => None,
                },
            });
        }
        any
    }

    /// What the copy in `slot` was, if that changed lately.
    pub fn lately(&self, slot: Slot, now: Millis) -> Option<&Before> {
        let before = self.0.get(slot).as_ref()?;
        (before.age(now) < POINTED_AT).then_some(before)
    }

    /// Milliseconds until something that is said of these changes is said otherwise.
    pub fn counts_on(&self, now: Millis) -> Option<u64> {
        let ages = Slot::ALL
            .into_iter()
            .filter_map(|slot| Some(self.lately(slot, now)?.age(now)));
        ages.map(|age| 1000 - age % 1000).min()
    }
}

/// How far a device is on its way from damage to health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// Nothing is damaged, nor was lately.
    Whole,
    /// Its target did not find the damage yet.
    Unnoticed,
    /// A repair is due.
    Waiting {
        /// Which attempt.
        attempt: u8,
        /// In how many milliseconds.
        in_millis: u64,
    },
    /// Its target knows of the damage and does not repair it any more.
    GaveUp,
    /// Its target knows of the damage, and may not repair it by itself.
    Left,
    /// It is whole again since a few seconds.
    Healed,
}

/// How far the mapped device is.
pub fn healing(state: &State, active: &Active) -> Healing {
    let status = active.status(state.now);
    let subject = Subject::of_active(state, active);
    let (copies, _) = subject.copies().unwrap_or((status.copies, status.verdict));
    let is_damaged = copies.count(|letter| !matches!(letter, 'V' | 'P')) > 0;
    match status.repair {
        RepairStatus::Waiting { attempt, in_millis } => Healing::Waiting { attempt, in_millis },
        RepairStatus::GaveUp => Healing::GaveUp,
        RepairStatus::Idle if is_damaged && status.copies == copies => Healing::Left,
        RepairStatus::Idle if is_damaged => Healing::Unnoticed,
        RepairStatus::Idle => {
            let changes = state.changes.get(subject.store);
            let was_damaged = |slot| {
                let before = changes?.lately(slot, state.now)?;
                (!matches!(before.letter, 'V' | 'P')).then_some(())
            };
            match Slot::ALL.into_iter().find_map(was_damaged) {
                Some(()) => Healing::Healed,
                None => Healing::Whole,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::inspect;
    use crate::remap_core::units::SECTOR_BYTES;
    use crate::tui::event::{Answer, Event};
    use crate::tui::sample::{self, damage, happen, look, mapped, path, spare, superblock, well};
    use crate::tui::sample::{devices, COLOUR};

    #[test]
    fn a_change_is_noted_by_copy_and_forgotten_in_time() {
        let mut disk = spare(superblock(7, "disk-a", "disk-b"), "vault");
        let before = inspect(&disk, &path("disk-b"));
        damage(&mut disk, Slot::S2, 114, &[1, 2, 3, 4]);
        let after = inspect(&disk, &path("disk-b"));
        let mut changes = Changes::default();
        assert!(!changes.note(&before, &before, Millis::new(1)));
        assert!(changes.note(&before, &after, Millis::new(5000)));
        let lately = changes.lately(Slot::S2, Millis::new(6500)).unwrap();
        assert_eq!((lately.letter, lately.state), ('V', "valid"));
        let Reading::Read { raw, .. } = after.survey.slots.get(Slot::S2) else {
            panic!("it can be read");
        };
        let differing = (0..SECTOR_BYTES).filter(|at| lately.differs(*at, raw));
        assert_eq!(differing.collect::<Vec<_>>(), [114, 115, 116, 117]);
        assert_eq!(changes.lately(Slot::S1, Millis::new(6500)), None);
        assert_eq!(changes.counts_on(Millis::new(6500)), Some(500));
        let later = Millis::new(5000 + POINTED_AT);
        assert_eq!(changes.lately(Slot::S2, later), None);
        assert_eq!(changes.counts_on(later), None);
    }

    #[test]
    fn the_first_copies_of_a_device_are_no_recovery_from_damage() {
        let blank = crate::lab::ram::RamDisk::new(superblock(1, "disk-a", "disk-b").spare_sectors);
        let before = inspect(&blank, &path("disk-b"));
        let made = spare(superblock(1, "disk-a", "disk-b"), "vault");
        let after = inspect(&made, &path("disk-b"));
        let mut changes = Changes::default();
        assert!(!changes.note(&before, &after, Millis::new(1)));
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn a_drill_goes_through_every_stage() {
        let mut state = sample::state(COLOUR, 80, 24);
        let whole = spare(superblock(7, "disk-a", "disk-b"), "vault");
        let mut broken = spare(superblock(7, "disk-a", "disk-b"), "vault");
        damage(&mut broken, Slot::S3, 0, &[0; SECTOR_BYTES]);
        let found = crate::remap_core::status::Status {
            copies: PerSlot::new(['V', 'V', 'V', '-', 'V']),
            ..sample::damaged()
        };
        let gave_up = crate::remap_core::status::Status {
            repair: RepairStatus::GaveUp,
            ..found
        };
        let left = crate::remap_core::status::Status {
            repair: RepairStatus::Idle,
            ..found
        };
        let mut at = 100_000;
        for (disk, status, stage) in [
            (&whole, well(), Healing::Healed),
            (&broken, well(), Healing::Unnoticed),
            (
                &broken,
                found,
                Healing::Waiting {
                    attempt: 1,
                    in_millis: 1850,
                },
            ),
            (&broken, gave_up, Healing::GaveUp),
            (&broken, left, Healing::Left),
            (&whole, well(), Healing::Healed),
        ] {
            let listed = Answer::Listed {
                devices: devices(),
                mapped: vec![mapped("vault", "disk-a", "disk-b", status)],
            };
            happen(&mut state, at, Event::Told(listed));
            let examined = Answer::Examined(vec![look(disk, "disk-b")]);
            happen(&mut state, at, Event::Told(examined));
            assert_eq!(healing(&state, &state.up()[0]), stage);
            at += 1;
        }
        happen(&mut state, at + POINTED_AT, Event::Tick);
        assert_eq!(healing(&state, &state.up()[0]), Healing::Whole);
    }
}
