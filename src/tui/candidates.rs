//! Which devices can become main or spare, best first, and why the others cannot.
//!
//! This orders a menu by the rule that the plan goes by as well; the plan looks again.

use std::path::{Path, PathBuf};

use super::show;
use super::state::State;
use crate::ops::eligibility::{self, Facts, Fitness, Obstacle};
use crate::port::block::describe_signatures;
use crate::port::layers::{Layers, Place};
use crate::port::DeviceInfo;
use crate::remap_core::layout::Layout;
use crate::remap_core::quorum::{CopyState, Foreign, Verdict};
use crate::remap_core::units::{BlockSize, Sectors};

/// A spare with room for this share of main, or more, has room enough: one in so many.
const ENOUGH: u64 = 100;

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
        let facts = facts(state, device);
        let obstacles = eligibility::against_main(&facts);
        Candidate {
            path: device.path.clone(),
            name: device.name.clone(),
            size: device.size,
            fitness: eligibility::fitness(&obstacles),
            holds: contents(&facts),
            remark: match obstacles.first() {
                Some(obstacle) => obstacle.remark(),
                None => format!("{}-byte blocks", device.logical_block_bytes()),
            },
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
    let layers = eligibility::layers(state.devices());
    ranked(others.map(|device| as_spare(state, main, device, &layers)))
}

fn ranked(candidates: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    let mut ranked: Vec<Candidate> = candidates.collect();
    // Stable: what is equal stays in the order of names.
    ranked.sort_by_key(|candidate| (candidate.fitness, candidate.rank));
    ranked
}

fn as_spare(state: &State, main: &DeviceInfo, device: &DeviceInfo, layers: &Layers) -> Candidate {
    let unit = main.logical_block.max(device.logical_block);
    let spare_facts = facts(state, device);
    let mut obstacles = eligibility::against_spare(&spare_facts, &facts(state, main), unit);
    let place = |device: &DeviceInfo| {
        let properties = device.properties.as_deref();
        properties.map(|known| Place::Device(known.number))
    };
    let is_apart = match (place(device), place(main)) {
        (Some(one), Some(other)) => !layers.overlap(one, other),
        _ => true,
    };
    if !is_apart {
        obstacles.insert(0, Obstacle::Overlaps);
    }
    let room =
        Layout::for_spare(device.size, unit).map_or(0, |layout| layout.replacement_blocks.get());
    let bar = obstacles
        .iter()
        .find(|obstacle| obstacle.fitness() == Fitness::Unfit);
    Candidate {
        path: device.path.clone(),
        name: device.name.clone(),
        size: device.size,
        fitness: eligibility::fitness(&obstacles),
        holds: contents(&spare_facts),
        remark: match bar {
            Some(Obstacle::TooSmall { needs }) => {
                format!("needs at least {}", show::least_size(*needs))
            }
            Some(bar) => bar.remark(),
            None => describe_room(room, unit, main),
        },
        unit,
        rank: rank(room, unit, main),
    }
}

/// What is known of a device.
fn facts<'a>(state: &'a State, device: &'a DeviceInfo) -> Facts<'a> {
    let examined = state.examined.get(&device.path);
    let unread = examined.and_then(|examined| examined.as_ref().err());
    Facts {
        unread: unread.map(String::as_str),
        main_of: state.idle_main_of(&device.path),
        ..Facts::new(device, state.inspection(&device.path))
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

/// What a device holds, as far as is known.
fn contents(facts: &Facts<'_>) -> Option<String> {
    if let Some(name) = facts.main_of {
        return Some(format!("main of {name}, not up"));
    }
    if !facts.signatures.is_empty() {
        return Some(describe_signatures(facts.signatures));
    }
    if let Some(why) = facts.unread {
        return Some(why.to_owned());
    }
    let inspection = facts.seen?;
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
