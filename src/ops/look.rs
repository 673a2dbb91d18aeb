//! Looking at devices before deciding what to do with them.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::eligibility::{self, Facts};
use super::Refusal;
use crate::command_line;
use crate::inspect::{foreign_places, inspect, Inspection, Mains};
use crate::port::block::Instance;
use crate::port::{Access, BlockStore, DeviceInfo, Host, Part, Usage};
use crate::remap_core::quorum::Verdict;
use crate::text;

/// A device opened for reading, what was seen of it, and what it is used for.
pub struct Seen {
    /// The device.
    pub store: Box<dyn BlockStore>,
    /// Inspection of it.
    pub inspection: Inspection,
    /// Its use.
    pub usage: Usage,
}

impl Seen {
    /// Facts that bear on its becoming part of a new device.
    pub(super) fn facts(&self) -> Facts<'_> {
        let seen = &self.inspection;
        Facts {
            size: seen.size,
            logical_block: seen.logical_block,
            // A disk with larger ones is not opened.
            large_block_bytes: None,
            read_only: self.store.is_read_only(),
            usage: &self.usage,
            identity: seen.identity,
            seen: Some(seen),
            unread: None,
            signatures: seen.signatures.as_deref().unwrap_or_default(),
            main_of: None,
        }
    }
}

/// Opens a spare for reading, looks at it, and has it judged with its main if that is here.
pub fn see_spare(host: &mut dyn Host, path: &Path) -> Result<Seen, Refusal> {
    let mut seen = see(host, path)?;
    Mains::default().note(host, &mut seen.inspection);
    Ok(seen)
}

/// Opens `path` for reading and looks at it.
pub fn see(host: &mut dyn Host, path: &Path) -> Result<Seen, Refusal> {
    let store = host.open(path, Access::Read)?;
    let inspection = inspect(&*store, path);
    let usage = host.usage(path)?;
    Ok(Seen {
        store,
        inspection,
        usage,
    })
}

/// A path as it can be shown.
pub fn shown(path: &Path) -> String {
    text::escape_path(path).into_owned()
}

/// A path that means the same wherever the program is started the next time.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The refusal to touch a device that somebody uses.
pub fn busy(path: &Path, by: &str) -> Refusal {
    Refusal::new(
        "busy",
        format!("{} is in use by {}.", shown(path), text::guard(by)),
        "Stop what uses it, or name another device.",
    )
}

/// Refuses a device that anybody uses, ourselves included.
pub fn require_free(path: &Path, usage: &Usage) -> Result<(), Refusal> {
    match usage {
        Usage::Free => Ok(()),
        Usage::InUse(by) => Err(busy(path, by)),
        Usage::Mapped { name, part } => {
            let part = match part {
                Part::Main => "main",
                Part::Spare => "the spare",
            };
            Err(Refusal::new(
                "busy",
                format!("{} is {part} of {name}, which is active.", shown(path)),
                format!("Take {name} down first, where it is active: dmremap-tui remove {name}"),
            ))
        }
    }
}

/// Refuses a spare beside whose copies another's signature lies: a repair takes it back, and
/// says whose it is.
pub(super) fn require_ours_alone(seen: &Inspection) -> Result<(), Refusal> {
    if seen.verdict() != Verdict::Ambivalent {
        return Ok(());
    }
    Err(Refusal::new(
        "ambivalent",
        format!(
            "{} holds {} beside what is ours: nothing is written to it.",
            shown(&seen.path),
            foreign_places(seen)
        ),
        format!(
            "Find out whether what is there now is needed. If not, take the device back first: {}",
            command_line::line(["repair", &shown(&seen.path)])
        ),
    ))
}

/// Tells whether two paths lead to one device or file, by whatever names.
pub fn is_same_device(one: &Path, other: &Path) -> bool {
    if one == other {
        return true;
    }
    let (Ok(one), Ok(other)) = (std::fs::metadata(one), std::fs::metadata(other)) else {
        return false;
    };
    let is_device = |what: &std::fs::Metadata| what.file_type().is_block_device();
    match (is_device(&one), is_device(&other)) {
        (true, true) => one.rdev() == other.rdev(),
        (false, false) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Refuses a main and a spare that have bytes in common, or of which one lies on the other:
/// what is written to one changes the other. These are all `devices` that there are.
pub fn require_apart<'a>(
    devices: impl IntoIterator<Item = &'a DeviceInfo>,
    (main, instance): (&Path, Option<Instance>),
    spare: &Inspection,
) -> Result<(), Refusal> {
    let (Some(one), Some(other)) = (instance, spare.instance) else {
        return Ok(());
    };
    if !eligibility::layers(devices).overlap(one.into(), other.into()) {
        return Ok(());
    }
    Err(Refusal::new(
        "same-device",
        format!(
            "{} and {} lie on each other: what is written to one changes the other.",
            shown(main),
            shown(&spare.path)
        ),
        "Name another device.",
    ))
}
