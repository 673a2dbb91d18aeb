//! The lab's log of events: one JSON object a line, the oldest dropped in time.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{host_error, own_file, read, replace, unusable};
use crate::port::{HostError, LoggedEvent};
use crate::remap_core::event::Event;
use crate::remap_core::label::End;
use crate::remap_core::main_verdict::LabelState;
use crate::remap_core::policy::{Failure, PassUp, UsageMark};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{Blocks, MainBlock, Replacement, Sequence, Timestamp};
use crate::text::escape_str;

/// Events kept when there are too many.
const KEPT: usize = 2000;

/// Events at which the oldest are dropped.
const TOO_MANY: usize = 4000;

const REMEDY: &str = "remove it to go on: what happened so far is then no longer known";

/// The log, and what of it was read already.
pub(super) struct EventLog {
    path: PathBuf,
    /// What the file holds, if that is known.
    events: Option<Vec<LoggedEvent>>,
    /// Where the last whole line of the file ends.
    whole_bytes: u64,
}

impl EventLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            events: None,
            whole_bytes: 0,
        }
    }

    /// Another process may have written since.
    pub(super) fn forget(&mut self) {
        self.events = None;
    }

    /// Every event after number `after`, oldest first.
    pub(super) fn after(&mut self, after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        let events = self.events()?;
        let start = events.partition_point(|logged| logged.id <= after);
        Ok(events[start..].to_vec())
    }

    fn events(&mut self) -> Result<&mut Vec<LoggedEvent>, HostError> {
        if self.events.is_none() {
            let bytes = read(&self.path, REMEDY)?.unwrap_or_default();
            // A process that died may have left half a line; it never counted.
            let whole = bytes
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |end| end + 1);
            self.whole_bytes = whole as u64;
            self.events = Some(parse(&self.path, &bytes[..whole])?);
        }
        Ok(self.events.get_or_insert_default())
    }

    /// Adds what happened on `device` at `time`.
    pub(super) fn append(
        &mut self,
        device: &str,
        time: Timestamp,
        happened: &[Event],
    ) -> Result<(), HostError> {
        if happened.is_empty() {
            return Ok(());
        }
        let path = self.path.clone();
        let events = self.events()?;
        let last = events.last().map_or(0, |last| last.id);
        let count = happened.len() as u64;
        if u64::MAX - last <= count {
            return Err(unusable(&path, "its numbers are used up", REMEDY));
        }
        let added: Vec<LoggedEvent> = (last + 1..)
            .zip(happened)
            .map(|(id, event)| LoggedEvent {
                id,
                time,
                device: device.to_owned(),
                event: *event,
            })
            .collect();
        if events.len() + added.len() > TOO_MANY {
            let surplus = (events.len() + added.len()).saturating_sub(KEPT);
            events.extend(added);
            events.drain(..surplus);
            let lines = to_lines(&path, events)?;
            self.whole_bytes = lines.len() as u64;
            return replace(&path, &lines);
        }
        let lines = to_lines(&path, &added)?;
        events.extend(added);
        self.append_lines(&lines)
    }

    fn append_lines(&mut self, lines: &[u8]) -> Result<(), HostError> {
        let failed = |source| host_error(&self.path, source);
        let mut file = own_file()
            .write(true)
            .create(true)
            .open(&self.path)
            .map_err(failed)?;
        file.set_len(self.whole_bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.write_all(lines).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        self.whole_bytes += lines.len() as u64;
        Ok(())
    }
}

fn to_lines(path: &Path, events: &[LoggedEvent]) -> Result<Vec<u8>, HostError> {
    let mut lines = Vec::new();
    for logged in events {
        let line = Line {
            id: logged.id,
            time_unix_seconds: logged.time.get(),
            device: logged.device.clone(),
            told: Told::from(&logged.event),
        };
        serde_json::to_writer(&mut lines, &line)
            .map_err(|error| unusable(path, &error.to_string(), "nothing was changed"))?;
        lines.push(b'\n');
    }
    Ok(lines)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<LoggedEvent>, HostError> {
    let mut events: Vec<LoggedEvent> = Vec::new();
    for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let wrong = |why: &str| unusable(path, &format!("line {number}: {why}"), REMEDY);
        let line: Line =
            serde_json::from_slice(line).map_err(|error| wrong(&escape_str(&error.to_string())))?;
        if events.last().is_some_and(|last| last.id >= line.id) {
            return Err(wrong("its number is not above the one before"));
        }
        events.push(LoggedEvent {
            id: line.id,
            time: Timestamp::new(line.time_unix_seconds),
            device: line.device,
            event: line.told.event().ok_or_else(|| wrong("no such event"))?,
        });
    }
    Ok(events)
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: u64,
    time_unix_seconds: u64,
    device: String,
    #[serde(flatten)]
    told: Told,
}

/// An event in words, named as [`Event::name`] does.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Told {
    Activated { verdict: String },
    Deactivated,
    MetadataWritten { sequence: u64 },
    ScrubClean,
    MainCovered { moved: u64 },
    MainUncovered { stay: u64 },
    CorruptionDetected { copies: u8, table_blocks: u32 },
    MainLabel { end: String, state: String },
    RepairScheduled { attempt: u8, in_millis: u64 },
    RepairCompleted,
    RepairFailed { attempt: u8 },
    RepairGaveUp,
    Remapped { block: u64, replacement: u64 },
    Pending { block: u64 },
    ReplacementBad { replacement: u64 },
    NotRelocated { block: u64, why: String },
    SpareUse { percent: u8 },
    MainSuspect,
    SpareFails,
    NeedsCheck,
    LeftOut { lines: u64 },
}

/// The words for why a block was not relocated.
const REASONS: [(PassUp, &str); 12] = [
    (PassUp::NotOfBlocks(Failure::Medium), "medium"),
    (PassUp::NotOfBlocks(Failure::Plain), "plain"),
    (PassUp::NotOfBlocks(Failure::Offline), "offline"),
    (PassUp::NotOfBlocks(Failure::Transport), "transport"),
    (PassUp::NotOfBlocks(Failure::Reservation), "reservation"),
    (PassUp::NotOfBlocks(Failure::ReadOnly), "device-read-only"),
    (PassUp::NotOfBlocks(Failure::Other), "other"),
    (PassUp::NoMetadata, "no-metadata"),
    (PassUp::ReadOnly, "read-only"),
    (PassUp::SpareFails, "spare-fails"),
    (PassUp::MainSuspect, "main-suspect"),
    (PassUp::Exhausted, "exhausted"),
];

impl From<&Event> for Told {
    fn from(event: &Event) -> Self {
        match *event {
            Event::Activated { verdict } => Self::Activated {
                verdict: verdict.name().to_owned(),
            },
            Event::Deactivated => Self::Deactivated,
            Event::MetadataWritten { sequence } => Self::MetadataWritten {
                sequence: sequence.get(),
            },
            Event::ScrubClean => Self::ScrubClean,
            Event::CorruptionDetected {
                copies,
                table_blocks,
            } => Self::CorruptionDetected {
                copies,
                table_blocks,
            },
            Event::MainLabel { end, state } => Self::MainLabel {
                end: end.name().to_owned(),
                state: state.name().to_owned(),
            },
            Event::MainCovered { moved } => Self::MainCovered { moved: moved.get() },
            Event::MainUncovered { stay } => Self::MainUncovered { stay: stay.get() },
            Event::RepairScheduled { attempt, in_millis } => {
                Self::RepairScheduled { attempt, in_millis }
            }
            Event::RepairCompleted => Self::RepairCompleted,
            Event::RepairFailed { attempt } => Self::RepairFailed { attempt },
            Event::RepairGaveUp => Self::RepairGaveUp,
            Event::Remapped { block, replacement } => Self::Remapped {
                block: block.get(),
                replacement: replacement.get(),
            },
            Event::Pending { block } => Self::Pending { block: block.get() },
            Event::ReplacementBad { replacement } => Self::ReplacementBad {
                replacement: replacement.get(),
            },
            Event::NotRelocated { block, why } => Self::NotRelocated {
                block: block.get(),
                why: REASONS
                    .iter()
                    .find(|(reason, _)| *reason == why)
                    .map_or("other", |(_, word)| word)
                    .to_owned(),
            },
            Event::SpareUse { mark } => Self::SpareUse {
                percent: mark.percent(),
            },
            Event::MainSuspect => Self::MainSuspect,
            Event::SpareFails => Self::SpareFails,
            Event::NeedsCheck => Self::NeedsCheck,
            Event::LeftOut { lines } => Self::LeftOut { lines },
        }
    }
}

impl Told {
    /// The event, or `None` if a word in it is none.
    fn event(&self) -> Option<Event> {
        Some(match self {
            Self::Activated { verdict } => Event::Activated {
                verdict: Verdict::ALL
                    .into_iter()
                    .find(|known| known.name() == verdict)?,
            },
            Self::Deactivated => Event::Deactivated,
            Self::MetadataWritten { sequence } => Event::MetadataWritten {
                sequence: Sequence::new(*sequence),
            },
            Self::ScrubClean => Event::ScrubClean,
            Self::CorruptionDetected {
                copies,
                table_blocks,
            } => Event::CorruptionDetected {
                copies: *copies,
                table_blocks: *table_blocks,
            },
            Self::MainLabel { end, state } => Event::MainLabel {
                end: End::ALL.into_iter().find(|known| known.name() == end)?,
                state: LabelState::ALL
                    .into_iter()
                    .find(|known| known.name() == state)?,
            },
            Self::MainCovered { moved } => Event::MainCovered {
                moved: Blocks::new(*moved),
            },
            Self::MainUncovered { stay } => Event::MainUncovered {
                stay: Blocks::new(*stay),
            },
            Self::RepairScheduled { attempt, in_millis } => Event::RepairScheduled {
                attempt: *attempt,
                in_millis: *in_millis,
            },
            Self::RepairCompleted => Event::RepairCompleted,
            Self::RepairFailed { attempt } => Event::RepairFailed { attempt: *attempt },
            Self::RepairGaveUp => Event::RepairGaveUp,
            Self::Remapped { block, replacement } => Event::Remapped {
                block: MainBlock::new(*block),
                replacement: Replacement::new(*replacement),
            },
            Self::Pending { block } => Event::Pending {
                block: MainBlock::new(*block),
            },
            Self::ReplacementBad { replacement } => Event::ReplacementBad {
                replacement: Replacement::new(*replacement),
            },
            Self::NotRelocated { block, why } => Event::NotRelocated {
                block: MainBlock::new(*block),
                why: REASONS.iter().find(|(_, word)| word == why)?.0,
            },
            Self::SpareUse { percent } => Event::SpareUse {
                mark: UsageMark::ALL
                    .into_iter()
                    .find(|mark| mark.percent() == *percent)?,
            },
            Self::MainSuspect => Event::MainSuspect,
            Self::SpareFails => Event::SpareFails,
            Self::NeedsCheck => Event::NeedsCheck,
            Self::LeftOut { lines } => Event::LeftOut { lines: *lines },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_event() -> Vec<Event> {
        let block = MainBlock::new(u64::MAX);
        let replacement = Replacement::new(7);
        let mut events = vec![
            Event::Deactivated,
            Event::MetadataWritten {
                sequence: Sequence::new(3),
            },
            Event::ScrubClean,
            Event::CorruptionDetected {
                copies: 2,
                table_blocks: 1,
            },
            Event::RepairScheduled {
                attempt: 2,
                in_millis: 2000,
            },
            Event::RepairCompleted,
            Event::RepairFailed { attempt: 5 },
            Event::RepairGaveUp,
            Event::Remapped { block, replacement },
            Event::Pending { block },
            Event::ReplacementBad { replacement },
            Event::MainSuspect,
            Event::SpareFails,
            Event::NeedsCheck,
            Event::LeftOut { lines: 4 },
            Event::MainCovered {
                moved: Blocks::new(4096),
            },
            Event::MainUncovered {
                stay: Blocks::new(2),
            },
            Event::MainLabel {
                end: End::Last,
                state: LabelState::Missing,
            },
        ];
        let verdicts = Verdict::ALL.into_iter();
        events.extend(verdicts.map(|verdict| Event::Activated { verdict }));
        events.extend(REASONS.map(|(why, _)| Event::NotRelocated { block, why }));
        events.extend(UsageMark::ALL.map(|mark| Event::SpareUse { mark }));
        events
    }

    #[test]
    fn every_event_is_read_as_it_was_written_and_named_as_it_names_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let events = every_event();
        let mut log = EventLog::new(path.clone());
        for pair in events.chunks(2) {
            log.append("vault", Timestamp::new(5), pair).unwrap();
        }
        let found = EventLog::new(path.clone()).after(0).unwrap();
        let found: Vec<Event> = found.iter().map(|logged| logged.event).collect();
        assert_eq!(found, events);
        let text = std::fs::read_to_string(path).unwrap();
        for (line, event) in text.lines().zip(&events) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["event"], event.name());
        }
    }

    #[test]
    fn half_a_line_never_counted_and_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let mut log = EventLog::new(path.clone());
        log.append("a", Timestamp::new(1), &[Event::ScrubClean; 3])
            .unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend(b"{\"id\":4,\"time_un");
        std::fs::write(&path, &bytes).unwrap();
        let mut log = EventLog::new(path.clone());
        assert_eq!(log.after(0).unwrap().len(), 3);
        log.append("b", Timestamp::new(1), &[Event::NeedsCheck])
            .unwrap();
        let found = EventLog::new(path).after(2).unwrap();
        let ids: Vec<u64> = found.iter().map(|logged| logged.id).collect();
        assert_eq!(ids, [3, 4]);
        assert_eq!(found[1].device, "b");
    }

    #[test]
    fn the_log_stays_bounded_and_its_numbers_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let mut log = EventLog::new(path.clone());
        for _ in 0..9 {
            log.append("a", Timestamp::new(1), &[Event::ScrubClean; 500])
                .unwrap();
        }
        let found = EventLog::new(path).after(0).unwrap();
        assert_eq!(found.len(), KEPT);
        assert_eq!(found.last().unwrap().id, 4500);
    }

    #[test]
    fn what_is_no_log_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events.jsonl");
        let good = r#"{"id":2,"time_unix_seconds":1,"device":"a","event":"scrub-clean"}"#;
        for bad in [
            "not json",
            good,
            r#"{"id":3,"time_unix_seconds":1,"device":"a","event":"party"}"#,
            r#"{"id":3,"time_unix_seconds":1,"device":"a","event":"activated","verdict":"x"}"#,
        ] {
            std::fs::write(&path, format!("{good}\n{bad}\n")).unwrap();
            let error = EventLog::new(path.clone())
                .after(0)
                .unwrap_err()
                .to_string();
            assert!(error.contains("events.jsonl: line 2: "), "{error}");
            assert!(error.contains("remove it"), "{error}");
        }
    }
}
