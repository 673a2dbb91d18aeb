// SPDX-License-Identifier: GPL-2.0-or-later
//! Covering main, and uncovering it: the first and the last MiB of main move to the spare like
//! blocks that failed, labels lie in their place, and nothing that others know is left to see.
//!
//! The order in which that is done, and what the power finds that fails:
//!
//! 1. Each end is copied to the spare, durably, and then its entries are recorded in both
//!    regions, while no other write to main is on its way. Until then main serves it.
//! 2. A label and zeros are written over each end. Main is bare as its superblock says, and its
//!    ends are moved: nobody reads what lies there on main.
//! 3. The copies say that main is covered. Labels are asked for from then on.
//!
//! So there is no cover that is half done: before step 3 it is a bare main of which some blocks
//! are moved, which every version of the target serves right. Uncovering goes the other way: the
//! copies say that main is bare, then each end is written to main, and its entries are given back
//! once main holds it for good.

use crate::remap_core::engine::host::{Host, Index, List, Room};
use crate::remap_core::engine::labels::{erase_end, Erased};
use crate::remap_core::engine::message::RequestError;
use crate::remap_core::engine::piece::Piece;
use crate::remap_core::engine::readings::{Readings, MOST};
use crate::remap_core::engine::relocate::{Job, Moving};
use crate::remap_core::engine::repair::{Amendment, WriteFailure};
use crate::remap_core::engine::serve::NARROWING_MILLIS;
use crate::remap_core::engine::{Engine, Metadata, Progress};
use crate::remap_core::event::Event;
use crate::remap_core::label::{DataArea, End, MainForm};
use crate::remap_core::message::Device;
use crate::remap_core::policy::Failure;
use crate::remap_core::relocation::Origin;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{Blocks, MainBlock};

/// Memory for going over the ends of main in large pieces.
pub(super) struct Tools<R: Room> {
    pub(super) piece: Piece<R>,
    moving: Moving<R>,
    readings: Readings<R>,
}

impl<R: Room> Tools<R> {
    pub(super) fn new(engine: &Engine<R>) -> Result<Self, RequestError> {
        let piece = Piece::new(engine.settings.unit)?;
        let most = usize::try_from(piece.room().get()).unwrap_or(MOST);
        let mut moving = Moving::with_room(most)?;
        moving.quietly = true;
        // As many table blocks as the entries of a piece, and the one in which they begin.
        let blocks = most.wrapping_shr(7).saturating_add(2);
        Ok(Self {
            piece,
            moving,
            readings: Readings::new(blocks.min(MOST))?,
        })
    }

    /// Has the engine move with this memory, until this is called again.
    pub(super) fn swap(&mut self, engine: &mut Engine<R>) {
        core::mem::swap(&mut engine.moving, &mut self.moving);
        if let Some(table) = engine.table_mut() {
            table.swap_readings(&mut self.readings);
        }
    }
}

/// The place of a walk over both ends of main.
#[derive(Clone, Copy)]
pub(super) struct Place {
    end: End,
    /// Blocks of the end before it.
    done: u64,
}

impl Place {
    pub(super) const FIRST: Self = Self {
        end: End::First,
        done: 0,
    };

    /// The next blocks to go over, at most `most`, and the place behind them; `None` behind the
    /// last end.
    pub(super) fn next<R: Room>(
        self,
        engine: &Engine<R>,
        most: Blocks,
    ) -> Option<(MainBlock, Blocks, Self)> {
        let (first, count) = engine.end_blocks(self.end)?;
        let left = count.get().checked_sub(self.done).filter(|left| *left > 0);
        let Some(left) = left else {
            let last = Self {
                end: End::Last,
                done: 0,
            };
            return match self.end {
                End::First => last.next(engine, most),
                End::Last => None,
            };
        };
        let count = left.min(most.get());
        let place = Self {
            end: self.end,
            done: self.done.saturating_add(count),
        };
        let first = MainBlock::new(first.get().saturating_add(self.done));
        Some((first, Blocks::new(count), place))
    }
}

enum CoverStage {
    Moving(Place),
    Labels(End),
    Copies,
    Ended,
}

/// A cover under way.
pub struct Cover<R: Room> {
    tools: Tools<R>,
    stage: CoverStage,
    moved: u64,
}

impl<R: Room> Cover<R> {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says what stands against it; nothing was written.
    pub fn begin<H: Host<Room = R>>(
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<Self, RequestError> {
        engine.check_coverable(host)?;
        Ok(Self {
            tools: Tools::new(engine)?,
            stage: CoverStage::Moving(Place::FIRST),
            moved: 0,
        })
    }

    /// Goes a step on.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: main is bare, and what of its ends was moved stays moved. Another cover
    /// goes on from there.
    pub fn step<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<Progress, RequestError> {
        self.stage = match self.stage {
            CoverStage::Moving(place) => match place.next(engine, self.tools.piece.room()) {
                Some((first, count, place)) => {
                    let moved = self.move_blocks(engine, host, first, count)?;
                    self.moved = self.moved.saturating_add(moved);
                    CoverStage::Moving(place)
                }
                None => {
                    host.covers_ends(true);
                    CoverStage::Labels(End::First)
                }
            },
            CoverStage::Labels(end) => {
                let covered = engine.with_form(MainForm::Covered)?;
                engine.label_end(host, end, &covered, &mut self.tools.piece)?;
                match end {
                    End::First => CoverStage::Labels(End::Last),
                    End::Last => CoverStage::Copies,
                }
            }
            CoverStage::Copies => {
                engine.write_form(host, MainForm::Covered)?;
                let moved = Blocks::new(self.moved);
                host.raise(Event::MainCovered { moved });
                CoverStage::Ended
            }
            CoverStage::Ended => return Ok(Progress::Done),
        };
        Ok(match self.stage {
            CoverStage::Ended => Progress::Done,
            _ => Progress::More,
        })
    }

    /// Moves those of `count` blocks from `first` on that main serves. Returns how many.
    fn move_blocks<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
        first: MainBlock,
        count: Blocks,
    ) -> Result<u64, RequestError> {
        let Self { tools, .. } = self;
        // What is copied is the last word on it.
        host.alone(|host| {
            tools.swap(engine);
            let moved = engine.move_piece(host, first, count, &mut tools.piece);
            engine.moving.jobs.clear();
            tools.swap(engine);
            moved
        })
    }
}

impl<R: Room> Engine<R> {
    /// The blocks of one end of main.
    fn end_blocks(&self, end: End) -> Option<(MainBlock, Blocks)> {
        end.blocks(self.superblock()?.main_sectors, self.settings.unit)
    }

    /// How many blocks of both ends of main are served from the spare.
    pub(super) fn moved_of_ends<H: Host<Room = R>>(&self, host: &H) -> Blocks {
        let ends = End::ALL.into_iter().filter_map(|end| self.end_blocks(end));
        let moved = ends.map(|(first, count)| moved_of(host.index(), first, count));
        Blocks::new(moved.fold(0, u64::saturating_add))
    }

    /// How many blocks of both ends of main are not served from the spare.
    pub(super) fn kept_of_ends<H: Host<Room = R>>(&self, host: &H) -> Blocks {
        let ends = End::ALL.into_iter().filter_map(|end| self.end_blocks(end));
        let all = ends.map(|(_, count)| count.get());
        let all = all.fold(0, u64::saturating_add);
        Blocks::new(all.saturating_sub(self.moved_of_ends(host).get()))
    }

    /// Tells whether all blocks at one end of main are served from the spare.
    pub(super) fn is_end_moved<H: Host<Room = R>>(&self, host: &H, end: End) -> bool {
        self.end_blocks(end)
            .is_some_and(|(first, count)| moved_of(host.index(), first, count) == count.get())
    }

    /// Tells whether the blocks beneath the label at one end of main are served from the spare.
    pub(super) fn is_label_place_moved<H: Host<Room = R>>(&self, host: &H, end: End) -> bool {
        let sectors = self.superblock().map(|superblock| superblock.main_sectors);
        let blocks = sectors.and_then(|sectors| end.label_blocks(sectors, self.settings.unit));
        blocks.is_some_and(|(first, count)| moved_of(host.index(), first, count) == count.get())
    }

    fn check_coverable<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), RequestError> {
        self.check_writable()?;
        self.check_table()?;
        let superblock = self.superblock().ok_or(RequestError::NoMetadata)?;
        let form = superblock.main_form();
        if form != MainForm::Bare {
            return Err(RequestError::HasLabels(form));
        }
        if DataArea::of(MainForm::Covered, superblock.main_sectors).is_none() {
            return Err(RequestError::MainTooSmall);
        }
        for (first, count) in End::ALL.into_iter().filter_map(|end| self.end_blocks(end)) {
            let (mut at, end) = (first.get(), first.get().saturating_add(count.get()));
            while at < end {
                let left = Blocks::new(end.saturating_sub(at));
                match host.index().first(MainBlock::new(at), left, false) {
                    Some(found) if !found.active => {
                        return Err(RequestError::Unreadable(found.block));
                    }
                    Some(found) => at = found.block.get().saturating_add(found.run.get()),
                    None => break,
                }
            }
        }
        let needs = self.kept_of_ends(host);
        match &self.metadata {
            Metadata::Full(joined) if joined.table.has_room_for(needs, host.index()) => Ok(()),
            _ => Err(RequestError::NoRoom { needs }),
        }
    }

    /// Moves those of `count` blocks from `first` on that main serves. Nobody else may write to
    /// main meanwhile. Returns how many.
    fn move_piece<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        first: MainBlock,
        count: Blocks,
        piece: &mut Piece<R>,
    ) -> Result<u64, RequestError> {
        if !self.settle_under(host, first, count) {
            return Err(RequestError::NotMoved(first));
        }
        piece.begin_at(first);
        let (mut at, end) = (first.get(), first.get().saturating_add(count.get()));
        while at < end {
            let block = MainBlock::new(at);
            let left = Blocks::new(end.saturating_sub(at));
            let found = host.index().first(block, left, false);
            if let Some(found) = found.filter(|found| found.block == block) {
                if !found.active {
                    return Err(RequestError::Unreadable(block));
                }
                at = at.saturating_add(found.run.get());
                continue;
            }
            let until = found.map_or(end, |found| found.block.get());
            self.read_main(host, block, Blocks::new(until.saturating_sub(at)), piece)?;
            for block in (at..until).map(MainBlock::new) {
                let job = Job {
                    block,
                    failure: Failure::Medium,
                    origin: Origin::Main,
                };
                // There is room: it was made for a whole piece.
                if self.moving.jobs.push(job).is_err() {
                    return Err(RequestError::NotMoved(block));
                }
            }
            at = until;
        }
        let jobs = self.moving.jobs.len() as u64;
        if jobs > 0 {
            let moved = self.relocate(host, piece);
            moved.map_err(|_| RequestError::NotMoved(piece.refused().unwrap_or(first)))?;
        }
        Ok(jobs)
    }

    /// Reads blocks of main. One that cannot be read is recorded as lost.
    fn read_main<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        first: MainBlock,
        count: Blocks,
        piece: &mut Piece<R>,
    ) -> Result<(), RequestError> {
        let unit = self.settings.unit;
        let at = |block| unit.first_sector(block).ok_or(RequestError::PastEnd(block));
        let start = at(first)?;
        if piece
            .read(host, first, count, (Device::Main, start))
            .is_ok()
        {
            return Ok(());
        }
        let until = host.now().uptime.after(NARROWING_MILLIS);
        let blocks = first.get()..first.get().saturating_add(count.get());
        for block in blocks.map(MainBlock::new) {
            let from = (Device::Main, at(block)?);
            let Err(errno) = piece.read(host, block, Blocks::new(1), from) else {
                if host.now().uptime > until {
                    return Err(RequestError::Unreadable(block));
                }
                continue;
            };
            self.counters.read_errors = self.counters.read_errors.saturating_add(1);
            self.moving.jobs.clear();
            let _ = self.moving.lost.push((block, errno));
            self.mark_pending(host);
            return Err(RequestError::Unreadable(block));
        }
        Ok(())
    }

    /// The superblock as the next one is to be, with a main of this form. A disk that comes to
    /// bear labels is main once more.
    #[inline(never)]
    fn with_form(&self, form: MainForm) -> Result<R::Boxed<Superblock>, RequestError> {
        let known = self.superblock().ok_or(RequestError::NoMetadata)?;
        let mut next = R::boxed(*known)?;
        Amendment::Main(form).make(&mut next)?;
        Ok(next)
    }

    /// Writes a label and zeros over one end of main, which must be served from the spare.
    fn label_end<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        end: End,
        superblock: &Superblock,
        piece: &mut Piece<R>,
    ) -> Result<(), RequestError> {
        if let Some((first, _)) = self
            .end_blocks(end)
            .filter(|_| !self.is_end_moved(host, end))
        {
            return Err(RequestError::NotMoved(first));
        }
        let Metadata::Full(joined) = &self.metadata else {
            return Err(RequestError::NoMetadata);
        };
        let (name, unit) = (joined.name, self.settings.unit);
        // Discards that were sent to main before they were kept from its ends are waited for.
        let erased = host.alone(|host| erase_end(host, (end, unit), superblock, name, piece));
        match erased.map_err(WriteFailure::Main)? {
            Erased::Whole => Ok(()),
            Erased::Not(block) => Err(RequestError::NotErased(block)),
        }
    }

    /// Brings the copies to say that main has this form, where they may say anything else.
    pub(super) fn write_form<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        form: MainForm,
    ) -> Result<(), WriteFailure> {
        // A write that did not end is ended first, as it was.
        for _ in 0..2 {
            let has = self.superblock().map(Superblock::main_form);
            if has != Some(form) || self.unfinished.is_some() {
                self.advance_with(host, Amendment::Main(form))?;
            }
        }
        Ok(())
    }
}

/// How many of `count` blocks from `first` on are served from the spare.
fn moved_of<I: Index>(index: &I, first: MainBlock, count: Blocks) -> u64 {
    let (mut at, end) = (first.get(), first.get().saturating_add(count.get()));
    let mut moved = 0u64;
    while at < end {
        let left = Blocks::new(end.saturating_sub(at));
        let Some(found) = index.first(MainBlock::new(at), left, true) else {
            break;
        };
        let run = found.run.get().min(end.saturating_sub(found.block.get()));
        moved = moved.saturating_add(run);
        at = found.block.get().saturating_add(run.max(1));
    }
    moved
}
