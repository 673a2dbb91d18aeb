//! What of an active target outlives the process that runs it.
//!
//! The counters lie in a status line, which is versioned and read by the same code as
//! everywhere. What is due lies on the clock of the machine's uptime.

use serde::{Deserialize, Serialize};

use super::{Now, Target};
use crate::remap_core::account::{Counters, Judged};
use crate::remap_core::bytes::Text;
use crate::remap_core::engine::{Kept, Schedule};
use crate::remap_core::params::FIRST_SCRUB_MILLIS;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::remap_table::NAME_LIMIT;
use crate::remap_core::repair::{delay_before, Backoff, Phase, MAX_ATTEMPTS};
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::superblock::{read_copy, Content, RawCopy, Superblock};
use crate::remap_core::units::{
    BlockSize, Blocks, Millis, PerSlot, Sectors, Sequence, Slot, Timestamp,
};

/// The version of the form that records are kept in.
const VERSION: u32 = 1;

/// An active target, without its table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::lab) struct Record {
    version: u32,
    /// The start of the machine that the due times count from.
    boot_id: String,
    status: String,
    block_size_bytes: u32,
    size_sectors: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    next_scrub_at_millis: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    repair_attempt: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    repair_at_millis: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last_scrub_unix_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last_repair_unix_seconds: Option<u64>,
    /// The highest sequence that was ever tried for the copies.
    #[serde(default)]
    tried_sequence: u64,
    /// The working copy of the superblock, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    superblock: Option<String>,
    /// The name that the region headers bear, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
}

impl Record {
    /// What `target` says of itself now.
    pub(in crate::lab) fn of(target: &Target, now: Now, boot_id: &str) -> Self {
        let (engine, schedule) = (&target.engine, target.engine.schedule());
        let (repair_attempt, repair_at_millis) = match schedule.backoff.phase() {
            Phase::Waiting { attempt, due } => (Some(attempt), Some(due.get())),
            Phase::Idle | Phase::GaveUp => (None, None),
        };
        // What passes with time is kept as a time of its own, so that a record changes
        // only when something happened.
        let mut status = target.status(now);
        status.last_scrub = None;
        status.next_scrub = None;
        status.last_repair = None;
        if let RepairStatus::Waiting { in_millis, .. } = &mut status.repair {
            *in_millis = 0;
        }
        Self {
            version: VERSION,
            boot_id: boot_id.to_owned(),
            status: status.to_string(),
            block_size_bytes: target.block_size().bytes(),
            size_sectors: target.size().get(),
            next_scrub_at_millis: schedule.next_scrub.map(Millis::get),
            repair_attempt,
            repair_at_millis,
            last_scrub_unix_seconds: schedule.last_scrub.map(|then| then.stamp.get()),
            last_repair_unix_seconds: schedule.last_repair.map(|then| then.stamp.get()),
            tried_sequence: engine.tried().get(),
            superblock: engine
                .superblock()
                .map(|superblock| to_hex(&superblock.encode(Slot::S0))),
            name: engine.stored_name().map(|name| to_hex(name.trimmed())),
        }
    }

    /// Checks what was read from a file.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(in crate::lab) fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!(
                "it is of version {}, and this program knows version {VERSION}",
                self.version
            ));
        }
        self.status
            .parse::<Status>()
            .map_err(|error| error.to_string())?;
        if BlockSize::from_bytes(self.block_size_bytes).is_none() {
            return Err(format!(
                "there is no remap unit of {} bytes",
                self.block_size_bytes
            ));
        }
        if self.superblock.is_some() && self.superblock().is_none() {
            return Err("its superblock is not intact".to_owned());
        }
        if self.name.is_some() && self.name().is_none() {
            return Err("its name is none".to_owned());
        }
        let attempt = self.repair_attempt.unwrap_or(1);
        if !(1..=MAX_ATTEMPTS).contains(&attempt) {
            return Err(format!("there is no attempt {attempt}"));
        }
        Ok(())
    }

    pub(super) fn superblock(&self) -> Option<Superblock> {
        let raw: RawCopy = from_hex(self.superblock.as_ref()?)?.try_into().ok()?;
        match read_copy(&raw, Slot::S0) {
            Content::Checksummed(superblock) | Content::Plain(superblock) => Some(superblock),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> Option<Text<NAME_LIMIT>> {
        Text::new(&from_hex(self.name.as_ref()?)?).ok()
    }

    pub(in crate::lab) fn block_size(&self) -> BlockSize {
        BlockSize::from_bytes(self.block_size_bytes).unwrap_or(BlockSize::B512)
    }

    pub(in crate::lab) fn size(&self) -> Sectors {
        Sectors::new(self.size_sectors)
    }

    /// The least that main and the spare have: what the metadata states, as far as there is
    /// any.
    pub(in crate::lab) fn disk_sizes(&self) -> (Sectors, Sectors) {
        let main = self.size();
        match self.superblock() {
            None => (main, Sectors::default()),
            Some(superblock) => (main, superblock.spare_sectors),
        }
    }

    /// The status of a target of which nothing is known.
    pub(in crate::lab) const NOTHING: Status = NOTHING_KNOWN;

    /// When something is due next.
    pub(in crate::lab) fn due(&self, now: Now, boot_id: &str) -> Option<Millis> {
        let schedule = self.schedule(now, boot_id);
        [schedule.next_scrub, schedule.backoff.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the target would say of itself now.
    pub(in crate::lab) fn status(&self, now: Now, boot_id: &str) -> Status {
        let schedule = self.schedule(now, boot_id);
        let ahead = |due: Millis| due.get().saturating_sub(now.uptime.get());
        let ago = |then: Now| now.stamp.get().saturating_sub(then.stamp.get());
        let mut status = self.kept_status();
        if let RepairStatus::Waiting { in_millis, .. } = &mut status.repair {
            *in_millis = schedule.backoff.due().map_or(0, ahead);
        }
        status.next_scrub = schedule.next_scrub.map(|due| ahead(due) / 1000);
        status.last_scrub = schedule.last_scrub.map(ago);
        status.last_repair = schedule.last_repair.map(ago);
        status
    }

    /// Whether its due times count from this start of the machine.
    pub(in crate::lab) fn is_of(&self, boot_id: &str) -> bool {
        self.boot_id == boot_id
    }

    /// The same, with nothing due before `wait` milliseconds have passed.
    pub(in crate::lab) fn postponed(&self, now: Now, boot_id: &str, wait: u64) -> Self {
        let schedule = self.schedule(now, boot_id);
        let later = |due: Millis| due.max(now.uptime.after(wait)).get();
        Self {
            boot_id: boot_id.to_owned(),
            next_scrub_at_millis: schedule.next_scrub.map(later),
            repair_at_millis: schedule.backoff.due().map(later),
            ..self.clone()
        }
    }

    fn kept_status(&self) -> Status {
        // A record is checked when it is read.
        self.status.parse().unwrap_or(NOTHING_KNOWN)
    }

    /// What is due, on the clock of this start of the machine. Due times of another
    /// start mean nothing here: what waited then waits once more.
    fn schedule(&self, now: Now, boot_id: &str) -> Schedule {
        let same_start = self.boot_id == boot_id;
        let here = |due: u64, wait: u64| match same_start {
            true => Millis::new(due),
            false => now.uptime.after(wait),
        };
        // How long ago it was, the wall clock tells.
        let at = |stamp| Now {
            stamp: Timestamp::new(stamp),
            ..Now::default()
        };
        let phase = match (self.kept_status().repair, self.repair_at_millis) {
            (RepairStatus::GaveUp, _) => Phase::GaveUp,
            (RepairStatus::Waiting { attempt, .. }, Some(due)) => Phase::Waiting {
                attempt,
                due: here(due, delay_before(attempt)),
            },
            _ => Phase::Idle,
        };
        Schedule {
            next_scrub: self
                .next_scrub_at_millis
                .map(|due| here(due, FIRST_SCRUB_MILLIS)),
            backoff: Backoff::resumed(phase),
            last_scrub: self.last_scrub_unix_seconds.map(at),
            last_repair: self.last_repair_unix_seconds.map(at),
        }
    }

    /// What a target that was put together anew goes on with.
    pub(super) fn kept(&self, now: Now, boot_id: &str) -> Kept {
        let status = self.kept_status();
        Kept {
            superblock: self.superblock(),
            name: self.name(),
            counters: Counters {
                write_errors: status.write_errors,
                read_errors: status.read_errors,
                scrubs: status.scrubs,
                corruption_detected: status.corruption_detected,
                repairs_completed: status.repairs_completed,
                repair_attempts: status.repair_attempts,
            },
            judged: Judged {
                verdict: status.verdict,
                copies: status.copies,
            },
            schedule: self.schedule(now, boot_id),
            tried: Sequence::new(self.tried_sequence),
            needs_check: status.needs_check,
            spare_fails: status.spare_failing,
            main_suspect: status.main_suspect,
        }
    }
}

const NOTHING_KNOWN: Status = Status {
    mode: Mode::ReadOnly,
    verdict: Verdict::Lost,
    copies: PerSlot::new(['?'; Slot::COUNT]),
    sequence: Sequence::new(0),
    active: Blocks::new(0),
    pending: Blocks::new(0),
    used: Blocks::new(0),
    total: Blocks::new(0),
    write_errors: 0,
    read_errors: 0,
    scrubs: 0,
    corruption_detected: 0,
    repairs_completed: 0,
    repair_attempts: 0,
    repair: RepairStatus::Idle,
    last_scrub: None,
    next_scrub: None,
    last_repair: None,
    needs_check: false,
    main_suspect: false,
    spare_failing: false,
};

/// Two hexadecimal digits for each byte.
fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            // A sign is a digit to the parser and none to us.
            let plain = pair.bytes().all(|digit| digit.is_ascii_hexdigit());
            u8::from_str_radix(pair, 16).ok().filter(|_| plain)
        })
        .collect()
}
