//! The application, run in the guest as an operator's script would run it.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::sys;
use crate::terminal::Terminal;

const PROGRAM: &str = "/bin/dmremap-tui";

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Answer {
    /// The exit status.
    pub status: i32,
    /// The report, or the error where there is none.
    pub json: Value,
    /// Whether it said nothing on stdout.
    pub on_stderr_alone: bool,
}

impl Answer {
    /// The report, of a command that must have done what was asked.
    pub fn done(self) -> Value {
        assert_eq!(self.status, 0, "{:#}", self.json);
        self.json
    }

    /// The error's code, of a command that must have ended with this status.
    pub fn code(&self, status: i32) -> &str {
        assert_eq!(self.status, status, "{:#}", self.json);
        self.json["code"].as_str().expect("an error has a code")
    }
}

/// Runs a command as root.
pub fn run(words: &str) -> Answer {
    ask(0, words)
}

/// Runs a command as somebody else.
pub fn run_unprivileged(words: &str) -> Answer {
    ask(1000, words)
}

/// A command that goes on, with one report for each change.
pub struct Watch {
    child: Child,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    /// Starts it, as root.
    pub fn start(words: &str) -> Self {
        let mut child = command(0, words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
        let stdout = child.stdout.take().expect("its output is a pipe");
        Self {
            child,
            reports: BufReader::new(stdout).lines(),
        }
    }

    /// The next report; waits for it.
    pub fn next(&mut self) -> Value {
        let line = self.reports.next().expect("it goes on");
        let line = line.expect("its output can be read");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Takes reports until one says so. A change that is never told hangs, and the guest
    /// is ended for that.
    pub fn until(&mut self, says: impl Fn(&Value) -> bool) {
        while !says(&self.next()) {}
    }

    /// Ends it.
    pub fn end(mut self) {
        self.child.kill().expect("it runs still");
        self.child.wait().expect("it can be waited for");
    }
}

fn ask(user: u32, words: &str) -> Answer {
    let output = command(user, words).output();
    let output = output.unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
    let text = match output.stdout.is_empty() {
        true => &output.stderr,
        false => &output.stdout,
    };
    let json = serde_json::from_slice(text)
        .unwrap_or_else(|error| panic!("{words}: {error}: {}", String::from_utf8_lossy(text)));
    Answer {
        status: output.status.code().expect("the application exits"),
        json,
        on_stderr_alone: output.stdout.is_empty(),
    }
}

fn command(user: u32, words: &str) -> Command {
    let mut command = program(user, words);
    command.arg("--json");
    command
}

/// The application as somebody starts it, with these words on its command line.
fn program(user: u32, words: &str) -> Command {
    let home = format!("/home/{user}");
    fs::create_dir_all(&home)
        .and_then(|()| chown(&home, Some(user), Some(user)))
        .unwrap_or_else(|error| panic!("{home}: {error}"));
    let mut command = Command::new(PROGRAM);
    command
        .args(words.split_whitespace())
        .env_clear()
        .env("HOME", &home)
        .uid(user)
        .gid(user);
    command
}

/// The application on a terminal, as root, with these words on its command line.
pub fn open_terminal(words: &str) -> Terminal {
    if !fs::exists("/dev/pts/ptmx").unwrap_or(false) {
        sys::mount_kernel_file_system("devpts", "/dev/pts").expect("devpts mounts");
    }
    Terminal::start(program(0, words))
}
