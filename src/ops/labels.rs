//! The labels that a new main gets, and the write that takes them back.

use super::look::{shown, Seen};
use super::plan::PlannedWrite;
use super::step::{Basis, Puts, Step, WriteStep};
use super::{region, Context, Refusal};
use crate::format::backup::{Content, SavedRange};
use crate::inspect::{Inspection, MainSeen};
use crate::port::block::describe_signatures;
use crate::port::{Access, BlockStore};
use crate::remap_core::bytes::Text;
use crate::remap_core::label::{DataArea, End, Label, MainForm};
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{Sector, Sectors, BLOCK_4K_BYTES, BLOCK_4K_SECTORS};

/// Refuses a main that is too small for labels, or is not empty: behind them, what lies on it
/// would begin elsewhere.
pub(super) fn require_room(main: &Seen, context: &Context) -> Result<(), Refusal> {
    let seen = &main.inspection;
    let path = shown(&seen.path);
    if DataArea::of(MainForm::Labelled, seen.size).is_none() {
        return Err(Refusal::new(
            "main-too-small",
            format!(
                "{path} has {} sectors, too few for labels at both ends.",
                seen.size
            ),
            "Leave out --labelled.",
        ));
    }
    let holds = match seen.signatures.as_deref() {
        Some([]) => None,
        Some(found) => Some(describe_signatures(found)),
        None => Some("what nobody could look for".to_owned()),
    };
    let holds = match holds {
        Some(holds) => Some(holds),
        None => first_non_zero(&*main.store, seen.size, context)?
            .map(|at| format!("data, at sector {at}")),
    };
    match holds {
        None => Ok(()),
        Some(holds) => Err(Refusal::new(
            "main-not-empty",
            format!("{path} holds {holds}: only an empty main gets labels."),
            "Leave out --labelled, or use an empty disk: what lies on this one would begin elsewhere on \
             the device.",
        )),
    }
}

fn first_non_zero(
    store: &dyn BlockStore,
    size: Sectors,
    context: &Context,
) -> Result<Option<Sector>, Refusal> {
    for (at, sectors) in End::ALL.into_iter().filter_map(|end| end.range(size)) {
        for (at, length) in region::chunks(at, sectors) {
            context.progress.check().map_err(|_| stopped())?;
            let mut bytes = vec![0; length];
            store.read_at(at, &mut bytes).map_err(region::unreadable)?;
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(Some(at));
            }
        }
    }
    Ok(None)
}

fn stopped() -> Refusal {
    Refusal::new("interrupted", "Interrupted.", "Nothing was changed.")
}

/// Refuses a disk whose labels say that it is not the main of this spare.
pub(super) fn require_main(main: &Seen, spare: &Inspection) -> Result<(), Refusal> {
    let verdict = spare.main_verdict_of(&MainSeen::from(&*main.store));
    match verdict {
        None | Some(MainVerdict::Labelled | MainVerdict::Damaged | MainVerdict::Unlabelled) => {
            Ok(())
        }
        Some(verdict) => Err(Refusal::not_to_be_assembled(
            "main-label",
            format!(
                "{} is no main of {} by its labels: {verdict}.",
                shown(&main.inspection.path),
                shown(&spare.path)
            ),
            "Look at both: dmremap-tui inspect",
        )),
    }
}

/// The content of both ends of a main of this superblock.
fn ends(superblock: &Superblock, name: Text<NAME_LIMIT>) -> Vec<SavedRange> {
    let identity = superblock.extension.map(|it| it.main_identity);
    let size = superblock.main_sectors;
    let mut ranges = Vec::new();
    for end in End::ALL {
        let label = Label::of(superblock, end, identity.unwrap_or_default(), name, true);
        let places = end.range(size).zip(end.label_sector(size));
        let Some((label, ((start, sectors), at))) = label.zip(places) else {
            continue;
        };
        let mut raw = vec![0; BLOCK_4K_BYTES];
        if let Some(raw) = raw.first_chunk_mut() {
            label.write(raw);
        }
        let behind = Sector::new(at.get() + BLOCK_4K_SECTORS);
        let zeros = |from: Sector, to: u64| SavedRange {
            at: from,
            content: Content::Zeros(Sectors::new(to - from.get())),
        };
        let label = SavedRange {
            at,
            content: Content::Raw(raw),
        };
        let parts = [
            zeros(start, at.get()),
            label,
            zeros(behind, start.get() + sectors.get()),
        ];
        ranges.extend(parts.into_iter().filter(|part| part.sectors().get() > 0));
    }
    ranges
}

/// The write of the labels of a main that is empty.
pub(super) fn step(
    main: &Seen,
    superblock: &Superblock,
    name: Text<NAME_LIMIT>,
) -> (Step, Vec<PlannedWrite>) {
    let seen = &main.inspection;
    let planned = End::ALL.into_iter().filter_map(|end| {
        let (at, sectors) = end.range(seen.size)?;
        Some(PlannedWrite {
            device: seen.path.clone(),
            at,
            sectors,
            what: format!("label at the {end} end of main, and zeros"),
        })
    });
    let step = WriteStep {
        path: seen.path.clone(),
        access: Access::Exclusive,
        basis: Basis::of(seen),
        puts: Puts::Ranges(ends(superblock, name)),
        wipes: Vec::new(),
        copies: None,
        undoes: None,
    };
    (Step::Write(Box::new(step)), planned.collect())
}
