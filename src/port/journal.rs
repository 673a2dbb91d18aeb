//! The journal: what was done to which device, and how to take it back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::port::HostError;
use crate::remap_core::units::Timestamp;

/// Numbers the actions of one journal, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(u64);

impl ActionId {
    /// Wraps a bare number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The bare number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for ActionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// What is known of an action before its first write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The kind of operation, as the command is called.
    pub operation: String,
    /// What is done, in a few words that are fit to be shown.
    pub title: String,
    /// The command line that does the same.
    pub command: String,
    /// The mapped device, if the metadata tells its name.
    pub name: Option<String>,
    /// The path of the device that is written, fit to be shown; none where a target or
    /// the host is asked instead.
    pub device: Option<String>,
    /// The action that this one takes back.
    pub undoes: Option<ActionId>,
    /// The name of the mapped device that the action brings up besides.
    pub activates: Option<String>,
    /// The action on another device that belongs to this one, and is taken back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<ActionId>,
}

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whether everything was done.
    pub done: bool,
    /// What came of it, in a few words that are fit to be shown.
    pub summary: String,
    /// Whether what was written was put back at once.
    pub rolled_back: bool,
}

/// An action as the journal tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRecord {
    /// Its number.
    pub id: ActionId,
    /// When it began; shown, never compared.
    pub time: Timestamp,
    /// What was known before its first write.
    pub begun: Begun,
    /// Whether there is a backup to take it back from.
    pub has_backup: bool,
    /// How it ended; none if it was cut off.
    pub ended: Option<Ended>,
    /// The completed action that took it back.
    pub undone_by: Option<ActionId>,
}

/// One of the two files that an action may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupSide {
    /// What lay there before.
    Before,
    /// What it was to leave.
    After,
}

/// What lay where an action writes, and what it is to leave: both as
/// [`Backup`](crate::format::backup::Backup) encodes them.
#[derive(Clone, Copy, Debug)]
pub struct BackupFiles<'a> {
    /// What lies there before.
    pub before: &'a [u8],
    /// What is to lie there afterwards.
    pub after: &'a [u8],
}

/// Lines of a journal that tell of actions nobody is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnreadLines {
    /// Written by a newer version of this program.
    pub newer: u64,
    /// Cut short by a crash, or spoiled.
    pub damaged: u64,
}

/// Where actions are logged, durably, before and after.
pub trait Journal: Send {
    /// Looks whether an action can be logged, without making anything. Nothing is begun
    /// where it cannot.
    ///
    /// # Errors
    ///
    /// [`HostError`] says what lacks.
    fn ready(&self) -> Result<(), HostError>;

    /// Another handle to the same journal, for another thread.
    fn beside(&self) -> Box<dyn Journal>;

    /// How many lines [`Journal::actions`] passes over.
    ///
    /// # Errors
    ///
    /// [`HostError`] if the journal cannot be read.
    fn unread(&mut self) -> Result<UnreadLines, HostError> {
        Ok(UnreadLines::default())
    }

    /// Every action, oldest first. Lines that cannot be read are passed over.
    ///
    /// # Errors
    ///
    /// [`HostError`] if the journal cannot be read.
    fn actions(&mut self) -> Result<Vec<ActionRecord>, HostError>;

    /// Logs that an action begins; returns when that and its backup are durable.
    ///
    /// # Errors
    ///
    /// [`HostError`]; the action must not begin then.
    fn begin(
        &mut self,
        begun: &Begun,
        backup: Option<BackupFiles<'_>>,
    ) -> Result<ActionId, HostError>;

    /// Logs how an action ended; returns when that is durable.
    ///
    /// # Errors
    ///
    /// [`HostError`]; the action will be shown as cut off.
    fn end(&mut self, id: ActionId, ended: &Ended) -> Result<(), HostError>;

    /// Reads a backup file of an action, as [`Journal::begin`] was given it.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is none.
    fn backup(&mut self, id: ActionId, side: BackupSide) -> Result<Vec<u8>, HostError>;
}

/// The journal where there is no place for one: nothing was ever logged in it.
#[derive(Clone, Copy, Debug)]
pub struct NoJournal;

impl NoJournal {
    fn refuse<T>() -> Result<T, HostError> {
        Err(HostError::Refused(
            "there is no directory to keep a journal in: neither XDG_STATE_HOME nor HOME is an absolute path"
                .to_owned(),
        ))
    }
}

impl Journal for NoJournal {
    fn beside(&self) -> Box<dyn Journal> {
        Box::new(Self)
    }

    fn ready(&self) -> Result<(), HostError> {
        Self::refuse()
    }

    fn actions(&mut self) -> Result<Vec<ActionRecord>, HostError> {
        Ok(Vec::new())
    }

    fn begin(&mut self, _: &Begun, _: Option<BackupFiles<'_>>) -> Result<ActionId, HostError> {
        Self::refuse()
    }

    fn end(&mut self, _: ActionId, _: &Ended) -> Result<(), HostError> {
        Self::refuse()
    }

    fn backup(&mut self, _: ActionId, _: BackupSide) -> Result<Vec<u8>, HostError> {
        Self::refuse()
    }
}
