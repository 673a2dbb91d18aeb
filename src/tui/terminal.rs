//! The terminal: taken over at the start, given back whatever happens.

use std::io::{self, IsTerminal as _, Stdout, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::Print;
use crossterm::terminal::{
    disable_raw_mode, enable_raw_mode, window_size, BeginSynchronizedUpdate, Clear, ClearType,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Rect, Size};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

/// What a terminal that does not tell its size is taken for.
const USUAL_SIZE: Size = Size {
    width: 80,
    height: 24,
};

/// More than any screen shows in letters that can be read.
const LARGEST: Size = Size {
    width: 1024,
    height: 512,
};

/// Whether the terminal is ours now, so that it is given back exactly once, by
/// whichever thread comes first.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the terminal is to tell what is done with the mouse.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// Presses and turns of the wheel, and nothing of mere moving: that would wake us for
/// every column that a hand passes.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// Whether a thread panicked: nothing more may be drawn over its report.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Held while a frame is written, so that a panic's report is not written into it.
static DRAWING: Mutex<()> = Mutex::new(());

/// How long a panic waits for a frame that is being written. The thread that panics may
/// be the one that writes it.
const FRAME_TIME: Duration = Duration::from_millis(100);

/// The terminal while it is ours. Dropping it gives it back.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<FrameWriter>>,
}

impl Screen {
    /// Takes the terminal over: raw mode, the alternate screen, no cursor; the mouse, if
    /// that is wanted.
    ///
    /// # Errors
    ///
    /// If standard input or output is no terminal, or the terminal refuses.
    pub fn take(mouse: bool) -> io::Result<Self> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "standard input and output must be a terminal; \
                 for scripts there are subcommands, see --help",
            ));
        }
        give_back_on_panic();
        MOUSE.store(mouse, Ordering::SeqCst);
        take_over()?;
        let terminal = terminal_of(size())?;
        Ok(Self { terminal })
    }

    /// Draws one frame, unless a panic's report is on the screen.
    ///
    /// # Errors
    ///
    /// Whatever the terminal says.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let _drawing = DRAWING.lock();
        if !PANICKED.load(Ordering::SeqCst) {
            self.terminal.draw(view)?;
        }
        Ok(())
    }

    /// Goes on at another size, from an empty screen.
    ///
    /// # Errors
    ///
    /// Whatever the terminal says.
    pub fn resize(&mut self, size: Size) -> io::Result<()> {
        // A new terminal, not `Terminal::resize`: that asks crossterm for the size,
        // which starts another program where the terminal does not tell it.
        execute!(self.terminal.backend_mut(), Clear(ClearType::All))?;
        self.terminal = terminal_of(size)?;
        Ok(())
    }

    /// Gives the terminal back, stops until somebody lets the process go on, and takes
    /// it over again.
    ///
    /// # Errors
    ///
    /// Whatever the terminal says.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
        self.take_again()
    }

    /// Takes the terminal over once more: somebody else may have used it meanwhile.
    ///
    /// # Errors
    ///
    /// Whatever the terminal says.
    pub fn take_again(&mut self) -> io::Result<()> {
        // What was remembered of the line may not be what it is now.
        disable_raw_mode()?;
        take_over()?;
        self.resize(size())
    }

    /// Takes the mouse, or leaves it to the terminal.
    ///
    /// # Errors
    ///
    /// Whatever the terminal says.
    pub fn set_mouse(&mut self, mouse: bool) -> io::Result<()> {
        MOUSE.store(mouse, Ordering::SeqCst);
        let switch = if mouse { MOUSE_ON } else { MOUSE_OFF };
        execute!(self.terminal.backend_mut(), Print(switch))
    }

    /// Asks the terminal to put `text` on the clipboard. Whether it does, it does not
    /// say.
    ///
    /// # Errors
    ///
    /// Whatever the terminal says.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let copy = CopyToClipboard::to_clipboard_from(text);
        execute!(self.terminal.backend_mut(), copy)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// The size of the terminal, as far as it is drawn on.
pub fn size() -> Size {
    match window_size() {
        Ok(window) if window.columns > 0 && window.rows > 0 => {
            drawn(Size::new(window.columns, window.rows))
        }
        _ => USUAL_SIZE,
    }
}

/// As much of a terminal as is drawn on: a cell costs memory, and a terminal may say that it
/// has a thousand million of them.
fn drawn(size: Size) -> Size {
    Size::new(
        size.width.min(LARGEST.width),
        size.height.min(LARGEST.height),
    )
}

fn terminal_of(size: Size) -> io::Result<Terminal<CrosstermBackend<FrameWriter>>> {
    let output = FrameWriter {
        output: io::stdout(),
        frame: Vec::new(),
    };
    let area = Rect::new(0, 0, size.width, size.height);
    let viewport = Viewport::Fixed(area);
    Terminal::with_options(CrosstermBackend::new(output), TerminalOptions { viewport })
}

/// Gathers a frame and writes it at once, as a synchronized update: of what comes over a slow
/// line such a terminal shows nothing before it has the whole. Others ignore the marks.
struct FrameWriter {
    output: Stdout,
    frame: Vec<u8>,
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.frame.is_empty() {
            queue!(self.frame, BeginSynchronizedUpdate)?;
        }
        self.frame.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            queue!(self.frame, EndSynchronizedUpdate)?;
            let written = self.output.write_all(&self.frame);
            self.frame.clear();
            written?;
        }
        self.output.flush()
    }
}

fn take_over() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    // Bracketed paste keeps pasted text from being taken for commands.
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        Hide,
        Clear(ClearType::All)
    )?;
    if MOUSE.load(Ordering::SeqCst) {
        execute!(io::stdout(), Print(MOUSE_ON))?;
    }
    Ok(())
}

/// Gives the terminal back if it is ours. What fails here has nobody left to be told.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut output = io::stdout();
        // A frame may have been cut off in the middle.
        let _ = queue!(
            output,
            EndSynchronizedUpdate,
            Print(MOUSE_OFF),
            Show,
            DisableBracketedPaste,
            LeaveAlternateScreen
        );
        let _ = output.flush();
        let _ = disable_raw_mode();
    }
}

/// Gives the line back as it was, which takes no word to the terminal.
pub fn give_line_back() {
    if TAKEN.load(Ordering::SeqCst) {
        let _ = disable_raw_mode();
    }
}

fn wait_for_frame() -> Option<MutexGuard<'static, ()>> {
    let end = Instant::now() + FRAME_TIME;
    loop {
        match DRAWING.try_lock() {
            Ok(guard) => return Some(guard),
            Err(_) if Instant::now() >= end => return None,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A panic's report is printed after the terminal was given back, on any thread.
fn give_back_on_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        let _drawing = wait_for_frame();
        give_back();
        report(info);
    }));
}
