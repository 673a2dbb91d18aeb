//! Plans that set up a device: create, and writing metadata while it is not up.

use std::path::Path;

use super::compose;
use super::eligibility::{self, Facts, Fitness, Obstacle};
use super::look::{
    busy, is_same_device, require_apart, require_free, require_ours_alone, see, shown, Seen,
};
use super::mend;
use super::plan::{copy_writes, Draft};
use super::reassemble::Surroundings;
use super::region;
use super::step::{Basis, Puts, Step, WriteStep};
use super::{adopt, labels, start, Context, Operation, Plan, Refusal};
use crate::command_line;
use crate::format::backup::SavedRange;
use crate::inspect::{scan_all, Inspection, MainMatch, Scan};
use crate::port::{Access, Activation, Host, Meant};
use crate::remap_core::commit::{prepare, Authority, Intent};
use crate::remap_core::label::MainForm;
use crate::remap_core::layout::Layout;
use crate::remap_core::params::Options;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::superblock::{Extension, Superblock};
use crate::remap_core::units::{BlockSize, IdentityDigest, Sectors, Slot};
use crate::text;

/// What a new device is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    pub(super) main: &'a Path,
    pub(super) spare: &'a Path,
    pub(super) options: &'a Options,
    pub(super) replace: bool,
    pub(super) form: Option<MainForm>,
}

/// Plans a new device; where mapped devices can be brought up, up to its activation.
pub(super) fn plan_create(
    host: &mut dyn Host,
    context: &Context,
    operation: &Operation,
    parts: Parts<'_>,
) -> Result<Plan, Refusal> {
    let (mut draft, formatted) = format_spare(host, context, operation, parts)?;
    draft.title = format!("Create {}", parts.name);
    match host.can_activate(&[parts.main, parts.spare]) {
        Ok(()) => {
            if host.lab_directory().is_none() {
                draft.notes.push(format!(
                    "It comes up by itself when the machine starts once it may: {}",
                    command_line::line(["allow", parts.name])
                ));
            }
            let activation = Activation {
                name: parts.name.to_owned(),
                main: parts.main.to_owned(),
                spare: parts.spare.to_owned(),
                options: *parts.options,
                meant: formatted.meant,
            };
            draft.activate(activation, formatted.shape, Some(formatted.unit));
        }
        Err(why) => draft.notes.push(format!(
            "The spare is formatted; {} is not brought up here: {why}.",
            parts.name
        )),
    }
    Ok(draft.finish(host))
}

/// Plans writing the copies of a device that is not up: first ones, or the same anew. To
/// `adopt` is to take other disks than these copies were written for.
pub(super) fn plan_write(
    host: &mut dyn Host,
    surroundings: &mut Surroundings,
    context: &Context,
    operation: &Operation,
    parts: Parts<'_>,
    adopt: bool,
) -> Result<Plan, Refusal> {
    let main = see(host, parts.main)?;
    let spare = see(host, parts.spare)?;
    let doubts = match adopt {
        true => adopt::require_adoptable(host, surroundings, &main, &spare)?,
        false => Vec::new(),
    };
    if !adopt && !is_of_pair(&main, &spare) {
        let (mut draft, _) = format_spare(host, context, operation, parts)?;
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
    require_ours_alone(seen)?;
    let Some(current) = seen.superblock else {
        return Err(unwritable(seen));
    };
    let superblock = Superblock {
        timestamp: context.platform.now(),
        main_path: compose::path_hint(parts.main),
        spare_path: compose::path_hint(parts.spare),
        extension: current.extension.map(|extension| Extension {
            main_epoch: labels::epoch(&extension, &main.inspection, adopt),
            // After a migration the operator's word is what main is known by first.
            main_identity: main.inspection.identity_as_main(),
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
    draft.notes.extend(adopt::recorded(&main, &spare, &current));
    draft.doubts = doubts;
    draft.writes = copy_writes(parts.spare, &Slot::ALL, |slot| {
        format!("copy {slot}, sequence {}", prepared.sequence())
    });
    if superblock.main_form().has_labels() {
        labels::require_main(&main, seen)?;
        let name = compose::name_field(parts.name)?;
        let (step, planned) = labels::step(&main, &superblock, name);
        draft.steps.push(step);
        draft.writes.extend(planned);
    }
    draft.steps.push(Step::Write(Box::new(WriteStep {
        path: parts.spare.to_owned(),
        access: Access::Exclusive,
        basis: Basis::of(seen),
        puts: Puts::Ranges(Vec::new()),
        wipes: Vec::new(),
        copies: Some(prepared),
        undoes: None,
    })));
    Ok(draft.finish(host))
}

/// Whether the spare's metadata is of this very main: by size, and by identity where there
/// is one. A main that was known by its file system alone may have another one by now.
fn is_of_pair(main: &Seen, spare: &Seen) -> bool {
    let Some(superblock) = &spare.inspection.superblock else {
        return false;
    };
    let Some(extension) = &superblock.extension else {
        return false;
    };
    let fits =
        |stored: &IdentityDigest, seen: &Inspection| stored.is_none() || seen.is_known_as(stored);
    superblock.main_sectors == main.inspection.size
        && (fits(&extension.main_identity, &main.inspection)
            || main.inspection.may_be_known_as(&extension.main_identity))
        && fits(&extension.spare_identity, &spare.inspection)
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

/// What a formatted spare and its main are brought up with.
struct Formatted {
    meant: Meant,
    /// The size of the device, and the larger logical block of both.
    shape: (Sectors, BlockSize),
    unit: BlockSize,
}

/// The part that both plans share: checks, layout, regions and copies.
fn format_spare(
    host: &mut dyn Host,
    context: &Context,
    operation: &Operation,
    parts: Parts<'_>,
) -> Result<(Draft, Formatted), Refusal> {
    let name = compose::name_field(parts.name)?;
    let pair = see_pair(host, parts)?;
    let (main, spare) = (pair.main, pair.spare);
    let block_size = pair.block_size;
    let layout = compose::layout(parts.spare, spare.inspection.size, block_size)?;
    let mut superblock = compose::superblock(context, &main, &spare, layout)?;
    let (form, of_form) = labels::choose(&main, parts.form, context)?;
    if form == MainForm::Labelled {
        if let Some(extension) = &mut superblock.extension {
            extension.features = extension.features.with_main(MainForm::Labelled);
            extension.main_epoch = 1;
        }
    }
    let in_the_way = region::first_non_zero(&*spare.store, &layout, &context.progress)?;
    let not_blank = in_the_way.map(|_| Obstacle::Data);
    let stake = pair.stake.or(not_blank);
    let lost = stake.as_ref().and_then(Obstacle::contents);
    match &stake {
        None | Some(Obstacle::Data) => {}
        Some(_) if parts.replace => {}
        Some(_) => return Err(not_empty(&spare.inspection, &lost.unwrap_or_default())),
    }
    let authority = match stake {
        None => Authority::Operator,
        Some(_) => Authority::Typed,
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
        None => (Some(parts.name.to_owned()), vec![seen.token()]),
        Some(_) => (Some(seen.token()), Vec::new()),
    };
    draft.predicted = Some(Verdict::Healthy);
    draft.layout = Some(layout);
    draft.writes = region::planned_writes(parts.spare, &layout);
    draft
        .writes
        .extend(copy_writes(parts.spare, &Slot::ALL, |slot| {
            format!("copy {slot}, sequence {}", prepared.sequence())
        }));
    let wipes = wipes(&spare, &layout)?;
    draft
        .writes
        .extend(mend::planned_wipes(parts.spare, &wipes));
    draft.notes.push(format!(
        "remap unit {block_size} bytes; room for {} blocks",
        text::count(layout.replacement_blocks.get())
    ));
    draft.notes.extend(pair.notes);
    draft
        .notes
        .extend(start::notes(host, context, &main, parts.name));
    match stake {
        None => {}
        Some(Obstacle::Data) => draft
            .notes
            .push("The spare is not blank; what is there is lost.".to_owned()),
        Some(_) => draft
            .notes
            .extend(lost.map(|what| format!("What is there is lost: {what}."))),
    }
    draft.undoable = in_the_way.is_none() || region::fits_backup_whole(&layout);
    if !draft.undoable {
        draft
            .notes
            .push("What lies where the remap table will be is too much for a backup: this cannot be undone.".to_owned());
    }
    draft.notes.extend(of_form);
    if form == MainForm::Labelled {
        let (step, planned) = labels::step(&main, &superblock, name);
        draft.steps.push(step);
        draft.writes.extend(planned);
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
        wipes,
        copies: Some(prepared),
        undoes: None,
    })));
    let larger = main
        .inspection
        .logical_block
        .max(spare.inspection.logical_block);
    let formatted = Formatted {
        meant: Meant {
            main: main.inspection.instance,
            spare: spare.inspection.instance,
        },
        shape: (superblock.data_area().sectors, larger),
        unit: block_size,
    };
    Ok((draft, formatted))
}

/// What is wiped of others' signatures on a spare that gets a new table.
fn wipes(spare: &Seen, layout: &Layout) -> Result<Vec<SavedRange>, Refusal> {
    let mut known = spare.inspection.signatures.iter().flatten();
    if known.next().is_none() {
        return Ok(Vec::new());
    }
    let places = spare.store.signature_places();
    let places = places.map_err(region::unreadable)?;
    Ok(mend::wipes(&places, Some(layout)))
}

/// Looks at main and spare, and refuses what cannot be joined.
fn see_pair(host: &mut dyn Host, parts: Parts<'_>) -> Result<Pair, Refusal> {
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
    let scan = scan_all(host)?;
    let main_of = |path: &Path| name_of_idle_array(&scan, path);
    let main_facts = Facts {
        main_of: main_of(parts.main),
        ..main.facts()
    };
    let spare_facts = Facts {
        main_of: main_of(parts.spare),
        ..spare.facts()
    };
    let mut notes = Vec::new();
    for obstacle in eligibility::against_main(&main_facts) {
        match obstacle {
            // What is on main stays there, so two devices may have been made from it.
            Obstacle::MainOf(name) => notes.push(format!(
                "{} is main of {name} as well, which is not up.",
                shown(parts.main)
            )),
            Obstacle::Labelled(name) if parts.replace => notes.push(format!(
                "{} is labelled as main of {}: what lies between its labels stays, but for what was moved to \
                 another spare.",
                shown(parts.main),
                text::escape_str(&name)
            )),
            bar => return Err(refusal(&main, &bar)),
        }
    }
    let devices = scan.devices.iter().map(|device| &device.info);
    let seen = &main.inspection;
    require_apart(devices, (parts.main, seen.instance), &spare.inspection)?;
    let least = main_facts.logical_block.max(spare_facts.logical_block);
    let unit = parts.options.block_size.unwrap_or(least).max(least);
    let obstacles = eligibility::against_spare(&spare_facts, &main_facts, unit);
    let mut stake = None;
    for obstacle in obstacles {
        match obstacle.fitness() {
            Fitness::Unfit => return Err(refusal(&spare, &obstacle)),
            Fitness::Occupied | Fitness::Fit => stake = Some(obstacle),
        }
    }
    notes.extend(clone_note(&scan, &main.inspection));
    let block_size = compose::block_size(&main, &spare, parts.options.block_size)?;
    Ok(Pair {
        main,
        spare,
        block_size,
        stake,
        notes,
    })
}

/// Main and spare of a new device, looked at and found to do.
struct Pair {
    main: Seen,
    spare: Seen,
    block_size: BlockSize,
    /// What would be lost with what the spare holds.
    stake: Option<Obstacle>,
    /// What is to be said besides.
    notes: Vec<String>,
}

/// The name of the array, not up, that has the device at `path` as main.
fn name_of_idle_array<'a>(scan: &'a Scan, path: &Path) -> Option<&'a str> {
    let idle = scan.arrays.iter().filter(|array| array.active_as.is_none());
    let mut mains = idle.filter(
        |array| matches!(&array.main, MainMatch::Found(main) if is_same_device(main, path)),
    );
    Some(mains.next()?.name.as_deref().unwrap_or("another device"))
}

/// What is to be said where other devices have main's identity: after a restart there
/// would be no telling which is main.
fn clone_note(scan: &Scan, main: &Inspection) -> Option<String> {
    let alike = scan.devices.iter().filter(|device| {
        let seen = device.seen.as_ref().ok();
        seen.is_some_and(|seen| seen.is_known_as(&main.identity_as_main()))
            && !is_same_device(&device.info.path, &main.path)
    });
    let alike: Vec<String> = alike.map(|device| shown(&device.info.path)).collect();
    (!alike.is_empty()).then(|| {
        format!(
            "{} cannot be told from main by what is stable about it: to reassemble it, main must be named \
             or the other taken away.",
            alike.join(", ")
        )
    })
}

/// The refusal to take a device that cannot become what it was named for.
fn refusal(device: &Seen, obstacle: &Obstacle) -> Refusal {
    let path = shown(&device.inspection.path);
    let another = "Name another device.";
    match obstacle {
        Obstacle::InUse(_) | Obstacle::Mapped { .. } => {
            match require_free(&device.inspection.path, &device.usage) {
                Err(refusal) => refusal,
                Ok(()) => busy(&device.inspection.path, "somebody"),
            }
        }
        Obstacle::ReadOnly => Refusal::new(
            "read-only",
            format!("{path} takes no writes."),
            "Lift its write protection, or name another device.",
        ),
        Obstacle::LargeBlocks(bytes) => Refusal::new(
            "block-size",
            format!("{path} writes no less than {bytes} bytes; a target takes 512 to 4096."),
            another,
        ),
        Obstacle::Unread(why) => Refusal::new(
            "unreadable",
            format!("{path} could not be looked at: {}.", text::guard(why)),
            another,
        ),
        Obstacle::NoSectors => Refusal::new(
            "main-size",
            format!("{path} has no sectors."),
            "Name another main.",
        ),
        Obstacle::IsSpare(_) => Refusal::new(
            "main-is-a-spare",
            format!(
                "{path} holds metadata of {}: it is a spare.",
                device.inspection.token()
            ),
            "Name the disk whose data is to be kept as main, and the other one as the spare.",
        ),
        Obstacle::Labelled(name) => Refusal::new(
            "main-labelled",
            format!(
                "{path} is labelled as main of {}: what lies on it begins behind its label.",
                text::escape_str(name)
            ),
            "Bring that device up with its spare. If that is lost, --replace makes a new device of what \
             lies between the labels; if the disk is to be used otherwise, overwrite both its ends first.",
        ),
        Obstacle::SameIdentity => Refusal::new(
            "same-identity",
            format!("{path} has the identity of main: it is a clone of it, or another way to it."),
            another,
        ),
        Obstacle::Overlaps => Refusal::new(
            "same-device",
            format!("{path} and main lie on each other: what is written to one changes the other."),
            another,
        ),
        Obstacle::TooSmall { needs } => Refusal::new(
            "spare-size",
            format!(
                "{path} cannot be the spare: it has {} sectors, and {needs} are needed.",
                device.inspection.size
            ),
            format!(
                "Name a device of at least {needs} sectors ({} bytes).",
                needs.bytes().unwrap_or(u64::MAX)
            ),
        ),
        Obstacle::NoLayout(error) => Refusal::new(
            "spare-size",
            format!("{path} cannot be the spare: {error}."),
            another,
        ),
        Obstacle::Ours { .. } | Obstacle::MainOf(_) | Obstacle::Signature(_) | Obstacle::Data => {
            not_empty(&device.inspection, &obstacle.contents().unwrap_or_default())
        }
    }
}

/// The refusal to overwrite what the spare holds without a word of the operator.
fn not_empty(spare: &Inspection, what: &str) -> Refusal {
    Refusal::new(
        "spare-not-empty",
        format!("{} holds {what}.", shown(&spare.path)),
        format!(
            "Name another spare. If what it holds is not needed, run it again with --replace and confirm \
             with {}.",
            spare.token()
        ),
    )
}
