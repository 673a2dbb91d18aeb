//! How far a long piece of work came.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use crate::port::IoError;
use crate::remap_core::units::Sectors;
use crate::stop::{Stop, Stopped};

/// What takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Reading what lies where something will be written, to make a plan.
    Looking,
    /// Reading it once more, to keep it.
    Keeping,
    /// Writing.
    Writing,
    /// Reading back what was written.
    Verifying,
    /// Writing back what lay there before.
    Restoring,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Looking => "looking for what is there",
            Self::Keeping => "keeping what is there",
            Self::Writing => "writing",
            Self::Verifying => "reading back",
            Self::Restoring => "putting back",
        })
    }
}

/// How much of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// What is being done.
    pub work: Work,
    /// So much of it is done.
    pub done: Sectors,
    /// So much is to be done.
    pub of: Sectors,
    /// So much is done of all pieces of work together.
    pub done_in_all: Sectors,
    /// So much is to be done in all, as far as that is known beforehand.
    pub in_all: Sectors,
}

impl Share {
    /// The whole percents that are done.
    pub fn percent(&self) -> u64 {
        percent(self.done, self.of)
    }

    /// The whole percents that are done of all pieces of work together.
    pub fn percent_in_all(&self) -> u64 {
        percent(self.done_in_all, self.in_all)
    }
}

fn percent(done: Sectors, of: Sectors) -> u64 {
    let (done, of) = (u128::from(done.get()), u128::from(of.get()));
    let percent = (done * 100).checked_div(of).unwrap_or(100);
    u64::try_from(percent).unwrap_or(100).min(100)
}

/// To whom it is told, and who may ask for an early end.
pub struct Progress {
    tell: Arc<dyn Fn(Share) + Send + Sync>,
    stop: Stop,
    /// Sectors of the pieces of work that are over.
    done: Cell<u64>,
    /// Sectors of all pieces of work, where they were counted beforehand.
    expected: Cell<u64>,
}

impl Progress {
    /// Nobody.
    pub fn silent() -> Self {
        Self::told_to(|_| {})
    }

    /// Whoever is called with each share: when a piece of work begins and with every further
    /// percent of it.
    pub fn told_to(tell: impl Fn(Share) + Send + Sync + 'static) -> Self {
        Self {
            tell: Arc::new(tell),
            stop: Stop::default(),
            done: Cell::new(0),
            expected: Cell::new(0),
        }
    }

    /// The same, ending early as soon as `stop` is asked for.
    #[must_use]
    pub fn until(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// The same for what must not end early.
    pub(super) fn to_the_end(&self) -> Self {
        Self {
            tell: Arc::clone(&self.tell),
            stop: Stop::default(),
            done: self.done.clone(),
            expected: self.expected.clone(),
        }
    }

    /// Counts beforehand how much there is to do in all, from nothing on.
    pub(super) fn expect(&self, sectors: Sectors) {
        self.done.set(0);
        self.expected.set(sectors.get());
    }

    /// An early end where one was asked for.
    pub(super) fn check(&self) -> Result<(), Stopped> {
        self.stop.check()
    }

    /// Begins a piece of work of so many sectors.
    pub(super) fn begin(&self, work: Work, of: Sectors) -> Tally<'_> {
        let in_all = self.done.get().saturating_add(of.get());
        self.expected.set(self.expected.get().max(in_all));
        let share = Share {
            work,
            done: Sectors::new(0),
            of,
            done_in_all: Sectors::new(self.done.get()),
            in_all: Sectors::new(self.expected.get()),
        };
        (self.tell)(share);
        Tally {
            progress: self,
            share,
        }
    }
}

/// A piece of work that goes on.
pub(super) struct Tally<'p> {
    progress: &'p Progress,
    share: Share,
}

impl Tally<'_> {
    /// So many more sectors are done: a point at which the work may end early.
    pub(super) fn advance(&mut self, sectors: Sectors) -> Result<(), Stopped> {
        let told = self.share.percent();
        let add = |done: Sectors| Sectors::new(done.get().saturating_add(sectors.get()));
        self.share.done = add(self.share.done);
        self.share.done_in_all = add(self.share.done_in_all);
        self.progress.done.set(self.share.done_in_all.get());
        if self.share.percent() != told {
            (self.progress.tell)(self.share);
        }
        self.progress.check()
    }
}

/// Why work on a device ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The device failed.
    Io(IoError),
    /// Somebody asked for it.
    Stopped,
}

impl From<IoError> for Cut {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

impl From<Stopped> for Cut {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn every_percent_is_told_once() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let progress = Progress::told_to(move |share| heard.lock().unwrap().push(share.percent()));
        let mut tally = progress.begin(Work::Writing, Sectors::new(1000));
        for _ in 0..500 {
            tally.advance(Sectors::new(2)).unwrap();
        }
        assert_eq!(*told.lock().unwrap(), (0..=100).collect::<Vec<u64>>());
    }

    #[test]
    fn pieces_of_work_are_counted_together_and_end_where_that_is_asked_for() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let stop = Stop::default();
        let progress = Progress::told_to(move |share| {
            heard.lock().unwrap().push(share.percent_in_all());
        })
        .until(stop.clone());
        progress.expect(Sectors::new(400));
        let mut tally = progress.begin(Work::Keeping, Sectors::new(100));
        assert_eq!(tally.advance(Sectors::new(100)), Ok(()));
        let mut tally = progress.begin(Work::Writing, Sectors::new(300));
        assert_eq!(tally.advance(Sectors::new(150)), Ok(()));
        stop.ask();
        assert_eq!(tally.advance(Sectors::new(50)), Err(Stopped));
        assert_eq!(*told.lock().unwrap(), [0, 25, 25, 62, 75]);
        let anyway = progress.to_the_end();
        let mut tally = anyway.begin(Work::Restoring, Sectors::new(100));
        assert_eq!(tally.advance(Sectors::new(100)), Ok(()));
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        let share = Share {
            work: Work::Looking,
            done: Sectors::new(0),
            of: Sectors::new(0),
            done_in_all: Sectors::new(0),
            in_all: Sectors::new(0),
        };
        assert_eq!(share.percent(), 100);
        let most = Sectors::new(u64::MAX);
        let share = Share {
            done: most,
            of: most,
            ..share
        };
        assert_eq!(share.percent(), 100);
    }
}
