//! Signals while a command changes something: it ends at its next safe point, and says so.

use std::io::Write as _;
use std::sync::OnceLock;
use std::thread;

use nix::sys::signal::Signal;

use crate::signals::{Caught, Signals, Underway};
use crate::stop::Stop;

/// What this process changes at the moment. Signals are of the process, and so is this.
static UNDERWAY: OnceLock<Underway> = OnceLock::new();

/// Does something that must not be cut off. A signal asks `stop` for an early end meanwhile,
/// and ends the process as ever at any other time.
pub(super) fn guard<T>(stop: &Stop, act: impl FnOnce() -> T) -> T {
    let underway = UNDERWAY.get_or_init(|| {
        let underway = Underway::default();
        if let Ok(signals) = Signals::block() {
            let watched = underway.clone();
            let watcher = thread::Builder::new().name("signals".to_owned());
            // Without the thread signals wait until the process ends.
            let _ = watcher.spawn(move || wait_for_signals(&signals, &watched));
        }
        underway
    });
    let _piece = underway.begin(stop);
    act()
}

/// The signal that asked for the end of what was under way.
pub(super) fn caught() -> Option<Caught> {
    UNDERWAY.get()?.caught()
}

fn wait_for_signals(signals: &Signals, underway: &Underway) {
    while let Ok(caught) = signals.wait() {
        match caught.signal() {
            Some(Signal::SIGCONT | Signal::SIGWINCH) => continue,
            Some(Signal::SIGTSTP) => {
                // To stop changes nothing: it goes on where it was.
                let _ = nix::sys::signal::raise(Signal::SIGSTOP);
                continue;
            }
            _ => {}
        }
        let again = underway.caught().is_some();
        if (again && caught.signal() == Some(Signal::SIGQUIT)) || !underway.end(caught) {
            caught.die();
        }
        if !again {
            // Who cannot be told is told by the status.
            let _ = writeln!(
                std::io::stderr(),
                "dmremap-tui: {caught}: this ends at its next safe point; SIGQUIT cuts it off"
            );
        }
    }
}
