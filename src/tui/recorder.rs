//! Keeps what the counters of mapped devices were, as they change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::port::history::{History, Sample, Series};
use crate::port::Mapped;
use crate::remap_core::units::Timestamp;

/// A history goes to its file no more often than this, and at the end: a device on which
/// block after block fails must not write it for each.
const BETWEEN_SAVES: Duration = Duration::from_secs(5);

/// The history of one device, as it is told.
pub type Told = (String, Arc<[Sample]>);

/// What was seen of the counters in this run and the runs before.
pub struct Recorder {
    /// Where they are kept; nowhere, if nothing may be written.
    kept: Option<Box<dyn History>>,
    series: HashMap<String, Series>,
    /// Devices whose file is behind.
    unsaved: HashSet<String>,
    saved: Option<Instant>,
}

impl Recorder {
    /// A recorder that goes on from what is kept.
    pub fn new(kept: Option<Box<dyn History>>) -> Self {
        Self {
            kept,
            series: HashMap::new(),
            unsaved: HashSet::new(),
            saved: None,
        }
    }

    /// Takes in what the targets say at `time`, and returns the histories that became
    /// longer.
    pub fn note(&mut self, mapped: &[Mapped], time: Timestamp) -> Vec<Told> {
        let mut told = Vec::new();
        for device in mapped {
            let kept = &self.kept;
            let mut is_new = false;
            let series = self.series.entry(device.name.clone()).or_insert_with(|| {
                is_new = true;
                let samples = kept.as_ref().map(|kept| kept.load(&device.name));
                Series::new(samples.unwrap_or_default())
            });
            let changed = series.add(Sample::of(&device.status, time));
            if changed {
                self.unsaved.insert(device.name.clone());
            }
            if changed || is_new {
                told.push((device.name.clone(), series.samples().into()));
            }
        }
        told
    }

    /// When something is to be saved, if anything is.
    pub fn due(&self) -> Option<Instant> {
        if self.unsaved.is_empty() || self.kept.is_none() {
            return None;
        }
        Some(
            self.saved
                .map_or_else(Instant::now, |saved| saved + BETWEEN_SAVES),
        )
    }

    /// Saves what is not saved yet. A history is a help and no more: one that cannot be
    /// kept is kept in memory alone, and tried again with the next change.
    pub fn save(&mut self) {
        self.saved = Some(Instant::now());
        let Some(kept) = &self.kept else {
            return;
        };
        for name in self.unsaved.drain() {
            if let Some(series) = self.series.get(&name) {
                let _ = kept.save(&name, series.samples());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap_core::status::Status;
    use crate::tui::sample::{mapped, well};
    use std::io;
    use std::sync::Mutex;

    type Files = Arc<Mutex<HashMap<String, Vec<Sample>>>>;

    struct InMemory(Files);

    impl History for InMemory {
        fn load(&self, name: &str) -> Vec<Sample> {
            self.0
                .lock()
                .unwrap()
                .get(name)
                .cloned()
                .unwrap_or_default()
        }

        fn save(&self, name: &str, samples: &[Sample]) -> io::Result<()> {
            let mut files = self.0.lock().unwrap();
            files.insert(name.to_owned(), samples.to_vec());
            Ok(())
        }
    }

    fn vault(scrubs: u64) -> Vec<Mapped> {
        let status = Status { scrubs, ..well() };
        vec![mapped("vault", "disk-a", "disk-b", status)]
    }

    #[test]
    fn a_run_goes_on_from_where_the_last_one_ended() {
        let files = Files::default();
        let mut first = Recorder::new(Some(Box::new(InMemory(Arc::clone(&files)))));
        assert!(first.due().is_none());
        assert_eq!(first.note(&vault(1), Timestamp::new(10)).len(), 1);
        assert!(first.due().is_some());
        first.save();
        assert!(first.due().is_none(), "everything is saved");
        assert!(first.note(&vault(1), Timestamp::new(20)).is_empty());
        first.note(&vault(2), Timestamp::new(30));
        let due = first.due().unwrap();
        assert!(due > Instant::now(), "not at once again");
        first.save();
        let mut second = Recorder::new(Some(Box::new(InMemory(files))));
        let told = second.note(&vault(2), Timestamp::new(90));
        let [(name, samples)] = &told[..] else {
            panic!("{told:?}");
        };
        let seen: Vec<(u64, u64)> = samples
            .iter()
            .map(|sample| (sample.time_seconds, sample.scrubs))
            .collect();
        assert_eq!(
            (name.as_str(), &seen[..]),
            ("vault", &[(10, 1), (30, 2)][..])
        );
    }

    #[test]
    fn where_nothing_may_be_written_the_run_alone_is_remembered() {
        let mut recorder = Recorder::new(None);
        recorder.note(&vault(1), Timestamp::new(10));
        let told = recorder.note(&vault(2), Timestamp::new(20));
        assert_eq!(told[0].1.len(), 2);
        assert!(recorder.due().is_none());
    }
}
