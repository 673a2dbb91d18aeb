//! The labels that a new main gets, and the write that takes them back.

use super::look::{shown, Seen};
use super::plan::PlannedWrite;
use super::step::{Basis, Puts, Step, WriteStep};
use super::{region, Context, Refusal};
use crate::format::backup::{Content, SavedRange};
use crate::inspect::{Inspection, MainSeen};
use crate::port::block::describe_signatures;
use crate::port::Access;
use crate::remap_core::bytes::Text;
use crate::remap_core::label::{DataArea, End, Label, LabelReading, MainForm};
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::{Extension, Superblock};
use crate::remap_core::units::{Sector, Sectors, BLOCK_4K_BYTES, BLOCK_4K_SECTORS, SECTOR_BYTES};

/// A reason why main gets no labels: behind them, what lies on it would begin elsewhere.
enum NoLabels {
    /// It has too few sectors.
    TooSmall,
    /// It is not empty; the text says what it holds.
    Holds(String),
}

impl NoLabels {
    /// The refusal of labels that were asked for.
    fn refusal(self, main: &Inspection) -> Refusal {
        let path = shown(&main.path);
        match self {
            Self::TooSmall => Refusal::new(
                "main-too-small",
                format!("{path} has {} sectors, too few for labels at both ends.", main.size),
                "Leave out --labelled.",
            ),
            Self::Holds(what) => Refusal::new(
                "main-not-empty",
                format!("{path} holds {what}: only an empty main gets labels."),
                "Leave out --labelled, or use an empty disk: what lies on this one would begin elsewhere \
                 on the device.",
            ),
        }
    }

    /// What is said where nobody asked for labels.
    fn note(self, main: &Inspection) -> String {
        let path = shown(&main.path);
        let why = match self {
            Self::TooSmall => "is too small for labels".to_owned(),
            Self::Holds(what) => format!("holds {what}, and gets no labels"),
        };
        format!("{path} {why}: whoever takes the disk itself passes the device by.")
    }
}

/// Refuses a disk that firmware boots from: it looks for a partition table at the ends of the disk
/// itself, and knows nothing of devices that are made of it.
pub(super) fn require_no_boot_disk(main: &Seen) -> Result<(), Refusal> {
    let partitions = main.store.partitions().unwrap_or_default();
    let (boot, others): (Vec<_>, Vec<_>) = partitions.iter().partition(|it| it.boots);
    let Some(boot) = boot.first() else {
        return Ok(());
    };
    let others: Vec<String> = others.iter().map(|it| it.number.to_string()).collect();
    let path = shown(&main.inspection.path);
    Err(Refusal::new(
        "boot-disk",
        format!("{path} is a disk that firmware boots from, by its partition {}.", boot.number),
        match others.is_empty() {
            true => "Name another disk.".to_owned(),
            false => format!(
                "Make one of its partitions main: {}. With --bare the whole disk is, and may be read past \
                 the device while the machine starts.",
                others.join(", ")
            ),
        },
    ))
}

/// The form of main of a new device, and what is to be said of it: what was asked for, else
/// labels where main is empty or bears some.
///
/// # Errors
///
/// The refusal of a form that main cannot have.
pub(super) fn choose(
    main: &Seen,
    asked: Option<MainForm>,
    context: &Context,
) -> Result<(MainForm, Option<String>), Refusal> {
    let seen = &main.inspection;
    let bears_labels = seen.label().is_some();
    let readings = seen.labels.iter().flat_map(|both| both.iter());
    let mut labels = readings.filter_map(LabelReading::label);
    if labels.any(|label| label.form == MainForm::Covered) {
        return Err(Refusal::new(
            "main-covered",
            format!(
                "{} is covered: what its ends held is on the spare of its device alone.",
                shown(&seen.path)
            ),
            "Bring that device up with its spare. What the ends held when they were covered is in the \
             backup of that action as well: dmremap-tui log",
        ));
    }
    let form = match asked {
        Some(MainForm::Bare) if bears_labels => {
            return Err(Refusal::new(
                "main-labelled",
                format!(
                    "{} is labelled: what lies on it begins behind its label.",
                    shown(&seen.path)
                ),
                "Leave out --bare.",
            ));
        }
        Some(MainForm::Bare) => return Ok((MainForm::Bare, None)),
        asked => asked.unwrap_or(MainForm::Labelled),
    };
    require_no_boot_disk(main)?;
    match (against_labels(main, context)?, asked) {
        (None, _) => {
            let note = "Main gets labels: nobody takes it past the device, which is 2 MiB smaller.";
            Ok((form, Some(note.to_owned())))
        }
        (Some(why), None) if !bears_labels => Ok((MainForm::Bare, Some(why.note(seen)))),
        (Some(why), _) => Err(why.refusal(seen)),
    }
}

/// The reason why main gets no labels, if there is one.
fn against_labels(main: &Seen, context: &Context) -> Result<Option<NoLabels>, Refusal> {
    let seen = &main.inspection;
    if DataArea::of(MainForm::Labelled, seen.size).is_none() {
        return Ok(Some(NoLabels::TooSmall));
    }
    let holds = match seen.signatures.as_deref() {
        Some([]) => first_non_zero(main, context)?.map(|at| format!("data, at sector {at}")),
        Some(found) => Some(describe_signatures(found)),
        None => Some("what nobody could look for".to_owned()),
    };
    Ok(holds.map(NoLabels::Holds))
}

/// The first sector of main's ends that holds anything but zeros and labels of a main.
fn first_non_zero(main: &Seen, context: &Context) -> Result<Option<Sector>, Refusal> {
    let seen = &main.inspection;
    let labels = seen.labels.as_deref();
    for end in End::ALL {
        let reading = labels.and_then(|labels| labels.get(usize::from(end.index())));
        let bears_label = reading.is_some_and(|reading| reading.label().is_some());
        let parts = parts(end, seen.size).into_iter().flatten();
        let looked_at = parts.filter(|(is_label, ..)| !(*is_label && bears_label));
        for (at, length) in looked_at.flat_map(|(_, at, sectors)| region::chunks(at, sectors)) {
            context.progress.check().map_err(|_| stopped())?;
            let mut bytes = vec![0; length];
            let read = main.store.read_at(at, &mut bytes);
            read.map_err(region::unreadable)?;
            if let Some(first) = bytes.iter().position(|byte| *byte != 0) {
                let behind = Sectors::new((first / SECTOR_BYTES) as u64);
                return Ok(at.checked_add(behind));
            }
        }
    }
    Ok(None)
}

/// The parts of an end in the order of the disk, of which one holds its label.
fn parts(end: End, main: Sectors) -> Option<[(bool, Sector, Sectors); 3]> {
    let (start, sectors) = end.range(main)?;
    let label = end.label_sector(main)?;
    let before = label.get().checked_sub(start.get())?;
    let behind = sectors.get().checked_sub(before + BLOCK_4K_SECTORS)?;
    Some([
        (false, start, Sectors::new(before)),
        (true, label, Sectors::new(BLOCK_4K_SECTORS)),
        (
            false,
            Sector::new(label.get() + BLOCK_4K_SECTORS),
            Sectors::new(behind),
        ),
    ])
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

/// The count of mains from now on: by its labels the disk that was main before another one is
/// known as such.
pub(super) fn epoch(extension: &Extension, main: &Inspection, adopt: bool) -> u32 {
    let known = &extension.main_identity;
    let is_same = !known.is_none() && main.is_known_as(known);
    let is_new = adopt && extension.features.main_form().has_labels() && !is_same;
    extension.main_epoch.saturating_add(u32::from(is_new))
}

/// The content of both ends of a main of this superblock.
pub(super) fn ends(superblock: &Superblock, name: Text<NAME_LIMIT>) -> Vec<SavedRange> {
    let identity = superblock.extension.map(|it| it.main_identity);
    let size = superblock.main_sectors;
    let mut ranges = Vec::new();
    for end in End::ALL {
        let label = Label::of(superblock, end, identity.unwrap_or_default(), name, true);
        let Some((label, parts)) = label.zip(parts(end, size)) else {
            continue;
        };
        let mut raw = vec![0; BLOCK_4K_BYTES];
        if let Some(raw) = raw.first_chunk_mut() {
            label.write(raw);
        }
        let parts = parts.into_iter().map(|(is_label, at, sectors)| SavedRange {
            at,
            content: match is_label {
                true => Content::Raw(raw.clone()),
                false => Content::Zeros(sectors),
            },
        });
        ranges.extend(parts.filter(|part| part.sectors().get() > 0));
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
    (Step::WriteBeside(Box::new(step)), planned.collect())
}
