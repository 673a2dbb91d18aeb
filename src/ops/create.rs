//! Plans that set up a device: create, and writing metadata while it is not up.

use std::path::Path;

use super::compose;
use super::look::{is_same_device, require_free, see, shown, Seen};
use super::plan::{copy_writes, Draft};
use super::region;
use super::step::{Basis, Puts, Step, WriteStep};
use super::{Context, Operation, Plan, Refusal};
use crate::inspect::Inspection;
use crate::port::{Access, Activation, Host};
use crate::remap_core::commit::{prepare, Authority, Intent};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::{CopyState, Foreign, Verdict};
use crate::remap_core::superblock::{Extension, Superblock};
use crate::remap_core::units::Slot;

/// What a new device is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    pub(super) main: &'a Path,
    pub(super) spare: &'a Path,
    pub(super) options: &'a Options,
    pub(super) replace: bool,
}

/// Plans a new device; where mapped devices can be brought up, up to its activation.
pub(super) fn plan_create(
    host: &mut dyn Host,
    context: &Context,
    operation: &Operation,
    parts: Parts<'_>,
) -> Result<Plan, Refusal> {
    let mut draft = format_spare(host, context, operation, parts)?;
    draft.title = format!(
        "Create {} from {} and {}",
        parts.name,
        shown(parts.main),
        shown(parts.spare)
    );
    match host.can_activate(&[parts.main, parts.spare]) {
        Ok(()) => draft.steps.push(Step::Activate(Activation {
            name: parts.name.to_owned(),
            main: parts.main.to_owned(),
            spare: parts.spare.to_owned(),
            options: *parts.options,
        })),
        Err(why) => draft.notes.push(format!(
            "The spare is formatted; {} is not brought up here: {why}.",
            parts.name
        )),
    }
    Ok(draft.finish(host))
}

/// Plans writing the copies of a device that is not up: first ones, or the same anew.
pub(super) fn plan_write(
    host: &mut dyn Host,
    context: &Context,
    operation: &Operation,
    parts: Parts<'_>,
) -> Result<Plan, Refusal> {
    let main = see(host, parts.main)?;
    let spare = see(host, parts.spare)?;
    if !is_of_pair(&main, &spare) {
        let mut draft = format_spare(host, context, operation, parts)?;
        draft.title = format!("Write metadata of {} to {}", parts.name, shown(parts.spare));
        return Ok(draft.finish(host));
    }
    require_free(parts.main, &main.usage)?;
    require_free(parts.spare, &spare.usage)?;
    compose::name_field(parts.name)?;
    let seen = &spare.inspection;
    if seen.name.as_deref().is_some_and(|name| name != parts.name) {
        return Err(Refusal::new(
            "other-name",
            format!(
                "{} belongs to {}, not to {}.",
                shown(parts.spare),
                seen.token(),
                parts.name
            ),
            format!(
                "Write it as {}, or create a new device with --replace.",
                seen.token()
            ),
        ));
    }
    let Some(current) = seen.superblock else {
        return Err(unwritable(seen));
    };
    let superblock = Superblock {
        timestamp: context.platform.now(),
        main_path: compose::path_hint(parts.main),
        spare_path: compose::path_hint(parts.spare),
        extension: current.extension.map(|extension| Extension {
            // After a migration the operator's word is what main is known by first.
            main_identity: main.inspection.identity,
            spare_identity: seen.identity,
            ..extension
        }),
        ..current
    };
    let prepared = prepare(
        &seen.judgement,
        &seen.survey,
        Intent::Advance(&superblock),
        Authority::Typed,
    )
    .map_err(|error| super::repair::refused(seen, &error))?;
    let mut draft = Draft::new(
        operation,
        format!("Write the metadata of {} anew", parts.name),
    );
    draft.seen(seen);
    draft.token = Some(seen.token());
    draft.predicted = Some(Verdict::Healthy);
    draft.undoable = true;
    draft.writes = copy_writes(parts.spare, &Slot::ALL, |slot| {
        format!("copy {slot}, sequence {}", prepared.sequence())
    });
    draft.steps.push(Step::Write(Box::new(WriteStep {
        path: parts.spare.to_owned(),
        access: Access::Exclusive,
        basis: Basis::of(seen),
        puts: Puts::Ranges(Vec::new()),
        copies: Some(prepared),
    })));
    Ok(draft.finish(host))
}

/// Whether the spare's metadata is of this very main: by identity where there is one,
/// and by size.
fn is_of_pair(main: &Seen, spare: &Seen) -> bool {
    let Some(superblock) = &spare.inspection.superblock else {
        return false;
    };
    let Some(extension) = &superblock.extension else {
        return false;
    };
    let fits =
        |stored: crate::remap_core::units::IdentityDigest, is| stored.is_none() || stored == is;
    superblock.main_sectors == main.inspection.size
        && fits(extension.main_identity, main.inspection.identity)
        && fits(extension.spare_identity, spare.inspection.identity)
}

fn unwritable(seen: &Inspection) -> Refusal {
    Refusal::new(
        "not-writable",
        format!(
            "{} is judged {}: its copies are not written anew.",
            shown(&seen.path),
            seen.verdict()
        ),
        "Look at its findings first: dmremap-tui inspect",
    )
}

/// The part that both plans share: checks, layout, regions and copies.
fn format_spare(
    host: &mut dyn Host,
    context: &Context,
    operation: &Operation,
    parts: Parts<'_>,
) -> Result<Draft, Refusal> {
    let name = compose::name_field(parts.name)?;
    let (main, spare) = see_pair(host, parts)?;
    let block_size = compose::block_size(&main, &spare, parts.options.block_size)?;
    let layout = compose::layout(parts.spare, spare.inspection.size, block_size)?;
    let superblock = compose::superblock(context, &main, &spare, layout)?;
    let in_the_way = region::first_non_zero(&*spare.store, &layout)?;
    let stake = stake(&spare, in_the_way.is_some());
    if let (Stake::Known(what), false) = (&stake, parts.replace) {
        return Err(Refusal::new(
            "spare-not-empty",
            format!("{} holds {what}.", shown(parts.spare)),
            format!(
                "Name another spare. If what it holds is not needed, run it again with --replace and confirm \
                 with {}.",
                spare.inspection.token()
            ),
        ));
    }
    let authority = match stake {
        Stake::Nothing => Authority::Operator,
        _ => Authority::Typed,
    };
    let seen = &spare.inspection;
    let prepared = prepare(
        &seen.judgement,
        &seen.survey,
        Intent::Create(&superblock),
        authority,
    )
    .map_err(|error| super::repair::refused(seen, &error))?;
    let superblock = Superblock {
        sequence: prepared.sequence(),
        ..superblock
    };
    let mut draft = Draft::new(operation, String::new());
    draft.seen(seen);
    draft.name = Some(parts.name.to_owned());
    (draft.token, draft.token_aliases) = match &stake {
        Stake::Nothing => (Some(parts.name.to_owned()), vec![seen.token()]),
        _ => (Some(seen.token()), Vec::new()),
    };
    draft.predicted = Some(Verdict::Healthy);
    draft.writes = region::planned_writes(parts.spare, &layout);
    draft
        .writes
        .extend(copy_writes(parts.spare, &Slot::ALL, |slot| {
            format!("copy {slot}, sequence {}", prepared.sequence())
        }));
    draft.notes.push(format!(
        "remap unit {block_size} bytes; room for {} blocks",
        layout.replacement_blocks
    ));
    match stake {
        Stake::Nothing => {}
        Stake::Known(what) => draft.notes.push(format!("What is there is lost: {what}.")),
        Stake::Unknown => draft
            .notes
            .push("The spare is not blank; what is there is lost.".to_owned()),
    }
    draft.undoable = in_the_way.is_none() || region::fits_backup_whole(&layout);
    if !draft.undoable {
        draft
            .notes
            .push("What lies where the remap table will be is too much for a backup: this cannot be undone.".to_owned());
    }
    draft.steps.push(Step::Write(Box::new(WriteStep {
        path: parts.spare.to_owned(),
        access: Access::Exclusive,
        basis: Basis::of(seen),
        puts: Puts::NewTable {
            superblock: Box::new(superblock),
            name,
            over_blank_only: false,
        },
        copies: Some(prepared),
    })));
    Ok(draft)
}

/// Looks at main and spare, and refuses what cannot be joined.
fn see_pair(host: &mut dyn Host, parts: Parts<'_>) -> Result<(Seen, Seen), Refusal> {
    if host.is_name_taken(parts.name)? {
        return Err(Refusal::new(
            "name-taken",
            format!("{} is the name of an active device.", parts.name),
            "Choose another name, or take that device down first.",
        ));
    }
    let main = see(host, parts.main)?;
    let spare = see(host, parts.spare)?;
    if is_same_device(parts.main, parts.spare) {
        return Err(Refusal::new(
            "same-device",
            format!(
                "{} and {} are the same device.",
                shown(parts.main),
                shown(parts.spare)
            ),
            "Main and spare must be two devices.",
        ));
    }
    require_free(parts.main, &main.usage)?;
    require_free(parts.spare, &spare.usage)?;
    if main.inspection.is_ours() {
        return Err(Refusal::new(
            "main-is-a-spare",
            format!(
                "{} holds metadata of {}: it is a spare.",
                shown(parts.main),
                main.inspection.token()
            ),
            "Name the disk whose data is to be kept as main, and the other one as the spare.",
        ));
    }
    if main.inspection.size.get() == 0 {
        return Err(Refusal::new(
            "main-size",
            format!("{} has no sectors.", shown(parts.main)),
            "Name another main.",
        ));
    }
    Ok((main, spare))
}

/// What would be lost with what a spare holds.
enum Stake {
    /// Nothing: it is blank where anything is written.
    Nothing,
    /// Something that is known.
    Known(String),
    /// Something.
    Unknown,
}

fn stake(spare: &Seen, in_the_way: bool) -> Stake {
    let seen = &spare.inspection;
    if seen.is_ours() {
        let verdict = seen.verdict();
        return Stake::Known(match &seen.name {
            Some(name) => format!("the metadata of {name}, judged {verdict}"),
            None => format!("metadata of ours, judged {verdict}"),
        });
    }
    let states = &seen.judgement.states;
    let signature = states.iter().find_map(|(_, state)| match state {
        CopyState::Foreign(Foreign::Signature(signature)) => Some(*signature),
        _ => None,
    });
    if let Some(signature) = signature {
        return Stake::Known(format!("a signature of {signature}"));
    }
    if in_the_way || states.count(|state| *state == CopyState::Missing) < Slot::COUNT {
        return Stake::Unknown;
    }
    Stake::Nothing
}
