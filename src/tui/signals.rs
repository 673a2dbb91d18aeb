//! Signals, each of them an event like any other.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::event::Event;
use super::terminal;
use crate::signals::{Caught, Signals, Underway};

/// How long the application may take to end by itself after a signal told it to, or after
/// the work that was under way ended. A terminal that is gone can hold a write for good.
const GRACE: Duration = Duration::from_secs(2);

/// How long the last words to a terminal may take that took none before.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Starts the thread that waits for signals and sends them as events. Those that end the
/// process ask what is `underway` for its end as well.
///
/// # Errors
///
/// If there can be no such thread.
pub fn listen(signals: Signals, events: Sender<Event>, underway: Underway) -> io::Result<()> {
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || wait_for_signals(&signals, &events, &underway))?;
    Ok(())
}

fn wait_for_signals(signals: &Signals, events: &Sender<Event>, underway: &Underway) {
    while let Ok(caught) = signals.wait() {
        let event = match caught.signal() {
            Some(Signal::SIGWINCH) => Event::Resized(terminal::size()),
            Some(Signal::SIGCONT) => Event::Continued,
            Some(Signal::SIGTSTP) => Event::AskedToStop,
            _ => return end(signals, events, underway, caught),
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

/// Asks the application to end; ends it if it does not, or if it is asked again. Work that
/// is under way is waited for: only a further SIGQUIT cuts it off.
fn end(signals: &Signals, events: &Sender<Event>, underway: &Underway, caught: Caught) {
    underway.end(caught);
    let _ = events.send(Event::Signal(caught));
    let working = underway.clone();
    let _ = thread::Builder::new()
        .name("last-resort".to_owned())
        .spawn(move || {
            thread::sleep(GRACE);
            working.wait_until_idle();
            thread::sleep(GRACE);
            leave_by_force(caught);
        });
    while let Ok(again) = signals.wait() {
        match again.signal() {
            Some(Signal::SIGWINCH | Signal::SIGCONT | Signal::SIGTSTP) => {}
            Some(Signal::SIGQUIT) => leave_by_force(again),
            _ if underway.end(again) => {}
            _ => leave_by_force(caught),
        }
    }
}

/// Ends the process while another thread may be held by a terminal that takes nothing: the
/// line is ours to restore at once, what has to be written is not.
fn leave_by_force(caught: Caught) -> ! {
    terminal::give_line_back();
    let (done, given) = mpsc::channel();
    let _ = thread::Builder::new()
        .name("give-back".to_owned())
        .spawn(move || {
            terminal::give_back();
            let _: Result<(), _> = done.send(());
        });
    let _ = given.recv_timeout(LAST_WORDS);
    caught.die()
}
