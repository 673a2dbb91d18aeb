//! Work that is under way, as the screen tells of it: it outlives the window in which it was
//! asked for.

use super::event::Answer;
use super::state::State;
use crate::error::Error;
use crate::ops::{Outcome, Plan, Share};
use crate::remap_core::units::{Millis, Sectors};

/// What is over sooner than this is not told of: a line that flashes tells nothing.
const MOMENT: u64 = 300;

/// What is on the screen is marked once whoever looks has had nothing to tell for so long.
const LATE: u64 = 3000;

/// A plan that is being carried out, or waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The question to the worker whose answer is waited for.
    pub ticket: u64,
    /// What is done, in a few words.
    pub title: String,
    /// Whether it can end before it is done.
    pub can_end_early: bool,
    /// Whether that was asked for.
    pub is_ending: bool,
    /// When it was asked for.
    begun: Millis,
    /// How far it came, as far as that was told.
    pub share: Option<Share>,
    /// When that was told first, and how far it had come.
    first: Option<(Millis, Sectors)>,
    /// When that was told last.
    last: Millis,
}

impl Task {
    /// A plan that is to be carried out from `now` on.
    pub fn new(plan: &Plan, ticket: u64, now: Millis) -> Self {
        Self {
            ticket,
            title: plan.title.clone(),
            can_end_early: plan.can_end_early(),
            is_ending: false,
            begun: now,
            share: None,
            first: None,
            last: now,
        }
    }

    /// Takes in how far it came.
    pub fn advance(&mut self, share: Share, now: Millis) {
        // What is put back is counted anew.
        let goes_back = |before: &Share| share.done_in_all < before.done_in_all;
        if self.first.is_none() || self.share.as_ref().is_some_and(goes_back) {
            self.first = Some((now, share.done_in_all));
        }
        self.share = Some(share);
        self.last = now;
    }

    /// Bytes in a second, over all the time that it took so far.
    pub fn rate(&self) -> Option<u64> {
        let ((began, from), share) = self.first.zip(self.share)?;
        let millis = self.last.get().saturating_sub(began.get());
        let sectors = share.done_in_all.get().saturating_sub(from.get());
        (millis >= 500 && sectors > 0).then(|| sectors.saturating_mul(512 * 1000) / millis)
    }

    /// Seconds until it is done at this rate.
    pub fn seconds_left(&self) -> Option<u64> {
        let (share, rate) = self.share.zip(self.rate())?;
        let left = share.in_all.get().saturating_sub(share.done_in_all.get());
        left.saturating_mul(512).checked_div(rate)
    }
}

/// Everything that is under way.
#[derive(Clone, Debug, Default)]
pub struct Underway {
    /// Plans, the one that is being carried out first.
    pub tasks: Vec<Task>,
    /// Since when the host's own targets do what fell due, if they do.
    due: Option<Millis>,
    /// When whoever looks had something to tell last, if it is still looking.
    looking: Option<Millis>,
    /// Whether the application is to end with the last task.
    pub leaves: bool,
    /// What came of tasks since then.
    pub parting: Vec<Result<Outcome, Error>>,
    /// What time it is, also while the screen stands still.
    pub now: Millis,
}

impl Underway {
    /// Whether there is a line to be shown.
    pub fn is_shown(&self) -> bool {
        self.since().is_some_and(|since| self.age(since) >= MOMENT)
    }

    /// Seconds for which whoever looks has had nothing to tell, if those are too many.
    pub fn seconds_late(&self) -> Option<u64> {
        let age = self.age(self.looking?);
        (age >= LATE).then_some(age / 1000)
    }

    /// Milliseconds until what is shown of it counts on by itself.
    pub fn next_change(&self) -> Option<u64> {
        let line = self.since().map(|since| match self.age(since) {
            age if age < MOMENT => MOMENT - age,
            _ => 1000,
        });
        let late = self.looking.map(|last| match self.age(last) {
            age if age < LATE => LATE - age,
            age => 1000 - age % 1000,
        });
        line.into_iter().chain(late).min()
    }

    /// Takes in what whoever looks has to tell.
    pub fn hear(&mut self, answer: &Answer) {
        match answer {
            Answer::Looking(true) => self.looking = Some(self.now),
            Answer::Looking(false) => self.looking = None,
            Answer::Due(true) => self.due = Some(self.now),
            Answer::Due(false) => self.due = None,
            Answer::Progress { ticket, share } => {
                let now = self.now;
                let mut tasks = self.tasks.iter_mut();
                let task = tasks.find(|task| task.ticket == *ticket);
                task.into_iter().for_each(|task| task.advance(*share, now));
            }
            Answer::Executed { ticket, outcome } => {
                self.tasks.retain(|task| task.ticket != *ticket);
                if self.leaves {
                    self.parting.push(outcome.clone());
                }
            }
            Answer::Listed { .. } | Answer::Examined(_) if self.looking.is_some() => {
                self.looking = Some(self.now);
            }
            _ => {}
        }
    }

    fn since(&self) -> Option<Millis> {
        let first = self.tasks.first().map(|task| task.begun);
        first.or(self.due)
    }

    const fn age(&self, since: Millis) -> u64 {
        self.now.get().saturating_sub(since.get())
    }
}

/// Makes room for the line of what is under way, or gives it back.
pub fn fit(state: &mut State) {
    let line = u16::from(state.underway.is_shown() && state.screen.height > 1);
    state.size = state.screen;
    state.size.height -= line;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Work;

    fn share(done: u64, of: u64) -> Share {
        Share {
            work: Work::Writing,
            done: Sectors::new(done),
            of: Sectors::new(of),
            done_in_all: Sectors::new(done),
            in_all: Sectors::new(of),
        }
    }

    fn task() -> Task {
        Task {
            ticket: 1,
            title: "Create vault".to_owned(),
            can_end_early: true,
            is_ending: false,
            begun: Millis::new(0),
            share: None,
            first: None,
            last: Millis::new(0),
        }
    }

    #[test]
    fn the_rate_is_that_of_the_work_and_not_of_the_wait_for_it() {
        let mut task = task();
        task.advance(share(0, 1000), Millis::new(60_000));
        assert_eq!(task.rate(), None);
        task.advance(share(200, 1000), Millis::new(62_000));
        assert_eq!(task.rate(), Some(51_200));
        assert_eq!(task.seconds_left(), Some(8));
        // What is put back begins anew.
        task.advance(share(0, 100), Millis::new(63_000));
        assert_eq!(task.rate(), None);
        task.advance(share(50, 100), Millis::new(64_000));
        assert_eq!(task.seconds_left(), Some(1));
    }

    #[test]
    fn what_takes_but_a_moment_is_not_shown_and_wakes_nobody_afterwards() {
        let mut underway = Underway::default();
        assert_eq!(underway.next_change(), None);
        underway.tasks.push(task());
        assert!(!underway.is_shown());
        assert_eq!(underway.next_change(), Some(MOMENT));
        underway.now = Millis::new(MOMENT);
        assert!(underway.is_shown());
        assert_eq!(underway.next_change(), Some(1000));
        underway.tasks.clear();
        assert_eq!(underway.next_change(), None);
    }

    #[test]
    fn a_look_that_has_nothing_to_tell_for_long_is_late() {
        let mut underway = Underway::default();
        underway.hear(&Answer::Looking(true));
        assert_eq!(underway.next_change(), Some(LATE));
        underway.now = Millis::new(2900);
        assert_eq!(underway.seconds_late(), None);
        underway.now = Millis::new(12_300);
        assert_eq!(underway.seconds_late(), Some(12));
        assert_eq!(underway.next_change(), Some(700));
        underway.hear(&Answer::Examined(Vec::new()));
        assert_eq!(underway.seconds_late(), None, "it has something to tell");
        underway.hear(&Answer::Looking(false));
        assert_eq!(underway.next_change(), None);
    }
}
