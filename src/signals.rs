//! Signals whose usual effect is the end of the process: caught by a thread that gives the
//! terminal back first, and has what is under way end at its next safe point.

use std::fmt;
use std::io;
use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{raise, SigSet, Signal};
use nix::sys::signalfd::SignalFd;

use crate::stop::Stop;

/// Signals that are left alone: their usual effect is none, or they cannot be caught. A pipe
/// that nobody reads is an error of the write, and no signal.
const LEFT_ALONE: [Signal; 7] = [
    Signal::SIGKILL,
    Signal::SIGSTOP,
    Signal::SIGPIPE,
    Signal::SIGCHLD,
    Signal::SIGURG,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// A signal that came, by its number: those for real time have no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught(i32);

impl Caught {
    /// The end of the terminal.
    pub const HANG_UP: Self = Self(Signal::SIGHUP as i32);

    /// The signal, if it is one with a name.
    pub fn signal(self) -> Option<Signal> {
        Signal::try_from(self.0).ok()
    }

    /// Ends the process as the signal would have without us, so that its parent sees why.
    pub fn die(self) -> ! {
        if let Some(signal) = self.signal() {
            let _ = SigSet::from(signal).thread_unblock();
            let _ = raise(signal);
        }
        // Whoever started us had it ignored, or it has no name to be raised by.
        process::exit(128 + self.0)
    }
}

impl From<Signal> for Caught {
    fn from(signal: Signal) -> Self {
        Self(signal as i32)
    }
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.signal() {
            Some(signal) => f.write_str(signal.as_str()),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// Signals kept from every thread that is started later; they are read here instead.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks every signal but those that are left alone or were ignored from the start. To
    /// be called before the first thread is started.
    ///
    /// # Errors
    ///
    /// Whatever the operating system says.
    pub fn block() -> io::Result<Self> {
        let mut caught = SigSet::all();
        for signal in LEFT_ALONE.into_iter().chain(ignored()) {
            caught.remove(signal);
        }
        caught.thread_block()?;
        Ok(Self(SignalFd::new(&caught)?))
    }

    /// Waits for the next one.
    ///
    /// # Errors
    ///
    /// Whatever the operating system says.
    pub fn wait(&self) -> io::Result<Caught> {
        loop {
            match self.0.read_signal() {
                Ok(Some(told)) => return Ok(Caught(told.ssi_signo.cast_signed())),
                Ok(None) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// The signals that whoever started us had ignored, as `nohup` does. Blocked they would come.
fn ignored() -> impl Iterator<Item = Signal> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    Signal::iterator().filter(move |signal| mask & (1 << (*signal as i32 - 1)) != 0)
}

/// Work that must not be cut off, and whoever may ask for its end.
#[derive(Clone, Default)]
pub struct Underway(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Default)]
struct Inner {
    /// The wish for the end of each piece of work.
    stops: Vec<Stop>,
    /// The signal that ends everything.
    caught: Option<Caught>,
}

impl Underway {
    /// Begins a piece of work, which is over when what is returned is dropped.
    pub fn begin(&self, stop: &Stop) -> Piece {
        let mut inner = self.lock();
        if inner.caught.is_some() {
            stop.ask();
        }
        inner.stops.push(stop.clone());
        Piece {
            of: self.clone(),
            stop: stop.clone(),
        }
    }

    /// Asks all work for its end, now and from now on. Whether there is any.
    pub fn end(&self, caught: Caught) -> bool {
        let mut inner = self.lock();
        inner.caught.get_or_insert(caught);
        inner.stops.iter().for_each(Stop::ask);
        !inner.stops.is_empty()
    }

    /// The signal that asked for the end of everything.
    pub fn caught(&self) -> Option<Caught> {
        self.lock().caught
    }

    /// Waits until no work is under way.
    pub fn wait_until_idle(&self) {
        let mut inner = self.lock();
        while !inner.stops.is_empty() {
            inner = self
                .0
                 .1
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0 .0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of work that is under way.
pub struct Piece {
    of: Underway,
    stop: Stop,
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut inner = self.of.lock();
        let place = inner.stops.iter().position(|stop| stop.is(&self.stop));
        place.map(|place| inner.stops.swap_remove(place));
        self.of.0 .1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_asked_to_end_and_waited_for() {
        let underway = Underway::default();
        underway.wait_until_idle();
        let (one, other) = (Stop::default(), Stop::default());
        let first = underway.begin(&one);
        let second = underway.begin(&other);
        drop(second);
        assert!(underway.end(Signal::SIGTERM.into()));
        assert!(one.is_asked() && !other.is_asked());
        assert!(underway.end(Signal::SIGHUP.into()));
        assert_eq!(
            underway.caught(),
            Some(Signal::SIGTERM.into()),
            "the first counts"
        );
        let waiting = underway.clone();
        let waited = std::thread::spawn(move || waiting.wait_until_idle());
        drop(first);
        waited.join().unwrap();
        assert!(!underway.end(Signal::SIGTERM.into()));
        let late = Stop::default();
        let _piece = underway.begin(&late);
        assert!(late.is_asked(), "nothing begins any more");
    }

    #[test]
    fn a_signal_has_its_name_or_its_number() {
        assert_eq!(Caught::from(Signal::SIGUSR2).to_string(), "SIGUSR2");
        assert_eq!(Caught(40).to_string(), "signal 40");
    }
}
