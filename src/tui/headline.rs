//! The line on top: is my data safe, and what should I do next?

use std::path::Path;

use super::keymap::Command;
use super::show;
use super::state::{State, Troubled};
use super::subject::Subject;
use super::theme::Health;
use crate::inspect::{Matter, Repair};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::repair::MAX_ATTEMPTS;

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

impl Headline {
    fn new(health: Health, text: impl Into<String>) -> Self {
        Self {
            health,
            text: text.into(),
            more: String::new(),
            others: 0,
        }
    }
}

/// What to say: the worst of everything that is known, and how much more there is.
pub fn headline(state: &State) -> Headline {
    let troubles = troubles(state);
    let worst = troubles.iter().enumerate().max_by_key(|(place, trouble)| {
        // Among equals the first in the list is the first to be told.
        (trouble.worst().loss(), std::cmp::Reverse(*place))
    });
    let Some((_, worst)) = worst else {
        return all_is_well(state);
    };
    let (text, more) = say(state, worst);
    Headline {
        health: Health::of_matter(worst.worst()),
        text,
        more,
        others: troubles.len() - 1,
    }
}

/// A device with which something is amiss.
enum Trouble<'a> {
    /// A mapped device that is active.
    Active(&'a str, Vec<Matter>),
    /// A spare or a main that no active device has.
    Inactive(&'a Troubled),
    /// Devices that cannot be read, so that nobody knows whose they are.
    Unread(usize),
}

impl Trouble<'_> {
    fn worst(&self) -> Matter {
        let matters = match self {
            Self::Active(_, matters) => matters,
            Self::Inactive(troubled) => &troubled.matters,
            Self::Unread(_) => return Matter::Unreadable,
        };
        matters.first().copied().unwrap_or(Matter::Unreadable)
    }
}

fn troubles(state: &State) -> Vec<Trouble<'_>> {
    let active = state.up().iter().filter_map(|active| {
        let matters = Subject::of_active(state, active).standing(state.now);
        (!matters.is_empty()).then_some(Trouble::Active(&active.mapped.name, matters))
    });
    let inactive = state.idle.troubled.iter().map(Trouble::Inactive);
    let unread = match state.idle.unread {
        0 => None,
        count => Some(Trouble::Unread(count)),
    };
    active.chain(inactive).chain(unread).collect()
}

fn all_is_well(state: &State) -> Headline {
    if state.listing.is_none() {
        return Headline::new(Health::Neutral, "Looking at devices.");
    }
    if state.idle.unseen > 0 {
        let all = state.devices().len() as u64;
        let left = show::count(state.idle.unseen as u64);
        let text = format!("Looking at {}; {left} to go.", show::counted(all, "device"));
        return Headline::new(Health::Neutral, text);
    }
    match state.up() {
        [] if state.idle.healthy > 0 => Headline::new(
            Health::Neutral,
            format!(
                "No device is active. Choose a spare and press {} to assemble, or {} for a new one.",
                state.key(Command::Reassemble),
                state.key(Command::Create)
            ),
        ),
        [] => Headline::new(
            Health::Neutral,
            format!(
                "No device is active. Press {} to create one.",
                state.key(Command::Create)
            ),
        ),
        [one] => Headline::new(
            Health::Good,
            format!("{} is safe. Nothing to do.", one.mapped.name),
        ),
        many => Headline::new(
            Health::Good,
            format!("All {} mapped devices are safe. Nothing to do.", many.len()),
        ),
    }
}

/// The sentence of a trouble, and what more there is to say where there is room.
fn say(state: &State, trouble: &Trouble<'_>) -> (String, String) {
    let matter = trouble.worst();
    let (who, is_chosen) = match trouble {
        Trouble::Unread(count) => return (of_unread(state, *count), String::new()),
        Trouble::Active(name, _) => {
            let chosen = state.subject().and_then(|chosen| chosen.active);
            let is_chosen = chosen.is_some_and(|chosen| chosen.mapped.name == **name);
            ((*name).to_owned(), is_chosen)
        }
        Trouble::Inactive(troubled) if matter == Matter::MainHeld => {
            return of_held(state, &troubled.path)
        }
        Trouble::Inactive(troubled) => {
            let chosen = state.subject().filter(|chosen| chosen.active.is_none());
            let is_chosen = chosen.is_some_and(|chosen| chosen.store == troubled.path);
            let disk = state.name_of(&troubled.path);
            let inspection = state.inspection(&troubled.path);
            let name = inspection.and_then(|seen| seen.name.as_deref());
            let who = match name {
                Some(name) => format!("{name}, inactive, on {disk}"),
                None => format!("{disk}, inactive"),
            };
            (who, is_chosen)
        }
    };
    let is_active = matches!(trouble, Trouble::Active(..));
    let words = Words {
        state,
        is_active,
        is_chosen,
    };
    let more = match matter {
        Matter::RepairGaveUp => format!("It made {MAX_ATTEMPTS} attempts."),
        Matter::Damaged {
            repair: Repair::Due { attempt, .. },
            ..
        } => format!("Attempt {attempt} of {MAX_ATTEMPTS}."),
        _ => String::new(),
    };
    (format!("{who}: {}", words.of(matter)), more)
}

/// Others use a main past its mapped device.
fn of_held(state: &State, path: &Path) -> (String, String) {
    let name = state.held.get(path).map_or("", |held| &held.name);
    let name = crate::text::escape_str(name);
    let disk = state.name_of(path);
    let text = format!("{name}, inactive: main {disk} is in use past it. Stop what uses it.");
    (text, "See Overview.".to_owned())
}

/// Whoever may not read a device knows nothing of it; something of ours may be there.
fn of_unread(state: &State, count: usize) -> String {
    let advice = match state.idle.denied {
        true => "That takes root.",
        false => "See Overview.",
    };
    let devices = show::counted(count as u64, "device");
    format!("{devices} cannot be read, so nothing is known of it. {advice}")
}

/// How to speak of a device.
struct Words<'a> {
    state: &'a State,
    is_active: bool,
    is_chosen: bool,
}

impl Words<'_> {
    /// How to use a key, which works on what is chosen in the list and nothing else.
    fn press(&self, command: Command) -> String {
        let key = self.state.key(command);
        match self.is_chosen {
            true => format!("Press {key}"),
            false => format!("Choose it, press {key}"),
        }
    }

    fn of(&self, matter: Matter) -> String {
        match matter {
            Matter::MainHeld => "its main is in use past it. Stop what uses it.".to_owned(),
            Matter::MainFails => {
                "main fails as a whole. Check its cable, controller and power.".to_owned()
            }
            Matter::Unassemblable(verdict) => self.of_unassemblable(verdict),
            Matter::BlocksLost(blocks) => format!(
                "{} lost. Restore {} from a backup.",
                show::counted(blocks, "block"),
                if blocks == 1 { "it" } else { "them" }
            ),
            Matter::SpareFails => {
                "the spare fails, nothing more is moved to it. Replace it.".to_owned()
            }
            Matter::SpareFull => "the spare is full. Copy the data to a new disk now.".to_owned(),
            Matter::NeedsCheck => {
                "the remap table contradicts itself; read-only. See Overview.".to_owned()
            }
            Matter::RepairGaveUp => format!(
                "repair gave up. Check the spare. {} to try again.",
                self.press(Command::Repair)
            ),
            Matter::Weak => format!("weak. {} to repair.", self.press(Command::Repair)),
            Matter::Damaged { repair, .. } => self.of_damage(matter, repair),
            Matter::Unreadable => "its spare cannot be read. Check its cable and power.".to_owned(),
            Matter::NoMetadata => format!(
                "not protected, there is no metadata. {} to write it.",
                self.press(Command::WriteMetadata)
            ),
            Matter::SpareUse { used, total } => format!(
                "{} of the spare is used. Plan to replace main.",
                show::percent(used.get(), total.get())
            ),
        }
    }

    fn of_unassemblable(&self, verdict: Verdict) -> String {
        let what = match (verdict, self.is_active) {
            (Verdict::ForeignOverwritten, _) => {
                "something else was written over its spare".to_owned()
            }
            (Verdict::Ambivalent, _) => "somebody else's signature is on its spare".to_owned(),
            (Verdict::Lost, false) => "lost, it cannot be assembled".to_owned(),
            (verdict, false) => format!("{verdict}, it cannot be assembled"),
            (verdict, true) => format!("its metadata is {verdict}; keep it active"),
        };
        format!("{what}. See Overview.")
    }

    fn of_damage(&self, damage: Matter, repair: Repair) -> String {
        match repair {
            Repair::Due { in_millis, .. } => format!(
                "{damage}, repair {}. Nothing is lost.",
                show::until(in_millis)
            ),
            Repair::NotFound => format!(
                "{damage}, not found yet. {} to scrub now.",
                self.press(Command::Scrub)
            ),
            Repair::Found => format!("{damage}. {} to repair.", self.press(Command::Repair)),
            Repair::Inactive => format!(
                "{damage}. Still usable. {} to repair.",
                self.press(Command::Repair)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;
    use crate::inspect::standing_cases::every_device;
    use crate::inspect::{standing, Disk, Inspection};
    use crate::policy::{Allowed, Policy};
    use crate::port::block::Properties;
    use crate::port::{DeviceInfo, Mapped, Part, Usage};
    use crate::remap_core::status::{Mode, RepairStatus, Status};
    use crate::remap_core::units::{ArrayUuid, Blocks, IdentityDigest, PerSlot};
    use crate::tui::event::{Answer, Event};
    use crate::tui::headless;
    use crate::tui::rows::{self, Row, RowKey};
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
             "vault: copies 1 and 3 damaged, repair in 2 s. Nothing is lost."),
            (Status { repair: waiting(0), ..degraded }, Health::Warning,
             "vault: copies 1 and 3 damaged, repair now. Nothing is lost."),
            (Status { repair: RepairStatus::GaveUp, ..degraded }, Health::Bad,
             "vault: repair gave up. Check the spare. Press r to try again."),
            (degraded, Health::Warning,
             "vault: copies 1 and 3 damaged. Press r to repair."),
            (Status { verdict: Verdict::Split, ..well }, Health::Bad,
             "vault: its metadata is split; keep it active. See Overview."),
            (Status { pending: Blocks::new(3), ..well }, Health::Bad,
             "vault: 3 blocks lost. Restore them from a backup."),
            (Status { pending: Blocks::new(1), ..degraded }, Health::Bad,
             "vault: 1 block lost. Restore it from a backup."),
            (Status { used: Blocks::new(80), total: Blocks::new(100), ..well }, Health::Warning,
             "vault: 80.0 % of the spare is used. Plan to replace main."),
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
        assert!(said.text.starts_with("cellar, inactive,"), "{said:?}");
        assert_eq!((said.more.as_str(), said.others), ("", 2));
    }

    #[test]
    fn damage_that_no_scrub_found_yet_is_told() {
        let mut state = sample::state(COLOUR, 80, 24);
        let listed = Answer::Listed {
            devices: sample::devices_but_the_weak(),
            mapped: vec![mapped("vault", "disk-a", "disk-b", well())],
        };
        happen(&mut state, 1000, Event::Told(listed));
        let said = headline(&state);
        let text = "vault: copy 3 damaged, not found yet. Press s to scrub now.";
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
        let said = |state: &State, of_active: bool| {
            let troubles = troubles(state);
            let is_it = |it: &&Trouble<'_>| of_active == matches!(it, Trouble::Active(..));
            say(state, troubles.iter().find(is_it).unwrap()).0
        };
        state.choose(&RowKey::Device(sample::path("disk-e")));
        let text = "vault: copy 3 damaged, not found yet. Choose it, press s to scrub now.";
        assert_eq!(said(&state, true), text);
        assert!(text.len() <= 76, "too long for 80 columns");
        let text = "cellar, inactive, on disk-h: weak. Choose it, press r to repair.";
        assert_eq!(said(&state, false), text);
        state.choose(&RowKey::Device(sample::path("disk-h")));
        let text = "cellar, inactive, on disk-h: weak. Press r to repair.";
        assert_eq!(said(&state, false), text);
    }

    /// A state of a device.
    struct Class {
        active: Option<Status>,
        disk: Disk,
        is_held: bool,
        is_safe: bool,
    }

    /// One device of each kind that the line tells apart: by the worst that is amiss with it.
    fn classes() -> Vec<Class> {
        let mut known = HashSet::new();
        let mut classes = Vec::new();
        every_device(|active, disk, is_held, is_safe| {
            // What is active leaves its main to nobody else.
            if active.is_some() && is_held {
                return;
            }
            let worst = standing(active, disk, is_held).first().copied();
            if known.insert(format!("{} {worst:?}", active.is_some())) {
                let active = active.copied();
                classes.push(Class {
                    active,
                    disk,
                    is_held,
                    is_safe,
                });
            }
        });
        classes
    }

    /// A machine with two devices and nothing else.
    fn machine(devices: [&Class; 2]) -> State {
        let mut state = State::new(COLOUR, None, Size::new(120, 40));
        let mut listed: Vec<DeviceInfo> = Vec::new();
        let mut mapped: Vec<Mapped> = Vec::new();
        let mut examined = Vec::new();
        let mut policy = Policy::default();
        for (class, (name, spare)) in devices.iter().zip([("one", "disk-b"), ("two", "disk-d")]) {
            let identity = IdentityDigest::new([name.as_bytes()[0]; 16]);
            let usage = match class.active {
                None if class.is_held => {
                    policy.assembly.allow.push(Allowed {
                        uuid: Some(ArrayUuid::new([name.as_bytes()[0]; 16])),
                        name: Some(name.to_owned()),
                        main: Some(identity),
                    });
                    Usage::InUse("md0".to_owned())
                }
                Some(status) => {
                    mapped.push(sample::mapped(name, "disk-a", spare, status));
                    Usage::Mapped {
                        name: name.to_owned(),
                        part: Part::Spare,
                    }
                }
                None => Usage::Free,
            };
            let properties = Properties {
                identity,
                ..Properties::default()
            };
            listed.push(DeviceInfo {
                properties: Some(Arc::new(properties)),
                ..sample::device(spare, sample::MAIN, usage)
            });
            let seen = sample::examined_as(class.disk, spare);
            examined.extend(seen.map(|(path, seen)| {
                let with_identity = |mut seen: Arc<Inspection>| {
                    Arc::make_mut(&mut seen).identity = identity;
                    seen
                };
                (path, seen.map(with_identity))
            }));
        }
        let devices = Answer::Listed {
            devices: listed,
            mapped,
        };
        happen(&mut state, 0, Event::Told(devices));
        happen(&mut state, 0, Event::Told(Answer::Policy(policy)));
        happen(&mut state, 0, Event::Told(Answer::Examined(examined)));
        state
    }

    /// Before the spare was looked at, the list knows; afterwards its metadata does.
    #[test]
    fn a_main_that_others_took_is_told_with_its_device_and_in_its_details() {
        let held = |state: &mut State, by: &str| {
            let devices = sample::devices_but_the_weak().into_iter().map(|mut info| {
                if info.name == "disk-e" {
                    info.usage = Usage::InUse(by.to_owned());
                }
                info
            });
            let listed = Answer::Listed {
                devices: devices.collect(),
                mapped: vec![mapped("vault", "disk-a", "disk-b", well())],
            };
            happen(state, 1000, Event::Told(listed));
        };
        let mut state = sample::state(COLOUR, 120, 40);
        held(&mut state, "md0");
        assert!(!headline(&state).text.contains("disk-e"));
        let superblock = sample::superblock(0x60, "disk-e", "disk-h");
        let main = superblock.extension.unwrap().main_identity;
        let mut seen = state.inspection(&sample::path("disk-e")).unwrap().clone();
        seen.identity = main;
        let found = vec![(sample::path("disk-e"), Ok(Arc::new(seen)))];
        happen(&mut state, 1000, Event::Told(Answer::Examined(found)));
        let policy = |main| {
            let mut policy = Policy::default();
            policy.assembly.allow.push(Allowed {
                uuid: Some(ArrayUuid::new([0x60; 16])),
                name: Some("cellar".to_owned()),
                main: Some(main),
            });
            Event::Told(Answer::Policy(policy))
        };
        happen(&mut state, 1000, policy(main));
        let said = headline(&state);
        let text = "cellar, inactive: main disk-e is in use past it. Stop what uses it.";
        assert_eq!((said.health, said.text.as_str()), (Health::Bad, text));
        assert!(text.len() <= 76, "too long for 80 columns");
        state.choose(&RowKey::Device(sample::path("disk-e")));
        let lines = headless::lines_of(&headless::picture(&state));
        for shown in [
            "main held",
            "in use past its mapped device",
            "taken past it",
            "md0",
        ] {
            assert!(lines.contains(shown), "{shown}: {lines}");
        }
        // Nobody uses it any more.
        happen(
            &mut state,
            2000,
            Event::Told(Answer::Listed {
                devices: sample::devices_but_the_weak(),
                mapped: vec![mapped("vault", "disk-a", "disk-b", well())],
            }),
        );
        assert!(!headline(&state).text.contains("disk-e"));
        // Its spare is here, and the list does not know it.
        happen(&mut state, 2000, policy(IdentityDigest::new([1; 16])));
        let spare = sample::spare(superblock, "cellar");
        let seen = crate::inspect::inspect(&spare, &sample::path("usb-e"));
        let found = vec![(sample::path("usb-e"), Ok(Arc::new(seen)))];
        happen(&mut state, 2000, Event::Told(Answer::Examined(found)));
        held(&mut state, "a mount on /srv");
        assert_eq!(headline(&state).text, text);
    }

    #[test]
    fn nothing_is_called_safe_beside_anything_that_is_not() {
        let classes = classes();
        assert!(classes.len() > 30, "{}", classes.len());
        for one in &classes {
            for other in &classes {
                let said = headline(&machine([one, other]));
                let both = one.is_safe && other.is_safe;
                assert!(both || !said.text.contains("safe"), "{said:?}");
                assert_eq!(both, said.health <= Health::Good, "{said:?}");
            }
        }
    }

    #[test]
    fn the_list_and_the_overview_say_what_the_line_on_top_says() {
        let classes = classes();
        let is_well = |class: &&Class| class.is_safe && class.active.is_some();
        let well = classes.iter().find(is_well).unwrap();
        for class in &classes {
            let mut state = machine([class, well]);
            let is_well = |row: &Row| rows::condition(&state, row).health <= Health::Good;
            let all_well = state.rows.iter().all(is_well);
            for key in state
                .rows
                .iter()
                .map(|row| row.key.clone())
                .collect::<Vec<_>>()
            {
                state.choose(&key);
                let lines = headless::lines_of(&headless::picture(&state));
                assert_eq!(class.is_safe, all_well, "{lines}");
                assert!(class.is_safe || !lines.contains("safe"), "{lines}");
            }
        }
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
            "No device is active. Press :create to create one."
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
