//! What happened to mapped devices, told from what changed in their status where the
//! kernel's log cannot be read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::port::{LoggedEvent, Mapped, RemapRow};
use crate::remap_core::event::Event;
use crate::remap_core::policy::UsageMark;
use crate::remap_core::status::{RepairStatus, Status};
use crate::remap_core::units::{MainBlock, Timestamp};

/// Events that are kept to be told.
const KEPT: usize = 1024;

/// Remaps up to which each new one is told by its block.
pub(super) const REMAPS_COMPARED: usize = 1024;

/// A device as it was seen last.
#[derive(Debug)]
struct Seen {
    status: Status,
    /// Its remaps by block, each with whether it is active; none where there are too many
    /// or they cannot be had.
    remaps: Option<BTreeMap<MainBlock, RemapRow>>,
}

/// What was seen last, and what happened since the first look.
#[derive(Debug, Default)]
pub(super) struct Changes {
    seen: Option<BTreeMap<String, Seen>>,
    /// What was up last, where nothing else is to be known of it.
    names: BTreeSet<String>,
    events: VecDeque<LoggedEvent>,
    last_id: u64,
}

impl Changes {
    /// Notes which are up now, where the kernel tells of all else that happens: that one
    /// was taken down it does not say if the kernel's log was overwritten before it was read.
    pub(super) fn note_names(&mut self, mapped: &[Mapped], now: Timestamp) {
        let names = mapped.iter().map(|device| device.name.clone()).collect();
        let before: BTreeSet<String> = std::mem::replace(&mut self.names, names);
        let gone: Vec<String> = before.difference(&self.names).cloned().collect();
        for name in gone {
            self.log(&name, now, vec![Event::Deactivated]);
        }
    }

    /// Keeps what somebody else told.
    pub(super) fn keep(&mut self, device: &str, time: Timestamp, event: Event) {
        self.log(device, time, vec![event]);
    }

    /// Notes what is up now. The first look tells nothing: what was up before it did not
    /// happen now. `remaps` lists the remaps of a device.
    pub(super) fn note(
        &mut self,
        mapped: &[Mapped],
        now: Timestamp,
        mut remaps: impl FnMut(&str) -> Option<Vec<RemapRow>>,
    ) {
        let is_first = self.seen.is_none();
        let mut before = self.seen.take().unwrap_or_default();
        let mut seen = BTreeMap::new();
        for device in mapped {
            let was = before.remove(&device.name);
            let remaps = match was.as_ref().filter(|was| !has_moved(was, &device.status)) {
                Some(_) => None,
                None => listed(&device.status, || remaps(&device.name)),
            };
            let events = match &was {
                Some(was) => {
                    let mut events = told(&was.status, &device.status);
                    events.extend(new_remaps(was.remaps.as_ref(), remaps.as_ref()));
                    events
                }
                None if is_first => Vec::new(),
                None => vec![Event::Activated {
                    verdict: device.status.verdict,
                }],
            };
            self.log(&device.name, now, events);
            let remaps = remaps.or_else(|| was.and_then(|was| was.remaps));
            let status = device.status;
            seen.insert(device.name.clone(), Seen { status, remaps });
        }
        for name in before.into_keys() {
            self.log(&name, now, vec![Event::Deactivated]);
        }
        self.seen = Some(seen);
    }

    /// Events with a number above `after`, oldest first.
    pub(super) fn after(&self, after: u64) -> Vec<LoggedEvent> {
        let later = self.events.iter().filter(|logged| logged.id > after);
        later.cloned().collect()
    }

    fn last_of(&self, device: &str) -> Option<Event> {
        let mut newest = self.events.iter().rev();
        let last = newest.find(|logged| logged.device == device)?;
        Some(last.event)
    }

    fn log(&mut self, device: &str, time: Timestamp, events: Vec<Event>) {
        for event in events {
            // Both the kernel and a look may tell of it.
            if event == Event::Deactivated && self.last_of(device) == Some(event) {
                continue;
            }
            self.last_id += 1;
            if self.events.len() == KEPT {
                self.events.pop_front();
            }
            self.events.push_back(LoggedEvent {
                id: self.last_id,
                time,
                device: device.to_owned(),
                event,
            });
        }
    }
}

fn counts(status: &Status) -> (u64, u64) {
    (status.active.get(), status.pending.get())
}

fn has_moved(was: &Seen, is: &Status) -> bool {
    counts(&was.status) != counts(is)
}

/// The remaps of a device, unless there are too many to be compared.
fn listed(
    status: &Status,
    list: impl FnOnce() -> Option<Vec<RemapRow>>,
) -> Option<BTreeMap<MainBlock, RemapRow>> {
    let (active, pending) = counts(status);
    let count = usize::try_from(active.saturating_add(pending)).unwrap_or(usize::MAX);
    let rows = match count {
        0 => Vec::new(),
        1..=REMAPS_COMPARED => list()?,
        _ => return None,
    };
    // A list that was cut short would make old remaps look new later.
    let is_whole = rows.len() == count;
    is_whole.then(|| rows.into_iter().map(|row| (row.block, row)).collect())
}

fn new_remaps(
    was: Option<&BTreeMap<MainBlock, RemapRow>>,
    is: Option<&BTreeMap<MainBlock, RemapRow>>,
) -> Vec<Event> {
    let (Some(was), Some(is)) = (was, is) else {
        return Vec::new();
    };
    let changed = is.values().filter(|row| was.get(&row.block) != Some(row));
    let event = |row: &RemapRow| match row.active {
        true => Event::Remapped {
            block: row.block,
            replacement: row.replacement,
        },
        false => Event::Pending { block: row.block },
    };
    changed.map(event).collect()
}

/// What must have happened between two looks at the status of one device.
fn told(was: &Status, is: &Status) -> Vec<Event> {
    let mut events = Vec::new();
    if is.sequence > was.sequence {
        events.push(Event::MetadataWritten {
            sequence: is.sequence,
        });
    }
    if is.corruption_detected > was.corruption_detected {
        let intact = |letter: &char| matches!(letter, 'V' | 'P');
        let damaged = is.copies.iter().filter(|(_, letter)| !intact(letter));
        events.push(Event::CorruptionDetected {
            copies: u8::try_from(damaged.count()).unwrap_or(u8::MAX),
            // The status does not tell of the table's blocks.
            table_blocks: 0,
        });
    } else if is.scrubs > was.scrubs {
        events.push(Event::ScrubClean);
    }
    events.extend(repair_events(was, is));
    let passed = UsageMark::passed(was.used, is.used, is.total);
    events.extend(passed.map(|mark| Event::SpareUse { mark }));
    let flags = [
        (was.main_suspect, is.main_suspect, Event::MainSuspect),
        (was.spare_failing, is.spare_failing, Event::SpareFails),
        (was.needs_check, is.needs_check, Event::NeedsCheck),
    ];
    let raised = flags.into_iter().filter(|(was, is, _)| !was && *is);
    events.extend(raised.map(|(.., event)| event));
    events
}

fn repair_events(was: &Status, is: &Status) -> Vec<Event> {
    let mut events = Vec::new();
    if is.repairs_completed > was.repairs_completed {
        events.push(Event::RepairCompleted);
    } else if is.repair_attempts > was.repair_attempts {
        if let RepairStatus::Waiting { attempt, .. } = was.repair {
            events.push(Event::RepairFailed { attempt });
        }
    }
    let attempt = |status: &Status| match status.repair {
        RepairStatus::Waiting { attempt, .. } => Some(attempt),
        RepairStatus::Idle | RepairStatus::GaveUp => None,
    };
    match is.repair {
        RepairStatus::Waiting {
            attempt: next,
            in_millis,
        } if attempt(was) != Some(next) => events.push(Event::RepairScheduled {
            attempt: next,
            in_millis,
        }),
        RepairStatus::GaveUp if was.repair != RepairStatus::GaveUp => {
            events.push(Event::RepairGaveUp);
        }
        _ => {}
    }
    events
}
