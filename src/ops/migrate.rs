//! The plan that gives plain v4 checksums, identities, a name and a remap table.

use std::path::Path;

use super::look::{require_free, require_ours_alone, see_spare, shown, Seen};
use super::overlay::Overlay;
use super::plain_main::{self, PlainMain};
use super::plan::{copy_writes, Draft};
use super::repair::{copy_ranges, refused};
use super::step::{Basis, Puts, Step, WriteStep};
use super::{compose, region, Context, Operation, Plan, Refusal};
use crate::inspect::Inspection;
use crate::port::{Access, Host};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::{prepare, Authority, Intent};
use crate::remap_core::quorum::{CopyState, Verdict};
use crate::remap_core::superblock::{Extension, Features, Superblock, Unsupported, ENTRY_BYTES};
use crate::remap_core::units::{BlockSize, Slot};
use crate::text;

/// What the operator says beside the spare.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) block_size: Option<BlockSize>,
    pub(super) main: Option<&'a Path>,
}

/// Plans a migration.
pub(super) fn plan(
    host: &mut dyn Host,
    context: &Context,
    operation: &Operation,
    path: &Path,
    words: Words<'_>,
) -> Result<Plan, Refusal> {
    let Seen {
        store,
        inspection,
        usage,
    } = see_spare(host, path)?;
    let current = plain_superblock(&inspection)?;
    require_free(path, &usage)?;
    let main = plain_main::find(host, &inspection, &current, words.main)?;
    let unit = remap_unit(&inspection, &current, &main, words.block_size)?;
    let layout = compose::layout(path, inspection.size, unit)?;
    if let Some(at) = region::first_non_zero(&*store, &layout, &context.progress)? {
        return Err(Refusal::new(
            "data-in-the-way",
            format!(
                "Sector {at} of {}, where the remap table would lie, holds data.",
                shown(path)
            ),
            "What it holds may be remapped user data: save it first. Only zeros are overwritten.",
        ));
    }
    let superblock = Superblock {
        timestamp: context.platform.now(),
        spare_sectors: inspection.size,
        entry_size: ENTRY_BYTES,
        capacity: compose::capacity(&layout),
        extension: Some(Extension {
            features: Features::default(),
            array_uuid: compose::new_array(context)?,
            main_epoch: 0,
            main_identity: main.identity,
            spare_identity: inspection.identity,
            needs_check: false,
            layout,
        }),
        ..current
    };
    let prepared = prepare(
        &inspection.judgement,
        &inspection.survey,
        Intent::Migrate(&superblock),
        Authority::Typed,
    )
    .map_err(|error| refused(&inspection, &error))?;
    let superblock = Superblock {
        sequence: prepared.sequence(),
        ..superblock
    };
    let mut draft = Draft::new(
        operation,
        format!("Migrate {} to checksummed copies", shown(path)),
    );
    draft.seen(&inspection);
    draft.token = Some(inspection.token());
    // The new table is whole by construction, and the size that is stated is the disk's.
    let copies = Overlay::new(store, copy_ranges(&prepared)).judge().verdict;
    draft.predicted = Some(copies);
    draft.layout = Some(layout);
    draft.writes = region::planned_writes(path, &layout);
    draft.writes.extend(copy_writes(path, &Slot::ALL, |slot| {
        format!("copy {slot}, sequence {}", prepared.sequence())
    }));
    draft.notes.push(format!(
        "remap unit {unit} bytes; room for {} blocks",
        text::count(layout.replacement_blocks.get())
    ));
    if current.spare_sectors > inspection.size {
        draft.notes.push(format!(
            "The metadata says {} sectors; the device has {}, and that is what will be written.",
            current.spare_sectors, inspection.size
        ));
    }
    draft.notes.push(main.note);
    draft.doubts = main.doubts;
    if words.name.is_none() {
        draft
            .notes
            .push("No name is given: it gets one of its own when it is assembled.".to_owned());
    }
    draft.undoable = true;
    draft.steps.push(Step::Write(Box::new(WriteStep {
        path: path.to_owned(),
        access: Access::Exclusive,
        basis: Basis::of(&inspection),
        puts: Puts::NewTable {
            superblock: Box::new(superblock),
            name: match words.name {
                Some(name) => compose::name_field(name)?,
                None => Text::default(),
            },
            over_blank_only: true,
        },
        wipes: Vec::new(),
        copies: Some(prepared),
        undoes: None,
    })));
    Ok(draft.finish(host))
}

/// What the winning plain copy says, if all of them may be replaced.
fn plain_superblock(seen: &Inspection) -> Result<Superblock, Refusal> {
    let path = shown(&seen.path);
    let states = seen.judgement.states;
    let other_layout = |state: &CopyState| {
        matches!(
            state,
            CopyState::Unsupported(Unsupported::OtherLayout { .. })
        )
    };
    if states.count(other_layout) > 0 {
        return Err(Refusal::new(
            "unsupported-layout",
            format!("{path} carries the layout of an older kernel module."),
            "It may hold remapped user data from sector 0 on. Save that with the module that wrote it.",
        ));
    }
    require_ours_alone(seen)?;
    match (seen.judgement.verdict, &seen.superblock) {
        (Verdict::Healthy | Verdict::Degraded, Some(superblock))
            if superblock.extension.is_none() =>
        {
            Ok(*superblock)
        }
        (_, Some(superblock)) if superblock.extension.is_some() => Err(Refusal::new(
            "not-plain",
            format!("The copies on {path} have checksums already."),
            "Nothing is to be migrated.",
        )),
        (verdict, _) => Err(Refusal::new(
            "verdict",
            format!("{path} is judged {verdict}; only healthy or degraded plain v4 is migrated."),
            "Repair it first, if it can be: dmremap-tui repair.",
        )),
    }
}

/// The remap unit: what was asked if that is possible, else the larger of the block
/// size that the metadata states and the disks' own.
fn remap_unit(
    seen: &Inspection,
    current: &Superblock,
    main: &PlainMain,
    asked: Option<BlockSize>,
) -> Result<BlockSize, Refusal> {
    let of_main = main.logical_block.unwrap_or(BlockSize::B512);
    let least = seen.logical_block.max(of_main);
    match asked {
        Some(asked) if asked < least => Err(Refusal::new(
            "block-size",
            format!(
                "A remap unit of {asked} bytes is smaller than the disks' blocks of {least} bytes."
            ),
            "Leave out --block-size: then it is chosen.",
        )),
        Some(asked) => Ok(asked),
        None => Ok(least.max(current.sector_size)),
    }
}
