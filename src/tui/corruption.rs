//! Choosing which copies to corrupt, and how.

use std::path::PathBuf;

use crate::ops::{CorruptionKind, Operation, Plan, Refusal};
use crate::remap_core::units::{PerSlot, Slot};

/// What was chosen so far, and what would come of it.
#[derive(Debug)]
pub struct Corruption {
    /// The spare.
    pub path: PathBuf,
    /// What to call it.
    pub name: String,
    /// Which copies.
    pub chosen: PerSlot<bool>,
    /// The copy under the pointer.
    pub pointer: Slot,
    /// How; an index into [`CorruptionKind::ALL`].
    pub kind: usize,
    /// What makes it repeatable.
    pub seed: u64,
    /// What would come of it.
    pub forecast: Forecast,
    /// Whether the plan is to be shown as soon as it is there.
    pub hurry: bool,
}

/// What is known about what would come of a choice.
#[derive(Debug)]
pub enum Forecast {
    /// No copy is chosen.
    Nothing,
    /// The worker was asked.
    Asked(u64),
    /// This.
    Plan(Box<Plan>),
    /// It cannot be done.
    Refused(Refusal),
}

impl Corruption {
    /// Nothing chosen yet.
    pub fn new(path: PathBuf, name: String, seed: u64) -> Self {
        Self {
            path,
            name,
            chosen: PerSlot::default(),
            pointer: Slot::S0,
            kind: 0,
            seed,
            forecast: Forecast::Nothing,
            hurry: false,
        }
    }

    /// How the copies would be damaged.
    pub fn kind(&self) -> CorruptionKind {
        CorruptionKind::ALL
            .get(self.kind)
            .copied()
            .unwrap_or(CorruptionKind::BitFlip)
    }

    /// The chosen copies, in the order of the disk.
    pub fn slots(&self) -> Vec<Slot> {
        self.chosen
            .iter()
            .filter(|(_, chosen)| **chosen)
            .map(|(slot, _)| slot)
            .collect()
    }

    /// Chooses a copy, or unchooses it.
    pub fn toggle(&mut self, slot: Slot) {
        let chosen = self.chosen.get_mut(slot);
        *chosen = !*chosen;
        self.pointer = slot;
    }

    /// Moves the pointer by so many copies, as far as there are any.
    pub fn move_pointer(&mut self, by: i32) {
        let last = Slot::COUNT as i32 - 1;
        let moved = (self.pointer.index() as i32)
            .saturating_add(by)
            .clamp(0, last);
        self.pointer = Slot::from_index(moved.unsigned_abs()).unwrap_or(self.pointer);
    }

    /// Goes by so many kinds, around the end.
    pub fn turn_kind(&mut self, by: isize) {
        let kinds = CorruptionKind::ALL.len() as isize;
        self.kind = (self.kind as isize + by).rem_euclid(kinds) as usize;
    }

    /// What is asked for; `None` while no copy is chosen.
    pub fn operation(&self) -> Option<Operation> {
        let slots = self.slots();
        (!slots.is_empty()).then(|| Operation::Corrupt {
            path: self.path.clone(),
            slots,
            kind: self.kind(),
            seed: self.seed,
        })
    }
}
