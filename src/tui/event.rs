//! Everything that can happen to the application, on one channel.

use std::path::PathBuf;

use ratatui::layout::Size;

use super::key::Key;
use super::recorder;
use super::remaps::RemapList;
use super::state::Examined;
use crate::config::SettingsFile;
use crate::error::Error;
use crate::ops::{Outcome, Plan, Refusal, Share};
use crate::policy::Policy;
use crate::port::journal::{ActionRecord, UnreadLines};
use crate::port::{DeviceInfo, LoggedEvent, Mapped};
use crate::remap_core::units::Timestamp;
use crate::signals::Caught;
use crate::zone::Zone;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(Key),
    /// Something was done with the mouse.
    Mouse(Mouse),
    /// The process goes on after it was stopped.
    Continued,
    /// Somebody asks for the terminal back for a while.
    AskedToStop,
    /// Text was pasted.
    Pasted(String),
    /// The terminal has another size.
    Resized(Size),
    /// Time went by, and something that is shown counts with it.
    Tick,
    /// A signal asks the application to end.
    Signal(Caught),
    /// There is no terminal any more.
    TerminalGone,
    /// The worker has something to tell.
    Told(Answer),
    /// The worker is no more: it panicked, and its report was printed.
    WorkerGone,
}

/// Something done with the mouse, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    /// What.
    pub kind: MouseKind,
    /// The column, from 0 on.
    pub column: u16,
    /// The line, from 0 on.
    pub row: u16,
}

/// What was done with the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseKind {
    /// The left button went down.
    Press,
    /// The wheel turned towards the top.
    ScrollUp,
    /// The wheel turned towards the end.
    ScrollDown,
}

/// What the worker has to tell.
#[derive(Debug)]
pub enum Answer {
    /// Which devices there are.
    Listed {
        /// Every device, sorted by name.
        devices: Vec<DeviceInfo>,
        /// Every mapped device that is up, sorted by name.
        mapped: Vec<Mapped>,
    },
    /// What may be assembled without a person on this machine.
    Policy(Policy),
    /// What was found on some of them.
    Examined(Vec<(PathBuf, Examined)>),
    /// The remaps of the device that is shown.
    Remaps(RemapList),
    /// The zone in which times are to be shown.
    Zone(Zone),
    /// Events since the last such answer, oldest first.
    Logged(Vec<LoggedEvent>),
    /// The counters of some mapped devices over time.
    History {
        /// What time it is.
        now: Timestamp,
        /// The devices whose histories became longer.
        histories: Vec<recorder::Told>,
    },
    /// The whole journal, oldest first, and how much of it cannot be read.
    Journal(Vec<ActionRecord>, UnreadLines),
    /// How far a plan's making or its carrying out came.
    Progress {
        /// Which question it is about.
        ticket: u64,
        /// How far.
        share: Share,
    },
    /// Devices are being looked at, or that is over.
    Looking(bool),
    /// The host's own targets are doing what fell due, or that is over.
    Due(bool),
    /// What an operation comes to.
    Planned {
        /// Which question this answers.
        ticket: u64,
        /// The plan, or why there is none.
        plan: Result<Box<Plan>, Refusal>,
    },
    /// What came of a plan.
    Executed {
        /// Which question this answers.
        ticket: u64,
        /// The outcome.
        outcome: Result<Outcome, Error>,
    },
    /// A file was written, or why not.
    Saved(Result<String, String>),
    /// The settings file as it is now and whether it was changed, or why it was not.
    SettingsKept(Result<(SettingsFile, bool), Error>),
    /// The host could not do what it should do by itself.
    Trouble(String),
}
