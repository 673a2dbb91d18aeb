//! What the kernel's log says of our targets, by the names of the mapped devices.

use std::collections::BTreeMap;

use crate::port::block::DeviceNumber;
use crate::port::device_mapper::MODULE;
use crate::port::kernel_log::Record;
use crate::port::{LogEntry, Teller, Told};
use crate::remap_core::log_line::{self, LogLine};

/// Which numbers stand for which mapped devices, as far as the log was read.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<DeviceNumber, String>);

impl Names {
    /// What `records` say of our targets, oldest first. They name mapped devices by
    /// number, and numbers are given out again: each line is of the device that was named
    /// last before it. `now` tells which numbers are ours at present, which counts for
    /// what no later device was named behind; it is asked only if there is anything to tell.
    pub(super) fn tell(
        &mut self,
        records: &[Record],
        now: impl FnOnce() -> BTreeMap<DeviceNumber, String>,
    ) -> Vec<LogEntry> {
        let of_ours = records.iter().filter_map(|record| {
            let text = record.text.strip_prefix(MODULE)?.strip_prefix(": ")?;
            let line = LogLine::parse(text);
            Some((record, line.device.and_then(DeviceNumber::parse), line))
        });
        let lines: Vec<_> = of_ours.collect();
        if lines.is_empty() {
            return Vec::new();
        }
        let now = now();
        let mut last_named = BTreeMap::new();
        for (index, (_, number, line)) in lines.iter().enumerate() {
            if let (Some(number), log_line::Told::Named(_)) = (number, line.told) {
                last_named.insert(*number, index);
            }
        }
        let mut entries = Vec::new();
        for (index, (record, number, line)) in lines.iter().enumerate() {
            let told = match line.told {
                log_line::Told::Event(event) => Told::Event(event),
                log_line::Told::Words(words) => Told::Words(record.severity, words.to_owned()),
                log_line::Told::Named(name) => {
                    if let Some(number) = number {
                        self.0.insert(*number, name.to_owned());
                    }
                    continue;
                }
            };
            let device = number.map(|number| {
                let is_latest = last_named.get(&number).is_none_or(|named| *named < index);
                let current = now.get(&number).filter(|_| is_latest);
                let name = current.or_else(|| self.0.get(&number));
                name.map_or_else(|| number.to_string(), ToOwned::to_owned)
            });
            entries.push(LogEntry {
                id: record.sequence.saturating_add(1),
                time: record.time,
                device,
                teller: Teller::KernelLog,
                told,
            });
        }
        // One that was given another name is known by that one when it is gone.
        self.0.extend(now);
        entries
    }
}
