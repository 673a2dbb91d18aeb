// SPDX-License-Identifier: GPL-2.0-or-later
//! Uncovering main: its ends go back from the spare. The order of that is told in
//! [`cover`](super::cover).

use crate::remap_core::engine::cover::{Place, Tools};
use crate::remap_core::engine::host::{Host, Index, List, Room};
use crate::remap_core::engine::message::RequestError;
use crate::remap_core::engine::piece::Piece;
use crate::remap_core::engine::relocate::Moving;
use crate::remap_core::engine::repair::WriteFailure;
use crate::remap_core::engine::serve::NARROWING_MILLIS;
use crate::remap_core::engine::table::Table;
use crate::remap_core::engine::{Engine, Metadata, Progress};
use crate::remap_core::event::Event;
use crate::remap_core::label::MainForm;
use crate::remap_core::message::Device;
use crate::remap_core::units::{Blocks, MainBlock, Replacement};

enum UncoverStage {
    Copies,
    Bringing(Place),
    Ended,
}

/// An uncover under way.
pub struct Uncover<R: Room> {
    tools: Tools<R>,
    proof: Piece<R>,
    stage: UncoverStage,
}

impl<R: Room> Uncover<R> {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// [`RequestError`] says what stands against it; nothing was written.
    pub fn begin<H: Host<Room = R>>(
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<Self, RequestError> {
        engine.check_writable()?;
        engine.check_table()?;
        if engine.moved_of_ends(host).get() == 0 {
            return Err(RequestError::NotCovered);
        }
        Ok(Self {
            tools: Tools::new(engine)?,
            proof: Piece::new(engine.settings.unit)?,
            stage: UncoverStage::Copies,
        })
    }

    /// Goes a step on.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the device is as before, or main is bare and what of its ends was not
    /// brought back is on the spare still. Another uncover goes on from there.
    pub fn step<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
    ) -> Result<Progress, RequestError> {
        self.stage = match self.stage {
            UncoverStage::Copies => {
                engine.write_form(host, MainForm::Bare)?;
                UncoverStage::Bringing(Place::FIRST)
            }
            UncoverStage::Bringing(place) => match place.next(engine, self.tools.piece.room()) {
                Some((first, count, place)) => {
                    self.bring_back(engine, host, first, count)?;
                    UncoverStage::Bringing(place)
                }
                None => {
                    host.covers_ends(false);
                    let stay = engine.moved_of_ends(host);
                    host.raise(Event::MainUncovered { stay });
                    UncoverStage::Ended
                }
            },
            UncoverStage::Ended => return Ok(Progress::Done),
        };
        Ok(match self.stage {
            UncoverStage::Ended => Progress::Done,
            _ => Progress::More,
        })
    }

    /// Brings those of `count` blocks from `first` on back to main that main takes.
    fn bring_back<H: Host<Room = R>>(
        &mut self,
        engine: &mut Engine<R>,
        host: &mut H,
        first: MainBlock,
        count: Blocks,
    ) -> Result<(), RequestError> {
        let Self { tools, proof, .. } = self;
        // Neither is anything written to main meanwhile, nor to the replacements.
        host.alone(|host| {
            tools.swap(engine);
            let brought = engine.bring_back(host, (first, count), &mut tools.piece, proof);
            engine.moving.changes_mut().clear();
            tools.swap(engine);
            brought
        })
    }
}

impl<R: Room> Engine<R> {
    /// Brings blocks back to main that are served from the spare, as far as main takes them and
    /// gives them back. Nobody else may write meanwhile.
    fn bring_back<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        (first, count): (MainBlock, Blocks),
        piece: &mut Piece<R>,
        proof: &mut Piece<R>,
    ) -> Result<(), RequestError> {
        if !self.settle_under(host, first, count) {
            return Err(RequestError::NotMoved(first));
        }
        self.retire_superseded(host, first, count)?;
        piece.begin_at(first);
        proof.begin_at(first);
        let until = host.now().uptime.after(NARROWING_MILLIS);
        let (mut at, end) = (first.get(), first.get().saturating_add(count.get()));
        while at < end {
            let left = Blocks::new(end.saturating_sub(at));
            let Some(found) = host.index().first(MainBlock::new(at), left, true) else {
                break;
            };
            let run = found.run.get().min(end.saturating_sub(found.block.get()));
            at = found.block.get().saturating_add(run);
            let run = (found.block, Blocks::new(run), found.replacement);
            if self.bring_run(host, run, piece, proof) {
                continue;
            }
            // One by one, for as long as whoever waits can be made to wait.
            for ahead in 0..run.1.get() {
                if host.now().uptime > until {
                    break;
                }
                let block = MainBlock::new(run.0.get().saturating_add(ahead));
                let replacement = Replacement::new(run.2.get().saturating_add(ahead));
                let one = (block, Blocks::new(1), replacement);
                let _ = self.bring_run(host, one, piece, proof);
            }
        }
        let Self {
            metadata: Metadata::Full(joined),
            moving,
            ..
        } = self
        else {
            return Ok(());
        };
        joined.table.let_rest(moving.changes_mut());
        self.commit_changes(host)
    }

    /// Writes blocks to main that are served one behind the other, and notes their replacements
    /// as free once main gives back what was written. Returns whether all went back.
    fn bring_run<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        (block, count, replacement): (MainBlock, Blocks, Replacement),
        piece: &mut Piece<R>,
        proof: &mut Piece<R>,
    ) -> bool {
        let in_doubt = |ahead: u64| {
            let block = MainBlock::new(block.get().saturating_add(ahead));
            self.is_in_limbo(block)
        };
        if (0..count.get()).any(in_doubt) {
            return false;
        }
        let layout = self.table().map(Table::layout);
        let from = layout.and_then(|layout| layout.replacement_sector(replacement));
        let to = self.settings.unit.first_sector(block);
        let Some((from, to)) = from.zip(to) else {
            return false;
        };
        let moved = piece
            .read(host, block, count, (Device::Spare, from))
            .and_then(|()| piece.write(host, block, count, (Device::Main, to)))
            .and_then(|()| proof.read(host, block, count, (Device::Main, to)));
        if moved.is_err() || !piece.is_same(proof, block, count) {
            return false;
        }
        Table::<R>::give_back(self.moving.changes_mut(), replacement, count);
        true
    }

    /// Retires entries of blocks that another entry counts for: given back, that would bring them
    /// back after a restart.
    fn retire_superseded<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        first: MainBlock,
        count: Blocks,
    ) -> Result<(), RequestError> {
        loop {
            let Self {
                metadata: Metadata::Full(joined),
                moving,
                ..
            } = self
            else {
                return Ok(());
            };
            let changes = moving.changes_mut();
            let all = joined
                .table
                .retire_superseded(changes, first, count, host.index());
            self.commit_changes(host)?;
            if all {
                return Ok(());
            }
        }
    }

    /// Makes the changes that were noted durable, and clears them.
    fn commit_changes<H: Host<Room = R>>(&mut self, host: &mut H) -> Result<(), RequestError> {
        let done = self.commit(host, Moving::changes);
        self.moving.changes_mut().clear();
        done.map_err(|errno| RequestError::NotWritten(WriteFailure::Spare(errno)))
    }
}
