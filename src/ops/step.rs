//! The steps that a plan is made of.

use std::path::PathBuf;

use crate::format::backup::SavedRange;
use crate::inspect::Inspection;
use crate::port::block::Instance;
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
        }
    }

    /// What `store` offers now.
    pub fn read(store: &dyn BlockStore) -> Self {
        Self {
            survey: Box::new(crate::port::slots::survey(store)),
            size: store.size(),
            logical_block: store.logical_block(),
            identity: store.identity(),
            instance: store.instance(),
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
