//! The line on top: is my data safe, and what should I do next?

use super::keymap::Command;
use super::listing::Active;
use super::rows;
use super::state::State;
use super::subject::Subject;
use super::theme::Health;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::repair::MAX_ATTEMPTS;
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::units::{Blocks, PerSlot};

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
    let chosen = state.subject();
    let mut concerns: Vec<Concern> = state
        .up()
        .iter()
        .filter_map(|active| of_active(state, active, chosen))
        .chain(of_idle_devices(state, chosen))
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
    if state.listing.is_none() {
        return say(Health::Neutral, "Looking at devices.");
    }
    match state.up() {
        [] if state.idle.healthy > 0 => say(
            Health::Neutral,
            &format!(
                "No device is mapped. Choose a spare and press {} to assemble, or {} for a new one.",
                state.key(Command::Reassemble),
                state.key(Command::Create)
            ),
        ),
        [] => match whys_unread(state).count() {
            0 => say(
                Health::Neutral,
                &format!(
                    "No device is mapped. Press {} to create one.",
                    state.key(Command::Create)
                ),
            ),
            // Something of ours may be there, so nothing is said to be missing.
            count => {
                let root = whys_unread(state).any(|why| why.contains("permission denied"));
                let advice = if root { "That takes root." } else { "See Overview." };
                let devices = show::counted(count as u64, "device");
                let text = format!("{devices} cannot be read, so nothing is known of it. {advice}");
                say(Health::Warning, &text)
            }
        },
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

/// Why devices could not be looked at.
fn whys_unread(state: &State) -> impl Iterator<Item = &String> {
    let examined = state.examined.values();
    examined.filter_map(|examined| examined.as_ref().err())
}

fn of_active(state: &State, active: &Active, chosen: Option<Subject<'_>>) -> Option<Concern> {
    let name = &active.mapped.name;
    let status = &active.status(state.now);
    let (copies, verdict) = Subject::of_active(state, active)
        .copies()
        .unwrap_or((status.copies, status.verdict));
    let is_chosen = chosen
        .and_then(|chosen| chosen.active)
        .is_some_and(|chosen| chosen.mapped.name == *name);
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
        let key = state.key(Command::WriteMetadata);
        let press = press(is_chosen, &key);
        return warn(format!(
            "not protected, there is no metadata. {press} to write it."
        ));
    }
    if status.total > Blocks::new(0) && status.used >= status.total {
        return bad("the spare is full. Copy the data to a new disk now.".to_owned());
    }
    if let Some((text, more)) = of_repair(state, status, is_chosen) {
        return Some(Concern {
            health: rows::of_active(state, active).health.max(Health::Warning),
            text: format!("{name}: {text}"),
            more,
        });
    }
    match verdict {
        Verdict::Healthy => {}
        Verdict::Degraded | Verdict::Interrupted if status.verdict == Verdict::Healthy => {
            let damage = damaged_copies(&copies);
            let press = press(is_chosen, &state.key(Command::Scrub));
            return warn(format!(
                "safe. {damage}, not found yet. {press} to scrub now."
            ));
        }
        _ => {
            return Some(Concern::new(
                Health::of_verdict(verdict).max(Health::Warning),
                format!(
                    "{name}: its copies are {verdict}. {} to scrub, {} to repair.",
                    press(is_chosen, &state.key(Command::Scrub)),
                    state.key(Command::Repair)
                ),
            ));
        }
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

/// How to use a key, which works on what is chosen in the list and nothing else.
fn press(is_chosen: bool, key: &str) -> String {
    if is_chosen {
        format!("Press {key}")
    } else {
        format!("Choose it, press {key}")
    }
}

/// What there is to say of a repair, and what more.
fn of_repair(state: &State, status: &Status, is_chosen: bool) -> Option<(String, String)> {
    match status.repair {
        RepairStatus::Idle => None,
        RepairStatus::GaveUp => Some((
            format!(
                "repair gave up. Check the spare. {} to try again.",
                press(is_chosen, &state.key(Command::Repair))
            ),
            format!("It made {MAX_ATTEMPTS} attempts."),
        )),
        RepairStatus::Waiting { attempt, in_millis } => {
            let damage = damaged_copies(&status.copies);
            let when = show::until(in_millis);
            Some((
                format!("safe. {damage}, repair {when}. Nothing to do."),
                format!("Attempt {attempt} of {MAX_ATTEMPTS}."),
            ))
        }
    }
}

fn damaged_copies(copies: &PerSlot<char>) -> String {
    let slots: Vec<String> = copies
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

fn of_idle_devices<'a>(
    state: &'a State,
    chosen: Option<Subject<'a>>,
) -> impl Iterator<Item = Concern> + 'a {
    // Of one that is up the keys work on that, whichever of its parts is chosen.
    let chosen = chosen
        .filter(|chosen| chosen.active.is_none())
        .map(|chosen| chosen.store);
    let troubled = state.idle.troubled.iter();
    let troubled = troubled.filter_map(|path| state.inspection(path));
    troubled.filter_map(move |inspection| {
        let verdict = inspection.verdict();
        let is_chosen = chosen == Some(inspection.path.as_path());
        let press = || press(is_chosen, &state.key(Command::Repair));
        let advice = match verdict {
            Verdict::Healthy | Verdict::None => return None,
            Verdict::Degraded | Verdict::Interrupted => {
                format!("Still usable. {} to repair.", press())
            }
            Verdict::Weak => format!("{} while one copy is left.", press()),
            Verdict::ForeignOverwritten => {
                "Something else was written over it. See Overview.".to_owned()
            }
            Verdict::Ambivalent => "Somebody else's signature is on it. See Overview.".to_owned(),
            Verdict::Lost if inspection.judgement.verdict == Verdict::Lost => {
                "No copy is left. See Overview.".to_owned()
            }
            Verdict::Lost | Verdict::Outlier | Verdict::Split | Verdict::Unsupported => {
                "See Overview.".to_owned()
            }
        };
        let disk = state.name_of(&inspection.path);
        let which = match &inspection.name {
            Some(name) => format!("{name}, not up, on {disk}"),
            None => format!("{disk}, not up"),
        };
        Some(Concern::new(
            Health::of_verdict(verdict),
            format!("{which}: {verdict}. {advice}"),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap_core::status::Status;
    use crate::tui::event::{Answer, Event};
    use crate::tui::sample::{self, happen, mapped, well, COLOUR};
    use ratatui::layout::Size;

    fn with(status: Status) -> Headline {
        let mut state = State::new(COLOUR, None, Size::new(80, 24));
        let listed = Answer::Listed {
            devices: Vec::new(),
            mapped: vec![mapped("vault", "disk-a", "disk-b", status)],
        };
        happen(&mut state, 0, Event::Told(listed));
        headline(&state)
    }

    #[test]
    fn every_trouble_has_its_own_words_and_its_own_advice() {
        let well = well();
        let waiting = |in_millis| RepairStatus::Waiting {
            attempt: 2,
            in_millis,
        };
        let degraded = Status {
            verdict: Verdict::Degraded,
            copies: PerSlot::new(['V', 'X', 'V', 's', 'V']),
            ..well
        };
        #[rustfmt::skip]
        let table = [
            (well, Health::Good, "vault is safe. Nothing to do."),
            (Status { repair: waiting(1001), ..degraded }, Health::Warning,
             "vault: safe. Copies 1 and 3 damaged, repair in 2 s. Nothing to do."),
            (Status { repair: waiting(0), ..degraded }, Health::Warning,
             "vault: safe. Copies 1 and 3 damaged, repair now. Nothing to do."),
            (Status { repair: RepairStatus::GaveUp, ..degraded }, Health::Bad,
             "vault: repair gave up. Check the spare. Press r to try again."),
            (degraded, Health::Warning,
             "vault: its copies are degraded. Press s to scrub, r to repair."),
            (Status { verdict: Verdict::Split, ..well }, Health::Bad,
             "vault: its copies are split. Press s to scrub, r to repair."),
            (Status { pending: Blocks::new(3), ..well }, Health::Warning,
             "vault: 3 blocks of main cannot be read. Write them anew."),
            (Status { used: Blocks::new(80), total: Blocks::new(100), ..well }, Health::Warning,
             "vault: safe, but 80.0 % of the spare is used. Plan to replace main."),
            (Status { used: Blocks::new(100), total: Blocks::new(100), ..well }, Health::Bad,
             "vault: the spare is full. Copy the data to a new disk now."),
            (Status { mode: Mode::PassThrough, verdict: Verdict::None, ..well }, Health::Warning,
             "vault: not protected, there is no metadata. Press w to write it."),
            (Status { main_suspect: true, ..degraded }, Health::Bad,
             "vault: main fails as a whole. Check its cable, controller and power."),
            (Status { spare_failing: true, ..degraded }, Health::Bad,
             "vault: the spare fails, nothing more is moved to it. Replace it."),
            (Status { needs_check: true, ..degraded }, Health::Bad,
             "vault: the remap table contradicts itself; read-only. See Overview."),
        ];
        for (status, health, text) in table {
            let said = with(status);
            assert_eq!((said.health, said.text.as_str()), (health, text));
            assert!(text.len() <= 76, "too long for 80 columns: {text}");
        }
    }

    #[test]
    fn the_worst_comes_first_and_the_others_are_counted() {
        let state = sample::state(COLOUR, 80, 24);
        let said = headline(&state);
        assert!(said.text.starts_with("vault: safe."), "{said:?}");
        assert_eq!((said.more.as_str(), said.others), ("Attempt 1 of 5.", 1));
    }

    #[test]
    fn damage_that_no_scrub_found_yet_is_told() {
        let mut state = sample::state(COLOUR, 80, 24);
        let listed = Answer::Listed {
            devices: sample::devices(),
            mapped: vec![mapped("vault", "disk-a", "disk-b", well())],
        };
        happen(&mut state, 1000, Event::Told(listed));
        let said = headline(&state);
        let text = "vault: safe. Copy 3 damaged, not found yet. Press s to scrub now.";
        assert_eq!((said.health, said.text.as_str()), (Health::Warning, text));
    }

    #[test]
    fn a_key_is_for_what_is_chosen_and_the_line_says_so() {
        let mut state = sample::state(COLOUR, 80, 24);
        let listed = Answer::Listed {
            devices: sample::devices(),
            mapped: vec![mapped("vault", "disk-a", "disk-b", well())],
        };
        happen(&mut state, 1000, Event::Told(listed));
        state.choose(&rows::RowKey::Device(sample::path("disk-e")));
        let text = "vault: safe. Copy 3 damaged, not found yet. Choose it, press s to scrub now.";
        assert_eq!(headline(&state).text, text);
        assert!(text.len() <= 76, "too long for 80 columns");
        let idle = |state: &State| {
            let mut concerns = of_idle_devices(state, state.subject());
            concerns.find(|it| it.text.contains("weak")).unwrap().text
        };
        let text = "cellar, not up, on disk-h: weak. Choose it, press r while one copy is left.";
        assert_eq!(idle(&state), text);
        state.choose(&rows::RowKey::Device(sample::path("disk-h")));
        let text = "cellar, not up, on disk-h: weak. Press r while one copy is left.";
        assert_eq!(idle(&state), text);
    }

    #[test]
    fn the_keys_that_are_named_are_the_operators_own() {
        let keys = [("repair", "R"), ("create", "")].map(|(action, key)| {
            let words = Some(key.to_owned()).filter(|key| !key.is_empty());
            (action.to_owned(), words.into_iter().collect())
        });
        let keys = crate::tui::KeyMap::with(&keys.into()).unwrap();
        let mut state = State::new(COLOUR, None, Size::new(80, 24));
        state.options.keys = keys;
        let listed = |mapped| {
            Event::Told(Answer::Listed {
                devices: Vec::new(),
                mapped,
            })
        };
        happen(&mut state, 0, listed(Vec::new()));
        assert_eq!(
            headline(&state).text,
            "No device is mapped. Press :create to create one."
        );
        let status = Status {
            repair: RepairStatus::GaveUp,
            ..well()
        };
        happen(
            &mut state,
            0,
            listed(vec![mapped("vault", "disk-a", "disk-b", status)]),
        );
        assert!(headline(&state).text.ends_with("Press R to try again."));
    }

    #[test]
    fn an_empty_machine_is_told_how_to_begin() {
        let mut state = State::new(COLOUR, None, Size::new(80, 24));
        assert_eq!(headline(&state).text, "Looking at devices.");
        let listed = Answer::Listed {
            devices: Vec::new(),
            mapped: Vec::new(),
        };
        happen(&mut state, 0, Event::Told(listed));
        assert!(headline(&state).text.contains("Press n"));
    }
}
