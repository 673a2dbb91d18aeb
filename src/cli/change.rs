//! Commands that change something: each an operation, planned, confirmed, carried out.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{json, Value};

use super::args::{CreateArgs, OptionArgs, ReassembleArgs, WriteMetadataArgs};
use super::look::candidates;
use super::session::{Done, Session};
use crate::error::{Error, Exit};
use crate::ops::{CorruptionKind, Operation, Surroundings, Target};
use crate::port::journal::ActionId;
use crate::port::Mapped;
use crate::remap_core::label::MainForm;
use crate::remap_core::message::{Device, Direction, Fault, Message};
use crate::remap_core::params::Options;
use crate::remap_core::status::RepairStatus;
use crate::remap_core::units::{ArrayUuid, BlockSize, Blocks, MainBlock, Slot};
use crate::report;

fn options(args: &OptionArgs) -> Options {
    let default = Options::default();
    Options {
        scrub_interval: args.scrub_interval.unwrap_or(default.scrub_interval),
        block_size: args.block_size,
        ..default
    }
}

fn slots(numbers: &[u32]) -> Vec<Slot> {
    let mut slots: Vec<Slot> = numbers
        .iter()
        .copied()
        .filter_map(Slot::from_index)
        .collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

pub(super) fn create(session: &mut Session, args: CreateArgs) -> Result<Exit, Error> {
    let operation = Operation::Create {
        main: session.device(&args.main)?,
        spare: session.device(&args.spare)?,
        name: args.name,
        options: options(&args.options),
        replace: args.options.replace,
        form: match (args.labelled, args.bare) {
            (true, _) => Some(MainForm::Labelled),
            (_, true) => Some(MainForm::Bare),
            (false, false) => None,
        },
    };
    session.change("create", &operation)?;
    Ok(Exit::Done)
}

pub(super) fn write_metadata(
    session: &mut Session,
    args: WriteMetadataArgs,
) -> Result<Exit, Error> {
    let name = args.name.or(args.name_option);
    let operation = match (name, args.main, args.spare) {
        (Some(name), Some(main), Some(spare)) => Operation::WriteInactive {
            name,
            main: session.device(&main)?,
            spare: session.device(&spare)?,
            options: options(&args.options),
            replace: args.options.replace,
            adopt: args.adopt,
        },
        (Some(name), None, None) => Operation::WriteMetadata { name },
        _ => {
            return Err(
                Error::failed("usage", "the name of the mapped device is missing")
                    .advise("Name an active device, or give --main, --spare and --name.")
                    .exiting(Exit::Usage),
            );
        }
    };
    session.change("write-metadata", &operation)?;
    Ok(Exit::Done)
}

pub(super) fn reassemble(session: &mut Session, args: ReassembleArgs) -> Result<Exit, Error> {
    let ReassembleArgs {
        targets,
        all,
        main,
        name,
        ..
    } = args;
    let main = main.map(|main| session.device(&main)).transpose()?;
    let mut unseen = Vec::new();
    let targets = if all {
        let found = candidates(session)?;
        unseen = found.unseen;
        let spares = found.spares.into_iter();
        spares.map(|seen| Target::Path(seen.path)).collect()
    } else {
        let named = targets.iter().map(|word| session.target(word));
        named.collect::<Result<Vec<_>, _>>()?
    };
    let mut worst = Exit::Done;
    let mut rows = Vec::new();
    let mut text = String::new();
    let mut single = None;
    let mut surroundings = Surroundings::default();
    for target in &targets {
        let operation = Operation::Reassemble {
            target: target.clone(),
            main: main.clone(),
            name: name.clone(),
            read_only: session.global.read_only,
        };
        let what = match target {
            Target::Name(name) => name.clone(),
            Target::Path(path) => report::path_text(path),
        };
        let result = session.carry_out_in(&mut surroundings, &operation);
        let (exit, row) = match result {
            Ok(Done::Planned(plan)) => {
                text += &report::plan_text(&plan, session.style);
                (
                    Exit::Done,
                    json!({ "dry_run": true, "plan": report::plan_json(&plan) }),
                )
            }
            Ok(Done::CarriedOut(plan, outcome)) => {
                text += &report::outcome_text(&outcome, session.style);
                let exit = outcome.verdict.map_or(Exit::Done, Exit::of_verdict);
                (exit, report::outcome_json(&plan, &outcome))
            }
            Err(error) => {
                text += &format!("{what}: {}\n  {}\n", error.message, error.advice);
                let row = failed_row(&error);
                let exit = error.exit;
                single = Some(error);
                (exit, row)
            }
        };
        worst = worst.worse(exit);
        rows.push(report::merge(json!({ "target": what }), row));
    }
    // With one target its error is the command's; with several each has its own row.
    if let (Some(error), [_], []) = (single, targets.as_slice(), unseen.as_slice()) {
        return Err(error);
    }
    for (path, error) in unseen {
        let what = report::path_text(&path);
        text += &format!("{}\n  {}\n", error.message, error.advice);
        worst = worst.worse(error.exit);
        rows.push(report::merge(json!({ "target": what }), failed_row(&error)));
    }
    session.print("reassemble", || json!({ "devices": rows }), || text)?;
    Ok(worst)
}

/// The row of what was not done.
fn failed_row(error: &Error) -> Value {
    json!({
        "changed": false,
        "error": { "code": error.code, "message": error.message, "advice": error.advice },
    })
}

pub(super) fn remove(session: &mut Session, name: String) -> Result<Exit, Error> {
    session.change("remove", &Operation::Remove { name })?;
    Ok(Exit::Done)
}

pub(super) fn cover(session: &mut Session, name: String) -> Result<Exit, Error> {
    session.change("cover", &Operation::Cover { name })?;
    Ok(Exit::Done)
}

pub(super) fn uncover(session: &mut Session, name: String) -> Result<Exit, Error> {
    session.change("uncover", &Operation::Uncover { name })?;
    Ok(Exit::Done)
}

/// Scrubs, and where the target lives in this process stays until the repair that the
/// scrub scheduled has run: without a process nothing would be repaired.
pub(super) fn scrub(session: &mut Session, name: String, wait: bool) -> Result<Exit, Error> {
    let before = find_mapped(session, &name)?;
    let operation = Operation::Message {
        name: name.clone(),
        message: Message::Scrub,
    };
    if let Done::Planned(plan) = session.carry_out(&operation)? {
        session.print_plan("scrub", &plan)?;
        return Ok(Exit::Done);
    }
    let found = find_mapped(session, &name)?;
    let is_in_lab = session.host.lab_directory().is_some();
    let mut after = found.clone();
    while wait && is_in_lab && matches!(after.status.repair, RepairStatus::Waiting { .. }) {
        if let Some(millis) = session.host.run_due()? {
            std::thread::sleep(Duration::from_millis(millis.min(1000)));
        }
        after = find_mapped(session, &name)?;
    }
    let damage = found.status.corruption_detected > before.status.corruption_detected;
    let repaired = after.status.repairs_completed > before.status.repairs_completed;
    let findings = crate::inspect::status_findings(&after);
    let json = || {
        let story = json!({
            "damage_found": damage,
            "verdict_found": found.status.verdict.name(),
            "repaired": repaired,
        });
        report::merge(report::mapped_json(&after, &findings), story)
    };
    let story = match (damage, repaired) {
        (false, _) => "scrub: all intact\n".to_owned(),
        (true, true) => format!("scrub: found {}; repaired\n", found.status.verdict),
        (true, false) => format!("scrub: found {}\n", found.status.verdict),
    };
    let text = || story + &report::mapped_text(&after, &findings, session.style);
    session.print("scrub", json, text)?;
    Ok(Exit::of_verdict(after.status.verdict))
}

/// The mapped device of this name, which must be up.
pub(super) fn find_mapped(session: &mut Session, name: &str) -> Result<Mapped, Error> {
    let device = session
        .host
        .mapped()?
        .into_iter()
        .find(|device| device.name == name);
    device.ok_or_else(|| {
        let name = crate::text::escape_str(name);
        Error::failed(
            "not-active",
            format!("{name}: no mapped device of this name is active"),
        )
        .advise(format!(
            "dmremap-tui reassemble {name} brings it up, if its metadata allows."
        ))
    })
}

pub(super) fn repair(
    session: &mut Session,
    target: &str,
    from: Option<u32>,
    rebuild: bool,
    array: Option<ArrayUuid>,
) -> Result<Exit, Error> {
    let target = session.target(target)?;
    let from = from.and_then(Slot::from_index);
    let outcome = session.change(
        "repair",
        &Operation::Repair {
            target,
            from,
            rebuild,
            array,
        },
    )?;
    Ok(outcome
        .and_then(|outcome| outcome.verdict)
        .map_or(Exit::Done, Exit::of_verdict))
}

pub(super) fn corrupt(
    session: &mut Session,
    path: &Path,
    copies: &[u32],
    kind: CorruptionKind,
    seed: u64,
) -> Result<Exit, Error> {
    let path = session.spare(path)?;
    let operation = Operation::Corrupt {
        path,
        slots: slots(copies),
        kind,
        seed,
    };
    session.change("corrupt", &operation)?;
    Ok(Exit::Done)
}

pub(super) fn migrate(
    session: &mut Session,
    path: &Path,
    name: Option<String>,
    block_size: Option<BlockSize>,
    main: Option<PathBuf>,
) -> Result<Exit, Error> {
    let path = session.spare(path)?;
    let main = main.map(|word| session.device(&word)).transpose()?;
    session.change(
        "migrate",
        &Operation::Migrate {
            path,
            name,
            block_size,
            main,
        },
    )?;
    Ok(Exit::Done)
}

pub(super) fn undo(session: &mut Session, id: Option<ActionId>) -> Result<Exit, Error> {
    session.change("undo", &Operation::Undo { id })?;
    Ok(Exit::Done)
}

pub(super) fn fault(
    session: &mut Session,
    name: String,
    disk: Option<&str>,
    direction: &str,
    from: u64,
    count: u64,
) -> Result<Exit, Error> {
    let message = match disk {
        None => Message::ClearFaults,
        Some(disk) => Message::Fault(Fault {
            device: if disk == "main" {
                Device::Main
            } else {
                Device::Spare
            },
            direction: match direction {
                "read" => Direction::Read,
                "write" => Direction::Write,
                _ => Direction::Both,
            },
            from: MainBlock::new(from),
            count: Blocks::new(count),
        }),
    };
    session.change("fault", &Operation::Message { name, message })?;
    Ok(Exit::Done)
}
