//! The threads beside the one that looks: one carries out, one plans, so that nobody waits
//! for them but those who asked.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::{tell_progress, trouble, Farewell, Order};
use crate::ops::{self, Confirmed, Operation};
use crate::port::Host;
use crate::signals::Piece;
use crate::stop::Stop;
use crate::tui::event::{Answer, Event};

/// How long an outcome is held back for what is shown behind it to agree with it. Whoever
/// looks may be held by a disk that does not answer.
const AGREEMENT: Duration = Duration::from_secs(2);

/// A host and a context of a thread's own, and whom it tells.
pub(super) struct Hand {
    pub(super) host: Box<dyn Host>,
    pub(super) context: ops::Context,
    pub(super) events: Sender<Event>,
}

impl Hand {
    fn tell(&self, answer: Answer) {
        // Without anybody there nobody needs to know.
        let _ = self.events.send(Event::Told(answer));
    }
}

/// What is carried out.
pub(super) enum Job {
    /// A plan.
    Execute {
        /// Numbers the question.
        ticket: u64,
        /// What was said yes to.
        confirmed: Box<Confirmed>,
        /// The wish for its early end.
        stop: Stop,
        /// It is under way until this is dropped.
        piece: Piece,
    },
    /// Whatever is due on the host's own targets.
    RunDue,
}

/// Starts the thread that carries out, and lets the host's own targets do what is due.
pub(super) fn start_working(hand: Hand, looking: Sender<Order>) -> io::Result<Sender<Job>> {
    let (jobs, received) = mpsc::channel();
    start("working", hand.events.clone(), move || {
        let mut working = Working {
            hand,
            looking,
            due: None,
        };
        working.run(&received);
    })?;
    Ok(jobs)
}

fn start(name: &str, events: Sender<Event>, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(move || {
        let _farewell = Farewell(events);
        run();
    })?;
    Ok(())
}

struct Working {
    hand: Hand,
    looking: Sender<Order>,
    /// When the host's own targets have something to do.
    due: Option<Instant>,
}

impl Working {
    fn run(&mut self, jobs: &Receiver<Job>) {
        self.run_due();
        loop {
            let job = match self.due {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => jobs.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(Job::Execute {
                    ticket,
                    confirmed,
                    stop,
                    piece,
                }) => {
                    self.execute(ticket, *confirmed, stop);
                    drop(piece);
                }
                Ok(Job::RunDue) | Err(RecvTimeoutError::Timeout) => self.run_due(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn execute(&mut self, ticket: u64, confirmed: Confirmed, stop: Stop) {
        self.hand.context.progress = tell_progress(&self.hand.events, ticket, stop);
        let outcome = ops::execute(self.hand.host.as_mut(), &mut self.hand.context, confirmed);
        self.run_due();
        // What is shown behind the outcome is to agree with it.
        let (looked, looks) = mpsc::channel();
        let _ = self.looking.send(Order::LookNow(looked));
        let _ = looks.recv_timeout(AGREEMENT);
        self.hand.tell(Answer::Executed { ticket, outcome });
    }

    /// Lets the host's own targets do what is due: that changes devices, so not where
    /// nothing may be changed. Without a lab they are the kernel's, which needs no help.
    fn run_due(&mut self) {
        if self.hand.context.read_only {
            return;
        }
        let in_lab = self.hand.host.lab_directory().is_some();
        if in_lab {
            self.hand.tell(Answer::Due(true));
        }
        self.due = match self.hand.host.run_due() {
            Ok(wait) => wait.map(|millis| Instant::now() + Duration::from_millis(millis)),
            Err(error) => {
                trouble(&self.hand.events, "what was due could not be done", &error);
                None
            }
        };
        if in_lab {
            self.hand.tell(Answer::Due(false));
            let _ = self.looking.send(Order::Changed);
        }
    }
}

/// A plan to be made.
pub(super) struct Asked {
    /// Numbers the question.
    pub(super) ticket: u64,
    /// What for.
    pub(super) operation: Box<Operation>,
    /// The wish of those who no longer wait for it.
    pub(super) stop: Stop,
}

/// Starts the thread that makes plans.
pub(super) fn start_planning(mut hand: Hand) -> io::Result<Sender<Asked>> {
    let (asked, received) = mpsc::channel::<Asked>();
    start("planning", hand.events.clone(), move || {
        while let Ok(asked) = received.recv() {
            hand.plan(asked);
        }
    })?;
    Ok(asked)
}

impl Hand {
    fn plan(&mut self, asked: Asked) {
        let Asked {
            ticket,
            operation,
            stop,
        } = asked;
        if stop.is_asked() {
            return;
        }
        self.context.progress = tell_progress(&self.events, ticket, stop.clone());
        let plan = ops::plan(self.host.as_mut(), &mut self.context, &operation);
        if !stop.is_asked() {
            let plan = plan.map(Box::new);
            self.tell(Answer::Planned { ticket, plan });
        }
    }
}
