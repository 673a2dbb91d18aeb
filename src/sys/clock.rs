//! Two clocks: one to show, one to wait by.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use nix::time::{clock_gettime, ClockId};

use crate::remap_core::units::{Millis, Timestamp};
use crate::zone::Zone;

/// The wall clock; 0 where it stands before the epoch.
pub(super) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::new(since_epoch.map_or(0, |elapsed| elapsed.as_secs()))
}

/// The wall clock in microseconds; 0 where it stands before the epoch.
pub(super) fn now_micros() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since_epoch.map_or(0, |elapsed| elapsed.as_micros());
    u64::try_from(micros).unwrap_or(u64::MAX)
}

/// The zone that `TZ` names, or the machine's; [`Zone::UNKNOWN`] where neither tells.
pub(super) fn zone() -> Zone {
    TimeZone::try_system().map_or(Zone::UNKNOWN, Zone::of)
}

/// The time since the machine started, sleep included.
pub(super) fn uptime() -> Millis {
    let elapsed = clock_gettime(ClockId::CLOCK_BOOTTIME)
        .or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC))
        .map(std::time::Duration::from)
        .unwrap_or_default();
    Millis::new(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Names this start of the machine. Where the kernel gives no name the text is empty,
/// and every start then counts as the same one: a due time that lies in another start's
/// future is waited for at most once around.
pub(super) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
