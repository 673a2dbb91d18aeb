//! Creating a mapped device: main, then a spare, then the options, then the plan.

use std::path::PathBuf;

use super::candidates::{self, Candidate};
use super::keymap::Context;
use super::state::State;
use crate::inspect::check_name;
use crate::ops::Operation;
use crate::remap_core::params::{Options, DEFAULT_SCRUB_SECONDS};
use crate::remap_core::units::BlockSize;

/// How far the wizard came.
#[derive(Clone, Debug)]
pub enum Wizard {
    /// Choosing main.
    Main {
        /// The device under the pointer.
        pointer: Pointer,
        /// Why the row could not be chosen, once that was tried.
        complaint: Option<String>,
        /// What was filled in before one came back here.
        earlier: Option<Box<Form>>,
    },
    /// Choosing the spare.
    Spare {
        /// Main.
        main: PathBuf,
        /// The device under the pointer.
        pointer: Pointer,
        /// Why the row could not be chosen, once that was tried.
        complaint: Option<String>,
        /// What was filled in before one came back here.
        earlier: Option<Box<Form>>,
    },
    /// Filling in the rest.
    Form(Form),
}

impl Wizard {
    /// The first step.
    pub fn new(state: &State) -> Self {
        Self::Main {
            pointer: Pointer::at_first(&candidates::mains(state)),
            complaint: None,
            earlier: None,
        }
    }

    /// The step that chooses a spare for the device at `main`; the one that was chosen for it
    /// `earlier` is pointed at.
    pub fn for_spare(state: &State, main: PathBuf, earlier: Option<Box<Form>>) -> Self {
        let pointer = match earlier.as_ref().filter(|earlier| earlier.main == main) {
            Some(earlier) => Pointer(Some(earlier.spare.clone())),
            None => Pointer::at_first(&candidates::spares(state, &main)),
        };
        Self::Spare {
            main,
            pointer,
            complaint: None,
            earlier,
        }
    }

    /// One step back, with everything as it was there; the first step stays as it is.
    pub fn step_back(self, state: &State) -> Self {
        match self {
            Self::Form(form) => Self::for_spare(state, form.main.clone(), Some(Box::new(form))),
            Self::Spare { main, earlier, .. } => Self::Main {
                pointer: Pointer(Some(main)),
                complaint: None,
                earlier,
            },
            first @ Self::Main { .. } => first,
        }
    }

    /// What the keyboard is for.
    pub const fn context(&self) -> Context {
        match self {
            Self::Main { .. } | Self::Spare { .. } => Context::Choose,
            Self::Form(_) => Context::Form,
        }
    }

    /// The devices to choose from at this step, best first; none in the form.
    pub fn candidates(&self, state: &State) -> Vec<Candidate> {
        match self {
            Self::Main { .. } => candidates::mains(state),
            Self::Spare { main, .. } => candidates::spares(state, main),
            Self::Form(_) => Vec::new(),
        }
    }
}

/// Which device the pointer is on: it stays there while others come, go and change places, so
/// that what is chosen is what was seen.
#[derive(Clone, Debug)]
pub struct Pointer(Option<PathBuf>);

impl Pointer {
    /// On the first of these.
    fn at_first(candidates: &[Candidate]) -> Self {
        Self(candidates.first().map(|candidate| candidate.path.clone()))
    }

    /// The row of its device; none where that is gone. Where there was none to be on, that of
    /// the first.
    pub fn row(&self, candidates: &[Candidate]) -> Option<usize> {
        let is_its = |candidate: &Candidate| self.0.as_ref().is_none_or(|at| *at == candidate.path);
        candidates.iter().position(is_its)
    }

    /// Puts it on this one.
    pub fn put_on(&mut self, candidate: &Candidate) {
        self.0 = Some(candidate.path.clone());
    }
}

/// A field of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The name of the mapped device.
    Name,
    /// The remap unit.
    BlockSize,
    /// Seconds between two scrubs.
    ScrubInterval,
    /// Whether what is on the spare may be overwritten.
    Replace,
}

impl Field {
    /// Its label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::BlockSize => "Remap unit",
            Self::ScrubInterval => "Scrub every",
            Self::Replace => "Overwrite",
        }
    }
}

/// What is filled in.
#[derive(Clone, Debug)]
pub struct Form {
    /// Main.
    pub main: PathBuf,
    /// The spare.
    pub spare: PathBuf,
    /// What the spare holds that would be overwritten.
    pub holds: Option<String>,
    /// The smallest remap unit that both devices can write.
    pub smallest_unit: BlockSize,
    /// The field under the pointer.
    pub field: Field,
    /// The name so far.
    pub name: String,
    /// The remap unit.
    pub block_size: BlockSize,
    /// The seconds between two scrubs so far.
    pub scrub_interval: String,
    /// Whether what is on the spare may be overwritten.
    pub replace: bool,
    /// Whether the plan was asked for, so that what is missing is said.
    pub tried: bool,
}

impl Form {
    /// A form for these two devices. Of one that was filled in `earlier` the name and the
    /// interval stay, and where it was for the same devices all of it; nobody has agreed to
    /// overwrite what a device did not hold then.
    pub fn new(main: PathBuf, spare: &Candidate, earlier: Option<Box<Self>>) -> Self {
        let fresh = Self::fresh(main, spare);
        let Some(earlier) = earlier else {
            return fresh;
        };
        let is_same = (&earlier.main, &earlier.spare) == (&fresh.main, &fresh.spare);
        let block_size = match is_same {
            true => earlier.block_size.max(fresh.smallest_unit),
            false => fresh.block_size,
        };
        Self {
            block_size,
            replace: is_same && earlier.holds == fresh.holds && earlier.replace,
            name: earlier.name,
            scrub_interval: earlier.scrub_interval,
            ..fresh
        }
    }

    fn fresh(main: PathBuf, spare: &Candidate) -> Self {
        Self {
            main,
            spare: spare.path.clone(),
            holds: spare.holds.clone(),
            smallest_unit: spare.unit,
            field: Field::Name,
            name: String::new(),
            block_size: spare.unit,
            scrub_interval: DEFAULT_SCRUB_SECONDS.to_string(),
            replace: false,
            tried: false,
        }
    }

    /// The fields there are, in order.
    pub fn fields(&self) -> &'static [Field] {
        const PLAIN: &[Field] = &[Field::Name, Field::BlockSize, Field::ScrubInterval];
        const OCCUPIED: &[Field] = &[
            Field::Name,
            Field::BlockSize,
            Field::ScrubInterval,
            Field::Replace,
        ];
        if self.holds.is_some() {
            OCCUPIED
        } else {
            PLAIN
        }
    }

    /// Moves the pointer by so many fields, as far as there are any.
    pub fn move_field(&mut self, by: isize) {
        let fields = self.fields();
        let at = fields.iter().position(|field| *field == self.field);
        let moved = at.unwrap_or(0).saturating_add_signed(by);
        if let Some(field) = fields.get(moved) {
            self.field = *field;
        }
    }

    /// Goes to another value of the field under the pointer, where it has a choice.
    pub fn turn(&mut self, by: isize) {
        match self.field {
            Field::BlockSize => {
                let units: Vec<BlockSize> = BlockSize::ALL
                    .into_iter()
                    .filter(|unit| *unit >= self.smallest_unit)
                    .collect();
                let at = units.iter().position(|unit| *unit == self.block_size);
                let moved = at.unwrap_or(0).saturating_add_signed(by);
                if let Some(unit) = units.get(moved) {
                    self.block_size = *unit;
                }
            }
            Field::Replace => self.replace = !self.replace,
            Field::Name | Field::ScrubInterval => {}
        }
    }

    /// Takes a typed character.
    pub fn type_in(&mut self, character: char) {
        match self.field {
            Field::Name => self.name.push(character),
            Field::ScrubInterval if character.is_ascii_digit() => {
                self.scrub_interval.push(character);
            }
            Field::Replace if character == ' ' => self.replace = !self.replace,
            Field::ScrubInterval | Field::BlockSize | Field::Replace => {}
        }
    }

    /// The length of the text under the pointer, in bytes.
    pub fn typed_length(&self) -> usize {
        match self.field {
            Field::Name => self.name.len(),
            Field::ScrubInterval => self.scrub_interval.len(),
            Field::BlockSize | Field::Replace => 0,
        }
    }

    /// The text under the pointer, if the field is one.
    pub fn text(&mut self) -> Option<&mut String> {
        match self.field {
            Field::Name => Some(&mut self.name),
            Field::ScrubInterval => Some(&mut self.scrub_interval),
            Field::BlockSize | Field::Replace => None,
        }
    }

    /// What is wrong with a field's value.
    pub fn complaint(&self, field: Field, state: &State) -> Option<String> {
        match field {
            Field::Name => match check_name(self.name.as_bytes()) {
                Err(error) => Some(error.to_string()),
                Ok(()) if state.active(&self.name).is_some() => {
                    Some("a mapped device of this name is up".to_owned())
                }
                Ok(()) => None,
            },
            Field::ScrubInterval => match self.scrub_interval.parse::<u32>() {
                Ok(_) => None,
                Err(_) => Some(format!("a number of seconds, 0 to {}", u32::MAX)),
            },
            Field::Replace if !self.replace => {
                Some("the plan will be refused unless this is yes".to_owned())
            }
            Field::BlockSize | Field::Replace => None,
        }
    }

    /// What is asked for, if every field is filled in.
    pub fn operation(&self, state: &State) -> Option<Operation> {
        let wrong = [Field::Name, Field::ScrubInterval]
            .into_iter()
            .any(|field| self.complaint(field, state).is_some());
        if wrong {
            return None;
        }
        Some(Operation::Create {
            name: self.name.clone(),
            main: self.main.clone(),
            spare: self.spare.clone(),
            options: Options {
                scrub_interval: self.scrub_interval.parse().ok()?,
                block_size: Some(self.block_size),
                read_only: false,
            },
            replace: self.replace,
            form: None,
        })
    }
}
