//! What was told while the screen stands still.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::event::Answer;
use super::state::{Examined, EVENTS_KEPT};
use crate::port::history::Sample;
use crate::remap_core::units::{Millis, Timestamp};

/// What was told while the screen stands still: the last word on everything, however
/// long that takes.
#[derive(Debug, Default)]
pub struct Held {
    listed: Option<(Millis, Answer)>,
    policy: Option<Answer>,
    examined: HashMap<PathBuf, Examined>,
    remaps: Option<Answer>,
    journal: Option<Answer>,
    histories: HashMap<String, Arc<[Sample]>>,
    /// What time the histories were told.
    clock: Option<(Timestamp, Millis)>,
    logged: Vec<crate::port::LoggedEvent>,
}

impl Held {
    /// Keeps an answer that would change what is shown; gives back one that does not
    /// wait.
    pub fn hold(&mut self, now: Millis, answer: Answer) -> Option<Answer> {
        match answer {
            Answer::Listed { .. } => self.listed = Some((now, answer)),
            Answer::Policy(_) => self.policy = Some(answer),
            Answer::Examined(found) => self.examined.extend(found),
            Answer::Remaps(_) => self.remaps = Some(answer),
            Answer::Journal(..) => self.journal = Some(answer),
            Answer::History {
                now: time,
                histories,
            } => {
                self.histories.extend(histories);
                self.clock = Some((time, now));
            }
            Answer::Logged(events) => {
                self.logged.extend(events);
                let surplus = self.logged.len().saturating_sub(EVENTS_KEPT);
                self.logged.drain(..surplus);
            }
            Answer::Zone(_)
            | Answer::Progress { .. }
            | Answer::Looking(_)
            | Answer::Due(_)
            | Answer::Planned { .. }
            | Answer::Executed { .. }
            | Answer::Saved(_)
            | Answer::SettingsKept(_)
            | Answer::Trouble(_) => return Some(answer),
        }
        None
    }

    /// What was kept, with the time at which it was told, in the order in which it must
    /// be taken in; `now` where the time makes no difference.
    pub fn release(self, now: Millis) -> Vec<(Millis, Answer)> {
        let examined = (!self.examined.is_empty())
            .then(|| Answer::Examined(self.examined.into_iter().collect()));
        let logged = (!self.logged.is_empty()).then_some(Answer::Logged(self.logged));
        let rest = [self.policy, examined, self.remaps, self.journal, logged];
        let histories = self.clock.map(|(time, told)| {
            let histories = self.histories.into_iter().collect();
            let answer = Answer::History {
                now: time,
                histories,
            };
            (told, answer)
        });
        self.listed
            .into_iter()
            .chain(histories)
            .chain(rest.into_iter().flatten().map(|answer| (now, answer)))
            .collect()
    }
}
