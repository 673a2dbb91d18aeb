//! The steps that a plan is made of.

use std::path::{Path, PathBuf};

use crate::format::backup::SavedRange;
use crate::inspect::{inspect, Inspection, TableInspection};
use crate::port::block::{Instance, Signature};
use crate::port::journal::ActionId;
use crate::port::{Access, Activation, BlockStore};
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::Prepared;
use crate::remap_core::message::Message;
use crate::remap_core::quorum::Survey;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{BlockSize, IdentityDigest, Sectors};

/// One thing to be done.
#[derive(Clone, Debug)]
pub enum Step {
    /// Write to a device.
    Write(Box<WriteStep>),
    /// Write to another device than the plan's own; the journal knows it as an action that is
    /// taken back with the plan's.
    WriteBeside(Box<WriteStep>),
    /// Bring up a mapped device.
    Activate(Activation),
    /// Take a mapped device down.
    Deactivate {
        /// Its name.
        name: String,
        /// Its spare: whatever else has the name by then is left alone.
        spare: PathBuf,
    },
    /// Send a message to a target.
    Message {
        /// The mapped device.
        name: String,
        /// Its spare: whatever else has the name by then is left alone.
        spare: PathBuf,
        /// The message.
        message: Message,
    },
}

/// A write to one device: first what lies outside of the copies, then the copies.
#[derive(Clone, Debug)]
pub struct WriteStep {
    /// The device.
    pub path: PathBuf,
    /// How it is opened.
    pub access: Access,
    /// What the plan was made from; nothing is written if it is no longer so.
    pub basis: Basis,
    /// What is written as it is.
    pub puts: Puts,
    /// What others are no longer to find, once the copies are there.
    pub wipes: Vec<SavedRange>,
    /// The copies, in the order that keeps a crash harmless.
    pub copies: Option<Prepared>,
    /// The action that this takes back.
    pub undoes: Option<ActionId>,
}

/// What a plan was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The five slots.
    pub survey: Box<Survey>,
    /// The size of the device.
    pub size: Sectors,
    /// The smallest unit that can be written.
    pub logical_block: BlockSize,
    /// What is stable about the device.
    pub identity: IdentityDigest,
    /// Which device it is, also where nothing about it is stable.
    pub instance: Option<Instance>,
    /// What others wrote on it.
    pub signatures: Option<Vec<Signature>>,
    /// The remap table, where the plan rests on it.
    pub table: Option<TableInspection>,
}

impl Basis {
    /// What `seen` rests on.
    pub fn of(seen: &Inspection) -> Self {
        Self {
            survey: seen.survey.clone(),
            size: seen.size,
            logical_block: seen.logical_block,
            identity: seen.identity,
            instance: seen.instance,
            signatures: seen.signatures.clone(),
            table: None,
        }
    }

    /// What `seen` rests on, the remap table included.
    pub fn with_table(seen: &Inspection) -> Self {
        Self {
            table: seen.table.clone(),
            ..Self::of(seen)
        }
    }

    /// Whether `store` is still as it was.
    pub fn holds(&self, store: &dyn BlockStore, path: &Path) -> bool {
        let now = inspect(store, path);
        match &self.table {
            None => Self::of(&now) == *self,
            Some(_) => Self::with_table(&now) == *self,
        }
    }

    /// Whether `store` is the very device, whatever lies on it by now.
    pub fn is_of(&self, store: &dyn BlockStore) -> bool {
        (self.size, self.identity, self.instance)
            == (store.size(), store.identity(), store.instance())
    }
}

/// Bytes that are written as they are.
#[derive(Clone, Debug)]
pub enum Puts {
    /// These, in the order of the disk.
    Ranges(Vec<SavedRange>),
    /// These over headers and table blocks that are damaged. What is damaged is destroyed
    /// first: see [`repair_block`](crate::remap_core::table_update::repair_block).
    Mends(Vec<SavedRange>),
    /// Headers and free table blocks of a new device.
    NewTable {
        /// What the headers say.
        superblock: Box<Superblock>,
        /// The name that they hold.
        name: Text<NAME_LIMIT>,
        /// Whether only zeros may be overwritten by them.
        over_blank_only: bool,
    },
}
