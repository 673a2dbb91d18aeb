// SPDX-License-Identifier: GPL-2.0-or-later
//! What a target does by itself: bios that wait, and what is due.

use crate::dm::clock;
use crate::engine::Engine;
use crate::index::Minding;
use crate::target::Joined;

/// When to look again whether something that is due can be done.
const BUSY_MILLIS: u64 = 100;

impl Joined<'_> {
    /// Deals with the bios that the worker holds.
    pub fn serve_held(&self) {
        if self.take_flush_failed() {
            self.engine().lock().spare_failed(self.number());
        }
        for bio in self.worker().take_held(self.gate()) {
            let result = {
                let mut engine = self.engine().lock();
                engine.serve(self, &bio)
            };
            // Whoever waits for the bio and then asks must learn what became of it.
            self.tell();
            bio.end(result);
        }
        self.tell();
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
            let mut engine = self.engine().lock();
            *self.shown().lock() = engine.shown();
            self.mind_read_only(&engine);
            self.set_timer(&engine);
            engine.take_raised()
        };
        if raised {
            self.owner().event();
        }
    }

    /// Keeps writes out where nothing is written.
    pub fn mind_read_only(&self, engine: &Engine) {
        self.index().mind(Minding::READ_ONLY, engine.is_read_only());
    }

    fn set_timer(&self, engine: &Engine) {
        if !engine.running {
            return;
        }
        if let Some(due) = engine.due() {
            let now = clock::uptime().get();
            self.worker().after(due.get().saturating_sub(now));
        }
    }
}
