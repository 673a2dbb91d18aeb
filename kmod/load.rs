// SPDX-License-Identifier: GPL-2.0-or-later
//! Bringing a target up, before the first bio is admitted.

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::claims::Claim;
use crate::dm::device::Device;
use crate::log;
use crate::remap_core::engine::LoadError;
use crate::remap_core::event::Event;
use crate::remap_core::log_line::{LogLine, Told};
use crate::remap_core::quorum::Refusal;
use crate::state::{tell, State};
use crate::target::Joined;

impl Joined<'_> {
    /// Reads the metadata, or makes sure that it is still what was read before.
    ///
    /// # Errors
    ///
    /// The kernel log says why the device does not come up.
    pub fn load(&self) -> Result {
        let mut state = self.state().lock();
        if !state.loaded {
            self.tell_name();
        }
        let claims = [self.claim(self.main())?, self.claim(self.spare())?];
        let loaded = state.loaded;
        let (engine, mut ground) = state.parts(self);
        let done = match loaded {
            true => engine.check_unchanged(&mut ground),
            false => engine.load(&mut ground),
        };
        done.map_err(|error| self.refuse_to_load(error))?;
        let data = state.engine.data_area().sectors;
        if self.length() > data {
            let (number, length) = (self.number(), self.length());
            log::error(format_args!(
                "{number}: the table is {length} sectors long, and between the labels of main are {data}"
            ));
            return Err(EINVAL);
        }
        if !state.loaded {
            self.warn_of_no_table(&state);
        }
        state.loaded = true;
        state.claims = Some(claims);
        self.mind_read_only(&state);
        Ok(())
    }

    fn refuse_to_load(&self, error: LoadError) -> Error {
        let number = self.number();
        match error {
            LoadError::Size { device, .. } => {
                let name = self.device(device).name();
                log::error(format_args!("{number}: {name}: {error}"));
            }
            LoadError::Main(_) => {
                let name = self.main().name();
                log::error(format_args!("{number}: {name}: {error}"));
            }
            LoadError::Copies(_) | LoadError::Changed => {
                let spare = self.spare().name();
                log::error(format_args!("{number}: {spare}: {error}"));
            }
            LoadError::Unit { .. }
            | LoadError::TableLost { .. }
            | LoadError::NotCovered { .. }
            | LoadError::Memory => {
                log::error(format_args!("{number}: {error}"));
            }
        }
        match error {
            LoadError::Copies(Refusal::Unreadable(_)) => EIO,
            LoadError::Copies(Refusal::Verdict(_))
            | LoadError::TableLost { .. }
            | LoadError::NotCovered { .. } => EUCLEAN,
            LoadError::Size { .. } | LoadError::Main(_) => ENXIO,
            LoadError::Unit { .. } => EINVAL,
            LoadError::Changed => ESTALE,
            LoadError::Memory => ENOMEM,
        }
    }

    fn warn_of_no_table(&self, state: &State) {
        let (number, spare) = (self.number(), self.spare().name());
        if state.engine.has_table() {
            return;
        }
        match state.engine.superblock() {
            None => log::warn(format_args!(
                "{number}: {spare}: no metadata here; everything goes to {} and nothing is remapped",
                self.main().name()
            )),
            Some(_) => log::warn(format_args!(
                "{number}: {spare}: metadata in plain v4, which has no remap table; nothing is \
                 remapped"
            )),
        }
    }

    fn claim(&self, device: &Device<'_>) -> Result<Claim> {
        Claim::new(self.owner(), device).inspect_err(|_| {
            log::error(format_args!(
                "{}: {} is part of another device that is up",
                self.number(),
                device.name()
            ));
        })
    }

    /// Tells that the device is gone, unless it goes on with another table.
    pub fn tell_gone(&self) {
        if self.state().lock().loaded && !self.owner().has_other_table() {
            tell(self.number(), Event::Deactivated);
        }
    }

    /// Says in the kernel log which name the number stands for that its lines begin with.
    fn tell_name(&self) {
        self.owner().with_name(|name| {
            if let Ok(name) = core::str::from_utf8(name) {
                let line = LogLine {
                    device: Some(self.number()),
                    told: Told::Named(name),
                };
                log::info(format_args!("{line}"));
            }
        });
    }
}
