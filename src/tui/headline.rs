//! The line on top: is my data safe, and what should I do next?

use super::rows;
use super::state::{Active, State};
use super::theme::Health;
use crate::inspect::Inspection;
use crate::port::Usage;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::repair::MAX_ATTEMPTS;
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::units::{Blocks, Millis};

use super::show;

/// What the line on top says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headline {
    /// How well everything is.
    pub health: Health,
    /// The answer.
    pub text: String,
    /// What may be left out where there is no room.
    pub more: String,
    /// How many other devices there is something to say of.
    pub others: usize,
}

/// One thing that could be said.
struct Concern {
    health: Health,
    text: String,
    more: String,
}

impl Concern {
    fn new(health: Health, text: impl Into<String>) -> Self {
        Self {
            health,
            text: text.into(),
            more: String::new(),
        }
    }
}

/// What to say: the worst of everything that is known, and how much more there is.
pub fn headline(state: &State) -> Headline {
    let mut concerns: Vec<Concern> = state
        .active
        .iter()
        .filter_map(|active| of_active(active, state.now))
        .chain(of_idle_devices(state))
        .collect();
    // Stable: among equals the first in the list is the first to be told.
    concerns.sort_by_key(|concern| std::cmp::Reverse(concern.health));
    let others = concerns.len().saturating_sub(1);
    match concerns.into_iter().next() {
        Some(worst) => Headline {
            health: worst.health,
            text: worst.text,
            more: worst.more,
            others,
        },
        None => all_is_well(state),
    }
}

fn all_is_well(state: &State) -> Headline {
    let say = |health, text: &str| Headline {
        health,
        text: text.to_owned(),
        more: String::new(),
        others: 0,
    };
    if state.devices.is_none() {
        return say(Health::Neutral, "Looking at devices.");
    }
    match state.active.as_slice() {
        [] if assemblable(state) > 0 => say(
            Health::Neutral,
            "No device is mapped. Choose a spare and press a to assemble, or n for a new one.",
        ),
        [] => say(
            Health::Neutral,
            "No device is mapped. Press n to create one.",
        ),
        [one] => say(
            Health::Good,
            &format!("{} is safe. Nothing to do.", one.mapped.name),
        ),
        many => say(
            Health::Good,
            &format!("All {} mapped devices are safe. Nothing to do.", many.len()),
        ),
    }
}

fn assemblable(state: &State) -> usize {
    idle(state)
        .filter(|inspection| inspection.verdict() == Verdict::Healthy)
        .count()
}

fn of_active(active: &Active, now: Millis) -> Option<Concern> {
    let name = &active.mapped.name;
    let status = &active.status(now);
    let bad = |text: String| Some(Concern::new(Health::Bad, format!("{name}: {text}")));
    let warn = |text: String| Some(Concern::new(Health::Warning, format!("{name}: {text}")));
    if status.main_suspect {
        return bad("main fails as a whole. Check its cable, controller and power.".to_owned());
    }
    if status.needs_check {
        return bad("the remap table contradicts itself; read-only. See Overview.".to_owned());
    }
    if status.spare_failing {
        return bad("the spare fails, nothing more is moved to it. Replace it.".to_owned());
    }
    if status.mode == Mode::PassThrough {
        return warn("not protected, there is no metadata. Press w to write it.".to_owned());
    }
    if status.total > Blocks::new(0) && status.used >= status.total {
        return bad("the spare is full. Copy the data to a new disk now.".to_owned());
    }
    if let Some((text, more)) = of_repair(status) {
        return Some(Concern {
            health: rows::of_status(status).health.max(Health::Warning),
            text: format!("{name}: {text}"),
            more,
        });
    }
    if status.verdict != Verdict::Healthy {
        let verdict = status.verdict;
        return Some(Concern::new(
            Health::of_verdict(verdict).max(Health::Warning),
            format!("{name}: its copies are {verdict}. Press s to scrub, r to repair."),
        ));
    }
    if status.pending > Blocks::new(0) {
        let blocks = show::counted(status.pending.get(), "block");
        return warn(format!("{blocks} of main cannot be read. Write them anew."));
    }
    if status.used.get().saturating_mul(4) >= status.total.get().saturating_mul(3) {
        let used = show::percent(status.used.get(), status.total.get());
        return warn(format!(
            "safe, but {used} of the spare is used. Plan to replace main."
        ));
    }
    None
}

/// What there is to say of a repair, and what more.
fn of_repair(status: &Status) -> Option<(String, String)> {
    match status.repair {
        RepairStatus::Idle => None,
        RepairStatus::GaveUp => Some((
            "repair gave up. Check the spare, then press r.".to_owned(),
            format!("It made {MAX_ATTEMPTS} attempts."),
        )),
        RepairStatus::Waiting { attempt, in_millis } => {
            let damage = damaged_copies(status);
            let when = show::until(in_millis);
            Some((
                format!("safe. {damage}, repair {when}. Nothing to do."),
                format!("Attempt {attempt} of {MAX_ATTEMPTS}."),
            ))
        }
    }
}

fn damaged_copies(status: &Status) -> String {
    let slots: Vec<String> = status
        .copies
        .iter()
        .filter(|(_, letter)| !matches!(letter, 'V' | 'P'))
        .map(|(slot, _)| slot.to_string())
        .collect();
    match slots.as_slice() {
        [] => "Half of the remap table damaged".to_owned(),
        [one] => format!("Copy {one} damaged"),
        [most @ .., last] => format!("Copies {} and {last} damaged", most.join(", ")),
    }
}

/// What is known of the devices that are not part of anything that is up.
fn idle(state: &State) -> impl Iterator<Item = &Inspection> {
    state
        .devices()
        .iter()
        .filter(|device| device.usage == Usage::Free)
        .filter_map(|device| state.inspection(&device.path))
        .filter(|inspection| inspection.is_ours())
}

fn of_idle_devices(state: &State) -> impl Iterator<Item = Concern> + '_ {
    idle(state).filter_map(|inspection| {
        let name = crate::inspect::last_component(&inspection.path);
        let verdict = inspection.verdict();
        let advice = match verdict {
            Verdict::Healthy | Verdict::None => return None,
            Verdict::Degraded | Verdict::Interrupted => "It still assembles; r repairs it.",
            Verdict::Weak => "Press r to repair it while one copy is left.",
            Verdict::ForeignOverwritten => "Something else was written over it. See Overview.",
            Verdict::Lost => "No copy is left. See Overview.",
            Verdict::Outlier | Verdict::Split | Verdict::Unsupported => "See Overview.",
        };
        Some(Concern::new(
            Health::of_verdict(verdict),
            format!("{name} (not up): {verdict}. {advice}"),
        ))
    })
}
