// SPDX-License-Identifier: GPL-2.0-or-later
//! Lines of the kernel log: which mapped device one is about, and what it tells of it.
//!
//! The target writes them, and whoever reads the log a day later has nothing else.

use core::fmt;
use core::str::FromStr;

use crate::remap_core::event::Event;
use crate::remap_core::label::End;
use crate::remap_core::main_verdict::LabelState;
use crate::remap_core::policy::{PassUp, UsageMark};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{Blocks, MainBlock, Replacement, Sequence};

/// A line as the target writes it, without what names the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// The number of the mapped device, `major:minor`; none where the line names none.
    pub device: Option<&'a str>,
    /// What it tells.
    pub told: Told<'a>,
}

/// What a line of the kernel log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a> {
    /// The name that the mapped device has from here on. Numbers are given out again.
    Named(&'a str),
    /// Something happened.
    Event(Event),
    /// What was refused, or went wrong, in words.
    Words(&'a str),
}

const NAMED: &str = "this is ";

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(device) = self.device {
            write!(f, "{device}: ")?;
        }
        match &self.told {
            Told::Named(name) => write!(f, "{NAMED}{name}"),
            Told::Event(event) => fmt::Display::fmt(event, f),
            Told::Words(words) => f.write_str(words),
        }
    }
}

impl<'a> LogLine<'a> {
    /// Reads a line. Every line can be read: what is nothing else is words.
    pub fn parse(line: &'a str) -> Self {
        let (device, text) = match line.split_once(": ") {
            Some((head, rest)) if is_number(head) => (Some(head), rest),
            _ => (None, line),
        };
        // A name or an event is always of a mapped device.
        let told = match device {
            None => None,
            Some(_) => named(text).or_else(|| Event::parse(text).map(Told::Event)),
        };
        Self {
            device,
            told: told.unwrap_or(Told::Words(text)),
        }
    }
}

fn named(text: &str) -> Option<Told<'_>> {
    let name = text.strip_prefix(NAMED)?;
    (!name.is_empty()).then_some(Told::Named(name))
}

/// Whether this is `major:minor`.
fn is_number(word: &str) -> bool {
    let parts = word.split_once(':');
    parts.is_some_and(|(major, minor)| {
        decimal::<u32>(major).is_some() && decimal::<u32>(minor).is_some()
    })
}

/// A number as it is written here: digits alone.
fn decimal<T: FromStr>(word: &str) -> Option<T> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

/// The number that stands between `before` and `after`.
fn number_in<T: FromStr>(text: &str, before: &str, after: &str) -> Option<T> {
    decimal(text.strip_prefix(before)?.strip_suffix(after)?)
}

impl Event {
    /// Reads what an event's `Display` wrote; nothing if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        const WITHOUT_NUMBERS: [Event; 8] = [
            Event::Deactivated,
            Event::ScrubClean,
            Event::CorruptionDetected {
                copies: 0,
                table_blocks: 0,
            },
            Event::RepairCompleted,
            Event::RepairGaveUp,
            Event::MainSuspect,
            Event::SpareFails,
            Event::NeedsCheck,
        ];
        let fixed = WITHOUT_NUMBERS
            .into_iter()
            .find(|event| event.fixed_words() == Some(text));
        fixed
            .or_else(|| of_device(text))
            .or_else(|| of_repair(text))
            .or_else(|| of_block(text))
    }
}

fn of_device(text: &str) -> Option<Event> {
    if let Some(name) = text.strip_prefix("activated, copies ") {
        let mut verdicts = Verdict::ALL.into_iter();
        let verdict = verdicts.find(|verdict| verdict.name() == name)?;
        return Some(Event::Activated { verdict });
    }
    if let Some(sequence) = number_in(text, "metadata written, sequence ", "") {
        let sequence = Sequence::new(sequence);
        return Some(Event::MetadataWritten { sequence });
    }
    if let Some(percent) = number_in::<u8>(text, "spare ", " % used") {
        let mut marks = UsageMark::ALL.into_iter();
        let mark = marks.find(|mark| mark.percent() == percent)?;
        return Some(Event::SpareUse { mark });
    }
    if let Some(moved) = number_in(text, "the ends of main are covered, ", " blocks moved") {
        let moved = Blocks::new(moved);
        return Some(Event::MainCovered { moved });
    }
    let uncovered = "the ends of main are uncovered, ";
    if let Some(stay) = number_in(text, uncovered, " blocks stay moved") {
        let stay = Blocks::new(stay);
        return Some(Event::MainUncovered { stay });
    }
    let lines = number_in(text, "", " more lines like this one")?;
    Some(Event::LeftOut { lines })
}

fn of_repair(text: &str) -> Option<Event> {
    if let Some(rest) = text.strip_prefix("label at the ") {
        let (end, state) = rest.split_once(" end of main: ")?;
        return Some(Event::MainLabel {
            end: End::ALL.into_iter().find(|known| known.name() == end)?,
            state: LabelState::ALL
                .into_iter()
                .find(|known| known.name() == state)?,
        });
    }
    if let Some(rest) = text.strip_prefix("scrub: damage in ") {
        let (copies, rest) = rest.split_once(" of 5 copies")?;
        let table_blocks = match rest {
            "" => 0,
            _ => number_in(rest, ", ", " table blocks")?,
        };
        return Some(Event::CorruptionDetected {
            copies: decimal(copies)?,
            table_blocks,
        });
    }
    let (attempt, rest) = text.strip_prefix("repair: attempt ")?.split_once(' ')?;
    let attempt = decimal(attempt)?;
    match rest {
        "failed" => Some(Event::RepairFailed { attempt }),
        _ => Some(Event::RepairScheduled {
            attempt,
            in_millis: number_in(rest, "in ", " ms")?,
        }),
    }
}

fn of_block(text: &str) -> Option<Event> {
    let bad = " failed and is used no more";
    if let Some(replacement) = number_in(text, "replacement ", bad) {
        let replacement = Replacement::new(replacement);
        return Some(Event::ReplacementBad { replacement });
    }
    let (block, rest) = text.strip_prefix("block ")?.split_once(' ')?;
    let block = MainBlock::new(decimal(block)?);
    if rest == "cannot be read; the next write moves it" {
        return Some(Event::Pending { block });
    }
    if let Some(replacement) = number_in(rest, "moved to replacement ", "") {
        let replacement = Replacement::new(replacement);
        return Some(Event::Remapped { block, replacement });
    }
    let words = rest.strip_prefix("failed and was not moved: ")?;
    let why = PassUp::all().find(|why| why.words() == words)?;
    Some(Event::NotRelocated { block, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of event, with numbers at their limits.
    fn events() -> Vec<Event> {
        let mut events = vec![
            Event::Deactivated,
            Event::ScrubClean,
            Event::RepairCompleted,
            Event::RepairGaveUp,
            Event::MainSuspect,
            Event::SpareFails,
            Event::NeedsCheck,
        ];
        for number in [0, 1, 5, u64::MAX] {
            let (block, replacement) = (MainBlock::new(number), Replacement::new(number));
            let (small, some) = (
                number.min(255) as u8,
                number.min(u64::from(u32::MAX)) as u32,
            );
            events.extend([
                Event::MetadataWritten {
                    sequence: Sequence::new(number),
                },
                Event::CorruptionDetected {
                    copies: small,
                    table_blocks: 0,
                },
                Event::CorruptionDetected {
                    copies: small,
                    table_blocks: some,
                },
                Event::RepairScheduled {
                    attempt: small,
                    in_millis: number,
                },
                Event::RepairFailed { attempt: small },
                Event::Remapped { block, replacement },
                Event::Pending { block },
                Event::ReplacementBad { replacement },
                Event::LeftOut { lines: number },
                Event::MainCovered {
                    moved: Blocks::new(number),
                },
                Event::MainUncovered {
                    stay: Blocks::new(number),
                },
            ]);
            events.extend(PassUp::all().map(|why| Event::NotRelocated { block, why }));
        }
        events.extend(Verdict::ALL.map(|verdict| Event::Activated { verdict }));
        events.extend(
            End::ALL
                .into_iter()
                .flat_map(|end| LabelState::ALL.map(|state| Event::MainLabel { end, state })),
        );
        events.extend(UsageMark::ALL.map(|mark| Event::SpareUse { mark }));
        events
    }

    #[test]
    fn every_line_is_read_as_it_was_written() {
        let events = events();
        let names: std::collections::BTreeSet<_> = events.iter().map(Event::name).collect();
        assert_eq!(names.len(), 21, "every kind is tried: {names:?}");
        let told = events.into_iter().map(Told::Event);
        for told in told.chain([Told::Named("vault"), Told::Words("the copies are torn")]) {
            let line = LogLine {
                device: Some("253:4"),
                told,
            };
            assert_eq!(LogLine::parse(&line.to_string()), line);
        }
    }

    #[test]
    fn what_is_no_event_is_words() {
        for (line, device) in [
            ("", None),
            (": ", None),
            ("253: scrub: all intact", None),
            ("253:0:scrub: all intact", None),
            ("scrub: all intact", None),
            ("-1:0: scrub: all intact", None),
            ("253:0: ", Some("253:0")),
            ("253:0: this is ", Some("253:0")),
            ("253:0: scrub: all intact ", Some("253:0")),
            ("253:0: activated, copies fine", Some("253:0")),
            ("253:0: spare 76 % used", Some("253:0")),
            ("253:0: block 5 moved to replacement +1", Some("253:0")),
            (
                "253:0: block 99999999999999999999 moved to replacement 1",
                Some("253:0"),
            ),
            (
                "253:0: block 5 failed and was not moved: no idea",
                Some("253:0"),
            ),
            ("253:0: scrub: damage in 256 of 5 copies", Some("253:0")),
            ("253:0: repair: attempt 1 in  ms", Some("253:0")),
            ("253:0: 8:16: the copies are judged split", Some("253:0")),
        ] {
            let read = LogLine::parse(line);
            assert_eq!(read.device, device, "{line:?}");
            assert!(matches!(read.told, Told::Words(_)), "{line:?}: {read:?}");
            assert_eq!(read.to_string(), line);
        }
    }
}
