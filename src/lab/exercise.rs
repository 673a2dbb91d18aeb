//! A load for crash tests: writes that a seed decides, each reported once it is
//! acknowledged, and the check that nothing acknowledged was lost.
//!
//! Step `n` writes generation `n + 1` to a few blocks in a row. What a block holds tells
//! its number and its generation, so that a reader knows whether it is what the load
//! wrote there, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};

use super::dm_target::RequestError;
use super::ram::next_random;
use super::{Lab, LabIoError};
use crate::port::{Host as _, HostError};
use crate::remap_core::message::{Device, Direction, Fault, Message};
use crate::remap_core::units::{BlockSize, Blocks, Generation, MainBlock, Sector};

/// The most blocks that one step writes.
const MOST_BLOCKS: u64 = 8;

/// What a block of the load begins with.
const MAGIC: u64 = u64::from_le_bytes(*b"exercise");

/// A load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exercise {
    /// Decides which blocks are written, in which order, with what.
    pub seed: u64,
    /// The blocks from the start of the device that are written; at least one.
    pub blocks: Blocks,
}

/// What a load has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Blocks whose write was acknowledged.
    pub acknowledged: u64,
    /// Blocks whose write failed.
    pub failed: u64,
}

/// Why a load stopped.
#[derive(Debug)]
pub enum ExerciseError {
    /// The device did not do what was asked, other than that blocks failed.
    Device(LabIoError),
    /// What was acknowledged could not be reported, or the report not be read.
    Report(io::Error),
    /// A line of the report is none.
    Line {
        /// Which, counted from 1.
        number: usize,
    },
    /// The load has no blocks, or more than the device.
    Blocks {
        /// What the device has.
        has: Blocks,
    },
}

impl fmt::Display for ExerciseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Report(error) => write!(f, "the report: {error}"),
            Self::Line { number } => write!(f, "line {number} of the report is none"),
            Self::Blocks { has } => write!(f, "a load takes 1 to {has} blocks here"),
        }
    }
}

impl std::error::Error for ExerciseError {}

impl From<HostError> for ExerciseError {
    fn from(error: HostError) -> Self {
        Self::Device(LabIoError::Host(error))
    }
}

/// One step: blocks in a row, all of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    first: MainBlock,
    count: u64,
    generation: Generation,
}

impl Exercise {
    fn step(&self, number: u64) -> Step {
        let mut random = self.seed ^ number.wrapping_mul(0xff51_afd7_ed55_8ccd);
        let blocks = self.blocks.get().max(1);
        let count = (1 + next_random(&mut random) % MOST_BLOCKS).min(blocks);
        let first = next_random(&mut random) % (blocks - count + 1);
        Step {
            first: MainBlock::new(first),
            count,
            generation: Generation::new(number.saturating_add(1)),
        }
    }

    /// Whether the step of this generation writes `block`.
    fn writes(&self, generation: Generation, block: MainBlock) -> bool {
        let Some(number) = generation.get().checked_sub(1) else {
            return false;
        };
        let step = self.step(number);
        block >= step.first && block.get() - step.first.get() < step.count
    }

    fn content(&self, block: MainBlock, generation: Generation, unit: BlockSize) -> Vec<u8> {
        let words = [MAGIC, self.seed, block.get(), generation.get()];
        let mut random = words.iter().fold(0, |mixed: u64, word| {
            let mut next = mixed ^ word;
            next_random(&mut next)
        });
        let rest = std::iter::repeat_with(|| next_random(&mut random));
        let words = words.into_iter().chain(rest);
        words
            .take(unit.bytes() as usize / 8)
            .flat_map(u64::to_le_bytes)
            .collect()
    }

    /// The generation that a block's content tells, if the load wrote it there.
    fn generation_in(&self, block: MainBlock, bytes: &[u8], unit: BlockSize) -> Option<Generation> {
        let told = bytes.get(24..32)?.first_chunk::<8>()?;
        let generation = Generation::new(u64::from_le_bytes(*told));
        let written = self.writes(generation, block);
        (written && bytes == self.content(block, generation, unit)).then_some(generation)
    }

    fn check(&self, lab: &mut Lab, name: &str) -> Result<BlockSize, ExerciseError> {
        let (size, unit) = lab.geometry(name)?;
        let has = Blocks::new(size.get() >> unit.sector_shift());
        if self.blocks.get() == 0 || self.blocks > has {
            return Err(ExerciseError::Blocks { has });
        }
        Ok(unit)
    }

    /// Lets about one in `one_in` blocks of main fail to be written, as the seed
    /// decides.
    ///
    /// # Errors
    ///
    /// [`ExerciseError::Device`] if there is no such device.
    pub fn break_blocks(
        &self,
        lab: &mut Lab,
        name: &str,
        one_in: u64,
    ) -> Result<(), ExerciseError> {
        self.check(lab, name)?;
        let mut random = !self.seed;
        for block in 0..self.blocks.get() {
            if next_random(&mut random).is_multiple_of(one_in.max(1)) {
                let fault = Fault {
                    device: Device::Main,
                    direction: Direction::Write,
                    from: MainBlock::new(block),
                    count: Blocks::new(1),
                };
                lab.message(name, &Message::Fault(fault))?;
            }
        }
        Ok(())
    }

    /// Does `steps` steps from number `from` on. Each write is flushed and then reported
    /// on `report`, one line `ack BLOCK GENERATION` for each block, before the next one
    /// begins.
    ///
    /// # Errors
    ///
    /// [`ExerciseError`]; that blocks fail is no error, they are merely not reported.
    pub fn run(
        &self,
        lab: &mut Lab,
        name: &str,
        from: u64,
        steps: u64,
        report: &mut dyn Write,
    ) -> Result<Done, ExerciseError> {
        let unit = self.check(lab, name)?;
        let mut done = Done::default();
        for number in from..from.saturating_add(steps) {
            let step = self.step(number);
            let blocks = || {
                (step.first.get()..)
                    .take(step.count as usize)
                    .map(MainBlock::new)
            };
            let data: Vec<u8> = blocks()
                .flat_map(|block| self.content(block, step.generation, unit))
                .collect();
            let failed = match lab.write(name, first_sector(unit, step.first), &data) {
                Ok(()) => Vec::new(),
                Err(LabIoError::Request(RequestError::Blocks(failed))) => failed,
                Err(error) => return Err(ExerciseError::Device(error)),
            };
            lab.flush(name).map_err(ExerciseError::Device)?;
            for block in blocks() {
                if failed.iter().any(|failed| failed.block == block) {
                    done.failed += 1;
                    continue;
                }
                done.acknowledged += 1;
                writeln!(report, "ack {block} {}", step.generation)
                    .map_err(ExerciseError::Report)?;
            }
            report.flush().map_err(ExerciseError::Report)?;
        }
        Ok(done)
    }

    /// Holds the device against the report of a load: every block must hold what was
    /// acknowledged last, or what a later step wrote there, and nothing else.
    ///
    /// # Errors
    ///
    /// [`ExerciseError`] if the report or the device cannot be read at all.
    pub fn verify(
        &self,
        lab: &mut Lab,
        name: &str,
        report: &mut dyn BufRead,
    ) -> Result<Verified, ExerciseError> {
        let unit = self.check(lab, name)?;
        let (acknowledged, next_step) = read_report(report)?;
        let mut wrong = Vec::new();
        let mut bytes = vec![0; unit.bytes() as usize];
        for (block, expected) in &acknowledged {
            let found = match lab.read(name, first_sector(unit, *block), &mut bytes) {
                Ok(()) => self
                    .generation_in(*block, &bytes, unit)
                    .map_or(Found::Stranger, Found::Generation),
                Err(LabIoError::Request(_)) => Found::Lost,
                Err(error) => return Err(ExerciseError::Device(error)),
            };
            if !matches!(found, Found::Generation(found) if found >= *expected) {
                wrong.push(Wrong {
                    block: *block,
                    acknowledged: *expected,
                    found,
                });
            }
        }
        Ok(Verified {
            blocks: acknowledged.len() as u64,
            next_step,
            wrong,
        })
    }
}

fn first_sector(unit: BlockSize, block: MainBlock) -> Sector {
    // The blocks of a load lie within the device.
    unit.first_sector(block).unwrap_or_default()
}

/// The generation that each block was acknowledged at last, and the step after the last
/// one reported. Half a line at the end was never reported.
fn read_report(
    report: &mut dyn BufRead,
) -> Result<(BTreeMap<MainBlock, Generation>, u64), ExerciseError> {
    let mut acknowledged = BTreeMap::new();
    let mut next_step = 0;
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        report.read_line(&mut line).map_err(ExerciseError::Report)?;
        let Some(whole) = line.strip_suffix('\n') else {
            break;
        };
        let mut words = whole.split(' ');
        let mut next = || words.next().unwrap_or_default();
        let (word, block, generation) = (next(), next().parse(), next().parse());
        match (word, block, generation, words.next()) {
            ("ack", Ok(block), Ok(generation), None) => {
                acknowledged.insert(MainBlock::new(block), Generation::new(generation));
                next_step = next_step.max(generation);
            }
            _ => return Err(ExerciseError::Line { number }),
        }
    }
    Ok((acknowledged, next_step))
}

/// What a check of a load found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Blocks of which a write was acknowledged.
    pub blocks: u64,
    /// The step from which the load can go on.
    pub next_step: u64,
    /// Blocks that do not hold what they must.
    pub wrong: Vec<Wrong>,
}

/// A block that does not hold what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Which.
    pub block: MainBlock,
    /// What was acknowledged last.
    pub acknowledged: Generation,
    /// What is there.
    pub found: Found,
}

/// What is found in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// What the load wrote there, of this generation.
    Generation(Generation),
    /// Something that the load never wrote there.
    Stranger,
    /// It cannot be read.
    Lost,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "block {}: generation {} was acknowledged, ",
            self.block, self.acknowledged
        )?;
        match self.found {
            Found::Generation(generation) => write!(f, "{generation} is there"),
            Found::Stranger => f.write_str("something else is there"),
            Found::Lost => f.write_str("it cannot be read"),
        }
    }
}
