// SPDX-License-Identifier: GPL-2.0-or-later
//! A target's engine, and what the kernel adds to it: all that changes outside of the path of
//! every bio, under one lock.

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::claims::Claim;
use crate::dm::clock;
use crate::dm::room::Memory;
use crate::faults::Faults;
use crate::ground::Ground;
use crate::log;
use crate::remap_core::engine::host::Now;
use crate::remap_core::engine::{Engine, Settings};
use crate::remap_core::event::{Event, Severity};
use crate::remap_core::log_line::{LogLine, Told};
use crate::target::Joined;

/// The state of one target.
pub struct State {
    /// The engine.
    pub engine: Engine<Memory>,
    /// Whether the metadata were read.
    pub loaded: bool,
    /// Keeps main and the spare from being used by another target, while the device is up.
    pub claims: Option<[Claim; 2]>,
    /// Whether the table is in use: not suspended.
    pub running: bool,
    /// Blocks that are made to fail.
    pub faults: Faults,
    /// Everything that was told.
    pub teller: Teller,
}

impl State {
    /// The state before anything was read.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(settings: Settings) -> Result<Self> {
        Ok(Self {
            engine: Engine::new(settings).map_err(|_| ENOMEM)?,
            loaded: false,
            claims: None,
            running: false,
            faults: Faults::none(settings.unit),
            teller: Teller::default(),
        })
    }

    /// The engine, and the ground that it stands on.
    pub fn parts<'a>(&'a mut self, of: &'a Joined<'a>) -> (&'a mut Engine<Memory>, Ground<'a>) {
        let ground = Ground::new(of, &self.faults, &mut self.teller);
        (&mut self.engine, ground)
    }
}

/// The time, on both clocks.
pub fn now() -> Now {
    Now {
        uptime: clock::uptime(),
        stamp: clock::now(),
    }
}

/// Lines about single blocks that the kernel log takes in one second.
const LINES_A_SECOND: u32 = 20;

/// Keeps the kernel log from being flooded by what a bad disk gives rise to.
#[derive(Default)]
pub struct Teller {
    /// Whether something happened that nobody was woken for yet.
    raised: bool,
    since: u64,
    lines: u32,
    left_out: u64,
}

impl Teller {
    /// Tells of something, in the kernel log and to whoever waits for events.
    pub fn raise(&mut self, device: &str, event: Event) {
        self.raised = true;
        let single = matches!(
            event,
            Event::Remapped { .. }
                | Event::Pending { .. }
                | Event::ReplacementBad { .. }
                | Event::NotRelocated { .. }
        );
        if !single || self.allows(device) {
            tell(device, event);
        }
    }

    /// Whether anything happened since this was last asked.
    pub fn take_raised(&mut self) -> bool {
        core::mem::take(&mut self.raised)
    }

    fn allows(&mut self, device: &str) -> bool {
        let second = clock::uptime().get() / 1000;
        if second != self.since {
            if self.left_out > 0 {
                let lines = self.left_out;
                tell(device, Event::LeftOut { lines });
            }
            (self.since, self.lines, self.left_out) = (second, 0, 0);
        }
        self.lines = self.lines.saturating_add(1);
        let allowed = self.lines <= LINES_A_SECOND;
        self.left_out += u64::from(!allowed);
        allowed
    }
}

/// Writes an event to the kernel log.
pub fn tell(device: &str, event: Event) {
    let line = LogLine {
        device: Some(device),
        told: Told::Event(event),
    };
    match event.severity() {
        Severity::Info => log::info(format_args!("{line}")),
        Severity::Warning => log::warn(format_args!("{line}")),
        Severity::Error => log::error(format_args!("{line}")),
    }
}
