//! Which actions can be asked for where, and which operation each one is.

use super::bytes;
use super::keymap::Command;
use super::pages;
use super::state::{Focus, Mode, State, Tab};
use super::subject::Subject;
use super::wizard::Wizard;
use crate::ops::{Operation, Target};
use crate::remap_core::message::Message;
use crate::remap_core::quorum::{CopyState, Verdict};

/// Whether `command` can be asked for now.
///
/// # Errors
///
/// Why not, and what to do instead.
pub fn available(state: &State, command: Command) -> Result<(), String> {
    match command {
        Command::LookInside => return inside(state),
        Command::Back => {
            let is_first = match &state.mode {
                Mode::Wizard(wizard) => matches!(wizard, Wizard::Main { .. }),
                Mode::Plan(dialog) => !dialog.has_step_before(),
                _ => false,
            };
            return match is_first {
                true => Err("There is no step before this one.".to_owned()),
                false => Ok(()),
            };
        }
        Command::Underway if state.underway.tasks.is_empty() => {
            return Err("No work is under way.".to_owned());
        }
        Command::EndWork | Command::EndAndLeave => {
            let mut tasks = state.underway.tasks.iter();
            return match tasks.any(|task| task.can_end_early) {
                true => Ok(()),
                false => Err("It cannot end in its middle without harm.".to_owned()),
            };
        }
        Command::Tighten if state.tab == Tab::Events => return Ok(()),
        Command::Tighten => {
            let key = state.key(Command::Tab(Tab::Events as u8));
            return Err(format!("This is for the page of events: {key}."));
        }
        Command::ZoomIn | Command::ZoomOut if state.tab == Tab::Counters => return Ok(()),
        Command::ZoomIn | Command::ZoomOut | Command::GoTo | Command::Order => {
            return on_remaps(state)
        }
        _ => {}
    }
    let changes = matches!(
        command,
        Command::Create
            | Command::WriteMetadata
            | Command::Scrub
            | Command::Repair
            | Command::Corrupt
            | Command::Reassemble
            | Command::TakeApart
            | Command::Cover
            | Command::Uncover
            | Command::Undo
            | Command::Migrate
    );
    if !changes {
        return Ok(());
    }
    if let Some(why) = state.options.no_changes() {
        return Err(why);
    }
    match command {
        Command::Create if state.devices().len() < 2 => {
            Err("Two devices are needed: one to protect, and a spare.".to_owned())
        }
        Command::Create => Ok(()),
        Command::Undo if state.journal.is_empty() => {
            Err("The journal is empty: there is nothing to undo.".to_owned())
        }
        Command::Undo => Ok(()),
        _ => match state.subject() {
            Some(_) if command == Command::Reassemble && idle_main(state).is_some() => Ok(()),
            Some(subject) => available_on(state, &subject, command),
            None => Err("No device is chosen.".to_owned()),
        },
    }
}

/// Whether the page draws something to move about in.
fn inside(state: &State) -> Result<(), String> {
    match state.tab {
        Tab::Copies if bytes::comparison(state).is_some() => Ok(()),
        Tab::Copies => Err("This copy has no bytes to show.".to_owned()),
        Tab::Remaps => on_remaps(state),
        Tab::Overview | Tab::Events | Tab::Journal | Tab::Counters => {
            Err("There is nothing more to look into on this page.".to_owned())
        }
    }
}

/// Whether there are remaps in sight.
fn on_remaps(state: &State) -> Result<(), String> {
    let any = state
        .remaps
        .as_ref()
        .is_some_and(|list| !list.rows().is_empty());
    match state.tab {
        Tab::Remaps if any => Ok(()),
        Tab::Remaps => Err("No block of main has failed.".to_owned()),
        _ => {
            let key = state.key(Command::Tab(Tab::Remaps as u8));
            Err(format!("This is for the page of remaps: {key}."))
        }
    }
}

fn available_on(state: &State, subject: &Subject<'_>, command: Command) -> Result<(), String> {
    let is_up = subject.active.is_some();
    let inspection = subject.inspection();
    let is_ours = inspection.is_some_and(|inspection| inspection.is_ours());
    let no_metadata = || {
        let create = state.key(Command::Create);
        Err(format!(
            "There is no metadata on this device; {create} creates some."
        ))
    };
    match command {
        Command::WriteMetadata | Command::Scrub | Command::Cover | Command::Uncover if !is_up => {
            Err(format!(
                "This is for a mapped device that is up; {} brings one up, {} creates one.",
                state.key(Command::Reassemble),
                state.key(Command::Create)
            ))
        }
        Command::TakeApart if !is_up => {
            Err("Only a mapped device that is up can be taken apart.".to_owned())
        }
        Command::Repair if !(is_up || is_ours) => no_metadata(),
        Command::Corrupt if !is_ours => no_metadata(),
        Command::Reassemble if is_up => Err(format!(
            "It is up already; {} takes it apart.",
            state.key(Command::TakeApart)
        )),
        Command::Reassemble | Command::Migrate if !is_ours => no_metadata(),
        Command::Migrate => {
            let states = inspection.map(|inspection| &inspection.judgement.states);
            let plain = states.map_or(0, |states| states.count(|state| *state == CopyState::Plain));
            if plain == 0 {
                Err("Only plain v4 copies can be migrated; these have checksums.".to_owned())
            } else if is_up {
                Err(format!(
                    "Take the device apart first: {}.",
                    state.key(Command::TakeApart)
                ))
            } else {
                Ok(())
            }
        }
        _ => Ok(()),
    }
}

/// The operation that `command` asks for on what is shown.
pub fn operation(state: &State, command: Command) -> Option<Operation> {
    if command == Command::Undo {
        let in_journal = state.tab == Tab::Journal && state.focus != Focus::List;
        let chosen = in_journal.then(|| pages::chosen_action(state)).flatten();
        return Some(Operation::Undo {
            id: chosen.map(|action| action.id),
        });
    }
    let subject = state.subject()?;
    let up = subject.active.map(|active| active.mapped.name.clone());
    match command {
        Command::WriteMetadata => Some(Operation::WriteMetadata { name: up? }),
        Command::Scrub => Some(Operation::Message {
            name: up?,
            message: Message::Scrub,
        }),
        Command::TakeApart => Some(Operation::Remove { name: up? }),
        Command::Cover => Some(Operation::Cover { name: up? }),
        Command::Uncover => Some(Operation::Uncover { name: up? }),
        Command::Repair => Some(repair(state, &subject)),
        Command::Reassemble => Some(Operation::Reassemble {
            target: match idle_main(state) {
                Some(name) => Target::Name(name.to_owned()),
                None => Target::Path(subject.store.to_owned()),
            },
            main: None,
            name: None,
            read_only: verdict(&subject) == Some(Verdict::Weak),
        }),
        Command::Migrate => Some(Operation::Migrate {
            path: subject.store.to_owned(),
            name: None,
            block_size: None,
            main: None,
        }),
        _ => None,
    }
}

/// The name of the mapped device, not up, that what is shown is main of.
fn idle_main(state: &State) -> Option<&str> {
    let subject = state.subject().filter(|subject| subject.active.is_none())?;
    state.idle_main_of(subject.store)
}

fn verdict(subject: &Subject<'_>) -> Option<Verdict> {
    subject.inspection().map(|inspection| inspection.verdict())
}

/// A repair of what is shown. Among rivals the copy under the pointer is the chosen one,
/// where the copies are looked at.
fn repair(state: &State, subject: &Subject<'_>) -> Operation {
    let target = match subject.active {
        Some(active) => Target::Name(active.mapped.name.clone()),
        None => Target::Path(subject.store.to_owned()),
    };
    let looks_at_copies = state.tab == Tab::Copies && state.focus != Focus::List;
    let copies = subject.inspection().map(|seen| seen.judgement.verdict);
    let from = match copies {
        Some(Verdict::Outlier | Verdict::Weak) if looks_at_copies => {
            Some(pages::chosen_slot(state))
        }
        _ => None,
    };
    Operation::Repair {
        target,
        from,
        rebuild: copies == Some(Verdict::Lost),
        array: None,
    }
}

/// What an operation is called while its plan is made.
pub fn title(operation: &Operation) -> String {
    let verb = match operation {
        Operation::Create { name, .. } => return format!("Create {name}"),
        Operation::WriteMetadata { .. } | Operation::WriteInactive { .. } => "Write metadata",
        Operation::Corrupt { .. } => "Corrupt copies",
        Operation::Repair { .. } => "Repair",
        Operation::Migrate { .. } => "Migrate",
        Operation::Reassemble { .. } => "Reassemble",
        Operation::Remove { .. } => "Take apart",
        Operation::Cover { .. } => "Cover",
        Operation::Uncover { .. } => "Uncover",
        Operation::Message { .. } => "Message",
        Operation::Undo { .. } => "Undo",
    };
    verb.to_owned()
}
