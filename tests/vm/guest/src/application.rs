//! The application, run in the guest as an operator's script would run it.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;

use serde_json::Value;

const PROGRAM: &str = "/bin/dmremap-tui";

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Answer {
    /// The exit status.
    pub status: i32,
    /// The report, or the error where there is none.
    pub json: Value,
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

fn ask(user: u32, words: &str) -> Answer {
    let home = format!("/home/{user}");
    fs::create_dir_all(&home)
        .and_then(|()| chown(&home, Some(user), Some(user)))
        .unwrap_or_else(|error| panic!("{home}: {error}"));
    let output = Command::new(PROGRAM)
        .args(words.split_whitespace())
        .arg("--json")
        .env_clear()
        .env("HOME", &home)
        .uid(user)
        .gid(user)
        .output()
        .unwrap_or_else(|error| panic!("{PROGRAM}: {error}"));
    let text = match output.stdout.is_empty() {
        true => &output.stderr,
        false => &output.stdout,
    };
    let json = serde_json::from_slice(text)
        .unwrap_or_else(|error| panic!("{words}: {error}: {}", String::from_utf8_lossy(text)));
    Answer {
        status: output.status.code().expect("the application exits"),
        json,
    }
}
