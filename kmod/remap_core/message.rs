// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages to the target: what `dmsetup message` and the tool send.

use core::fmt;

use crate::remap_core::units::{BlockSize, Blocks, MainBlock, Replacement, Sector, Sectors};

/// What an operator asks of an active target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Write the copies anew, at the next sequence.
    WriteMetadata,
    /// Scrub now.
    Scrub,
    /// Try to repair now, without waiting for the back-off.
    Repair,
    /// Serve the first and the last MiB of main from the spare, and write labels in their place.
    Cover,
    /// Bring the first and the last MiB of main back to where they were.
    Uncover,
    /// Move one block of main to the spare.
    Remap(MainBlock),
    /// List remapped and pending blocks from this one on.
    Remaps(MainBlock),
    /// Set the counters of errors, scrubs and repairs to zero.
    ClearStats,
    /// Let blocks of a device fail, for drills.
    Fault(Fault),
    /// Let everything work again.
    ClearFaults,
}

/// Blocks that are made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// On which device.
    pub device: Device,
    /// Which I/O.
    pub direction: Direction,
    /// From which block on.
    pub from: MainBlock,
    /// How many blocks.
    pub count: Blocks,
}

/// One of the two devices that are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The ageing one.
    Main,
    /// The healthy one.
    Spare,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Spare => "the spare",
        })
    }
}

/// Which I/O a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Both.
    Both,
}

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError<'a> {
    /// No word at all.
    Empty,
    /// The first word is no message.
    Unknown(&'a str),
    /// There are too few or too many words for this message.
    Arguments {
        /// The message.
        message: &'a str,
        /// What it takes.
        takes: &'static str,
    },
    /// A word is not what it should be.
    BadWord {
        /// The word.
        word: &'a str,
        /// What it should be.
        expected: &'static str,
    },
}

impl fmt::Display for MessageError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("an empty message"),
            Self::Unknown(word) => write!(f, "unknown message {}", word.escape_debug()),
            Self::Arguments { message, takes } => {
                write!(f, "{} takes {takes}", message.escape_debug())
            }
            Self::BadWord { word, expected } => {
                write!(f, "{} is not {expected}", word.escape_debug())
            }
        }
    }
}

impl Message {
    /// Reads a message's words.
    ///
    /// # Errors
    ///
    /// [`MessageError`] names the word that does not fit.
    pub fn parse<'a>(words: &[&'a str]) -> Result<Self, MessageError<'a>> {
        let Some((message, rest)) = words.split_first() else {
            return Err(MessageError::Empty);
        };
        let plain = |parsed: Self| match rest {
            [] => Ok(parsed),
            _ => Err(MessageError::Arguments {
                message,
                takes: "no arguments",
            }),
        };
        match *message {
            "write_metadata" => plain(Self::WriteMetadata),
            "scrub" => plain(Self::Scrub),
            "repair" => plain(Self::Repair),
            "cover" => plain(Self::Cover),
            "uncover" => plain(Self::Uncover),
            "clear_stats" => plain(Self::ClearStats),
            "clear_faults" => plain(Self::ClearFaults),
            "remap" => match rest {
                [block] => Ok(Self::Remap(parse_block(block)?)),
                _ => Err(MessageError::Arguments {
                    message,
                    takes: "<block>",
                }),
            },
            "remaps" => match rest {
                [] => Ok(Self::Remaps(MainBlock::new(0))),
                [from] => Ok(Self::Remaps(parse_block(from)?)),
                _ => Err(MessageError::Arguments {
                    message,
                    takes: "[<from block>]",
                }),
            },
            "fault" => match rest {
                [device, direction, from, count] => {
                    Fault::parse(device, direction, from, count).map(Self::Fault)
                }
                _ => Err(MessageError::Arguments {
                    message,
                    takes: "main|spare read|write|both <from block> <blocks>",
                }),
            },
            _ => Err(MessageError::Unknown(message)),
        }
    }
}

impl Direction {
    /// Whether a fault in this direction hits a read, or with `write` a write.
    pub const fn hits(self, write: bool) -> bool {
        match self {
            Self::Both => true,
            Self::Read => !write,
            Self::Write => write,
        }
    }
}

impl Fault {
    /// Whether I/O of `length` sectors at `at` of a device meets it; blocks are of size `unit`.
    pub fn hits(
        &self,
        unit: BlockSize,
        device: Device,
        write: bool,
        at: Sector,
        length: Sectors,
    ) -> bool {
        let sectors = |blocks: u64| u128::from(blocks).wrapping_shl(unit.sector_shift());
        let from = sectors(self.from.get());
        let end = from.saturating_add(sectors(self.count.get()));
        let first = u128::from(at.get());
        let last = first.saturating_add(u128::from(length.get()));
        self.device == device && self.direction.hits(write) && first < end && from < last
    }

    fn parse<'a>(
        device: &'a str,
        direction: &'a str,
        from: &'a str,
        count: &'a str,
    ) -> Result<Self, MessageError<'a>> {
        let device = match device {
            "main" => Device::Main,
            "spare" => Device::Spare,
            word => {
                return Err(MessageError::BadWord {
                    word,
                    expected: "main or spare",
                })
            }
        };
        let direction = match direction {
            "read" => Direction::Read,
            "write" => Direction::Write,
            "both" => Direction::Both,
            word => {
                return Err(MessageError::BadWord {
                    word,
                    expected: "read, write or both",
                });
            }
        };
        let count = match count.parse() {
            Ok(0) | Err(_) => {
                return Err(MessageError::BadWord {
                    word: count,
                    expected: "a count of blocks",
                });
            }
            Ok(count) => Blocks::new(count),
        };
        Ok(Self {
            device,
            direction,
            from: parse_block(from)?,
            count,
        })
    }
}

fn parse_block(word: &str) -> Result<MainBlock, MessageError<'_>> {
    match word.parse() {
        Ok(block) => Ok(MainBlock::new(block)),
        Err(_) => Err(MessageError::BadWord {
            word,
            expected: "a block number",
        }),
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteMetadata => f.write_str("write_metadata"),
            Self::Scrub => f.write_str("scrub"),
            Self::Repair => f.write_str("repair"),
            Self::Cover => f.write_str("cover"),
            Self::Uncover => f.write_str("uncover"),
            Self::Remap(block) => write!(f, "remap {block}"),
            Self::Remaps(from) => write!(f, "remaps {from}"),
            Self::ClearStats => f.write_str("clear_stats"),
            Self::Fault(fault) => write!(
                f,
                "fault {} {} {} {}",
                match fault.device {
                    Device::Main => "main",
                    Device::Spare => "spare",
                },
                match fault.direction {
                    Direction::Read => "read",
                    Direction::Write => "write",
                    Direction::Both => "both",
                },
                fault.from,
                fault.count
            ),
            Self::ClearFaults => f.write_str("clear_faults"),
        }
    }
}

/// The most lines of one answer to [`Message::Remaps`]: they fit the buffer that tools
/// bring along.
pub const REMAPS_AT_ONCE: usize = 256;

/// One line of the answer to [`Message::Remaps`], in the order of main:
/// `<block> <replacement> active|pending <moves>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapLine {
    /// The block of main.
    pub block: MainBlock,
    /// What replaces it, or is to.
    pub replacement: Replacement,
    /// Whether the block is served from there; else the next write moves it.
    pub active: bool,
    /// How often the block was moved, this time included.
    pub moves: u16,
}

impl fmt::Display for RemapLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.active { "active" } else { "pending" };
        let Self {
            block,
            replacement,
            moves,
            ..
        } = self;
        write!(f, "{block} {replacement} {state} {moves}")
    }
}

impl RemapLine {
    /// Reads one line, or gives `None` if it is none.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let parsed = Self {
            block: MainBlock::new(words.next()?.parse().ok()?),
            replacement: Replacement::new(words.next()?.parse().ok()?),
            active: match words.next()? {
                "active" => true,
                "pending" => false,
                _ => return None,
            },
            moves: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_prints_as_it_was_read() {
        let lines = [
            "write_metadata",
            "scrub",
            "repair",
            "cover",
            "uncover",
            "remap 18446744073709551615",
            "remaps 0",
            "clear_stats",
            "fault main write 100 8",
            "fault spare both 0 1",
            "fault main read 7 18446744073709551615",
            "clear_faults",
        ];
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(Message::parse(&words).unwrap().to_string(), line);
        }
    }

    #[test]
    fn each_wrong_word_is_refused() {
        let lines = [
            "",
            "Scrub",
            "scrub now",
            "remap",
            "remap x",
            "remap -1",
            "remap 1 2",
            "remaps 1 2",
            "fault",
            "fault main write 1",
            "fault disk write 1 1",
            "fault main trim 1 1",
            "fault main write 1 0",
            "fault main write x 1",
            "repair 1",
            "cover first",
        ];
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(Message::parse(&words).is_err(), "{line}");
        }
    }

    #[test]
    fn every_line_of_remaps_reads_as_it_prints() {
        for (active, moves) in [(true, 1), (false, u16::MAX)] {
            let line = RemapLine {
                block: MainBlock::new(u64::MAX),
                replacement: Replacement::new(7),
                active,
                moves,
            };
            assert_eq!(RemapLine::parse(&line.to_string()), Some(line));
        }
        for spoiled in [
            "",
            "1 2 active",
            "1 2 gone 1",
            "1 2 active 65536",
            "1 2 active 1 1",
        ] {
            assert_eq!(RemapLine::parse(spoiled), None, "{spoiled}");
        }
    }
}
