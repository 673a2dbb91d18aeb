//! The rows of the list: every device, and under each main what is mapped over it.

use std::path::PathBuf;

use unicode_width::UnicodeWidthStr as _;

use super::listing::Active;
use super::show;
use super::sort::{Sort, SortBy};
use super::state::State;
use super::subject::Subject;
use super::theme::Health;
use crate::inspect::Matter;
use crate::port::block::Kind;
use crate::port::{DeviceInfo, Part, Usage};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{PerSlot, Slot};

/// What a row stands for, whatever place it has.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// The device at this path.
    Device(PathBuf),
    /// The mapped device of this name.
    Mapped(String),
}

/// One row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it stands for.
    pub key: RowKey,
    /// The index of its device or mapped device in the state's lists.
    pub index: usize,
    /// Whether it belongs to the row above.
    pub child: bool,
}

/// The name of the mapped device that `device` is part of.
pub fn mapped_name(device: &DeviceInfo) -> Option<&str> {
    match &device.usage {
        Usage::Mapped { name, .. } => Some(name),
        Usage::Free | Usage::InUse(_) => None,
    }
}

/// The rows that pass the filter.
pub fn arrange(state: &State) -> Vec<Row> {
    let filter = state.filter.to_lowercase();
    let mut rows = Vec::with_capacity(state.devices().len() + state.up().len());
    let mut placed = vec![false; state.up().len()];
    for index in order(state) {
        let device = &state.devices()[index];
        // What is up has a row of its own, by its own name.
        if is_node_of_mapped(state, device) {
            continue;
        }
        let above = main_of(state, device);
        let device_passes = passes(&filter, state, device);
        let mapped_passes = above.is_some_and(|at| mentions(&filter, &state.up()[at]));
        if device_passes || mapped_passes {
            rows.push(Row {
                key: RowKey::Device(device.path.clone()),
                index,
                child: false,
            });
        }
        if let Some(at) = above {
            placed[at] = true;
            if device_passes || mapped_passes {
                rows.push(row_of_mapped(state, at, true));
            }
        }
    }
    // A mapped device whose main the host does not list still has its row.
    for (at, active) in state.up().iter().enumerate() {
        if !placed[at] && mentions(&filter, active) {
            rows.push(row_of_mapped(state, at, false));
        }
    }
    rows
}

/// Whether this is how the kernel shows one of our mapped devices.
fn is_node_of_mapped(state: &State, device: &DeviceInfo) -> bool {
    let Some(known) = device.properties.as_deref() else {
        return false;
    };
    let is_mapped = matches!(known.kind, Kind::Mapped(_));
    let label = known.label.as_deref().filter(|_| is_mapped);
    label.is_some_and(|label| state.place_of_active(label).is_some())
}

/// The devices in the order that was asked for, by their place in the host's list. What
/// is mapped over a main counts for it and stays below it.
fn order(state: &State) -> Vec<usize> {
    let Sort { by, reversed } = state.options.sort;
    let devices = state.devices();
    let mut order: Vec<usize> = (0..devices.len()).collect();
    let health = |at: &usize| {
        let device = &devices[*at];
        let own = of_device(state, device).health;
        let mapped = main_of(state, device).map(|at| of_active(state, &state.up()[at]).health);
        std::cmp::Reverse(mapped.map_or(own, |mapped| mapped.max(own)))
    };
    let rank = |at: &usize| match part(state, &devices[*at]) {
        ("main", _) => 0,
        ("spare", _) => 1,
        _ => 2,
    };
    // Stable: what is equal stays in the order of names.
    match by {
        SortBy::Name => {}
        SortBy::Size => order.sort_by_key(|at| std::cmp::Reverse(devices[*at].size)),
        SortBy::Health => order.sort_by_cached_key(health),
        SortBy::Part => order.sort_by_cached_key(rank),
    }
    if reversed {
        order.reverse();
    }
    order
}

fn row_of_mapped(state: &State, index: usize, child: bool) -> Row {
    Row {
        key: RowKey::Mapped(state.up()[index].mapped.name.clone()),
        index,
        child,
    }
}

/// The mapped device that `device` is main of.
fn main_of(state: &State, device: &DeviceInfo) -> Option<usize> {
    match &device.usage {
        Usage::Mapped {
            name,
            part: Part::Main,
        } => state.place_of_active(name),
        _ => None,
    }
}

fn passes(filter: &str, state: &State, device: &DeviceInfo) -> bool {
    // A thousand devices are asked at each key: what takes long comes last.
    let has = |word: Option<&str>| word.is_some_and(|word| contains(word, filter));
    let about = || state.inspection(&device.path);
    filter.is_empty()
        || has(Some(&device.name))
        || has(mapped_name(device))
        || has(about().and_then(|inspection| inspection.name.as_deref()))
        || has(about().map(|inspection| inspection.verdict().name()))
        || has(Some(part(state, device).0))
        || has(state.idle_main_of(&device.path))
}

fn mentions(filter: &str, active: &Active) -> bool {
    let words = [
        active.mapped.name.as_str(),
        active.mapped.status.verdict.name(),
        "mapped",
    ];
    filter.is_empty() || words.into_iter().any(|word| contains(word, filter))
}

fn contains(text: &str, lowered: &str) -> bool {
    text.to_lowercase().contains(lowered)
}

/// The part a device plays, and whether it plays it now.
pub fn part(state: &State, device: &DeviceInfo) -> (&'static str, bool) {
    match &device.usage {
        Usage::Mapped {
            part: Part::Main, ..
        } => ("main", true),
        Usage::Mapped {
            part: Part::Spare, ..
        } => ("spare", true),
        Usage::InUse(_) => ("in use", true),
        Usage::Free => match state.inspection(&device.path) {
            Some(inspection) if inspection.is_ours() => ("spare", false),
            Some(_) if state.idle_main_of(&device.path).is_some() => ("main", false),
            _ => ("-", false),
        },
    }
}

/// How a row's device is, in a few letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// How well.
    pub health: Health,
    /// In words that fit a narrow column.
    pub text: String,
}

/// The text of a condition has no more columns than this.
pub const TEXT_WIDTH: usize = 12;

impl Condition {
    fn new(health: Health, text: impl Into<String>) -> Self {
        Self {
            health,
            text: text.into(),
        }
    }
}

/// How the device of `row` is.
pub fn condition(state: &State, row: &Row) -> Condition {
    match &row.key {
        RowKey::Mapped(_) => state
            .up()
            .get(row.index)
            .map_or_else(nothing, |active| of_active(state, active)),
        RowKey::Device(_) => state
            .devices()
            .get(row.index)
            .map_or_else(nothing, |device| of_device(state, device)),
    }
}

fn nothing() -> Condition {
    Condition::new(Health::Neutral, "")
}

fn of_device(state: &State, device: &DeviceInfo) -> Condition {
    if let Usage::Mapped {
        name,
        part: Part::Main,
    } = &device.usage
    {
        let suspect = state
            .active(name)
            .is_some_and(|active| active.mapped.status.main_suspect);
        return if suspect {
            Condition::new(Health::Bad, "failing")
        } else {
            nothing()
        };
    }
    let standing = state.standing_of(&device.path);
    match state.inspection(&device.path) {
        Some(seen) if seen.is_ours() => {
            let copies = seen.judgement.states.map(|_, state| state.letter());
            of_standing(&standing, Some(&copies))
        }
        _ if standing.is_empty() => nothing(),
        _ => of_standing(&standing, None),
    }
}

/// The condition of a mapped device that is active.
pub fn of_active(state: &State, active: &Active) -> Condition {
    let subject = Subject::of_active(state, active);
    let copies = subject.copies().map(|(copies, _)| copies);
    of_standing(&subject.standing(state.now), copies.as_ref())
}

/// The worst that is amiss, and how many copies are left where there is room for it.
fn of_standing(standing: &[Matter], copies: Option<&PerSlot<char>>) -> Condition {
    let intact = copies.map(|copies| copies.count(|letter| matches!(letter, 'V' | 'P')));
    let Some(worst) = standing.first() else {
        let text = intact.map_or(String::new(), |intact| {
            format!("{intact} of {}", Slot::COUNT)
        });
        return Condition::new(Health::Good, text);
    };
    let mut text = short(worst, intact);
    let next = standing
        .iter()
        .skip(1)
        .map(|matter| match (matter, intact) {
            (Matter::Damaged { .. } | Matter::Weak, Some(intact)) if intact < Slot::COUNT => {
                format!("{intact}/{}", Slot::COUNT)
            }
            (matter, _) => short(matter, intact),
        })
        .find(|more| text.width() + 1 + more.width() <= TEXT_WIDTH);
    if let Some(next) = next {
        text = format!("{text} {next}");
    }
    Condition::new(Health::of_matter(*worst), text)
}

/// A matter in a word or two.
fn short(matter: &Matter, intact: Option<usize>) -> String {
    let word = match matter {
        Matter::SpareUse { used, total } => {
            let used = show::percent(used.get(), total.get());
            return format!("{} used", used.replace(' ', ""));
        }
        Matter::BlocksLost(blocks) => return format!("{} lost", show::short_count(*blocks)),
        Matter::Damaged { .. } | Matter::Weak => match intact {
            Some(intact) if intact < Slot::COUNT => return format!("{intact} of {}", Slot::COUNT),
            _ if matches!(matter, Matter::Weak) => "weak",
            _ => "damaged",
        },
        Matter::NoMetadata => "no metadata",
        Matter::Unreadable => "unreadable",
        Matter::NeedsCheck => "needs check",
        Matter::RepairGaveUp => "gave up",
        Matter::SpareFull => "spare full",
        Matter::SpareFails => "spare fails",
        Matter::MainHeld => "main held",
        Matter::MainFails => "main fails",
        Matter::Unassemblable(Verdict::ForeignOverwritten) => "overwritten",
        Matter::Unassemblable(verdict) => verdict.name(),
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::port::block::Properties;
    use crate::tui::event::{Answer, Event};
    use crate::tui::sample::{self, happen};

    #[test]
    fn what_is_up_has_one_row_by_its_own_name() {
        let mut state = sample::state(sample::COLOUR, 120, 40);
        let before = arrange(&state);
        let mut devices = sample::devices();
        for (name, label) in [("dm-0", "vault"), ("dm-1", "root")] {
            let usage = Usage::InUse("a mount on /srv".to_owned());
            let properties = Properties {
                kind: Kind::Mapped("dm".to_owned()),
                label: Some(label.to_owned()),
                ..Properties::default()
            };
            devices.push(DeviceInfo {
                properties: Some(Arc::new(properties)),
                ..sample::device(name, devices[0].size, usage)
            });
        }
        let mapped = state.up().iter().map(|active| active.mapped.clone());
        let mapped = mapped.collect();
        let listed = Answer::Listed { devices, mapped };
        happen(&mut state, 2000, Event::Told(listed));
        let rows = arrange(&state);
        assert_eq!(rows.len(), before.len() + 1);
        let is_of = |name: &str| {
            let key = RowKey::Device(sample::path(name));
            rows.iter().any(|row| row.key == key)
        };
        assert!(!is_of("dm-0") && is_of("dm-1"));
    }
}
