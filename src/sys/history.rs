//! Histories as files: one of JSON for each mapped device, replaced as a whole.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::own_file;
use crate::port::history::{History, Sample, SAMPLES_KEPT};

const SCHEMA: &str = "dmremap/history/1";

/// A file larger than this is none of ours.
const LARGEST: u64 = 1 << 20;

/// Histories in a directory, which is made when something is first kept.
#[derive(Clone, Debug)]
pub struct FileHistory {
    directory: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    schema: String,
    samples: Vec<Sample>,
}

impl FileHistory {
    /// The histories in `directory`, which need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        // A device's name has no slash in it; one that is made up must not lead elsewhere.
        let name = name.replace('/', "_");
        self.directory.join(format!("{name}.json"))
    }

    fn read(&self, name: &str) -> Option<Vec<Sample>> {
        let path = self.path(name);
        let metadata = fs::metadata(&path).ok()?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return None;
        }
        let kept: Kept = serde_json::from_slice(&own_file::read(&path).ok()?).ok()?;
        (kept.schema == SCHEMA).then_some(kept.samples)
    }
}

impl History for FileHistory {
    fn load(&self, name: &str) -> Vec<Sample> {
        self.read(name).unwrap_or_default()
    }

    fn save(&self, name: &str, samples: &[Sample]) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        let newest = samples.len().saturating_sub(SAMPLES_KEPT);
        let kept = Kept {
            schema: SCHEMA.to_owned(),
            samples: samples[newest..].to_vec(),
        };
        let mut bytes = serde_json::to_vec(&kept)?;
        bytes.push(b'\n');
        own_file::replace(&self.path(name), &bytes, 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_what_is_no_history_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let history = FileHistory::new(directory.path().join("history"));
        assert!(history.load("vault").is_empty());
        let sample = Sample {
            time_seconds: 7,
            scrubs: 3,
            ..Sample::default()
        };
        let many = vec![sample; 2 * SAMPLES_KEPT];
        history.save("vault", &many).unwrap();
        assert_eq!(history.load("vault"), many[..SAMPLES_KEPT]);
        assert!(history.load("attic").is_empty());
        let path = directory.path().join("history/vault.json");
        assert!(fs::metadata(&path).unwrap().len() < LARGEST);
        for spoiled in ["", "{}", "[]", "{\"schema\":\"x\",\"samples\":[]}"] {
            fs::write(&path, spoiled).unwrap();
            assert!(history.load("vault").is_empty(), "{spoiled}");
        }
        history.save("vault", &[sample]).unwrap();
        assert_eq!(history.load("vault"), [sample]);
        let files = fs::read_dir(directory.path().join("history")).unwrap();
        assert_eq!(files.count(), 1, "nothing half-written is left");
    }
}
