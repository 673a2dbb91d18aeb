//! How far a long piece of work came.

use std::fmt;

use crate::remap_core::units::Sectors;

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
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Looking => "looking for what is there",
            Self::Keeping => "keeping what is there",
            Self::Writing => "writing",
            Self::Verifying => "reading back",
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
}

impl Share {
    /// The whole percents that are done.
    pub fn percent(&self) -> u64 {
        let (done, of) = (u128::from(self.done.get()), u128::from(self.of.get()));
        let percent = (done * 100).checked_div(of).unwrap_or(100);
        u64::try_from(percent).unwrap_or(100).min(100)
    }
}

/// To whom it is told.
pub struct Progress(Box<dyn Fn(Share) + Send>);

impl Progress {
    /// Nobody.
    pub fn silent() -> Self {
        Self(Box::new(|_| {}))
    }

    /// Whoever is called with each share: when a piece of work begins and with every further
    /// percent of it.
    pub fn told_to(tell: impl Fn(Share) + Send + 'static) -> Self {
        Self(Box::new(tell))
    }

    /// Begins a piece of work of so many sectors.
    pub(super) fn begin(&self, work: Work, of: Sectors) -> Tally<'_> {
        let share = Share {
            work,
            done: Sectors::new(0),
            of,
        };
        (self.0)(share);
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
    /// So many more sectors are done.
    pub(super) fn advance(&mut self, sectors: Sectors) {
        let told = self.share.percent();
        self.share.done = Sectors::new(self.share.done.get().saturating_add(sectors.get()));
        if self.share.percent() != told {
            (self.progress.0)(self.share);
        }
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
            tally.advance(Sectors::new(2));
        }
        assert_eq!(*told.lock().unwrap(), (0..=100).collect::<Vec<u64>>());
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        let share = Share {
            work: Work::Looking,
            done: Sectors::new(0),
            of: Sectors::new(0),
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
