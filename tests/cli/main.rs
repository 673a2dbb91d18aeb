//! The command line as a script sees it: exit statuses, stdout, stderr, and the bytes of
//! the images afterwards.
#![cfg(test)]

mod boot;
mod contents;
mod covered;
mod hostile;
mod images;
mod journal;
mod json;
mod labelled;
mod labs;
mod linear;
mod lines;
mod loops;
mod mains;
mod many;
mod names;
mod needs;
mod needs_check;
mod own_files;
mod rebuild;
mod scenarios;
mod settings;
mod statuses;
mod told;
mod tools;
mod unseen;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A directory of images and a journal, and the program run in it.
struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes an image of so many sectors of zeros.
    fn image(&self, name: &str, sectors: u64) -> PathBuf {
        let path = self.path(name);
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(sectors * 512).unwrap();
        path
    }

    /// A main and a spare that were joined as `vault`.
    fn vault(&self) -> PathBuf {
        self.image("main.img", 65_536);
        let spare = self.image("spare.img", 16_384);
        let made =
            self.run("create vault --main main.img --spare spare.img --bare --confirm vault");
        assert_eq!(made.status, 0, "{}", made.stderr);
        spare
    }

    /// Runs a command line on the training lab of this bench, which is made at the first time.
    fn in_lab(&self, words: &str) -> Ran {
        if !self.path("lab").exists() {
            let made = self.run("--lab lab list");
            assert_eq!(made.status, 0, "{}", made.stderr);
        }
        self.run(&format!("--lab lab {words}"))
    }

    /// Runs a command line of words without spaces.
    fn run(&self, words: &str) -> Ran {
        self.run_words(&words.split_whitespace().collect::<Vec<_>>())
    }

    fn run_words(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().unwrap();
        Ran::from(output)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dmremap-tui"));
        command
            .args(words)
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
            .env_clear()
            .env("XDG_STATE_HOME", self.path("state"))
            .env("HOME", self.path("home"));
        command
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Overwrites the copy in slot `slot` of an image.
    fn overwrite(&self, name: &str, slot: usize, bytes: &[u8]) {
        images::put(&self.path(name), images::SECTORS[slot], bytes);
    }

    fn is_changed_by(&self, name: &str, words: &str) -> (bool, Ran) {
        let before = self.bytes(name);
        let ran = self.run(words);
        (self.bytes(name) != before, ran)
    }
}

/// What a run left.
struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The one JSON object on stdout, of `command`'s schema.
    fn json(&self, command: &str) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {:?} {:?}", self.stdout, self.stderr));
        assert_eq!(value["schema"], format!("dmremap/{command}/1"));
        value
    }

    /// The one JSON object on stderr.
    fn error(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stderr)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.stderr));
        assert_eq!(value["schema"], "dmremap/error/1");
        value
    }
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(path).unwrap()
}
