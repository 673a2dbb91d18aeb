// SPDX-License-Identifier: GPL-2.0-or-later
//! The work of a target by itself: bios that wait, and everything that is due.

use crate::dm::bio::HeldBio;
use crate::ground::Request;
use crate::index::Minding;
use crate::remap_core::units::Errno;
use crate::state::{now, State};
use crate::target::Joined;

/// When to look again whether something that is due can be done.
const BUSY_MILLIS: u64 = 100;

impl Joined<'_> {
    /// Deals with the bios that the worker holds.
    pub fn serve_held(&self) {
        if self.take_flush_failed() {
            let mut state = self.state().lock();
            let (engine, mut ground) = state.parts(self);
            engine.spare_failed(&mut ground);
        }
        for bio in self.worker().take_held(self.gate()) {
            let result = self.serve(&bio);
            // Whoever waits for the bio and then asks must learn what became of it.
            self.tell();
            bio.end(result);
        }
        self.tell();
    }

    fn serve(&self, bio: &HeldBio<'_>) -> Result<(), Errno> {
        // Rounded, it would reach blocks that nobody asked for.
        let mut request = Request::new(self, bio).ok_or(Errno::EIO)?;
        let mut state = self.state().lock();
        let (engine, mut ground) = state.parts(self);
        engine.serve(&mut ground, &mut request)
    }

    /// Does what is due, unless somebody is at it.
    pub fn on_timer(&self) {
        match self.maintenance().try_lock() {
            Some(_maintaining) => self.run_due(),
            None => return self.worker().after(BUSY_MILLIS),
        }
        self.tell();
    }

    /// Lets everybody know how things stand now: those who ask, those who wait for
    /// events, and the timer.
    pub fn tell(&self) {
        let raised = {
            let mut state = self.state().lock();
            *self.shown().lock() = state.engine.shown();
            self.mind_read_only(&state);
            self.set_timer(&state);
            state.teller.take_raised()
        };
        if raised {
            self.owner().event();
        }
    }

    /// Keeps writes out where nothing is written.
    pub fn mind_read_only(&self, state: &State) {
        let read_only = state.engine.is_read_only();
        self.index().mind(Minding::READ_ONLY, read_only);
    }

    fn set_timer(&self, state: &State) {
        if !state.running {
            return;
        }
        if let Some(due) = state.engine.schedule().due() {
            let wait = due.get().saturating_sub(now().uptime.get());
            self.worker().after(wait);
        }
    }
}
