//! Signals, each of them an event like any other.

use std::io;
use std::process;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{raise, SigSet, Signal};

use super::event::Event;
use super::terminal;

/// How long the application may take to end by itself after a signal told it to. A
/// terminal that is gone can hold a write for good.
const GRACE: Duration = Duration::from_secs(2);

/// How long the last words to a terminal may take that took none before.
const LAST_WORDS: Duration = Duration::from_millis(100);

const HANDLED: [Signal; 6] = [
    Signal::SIGCONT,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGTSTP,
    Signal::SIGWINCH,
];

/// Keeps the handled signals from this thread and from every thread it starts later,
/// so that [`listen`] alone gets them. To be called before the first thread is started.
///
/// # Errors
///
/// Whatever the operating system says.
pub fn block() -> io::Result<()> {
    handled().thread_block()?;
    Ok(())
}

/// Starts the thread that waits for signals and sends them as events.
///
/// # Errors
///
/// If there can be no such thread.
pub fn listen(events: Sender<Event>) -> io::Result<()> {
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || wait_for_signals(&events))?;
    Ok(())
}

fn handled() -> SigSet {
    HANDLED.into_iter().collect()
}

fn wait_for_signals(events: &Sender<Event>) {
    let handled = handled();
    loop {
        let event = match handled.wait() {
            Ok(Signal::SIGWINCH) => Event::Resized(terminal::size()),
            Ok(Signal::SIGCONT) => Event::Continued,
            Ok(Signal::SIGTSTP) => Event::AskedToStop,
            Ok(signal) => return end(events, signal, &handled),
            Err(_) => return,
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

/// Asks the application to end; ends it if it does not, or if it is asked again.
fn end(events: &Sender<Event>, signal: Signal, handled: &SigSet) {
    let _ = events.send(Event::Signal(signal));
    let _ = thread::Builder::new()
        .name("last-resort".to_owned())
        .spawn(move || {
            thread::sleep(GRACE);
            leave_by_force(signal);
        });
    loop {
        let harmless = [Signal::SIGWINCH, Signal::SIGCONT, Signal::SIGTSTP];
        if !handled
            .wait()
            .is_ok_and(|signal| harmless.contains(&signal))
        {
            leave_by_force(signal);
        }
    }
}

/// Ends the process while another thread may be held by a terminal that takes nothing: the
/// line is ours to restore at once, what has to be written is not.
fn leave_by_force(signal: Signal) -> ! {
    terminal::give_line_back();
    let (done, given) = mpsc::channel();
    let _ = thread::Builder::new()
        .name("give-back".to_owned())
        .spawn(move || {
            terminal::give_back();
            let _: Result<(), _> = done.send(());
        });
    let _ = given.recv_timeout(LAST_WORDS);
    die_of(signal)
}

/// Ends the process as `signal` would have without us, so that its parent sees why.
pub fn die_of(signal: Signal) -> ! {
    let _ = SigSet::from(signal).thread_unblock();
    let _ = raise(signal);
    // Whoever started us had it ignored.
    process::exit(128 + signal as i32)
}
