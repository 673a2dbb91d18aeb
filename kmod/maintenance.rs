// SPDX-License-Identifier: GPL-2.0-or-later
//! Scrubs, repairs and the making of metadata, a step at a time: the lock of the state is
//! given up in between, so that bios which need the engine get on. Whoever is at it holds the
//! maintenance lock all the while.

use crate::dm::room::Memory;
use crate::log;
use crate::remap_core::bytes::Text;
use crate::remap_core::commit::Authority;
use crate::remap_core::engine::{
    Cover, Creation, Progress, Repair, RequestError, Scrub, Uncover, WriteFailure,
};
use crate::state::{now, State};
use crate::target::Joined;

impl Joined<'_> {
    /// Does something with the state, unless the device is suspended or is to be.
    ///
    /// # Errors
    ///
    /// [`WriteFailure::Suspended`].
    fn step<T>(&self, inner: impl FnOnce(&mut State) -> T) -> Result<T, WriteFailure> {
        let mut state = self.state().lock();
        if !state.running || self.is_leaving() {
            return Err(WriteFailure::Suspended);
        }
        Ok(inner(&mut state))
    }

    /// Scrubs. One that a suspend cuts short stays due.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says why nothing could be looked at.
    pub fn scrub(&self) -> Result<(), WriteFailure> {
        let mut scrub: Scrub<Memory> = self.step(|state| {
            let (engine, mut ground) = state.parts(self);
            Scrub::begin(engine, &mut ground)
        })??;
        loop {
            let stepped = self.step(|state| {
                let (engine, mut ground) = state.parts(self);
                scrub.step(engine, &mut ground)
            });
            match stepped {
                Ok(Progress::More) => {}
                Ok(Progress::Done) => return Ok(()),
                Err(why) => {
                    let mut state = self.state().lock();
                    let (engine, ground) = state.parts(self);
                    engine.scrub_at_once(&ground);
                    return Err(why);
                }
            }
        }
    }

    /// Tries to mend everything.
    ///
    /// # Errors
    ///
    /// [`WriteFailure`] says what stands against it; the back-off goes on.
    pub fn repair(&self, authority: Authority) -> Result<(), WriteFailure> {
        let mut repair: Repair<Memory> = self.step(|state| {
            let (engine, mut ground) = state.parts(self);
            Repair::begin(engine, &mut ground, authority)
        })?;
        let mut progress = Progress::More;
        while progress == Progress::More {
            progress = self.step(|state| {
                let (engine, mut ground) = state.parts(self);
                repair.step(engine, &mut ground)
            })?;
        }
        repair.outcome()
    }

    /// Makes a pass-through a device that remaps.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says what stands against it; the device stays a pass-through.
    pub fn create(&self) -> Result<(), RequestError> {
        let array = self.new_array();
        let paths = [self.main_path(), self.spare_path()].map(path_text);
        let mut creation: Creation<Memory> = self.step(|state| {
            let (engine, mut ground) = state.parts(self);
            let superblock = engine.first_superblock(&mut ground, array, paths)?;
            Creation::begin(engine, &mut ground, superblock)
        })??;
        let mut progress = Progress::More;
        while progress == Progress::More {
            progress = self.step(|state| {
                let (engine, mut ground) = state.parts(self);
                creation.step(engine, &mut ground)
            })??;
        }
        Ok(())
    }

    /// Covers main.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says what stands against it; main is bare.
    pub fn cover(&self) -> Result<(), RequestError> {
        let mut cover: Cover<Memory> = self.step(|state| {
            let (engine, mut ground) = state.parts(self);
            Cover::begin(engine, &mut ground)
        })??;
        let mut progress = Progress::More;
        while progress == Progress::More {
            progress = self.step(|state| {
                let (engine, mut ground) = state.parts(self);
                cover.step(engine, &mut ground)
            })??;
        }
        Ok(())
    }

    /// Uncovers main.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says what stands against it.
    pub fn uncover(&self) -> Result<(), RequestError> {
        let mut uncover: Uncover<Memory> = self.step(|state| {
            let (engine, mut ground) = state.parts(self);
            Uncover::begin(engine, &mut ground)
        })??;
        let mut progress = Progress::More;
        while progress == Progress::More {
            progress = self.step(|state| {
                let (engine, mut ground) = state.parts(self);
                uncover.step(engine, &mut ground)
            })??;
        }
        Ok(())
    }

    /// Scrubs and repairs that are due.
    pub fn run_due(&self) {
        let (scrub, repair) = {
            let state = self.state().lock();
            if !state.running {
                return;
            }
            let (now, schedule) = (now().uptime, state.engine.schedule());
            let scrub = schedule.next_scrub.is_some_and(|due| due <= now);
            (scrub, schedule.backoff.is_due(now))
        };
        let warn = |what: &str, done: Result<(), WriteFailure>| match done {
            // What was cut short by a suspend is due again when that ends.
            Ok(()) | Err(WriteFailure::Suspended) => {}
            Err(why) => log::warn(format_args!("{}: {what}: {why}", self.number())),
        };
        if scrub {
            warn("scrub", self.scrub());
        }
        if repair {
            warn("repair", self.repair(Authority::Automatic));
        }
    }
}

/// A path as a hint in the metadata. One that does not fit is left out: half of it would
/// name another device.
fn path_text(path: &str) -> Text<128> {
    Text::new(path.as_bytes()).unwrap_or_default()
}
