//! Plans that bring up what the metadata of a spare describes.
//!
//! Main is found by what is stable about it, or named by the operator; a path in the
//! metadata is never followed.

use std::path::{Path, PathBuf};

use super::look::{is_same_device, require_apart, require_free, see, shown};
use super::plan::Draft;
use super::{compose, Operation, Plan, Refusal, Target};
use crate::command_line;
use crate::error::Error;
use crate::inspect::{inspect, scan_all, Array, Inspection, MainMatch, MainSeen, Scan};
use crate::port::block::Instance;
use crate::port::{identity, Access, Activation, Host, HostError, Meant, Part, Usage};
use crate::remap_core::label::LabelReading;
use crate::remap_core::main_verdict::MainVerdict;
use crate::remap_core::params::Options;
use crate::remap_core::quorum::{Assembly, Verdict};
use crate::remap_core::units::{BlockSize, IdentityDigest, Sectors};
use crate::remap_core::verdict::{Evidence, TableState};
use crate::text;

/// The devices of a host, looked at once for as many plans as are made in a row: what
/// they decide by it they make sure of again on the devices concerned.
#[derive(Debug, Default)]
pub struct Surroundings(Option<Scan>);

impl Surroundings {
    pub(super) fn look(&mut self, host: &mut dyn Host) -> Result<&Scan, HostError> {
        Ok(match &mut self.0 {
            Some(scan) => scan,
            unseen => unseen.insert(scan_all(host)?),
        })
    }
}

/// Device that a name or a path led to.
pub(super) enum Found {
    /// An active device of this name.
    Active(String),
    /// A spare at this path, which may be in use all the same.
    Inactive(PathBuf),
}

/// Finds the spare that `target` means: by its path, or by the name in its metadata.
pub(super) fn find_spare(
    host: &mut dyn Host,
    surroundings: &mut Surroundings,
    target: &Target,
) -> Result<Found, Refusal> {
    let name = match target {
        Target::Path(path) => return Ok(Found::Inactive(path.clone())),
        Target::Name(name) => name,
    };
    if host.mapped()?.iter().any(|mapped| mapped.name == *name) {
        return Ok(Found::Active(name.clone()));
    }
    let scan = surroundings.look(host)?;
    let named = scan
        .spares()
        .filter(|seen| seen.name.as_ref() == Some(name));
    let paths: Vec<&PathBuf> = named.map(|seen| &seen.path).collect();
    match paths[..] {
        [only] => Ok(Found::Inactive(only.clone())),
        [] => Err(not_found(name)),
        _ => Err(Refusal::not_to_be_assembled(
            "ambiguous-name",
            format!(
                "{} is the name on several spares: {}.",
                text::escape_str(name),
                list(paths.iter().map(|path| path.as_path()))
            ),
            "Name one of them by its path.",
        )),
    }
}

/// The refusal for a name that nothing has.
pub(super) fn not_found(name: &str) -> Refusal {
    let name = text::escape_str(name);
    Error::failed(
        "not-found",
        format!("No mapped device or spare is named {name}."),
    )
    .advise(format!(
        "See what there is: {}",
        command_line::line(["scan", "--scan-only"])
    ))
    .into()
}

fn list<'a>(paths: impl Iterator<Item = &'a Path>) -> String {
    let shown: Vec<String> = paths.map(shown).collect();
    shown.join(", ")
}

/// The operator's words beside the spare.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) main: Option<&'a Path>,
    pub(super) name: Option<&'a str>,
    pub(super) read_only: bool,
}

/// Plans to bring up one device.
pub(super) fn plan(
    host: &mut dyn Host,
    surroundings: &mut Surroundings,
    operation: &Operation,
    target: &Target,
    words: Words<'_>,
) -> Result<Plan, Refusal> {
    let path = match find_spare(host, surroundings, target)? {
        Found::Active(name) => return Ok(already_active(host, operation, &name)),
        Found::Inactive(path) => path,
    };
    let spare = see(host, &path)?;
    if let Usage::Mapped {
        name,
        part: Part::Spare,
    } = &spare.usage
    {
        return Ok(already_active(host, operation, name));
    }
    let mut seen = spare.inspection;
    require_assemblable(&seen)?;
    require_free(&path, &spare.usage)?;
    let name = name_for(host, &seen, words.name)?;
    if let Err(why) = host.can_activate(&[&path]) {
        return Err(Refusal::new(
            "cannot-activate",
            format!(
                "{} is judged {} and could be assembled as {name}, but not here: {why}.",
                shown(&path),
                seen.verdict()
            ),
            "Name a lab with --lab, or use a machine with device-mapper and the target.",
        ));
    }
    let scan = surroundings.look(host)?;
    require_single(scan, &seen)?;
    let main = main_of(host, scan, &seen, words.main)?;
    seen.judge_with_main(Some(main.seen.clone()));
    require_fitting_main(&seen)?;
    let devices = scan.devices.iter().map(|device| &device.info);
    require_apart(devices, (&main.path, main.instance), &seen)?;
    let is_copy = doubt_of_spare(&seen).is_some();
    let doubts = doubts_of(scan, &seen, &main);
    let mut draft = draft_activation(operation, &seen, name, main, words.read_only);
    if !doubts.is_empty() {
        // The operator's word stands for what the devices cannot tell.
        draft.token = Some(seen.token());
        draft.doubts = doubts;
        draft.notes.extend(is_copy.then(|| {
            "A copy is taken for good, and nothing is asked any more, with write-metadata --adopt."
                .to_owned()
        }));
    }
    Ok(draft.finish(host))
}

/// Doubts that the devices cannot settle.
pub(super) fn doubts_of(scan: &Scan, seen: &Inspection, main: &Main) -> Vec<String> {
    let doubts = [
        main.doubt.clone(),
        doubt_of_spare(seen),
        doubt_of_claims(scan, seen, &main.path),
    ];
    doubts.into_iter().flatten().collect()
}

/// The plan for a spare of which everything is known.
fn draft_activation(
    operation: &Operation,
    seen: &Inspection,
    name: String,
    main: Main,
    asked_read_only: bool,
) -> Draft {
    let weak = |verdict: Verdict| verdict.assembly() == Assembly::ReadOnlyOnRequest;
    let is_weak = weak(seen.verdict());
    // A target whose table contradicts itself is read-only by itself, until it is asked for a
    // repair; one that was told to be is never written.
    let but_for_table = Evidence {
        table: TableState::Intact,
        ..seen.evidence()
    };
    let read_only = asked_read_only || weak(but_for_table.verdict()) || has_unknown_features(seen);
    let path = &seen.path;
    let mut draft = Draft::new(operation, format!("Bring up {name}"));
    draft.seen(seen);
    draft.device = None;
    draft.predicted = Some(seen.verdict());
    // Reading a weak device is asked for either way: by the flag, or by typing.
    draft.token = (is_weak && !asked_read_only).then(|| seen.token());
    if read_only {
        draft.notes.push("It comes up read-only.".to_owned());
    } else if is_weak {
        draft.notes.push(format!(
            "It comes up read-only until it is repaired: repair {name}"
        ));
    }
    if seen.verdict().assembly() == Assembly::WithEvent {
        draft.notes.push(format!(
            "Its copies are judged {}; its target repairs them once it is up.",
            seen.verdict()
        ));
    }
    draft.name = Some(name.clone());
    let activation = Activation {
        name,
        main: main.path,
        spare: path.clone(),
        options: Options {
            read_only,
            ..Options::default()
        },
        meant: Meant {
            main: main.instance,
            spare: seen.instance,
        },
    };
    let larger = main.logical_block.max(seen.logical_block);
    let area = seen.superblock.map(|superblock| superblock.data_area());
    let size = area.map_or(main.size, |area| area.sectors);
    draft.activate(activation, (size, larger), seen.remap_unit());
    draft
}

fn already_active(host: &dyn Host, operation: &Operation, name: &str) -> Plan {
    let mut draft = Draft::new(operation, format!("{name} is active already"));
    draft.name = Some(name.to_owned());
    draft.finish(host)
}

fn has_unknown_features(seen: &Inspection) -> bool {
    let extension = seen.superblock.and_then(|superblock| superblock.extension);
    extension.is_some_and(|extension| extension.features.unknown_ro_compat() != 0)
}

/// Refuses what the rules do not let be assembled, and a spare that was cut short.
pub(super) fn require_assemblable(seen: &Inspection) -> Result<(), Refusal> {
    let verdict = seen.verdict();
    let path = shown(&seen.path);
    let stated = seen.superblock.map(|superblock| superblock.spare_sectors);
    if stated.is_some_and(|stated| stated > seen.size) {
        return Err(Refusal::not_to_be_assembled(
            "spare-shrunk",
            format!(
                "{path} has {} sectors, fewer than its metadata says.",
                seen.size
            ),
            "Bring back its full size first.",
        ));
    }
    if verdict.assembly() == Assembly::No {
        let advice = match seen.findings.first() {
            Some(finding) => finding.advice.clone(),
            None => String::new(),
        };
        let message = match verdict {
            Verdict::None => format!("Nothing on {path} says that it is ours."),
            _ => format!("{path} is judged {verdict}: it is not to be assembled."),
        };
        return Err(Refusal::not_to_be_assembled(
            verdict.name(),
            message,
            advice,
        ));
    }
    // Plain v4 is judged by its copies alone, and brought up by its size as well.
    refuse_for(seen, "spare-grown")
}

/// Refuses a main that writes larger blocks than the metadata was written for, or whose labels
/// speak against it.
pub(super) fn require_fitting_main(seen: &Inspection) -> Result<(), Refusal> {
    if !seen.main_fits() {
        return refuse_for(seen, "block-size");
    }
    match seen.main_verdict() {
        None | Some(MainVerdict::Labelled | MainVerdict::Damaged | MainVerdict::Unlabelled) => {
            Ok(())
        }
        Some(_) => refuse_for(seen, "main-label"),
    }
}

/// Refuses a device of which there is a finding with this id, in its words.
pub(super) fn refuse_for(seen: &Inspection, id: &'static str) -> Result<(), Refusal> {
    match seen.findings.iter().find(|finding| finding.id == id) {
        None => Ok(()),
        Some(finding) => Err(Refusal::not_to_be_assembled(
            id,
            format!("{}: {}", shown(&seen.path), finding.summary),
            finding.advice.clone(),
        )),
    }
}

/// Refuses an array of which several spares are there: there is no telling which is it.
pub(super) fn require_single(scan: &Scan, seen: &Inspection) -> Result<(), Refusal> {
    let others = |array: &&Array| {
        let others = array.spares.iter();
        let others = others.filter(|path| !is_same_device(path, &seen.path));
        array.uuid.is_some() && array.uuid == seen.array_uuid() && others.count() > 0
    };
    let Some(array) = scan.arrays.iter().find(others) else {
        return Ok(());
    };
    Err(Refusal::not_to_be_assembled(
        "duplicate-array",
        format!(
            "Several spares say that they are of array {}: {}.",
            array.uuid.unwrap_or_default(),
            list(array.spares.iter().map(PathBuf::as_path))
        ),
        "One is a clone of the other. Take away the one that is not to be used.",
    ))
}

/// Doubt whether a spare is the one that was used last: copied to another disk
/// it is as it was then, and lacks the blocks that were moved since.
pub(super) fn doubt_of_spare(seen: &Inspection) -> Option<String> {
    let known = seen.superblock?.extension?.spare_identity;
    (!known.is_none() && known != seen.identity).then(|| {
        format!(
            "{} is another disk than its metadata was written to, and holds a copy of it: blocks that were \
             moved since the copy was made would be missing.",
            shown(&seen.path)
        )
    })
}

/// Doubt whether the data on main belongs to this spare: another one, that is
/// there as well, says so of itself.
fn doubt_of_claims(scan: &Scan, seen: &Inspection, main: &Path) -> Option<String> {
    let is_other = |array: &&Array| {
        let found = matches!(&array.main, MainMatch::Found(path) if is_same_device(path, main));
        found && array.uuid != seen.array_uuid()
    };
    let other = scan.arrays.iter().find(is_other)?;
    Some(format!(
        "{} is main of {} as well, whose spare is {}: which of the two was used last cannot be told.",
        shown(main),
        text::escape_str(other.name.as_deref().unwrap_or("another device")),
        list(other.spares.iter().map(PathBuf::as_path))
    ))
}

/// The device that is main, and what makes that doubtful.
pub(super) struct Main {
    pub(super) path: PathBuf,
    pub(super) seen: MainSeen,
    pub(super) size: Sectors,
    logical_block: BlockSize,
    pub(super) instance: Option<Instance>,
    doubt: Option<String>,
}

/// The device that is main: by its identity, or on the operator's word.
pub(super) fn main_of(
    host: &mut dyn Host,
    scan: &Scan,
    seen: &Inspection,
    named: Option<&Path>,
) -> Result<Main, Refusal> {
    if let Some(named) = named {
        return named_main(host, seen, named);
    }
    // The operator may have named the spare by another of its paths than the scan lists.
    let is_of_spare = |array: &&Array| {
        let mut spares = array.spares.iter();
        spares.any(|spare| is_same_device(spare, &seen.path))
    };
    let found = match scan.arrays.iter().find(is_of_spare) {
        Some(array) => array.main.clone(),
        None => MainMatch::Unknown,
    };
    let refuse = |code, message: String, advice: &str| {
        Err(Refusal::not_to_be_assembled(code, message, advice))
    };
    let spare = shown(&seen.path);
    let path = match found {
        MainMatch::Found(path) => path,
        MainMatch::NotFound => {
            return refuse(
                "main-not-found",
                format!("No device here has the identity of main that {spare} was joined to."),
                "Connect that disk, and run it again.",
            )
        }
        MainMatch::Ambiguous(paths) => {
            return refuse(
                "main-ambiguous",
                format!(
                    "Several devices have the identity of main: {}.",
                    list(paths.iter().map(PathBuf::as_path))
                ),
                "Take away the clone, or name main with --main PATH.",
            )
        }
        MainMatch::OtherSize { path, size } => {
            return refuse(
                "main-size",
                format!(
                    "{} has the identity of main, but {size} sectors where the metadata says {}.",
                    shown(&path),
                    seen.superblock.map(|s| s.main_sectors).unwrap_or_default()
                ),
                "Bring back its full size first.",
            )
        }
        MainMatch::Unknown => {
            return Err(Refusal::new(
                "main-unknown",
                format!("The metadata of {spare} knows nothing stable of its main."),
                "Name it with --main PATH. A path in the metadata is only a hint. To have it known from then on: \
                 write-metadata --main PATH --spare PATH --name NAME.",
            ))
        }
    };
    // The scan may have been made for another plan, before that one was carried out.
    let main = host.open(&path, Access::Read)?;
    let stated = seen
        .superblock
        .and_then(|it| Some((it.extension?.main_identity, it.main_sectors)));
    let looked = MainSeen::from(&*main);
    let labels = seen.main_verdict_of(&looked);
    let is_still_main = |(known, size)| {
        let is_known = || main.identity() == known || inspect(&*main, &path).is_known_as(&known);
        main.size() == size && (labels.is_some_and(MainVerdict::is_main) || is_known())
    };
    if !stated.is_some_and(is_still_main) {
        return refuse(
            "main-changed",
            format!(
                "{} is not the main any more that it was a moment ago.",
                shown(&path)
            ),
            "Run it again.",
        );
    }
    let usage = host.usage(&path)?;
    require_free(&path, &usage)?;
    Ok(Main {
        size: main.size(),
        logical_block: main.logical_block(),
        instance: main.instance(),
        doubt: doubt_of_main(&looked, main.identity(), &path),
        seen: looked,
        path,
    })
}

/// Doubt whether a main is the disk that its labels were written to: copied to another one, it
/// is as it was then. A disk that tells nothing of itself is not doubted, nor a label that knew
/// nothing.
fn doubt_of_main(seen: &MainSeen, identity: IdentityDigest, path: &Path) -> Option<String> {
    let known = seen
        .labels
        .as_deref()?
        .iter()
        .find_map(LabelReading::label)?;
    let is_other = |known: IdentityDigest| !known.is_none() && known != identity;
    let is_copy = is_other(known.identity)
        && !identity.is_none()
        && !identity::is_of_contents(&known.identity);
    is_copy.then(|| {
        format!(
            "{} is another disk than its labels were written to, and holds a copy: what was written since \
             the copy was made would be missing.",
            shown(path)
        )
    })
}

/// Main as the operator names it: nothing stable and no size may speak against it.
fn named_main(host: &mut dyn Host, seen: &Inspection, named: &Path) -> Result<Main, Refusal> {
    let main = see(host, named)?;
    let certain = Main {
        path: named.to_owned(),
        seen: MainSeen::from(&*main.store),
        size: main.inspection.size,
        logical_block: main.inspection.logical_block,
        instance: main.inspection.instance,
        doubt: None,
    };
    if is_same_device(named, &seen.path) {
        return Err(Refusal::new(
            "same-device",
            format!("{} is the spare itself.", shown(named)),
            "Name the disk whose data is to be kept.",
        ));
    }
    require_free(named, &main.usage)?;
    let Some(superblock) = seen.superblock else {
        return Ok(certain);
    };
    if superblock.main_sectors != main.inspection.size {
        return Err(Refusal::not_to_be_assembled(
            "main-size",
            format!(
                "{} has {} sectors; the metadata says that main has {}.",
                shown(named),
                main.inspection.size,
                superblock.main_sectors
            ),
            "It is not this main, or not all of it.",
        ));
    }
    if superblock.main_form().has_labels() {
        // What the labels do not say, the verdict does.
        let doubt = doubt_of_main(&certain.seen, main.inspection.identity, named);
        return Ok(Main { doubt, ..certain });
    }
    let known = superblock
        .extension
        .map(|extension| extension.main_identity)
        .filter(|known| !known.is_none() && !main.inspection.is_known_as(known));
    if let Some(known) = known {
        if main.inspection.may_be_known_as(&known) {
            return Ok(Main {
                doubt: Some(format!(
                    "{} does not hold the file system that main was known by, and has nothing else to be \
                     known by: your word and its size must do.",
                    shown(named)
                )),
                ..certain
            });
        }
        return Err(Refusal::not_to_be_assembled(
            "main-identity",
            format!(
                "{} is another disk than the one that {} was joined to.",
                shown(named),
                shown(&seen.path)
            ),
            "Leave out --main: main is found by its identity. A copy of main on another disk is taken for \
             good with write-metadata --adopt.",
        ));
    }
    Ok(certain)
}

/// The name to bring it up as: the operator's word, the metadata's, or one of ours.
fn name_for(host: &mut dyn Host, seen: &Inspection, word: Option<&str>) -> Result<String, Refusal> {
    if let Some(name) = word {
        compose::name_field(name)?;
    }
    match word.or(seen.name.as_deref()) {
        Some(name) if host.is_name_taken(name)? => Err(Refusal::new(
            "name-taken",
            format!("{name} is the name of another active device."),
            "Take that one down first, or choose a name with --name.",
        )),
        Some(name) => Ok(name.to_owned()),
        None => {
            for number in 1u64.. {
                let name = format!("dm-remap-auto-{number}");
                if !host.is_name_taken(&name)? {
                    return Ok(name);
                }
            }
            Ok(String::new())
        }
    }
}
