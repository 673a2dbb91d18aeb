//! The thread that reads the terminal and sends what was typed.

use std::io::{self, Stdin};
use std::os::fd::AsFd as _;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use crossterm::event::{self as terminal_event, MouseButton, MouseEvent, MouseEventKind};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::event::{Event, Mouse, MouseKind};
use super::key::Key;

/// How long to wait when the terminal has bytes that are no event yet.
const INCOMPLETE: Duration = Duration::from_millis(20);

/// How long to wait for what is at hand already. In a shorter time a busy machine may not come
/// to look at all, and a key that was read with another one would wait for the next; the last
/// millisecond of it costs a processor, so it should not be the one in which the screen is drawn.
const AT_HAND: Duration = Duration::from_millis(10);

/// Starts the thread that reads keys until the terminal is gone.
///
/// # Errors
///
/// If there can be no such thread.
pub fn listen(events: Sender<Event>) -> io::Result<()> {
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let _ = read_all(&events);
            // Without a terminal there is nobody to ask; a second such event is harmless.
            let _ = events.send(Event::TerminalGone);
        })?;
    Ok(())
}

fn read_all(events: &Sender<Event>) -> io::Result<()> {
    let stdin = io::stdin();
    loop {
        if !wait_readable(&stdin)? {
            return Ok(());
        }
        if !terminal_event::poll(AT_HAND)? {
            thread::sleep(INCOMPLETE);
            continue;
        }
        while terminal_event::poll(AT_HAND)? {
            let sent = match terminal_event::read()? {
                terminal_event::Event::Key(key) => {
                    Key::from_terminal(key).try_for_each(|key| events.send(Event::Key(key)))
                }
                terminal_event::Event::Paste(text) => events.send(Event::Pasted(text)),
                terminal_event::Event::Mouse(mouse) => match from_mouse(mouse) {
                    Some(mouse) => events.send(Event::Mouse(mouse)),
                    None => Ok(()),
                },
                _ => Ok(()),
            };
            if sent.is_err() {
                return Ok(());
            }
        }
    }
}

fn from_mouse(event: MouseEvent) -> Option<Mouse> {
    let kind = match event.kind {
        MouseEventKind::Down(MouseButton::Left) => MouseKind::Press,
        MouseEventKind::ScrollUp => MouseKind::ScrollUp,
        MouseEventKind::ScrollDown => MouseKind::ScrollDown,
        _ => return None,
    };
    Some(Mouse {
        kind,
        column: event.column,
        row: event.row,
    })
}

/// Waits until there is something to read. `false` once the terminal is gone: crossterm
/// never returns then and turns one core for good, so it must not be asked.
fn wait_readable(stdin: &Stdin) -> io::Result<bool> {
    let mut polled = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => {
                let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
                let seen = polled[0].revents().unwrap_or(PollFlags::POLLERR);
                return Ok(!seen.intersects(gone));
            }
        }
    }
}
