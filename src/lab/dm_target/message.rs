//! Requests of an operator to an active target.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::host::LabHost;
use super::room::Heap;
use super::{Disks, KeepBackup, Now, Target};
use crate::port::{RemapRow, Reply};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::Authority;
use crate::remap_core::engine::{
    Cover, Creation, Engine, Progress, Repair, Scrub, Uncover, WriteFailure,
};
use crate::remap_core::message::Message;
use crate::remap_core::units::{ArrayUuid, IdentityDigest, MainBlock, Millis};

pub use crate::remap_core::engine::RequestError as Refused;

/// The seed of new metadata, where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataSeed {
    /// Names the new array for good.
    pub array: ArrayUuid,
}

/// Why a target did not do what it was asked.
#[derive(Debug)]
pub enum MessageError {
    /// The engine refuses it.
    Refused(Refused),
    /// The backup of what would be overwritten could not be kept.
    NotKept(io::Error),
    /// Faults are for whoever keeps the disks.
    NotForTheTarget,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refused) => refused.fmt(f),
            Self::NotKept(error) => write!(
                f,
                "what would be overwritten could not be kept: {error}; nothing was written"
            ),
            Self::NotForTheTarget => f.write_str("a target does not let disks fail"),
        }
    }
}

impl std::error::Error for MessageError {}

impl Target {
    /// Does what a message asks. A message names the device, which is the typed word
    /// that some repairs need.
    ///
    /// # Errors
    ///
    /// [`MessageError`] says why not.
    pub fn message(
        &mut self,
        disks: &mut Disks<'_>,
        now: Now,
        message: &Message,
        seed: MetadataSeed,
        keep: &mut KeepBackup<'_>,
    ) -> Result<Reply, MessageError> {
        let identities = [disks.main.identity(), disks.spare.identity()];
        let paths = [&self.arguments.main_path, &self.arguments.spare_path];
        let paths = paths.map(|path| path_text(path));
        let (engine, mut host) = self.parts(disks, now, Some(keep));
        let done = match message {
            Message::WriteMetadata if engine.superblock().is_none() => {
                create(engine, &mut host, seed, paths, identities)
            }
            Message::WriteMetadata => engine
                .check_writable()
                .and_then(|()| engine.check_table())
                .and_then(|()| Ok(engine.advance(&mut host)?)),
            Message::Scrub => engine
                .check_metadata()
                .and_then(|()| Ok(scrub(engine, &mut host)?)),
            Message::Repair => engine
                .check_metadata()
                .and_then(|()| engine.check_repairable())
                .and_then(|()| Ok(repair(engine, &mut host, Authority::Typed)?)),
            Message::Cover => cover(engine, &mut host),
            Message::Uncover => uncover(engine, &mut host),
            Message::Remap(block) => engine.remap(&mut host, *block),
            Message::Remaps(from) => {
                return rows(engine, &host, *from)
                    .map(Reply::Remaps)
                    .map_err(MessageError::Refused)
            }
            Message::ClearStats => {
                engine.clear_counters();
                Ok(())
            }
            Message::Fault(_) | Message::ClearFaults => return Err(MessageError::NotForTheTarget),
        };
        let not_kept = host.not_kept.take();
        match (done, not_kept) {
            (Ok(()), _) => Ok(Reply::Done),
            (Err(Refused::NotWritten(WriteFailure::NotKept)), Some(error)) => {
                Err(MessageError::NotKept(error))
            }
            (Err(refused), _) => Err(MessageError::Refused(refused)),
        }
    }

    /// Does what is due: a scrub, an attempt to repair. Returns whether anything was.
    pub fn run_due(&mut self, disks: &mut Disks<'_>, now: Now, keep: &mut KeepBackup<'_>) -> bool {
        let (engine, mut host) = self.parts(disks, now, Some(keep));
        let due = engine.schedule().next_scrub;
        let scrubs = due.is_some_and(|due| due <= now.uptime);
        let repairs = engine.schedule().backoff.is_due(now.uptime);
        // What comes of them is in the counters and the events.
        if scrubs {
            let _ = scrub(engine, &mut host);
        }
        if repairs {
            let _ = repair(engine, &mut host, Authority::Automatic);
        }
        scrubs || repairs
    }

    /// When something is due next.
    pub fn due(&self) -> Option<Millis> {
        self.engine.schedule().due()
    }
}

fn scrub(engine: &mut Engine<Heap>, host: &mut LabHost<'_>) -> Result<(), WriteFailure> {
    let mut scrub = Scrub::begin(engine, host)?;
    while scrub.step(engine, host) == Progress::More {}
    Ok(())
}

fn repair(
    engine: &mut Engine<Heap>,
    host: &mut LabHost<'_>,
    authority: Authority,
) -> Result<(), WriteFailure> {
    let mut repair = Repair::begin(engine, host, authority);
    while repair.step(engine, host) == Progress::More {}
    repair.outcome()
}

fn cover(engine: &mut Engine<Heap>, host: &mut LabHost<'_>) -> Result<(), Refused> {
    let mut cover = Cover::begin(engine, host)?;
    while cover.step(engine, host)? == Progress::More {}
    Ok(())
}

fn uncover(engine: &mut Engine<Heap>, host: &mut LabHost<'_>) -> Result<(), Refused> {
    let mut uncover = Uncover::begin(engine, host)?;
    while uncover.step(engine, host)? == Progress::More {}
    Ok(())
}

/// Makes a pass-through a device that remaps.
fn create(
    engine: &mut Engine<Heap>,
    host: &mut LabHost<'_>,
    seed: MetadataSeed,
    paths: [Text<128>; 2],
    identities: [IdentityDigest; 2],
) -> Result<(), Refused> {
    let mut superblock = engine.first_superblock(host, seed.array, paths)?;
    if let Some(extension) = &mut superblock.extension {
        [extension.main_identity, extension.spare_identity] = identities;
    }
    let mut creation = Creation::begin(engine, host, superblock)?;
    while creation.step(engine, host)? == Progress::More {}
    Ok(())
}

fn rows(
    engine: &Engine<Heap>,
    host: &LabHost<'_>,
    from: MainBlock,
) -> Result<Vec<RemapRow>, Refused> {
    let lines = engine.remaps(host, from)?;
    Ok(lines.to_vec())
}

/// A path as a hint in the metadata. One that does not fit is left out: half of it would
/// name another device.
fn path_text(path: &Path) -> Text<128> {
    Text::new(path.as_os_str().as_bytes()).unwrap_or_default()
}
