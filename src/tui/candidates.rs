//! Which devices can become main or spare, best first, and why the others cannot.
//!
//! This orders a menu. What may be done is for the plan to say, which looks again.

use std::path::{Path, PathBuf};

use super::show;
use super::state::State;
use crate::inspect::Inspection;
use crate::port::{DeviceInfo, Part, Usage};
use crate::remap_core::layout::Layout;
use crate::remap_core::quorum::{CopyState, Foreign, Verdict};
use crate::remap_core::units::{BlockSize, Sectors};

/// A spare with room for this share of main, or more, has room enough: one in so many.
const ENOUGH: u64 = 100;

/// How a device would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    /// Well.
    Fit,
    /// Well, but what it holds is lost.
    Occupied,
    /// Not at all.
    Unfit,
}

/// A device to choose, or not to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is.
    pub path: PathBuf,
    /// Its short name.
    pub name: String,
    /// Its size.
    pub size: Sectors,
    /// How it would do.
    pub fitness: Fitness,
    /// What it holds, if anything is known.
    pub holds: Option<String>,
    /// Why it would do well, or not.
    pub remark: String,
    /// The remap unit that it would bring about.
    pub unit: BlockSize,
    /// Among equally fit ones the least comes first.
    rank: u64,
}

/// The devices that can become main, the others behind them.
pub fn mains(state: &State) -> Vec<Candidate> {
    let candidates = state.devices().iter().map(|device| {
        let holds = contents(state, device);
        let (fitness, remark) = match obstacle(device) {
            Some(why) => (Fitness::Unfit, why),
            None => match &holds {
                Some(_) if is_ours(state, device) => {
                    (Fitness::Unfit, "it is a spare itself".to_owned())
                }
                Some(_) if state.idle_main_of(&device.path).is_some() => {
                    (Fitness::Occupied, "another device needs it".to_owned())
                }
                // What is on main stays there: it is what is to be protected.
                _ => (
                    Fitness::Fit,
                    format!("{}-byte blocks", device.logical_block),
                ),
            },
        };
        Candidate {
            path: device.path.clone(),
            name: device.name.clone(),
            size: device.size,
            fitness,
            holds,
            remark,
            unit: device.logical_block,
            rank: 0,
        }
    });
    ranked(candidates)
}

/// The devices that can become the spare of `main`, best first, the others behind them.
pub fn spares(state: &State, main: &Path) -> Vec<Candidate> {
    let Some(main) = state.device(main) else {
        return Vec::new();
    };
    let others = state
        .devices()
        .iter()
        .filter(|device| device.path != main.path);
    ranked(others.map(|device| as_spare(state, main, device)))
}

fn ranked(candidates: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    let mut ranked: Vec<Candidate> = candidates.collect();
    // Stable: what is equal stays in the order of names.
    ranked.sort_by_key(|candidate| (candidate.fitness, candidate.rank));
    ranked
}

fn as_spare(state: &State, main: &DeviceInfo, device: &DeviceInfo) -> Candidate {
    let unit = main.logical_block.max(device.logical_block);
    let holds = contents(state, device);
    let room = room(device.size, unit);
    let (fitness, remark) = match (obstacle(device), &room) {
        (Some(why), _) => (Fitness::Unfit, why),
        (None, Err(why)) => (Fitness::Unfit, why.clone()),
        (None, Ok(room)) => {
            let fitness = match holds {
                Some(_) => Fitness::Occupied,
                None => Fitness::Fit,
            };
            (fitness, describe_room(*room, unit, main))
        }
    };
    Candidate {
        path: device.path.clone(),
        name: device.name.clone(),
        size: device.size,
        fitness,
        holds,
        remark,
        unit,
        rank: rank(room.unwrap_or(0), unit, main),
    }
}

/// Remap units that a spare of this size has room for, or why it has none.
fn room(size: Sectors, unit: BlockSize) -> Result<u64, String> {
    match Layout::for_spare(size, unit) {
        Ok(layout) => Ok(layout.replacement_blocks.get()),
        Err(_) if size < Layout::smallest_spare(unit) => Err(format!(
            "needs at least {}",
            show::least_size(Layout::smallest_spare(unit))
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn describe_room(room: u64, unit: BlockSize, main: &DeviceInfo) -> String {
    let blocks = main.size.get() / unit.sectors().get();
    let share = show::percent(room, blocks);
    let mut remark = format!(
        "room for {} ({share} of main)",
        show::counted(room, "block")
    );
    if unit > main.logical_block {
        remark.push_str(&format!("; the remap unit becomes {unit} bytes"));
    }
    remark
}

/// Enough room comes before too little, the same unit before a larger one; then the
/// smallest that is enough, or the largest that is not.
fn rank(room: u64, unit: BlockSize, main: &DeviceInfo) -> u64 {
    const TIER: u64 = 1 << 60;
    let blocks = main.size.get() / unit.sectors().get();
    let tier = if unit > main.logical_block { TIER } else { 0 };
    if room >= blocks / ENOUGH {
        tier + room.min(TIER / 2 - 1)
    } else {
        tier + TIER - 1 - room.min(TIER / 2 - 1)
    }
}

fn obstacle(device: &DeviceInfo) -> Option<String> {
    match &device.usage {
        Usage::InUse(by) => Some(format!("in use: {}", crate::text::escape_str(by))),
        Usage::Mapped {
            name,
            part: Part::Main,
        } => Some(format!("main of {name}")),
        Usage::Mapped {
            name,
            part: Part::Spare,
        } => Some(format!("spare of {name}")),
        Usage::Free if device.read_only => Some("read-only".to_owned()),
        Usage::Free => None,
    }
}

fn is_ours(state: &State, device: &DeviceInfo) -> bool {
    state
        .inspection(&device.path)
        .is_some_and(Inspection::is_ours)
}

/// What a device holds, as far as its slots tell, and the metadata of others.
fn contents(state: &State, device: &DeviceInfo) -> Option<String> {
    if let Some(name) = state.idle_main_of(&device.path) {
        return Some(format!("main of {name}, not up"));
    }
    let inspection = match state.examined.get(&device.path)? {
        Ok(inspection) => inspection,
        Err(why) => return Some(why.clone()),
    };
    if inspection.is_ours() {
        return Some(match &inspection.name {
            Some(name) => format!("metadata of {name}"),
            None if inspection.verdict() == Verdict::Unsupported => "unsupported metadata".into(),
            None => "metadata of a mapped device".to_owned(),
        });
    }
    let states = &inspection.judgement.states;
    let signature = states.iter().find_map(|(_, state)| match state {
        CopyState::Foreign(Foreign::Signature(signature)) => Some(signature.to_string()),
        _ => None,
    });
    let is_blank = states.count(|state| *state == CopyState::Missing) == states.iter().count();
    match signature {
        Some(signature) => Some(signature),
        None if is_blank => None,
        None => Some("data".to_owned()),
    }
}
