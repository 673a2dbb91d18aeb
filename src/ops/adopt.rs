//! Taking other disks for good than the metadata was written to: a copy of a spare, or of
//! main, on a new disk.

use super::look::{is_same_device, require_apart, shown, Seen};
use super::reassemble::{doubt_of_spare, require_single, Surroundings};
use super::Refusal;
use crate::port::Host;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::IdentityDigest;

/// Refuses disks that cannot be those of this metadata, copied or not, and tells what is
/// not certain about them.
pub(super) fn require_adoptable(
    host: &mut dyn Host,
    surroundings: &mut Surroundings,
    main: &Seen,
    spare: &Seen,
) -> Result<Vec<String>, Refusal> {
    let (main, spare) = (&main.inspection, &spare.inspection);
    let of_spare = shown(&spare.path);
    let current = spare.superblock.and_then(|it| Some((it, it.extension?)));
    let Some((superblock, extension)) = current else {
        return Err(Refusal::new(
            "nothing-to-adopt",
            format!("{of_spare} holds no metadata that tells of disks."),
            "Leave out --adopt; plain v4 is brought up to date with migrate.",
        ));
    };
    if is_same_device(&main.path, &spare.path) {
        return Err(Refusal::new(
            "same-device",
            format!("{} is the spare itself.", shown(&main.path)),
            "Name the disk whose data is to be kept.",
        ));
    }
    require_apart(&host.devices()?, (&main.path, main.instance), spare)?;
    if main.is_ours() {
        return Err(Refusal::new(
            "main-is-a-spare",
            format!(
                "{} holds metadata of {}: it is a spare.",
                shown(&main.path),
                main.token()
            ),
            "Name the disk whose data is to be kept.",
        ));
    }
    let sizes = [
        ("main-size", main, superblock.main_sectors),
        ("spare-size", spare, superblock.spare_sectors),
    ];
    for (code, seen, stated) in sizes {
        if seen.size != stated {
            return Err(Refusal::new(
                code,
                format!(
                    "{} has {} sectors; the metadata says {stated}.",
                    shown(&seen.path),
                    seen.size
                ),
                "A copy is to be as large as what it was made from: give it a partition of that size.",
            ));
        }
    }
    require_single(surroundings.look(host)?, spare)?;
    let known = extension.main_identity;
    let of_main = (!known.is_none() && !main.is_known_as(&known)).then(|| {
        format!(
            "{} is another disk than the main that this metadata was written for: if it is not a whole copy \
             of it, made while the device was down, blocks of two states are mixed.",
            shown(&main.path)
        )
    });
    Ok(of_main.into_iter().chain(doubt_of_spare(spare)).collect())
}

/// What the copies say of main and the spare from then on, where that is something new.
pub(super) fn recorded(main: &Seen, spare: &Seen, current: &Superblock) -> Vec<String> {
    let Some(extension) = current.extension else {
        return Vec::new();
    };
    let parts = [
        (
            "main",
            &main.inspection,
            extension.main_identity,
            main.inspection.identity_as_main(),
        ),
        (
            "the spare",
            &spare.inspection,
            extension.spare_identity,
            spare.inspection.identity,
        ),
    ];
    let changed = parts.into_iter().filter(|(_, _, was, is)| was != is);
    let note = |(part, seen, _, is): (_, _, _, IdentityDigest)| {
        let seen: &crate::inspect::Inspection = seen;
        let path = shown(&seen.path);
        match is.is_none() {
            true => format!("No identity of {part} is recorded: nothing about {path} is stable."),
            false => format!("The identity of {part} is recorded anew: {path}."),
        }
    };
    changed.map(note).collect()
}
