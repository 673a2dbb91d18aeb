//! The main of plain v4: nothing binds it to its spare but its size and, at best, the UUID
//! of a file system, so that it is recorded where it can be told beyond doubt alone.

use std::path::{Path, PathBuf};

use super::look::{is_same_device, require_apart, see, shown};
use super::Refusal;
use crate::inspect::{scan_all, Inspection, Scan};
use crate::port::{Host, HostError};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{BlockSize, IdentityDigest};
use crate::text::escape_str;

/// What a migration records of main, and why.
pub(super) struct PlainMain {
    /// Its identity, or none.
    pub(super) identity: IdentityDigest,
    /// The smallest unit that it can be written in, where it is known.
    pub(super) logical_block: Option<BlockSize>,
    /// What the operator is told of it.
    pub(super) note: String,
    /// What is not certain of it.
    pub(super) doubts: Vec<String>,
}

impl PlainMain {
    fn unknown(why: &str) -> Self {
        Self {
            identity: IdentityDigest::NONE,
            logical_block: None,
            note: format!(
                "No identity of main is recorded: {why}. Main is to be named at each reassembly, until \
                 write-metadata --main PATH --spare PATH --name NAME makes it known; or name it \
                 now with --main PATH."
            ),
            doubts: Vec::new(),
        }
    }
}

/// The main that `current`, plain v4 on `spare`, is of: as the operator names it, or the
/// only device here with the file system that the metadata tells.
///
/// # Errors
///
/// [`Refusal`] if what the operator named cannot be it.
pub(super) fn find(
    host: &mut dyn Host,
    spare: &Inspection,
    current: &Superblock,
    named: Option<&Path>,
) -> Result<PlainMain, Refusal> {
    let scan = scan_all(host)?;
    let uuid = main_uuid(current);
    let path = match (named, &uuid) {
        (Some(named), _) => named.to_owned(),
        (None, None) => {
            return Ok(PlainMain::unknown(
                "the metadata tells no file system of it",
            ))
        }
        (None, Some(uuid)) => match only_one(host, &scan, spare, current, uuid)? {
            Ok(path) => path,
            Err(why) => return Ok(PlainMain::unknown(&why)),
        },
    };
    let main = see(host, &path)?.inspection;
    require_possible(&main, spare, current)?;
    require_apart(&host.devices()?, (&path, main.instance), spare)?;
    let identity = main.identity_as_main();
    if identity.is_none() {
        let why = format!("nothing about {} is stable", shown(&path));
        return Ok(PlainMain::unknown(&why));
    }
    if let Some(other) = other_of(&scan, &main, &identity) {
        return Err(Refusal::new(
            "main-ambiguous",
            format!(
                "{} and {} cannot be told apart by what is stable about them.",
                shown(&path),
                shown(other)
            ),
            "Take away the clone, and run it again.",
        ));
    }
    let is_told = uuid.as_ref().is_some_and(|uuid| main.holds(uuid));
    let doubts = uuid.filter(|_| !is_told).map(|uuid| {
        format!(
            "The metadata tells of a main with file system {}, and {} has no such.",
            escape_str(&uuid),
            shown(&path)
        )
    });
    let how = if named.is_some() {
        "as you named it"
    } else {
        "the only device with the size and the file system that the metadata tells"
    };
    Ok(PlainMain {
        identity,
        logical_block: Some(main.logical_block),
        note: format!("The identity of main is recorded: {}, {how}.", shown(&path)),
        doubts: doubts.into_iter().collect(),
    })
}

/// The UUID of the file system that was on main when the metadata was written, if it was
/// known.
fn main_uuid(current: &Superblock) -> Option<String> {
    let text = std::str::from_utf8(current.main_uuid.trimmed()).ok()?;
    let says_something = text.chars().any(|c| !"0- ".contains(c));
    says_something.then(|| text.to_owned())
}

/// The only device that is as large as main and holds this file system, or why there is
/// none.
fn only_one(
    host: &mut dyn Host,
    scan: &Scan,
    spare: &Inspection,
    current: &Superblock,
    uuid: &str,
) -> Result<Result<PathBuf, String>, HostError> {
    let mut found = scan.holding(host, current.main_sectors, uuid)?;
    found.retain(|path| !is_same_device(path, &spare.path));
    let shown_uuid = escape_str(uuid);
    Ok(match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(format!(
            "no device of its size here holds its file system {shown_uuid}"
        )),
        _ => Err(format!(
            "several devices of its size hold its file system {shown_uuid}: {}",
            found
                .iter()
                .map(|path| shown(path))
                .collect::<Vec<_>>()
                .join(", ")
        )),
    })
}

/// Refuses what cannot be main of this metadata.
fn require_possible(
    main: &Inspection,
    spare: &Inspection,
    current: &Superblock,
) -> Result<(), Refusal> {
    let path = shown(&main.path);
    let another = "Name the disk whose data is to be kept.";
    if is_same_device(&main.path, &spare.path) {
        let what = format!("{path} is the spare itself.");
        return Err(Refusal::new("same-device", what, another));
    }
    if main.is_ours() {
        let what = format!("{path} holds metadata of {}: it is a spare.", main.token());
        return Err(Refusal::new("main-is-a-spare", what, another));
    }
    if !main.identity.is_none() && main.identity == spare.identity {
        let what = format!(
            "{path} has the identity of the spare: it is a clone of it, or another way to it."
        );
        return Err(Refusal::new("same-identity", what, another));
    }
    if main.size != current.main_sectors {
        let what = format!(
            "{path} has {} sectors; the metadata says that main has {}.",
            main.size, current.main_sectors
        );
        return Err(Refusal::new(
            "main-size",
            what,
            "It is not this main, or not all of it.",
        ));
    }
    Ok(())
}

/// Another device that is known as the same.
fn other_of<'a>(scan: &'a Scan, main: &Inspection, identity: &IdentityDigest) -> Option<&'a Path> {
    let mut others = scan.devices.iter().filter(|device| {
        let seen = device.seen.as_ref().ok();
        seen.is_some_and(|seen| seen.size == main.size && seen.is_known_as(identity))
            && !is_same_device(&device.info.path, &main.path)
    });
    others.next().map(|device| device.info.path.as_path())
}
