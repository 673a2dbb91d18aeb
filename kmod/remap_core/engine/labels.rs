// SPDX-License-Identifier: GPL-2.0-or-later
//! The labels at both ends of main, read and written through a host.
//!
//! Nothing that a request may reach lies where they do: they are read and written beside the
//! requests that are on their way. Of a covered main that holds once its ends are moved.

use crate::remap_core::bytes::Text;
use crate::remap_core::engine::host::{Host, Page, Room};
use crate::remap_core::engine::piece::Piece;
use crate::remap_core::engine::repair::WriteFailure;
use crate::remap_core::engine::scrub::Look;
use crate::remap_core::engine::serve::NARROWING_MILLIS;
use crate::remap_core::engine::{Engine, LoadError, Metadata};
use crate::remap_core::label::{End, Label, LabelReading, MainForm};
use crate::remap_core::main_verdict::{LabelState, MainVerdict};
use crate::remap_core::message::Device;
use crate::remap_core::policy::Failure;
use crate::remap_core::remap_table::{RawBlock, NAME_LIMIT};
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::{
    BlockSize, Blocks, Errno, MainBlock, Sector, Sectors, BLOCK_4K_BYTES, BLOCK_4K_SECTORS,
};

/// The length of a label, as a length of I/O.
const LABEL: u32 = BLOCK_4K_BYTES as u32;

/// Reads one end of main and judges it by `superblock`; without one, everything that is a label
/// is another array's.
pub(super) fn read_label<H: Host>(
    host: &mut H,
    end: End,
    superblock: Option<&Superblock>,
    page: &mut <H::Room as Room>::Page,
) -> LabelState {
    let size = host.size(Device::Main);
    let Some(at) = end.label_sector(size) else {
        return LabelState::Missing;
    };
    match host.read(Device::Main, at, page, LABEL) {
        Ok(()) => judge(page, end, host.size(Device::Main), superblock),
        Err(_) => LabelState::Unreadable,
    }
}

#[inline(never)]
fn judge<P: Page>(
    page: &P,
    end: End,
    size: Sectors,
    superblock: Option<&Superblock>,
) -> LabelState {
    let reading = LabelReading::of(page.raw(), end, size);
    match (superblock, &reading) {
        (Some(superblock), _) => LabelState::of(&reading, superblock),
        (None, LabelReading::Label(_)) => LabelState::Other,
        (None, LabelReading::Unsupported) => LabelState::Unsupported,
        (None, _) => LabelState::Missing,
    }
}

/// Writes the label at one end of main, durably; nothing where main bears none.
///
/// # Errors
///
/// Main's; what lies there is unknown then.
pub(super) fn write_label<H: Host>(
    host: &mut H,
    end: End,
    superblock: &Superblock,
    name: Text<NAME_LIMIT>,
    page: &mut <H::Room as Room>::Page,
) -> Result<(), Errno> {
    let at = end.label_sector(superblock.main_sectors);
    let Some(at) = at.filter(|_| compose(end, superblock, name, page)) else {
        return Ok(());
    };
    host.write(Device::Main, at, page, LABEL)
}

#[inline(never)]
fn compose<P: Page>(
    end: End,
    superblock: &Superblock,
    name: Text<NAME_LIMIT>,
    page: &mut P,
) -> bool {
    put_label(end, superblock, name, page.raw_mut())
}

fn put_label(
    end: End,
    superblock: &Superblock,
    name: Text<NAME_LIMIT>,
    raw: &mut RawBlock,
) -> bool {
    let identity = superblock
        .extension
        .map(|extension| extension.main_identity);
    let label = Label::of(superblock, end, identity.unwrap_or_default(), name, true);
    label.map(|label| label.write(raw)).is_some()
}

/// Main must be the one that the labels of this superblock speak of. A pass-through must
/// have no labels at all: the device of which it is main begins elsewhere, and lacks what
/// was moved. A bare main is not looked at, for what lies on it is its owner's.
///
/// # Errors
///
/// [`LoadError::Main`].
pub(super) fn check_labels<H: Host>(
    host: &mut H,
    superblock: Option<&Superblock>,
    read_only: bool,
    page: &mut <H::Room as Room>::Page,
) -> Result<(), LoadError> {
    if superblock.is_some_and(|superblock| !superblock.main_form().has_labels()) {
        return Ok(());
    }
    let [first, last] = End::ALL.map(|end| read_label(host, end, superblock, page));
    let verdict = MainVerdict::of(first, last);
    let admitted = match (superblock, verdict) {
        (None, verdict) => verdict == MainVerdict::Unlabelled,
        (Some(_), MainVerdict::Unlabelled) => read_only,
        (Some(_), verdict) => verdict.is_main(),
    };
    match admitted {
        true => Ok(()),
        false => Err(LoadError::Main(verdict)),
    }
}

/// The outcome of writing over one end of main.
pub(super) enum Erased {
    /// A label and zeros are all there is to see.
    Whole,
    /// This block takes no write, and shows something.
    Not(MainBlock),
}

/// Writes the label and zeros over all of one end of main, durably. Nothing of it may be main's
/// any more. A block that main does not take, and that shows nothing, is passed over.
///
/// # Errors
///
/// Main's, if the label or nearly nothing could be written.
pub(super) fn erase_end<H: Host>(
    host: &mut H,
    (end, unit): (End, BlockSize),
    superblock: &Superblock,
    name: Text<NAME_LIMIT>,
    piece: &mut Piece<H::Room>,
) -> Result<Erased, Errno> {
    let main = superblock.main_sectors;
    let places = end.blocks(main, unit).zip(end.label_blocks(main, unit));
    let Some(((first, count), label)) = places else {
        return Ok(Erased::Whole);
    };
    let (mut at, behind) = (first.get(), first.get().saturating_add(count.get()));
    while at < behind {
        let block = MainBlock::new(at);
        let run = Blocks::new(piece.room().get().min(behind.saturating_sub(at)));
        piece.clear();
        piece.begin_at(block);
        let has_label = label.0.get().wrapping_sub(at) < run.get();
        if let Some(raw) = piece.at_mut(label.0).filter(|_| has_label) {
            put_label(end, superblock, name, raw);
        }
        if let Erased::Not(block) = erase_run(host, unit, (block, run), label, piece)? {
            return Ok(Erased::Not(block));
        }
        at = at.saturating_add(run.get());
    }
    Ok(Erased::Whole)
}

/// Writes a piece that begins at the first block of a run over that run, block by block where
/// main does not take all of it.
fn erase_run<H: Host>(
    host: &mut H,
    unit: BlockSize,
    (first, count): (MainBlock, Blocks),
    label: (MainBlock, Blocks),
    piece: &mut Piece<H::Room>,
) -> Result<Erased, Errno> {
    let at = |block| unit.first_sector(block).ok_or(Errno::EIO);
    let start = (Device::Main, at(first)?);
    let Err(errno) = piece.write(host, first, count, start) else {
        return Ok(Erased::Whole);
    };
    let until = host.now().uptime.after(NARROWING_MILLIS);
    for block in first.get()..first.get().saturating_add(count.get()) {
        let (number, block) = (block, MainBlock::new(block));
        let to = (Device::Main, at(block)?);
        if piece.write(host, block, Blocks::new(1), to).is_ok() {
            continue;
        }
        let in_label = number.wrapping_sub(label.0.get()) < label.1.get();
        let of_blocks = Failure::from_errno(errno).is_of_blocks();
        if in_label || !of_blocks || host.now().uptime > until {
            return Err(errno);
        }
        if piece.shows_something(host, to) {
            return Ok(Erased::Not(block));
        }
    }
    Ok(Erased::Whole)
}

/// Fills what lies around the label at one end of main with zeros, durably. Nothing of a
/// labelled main is there.
///
/// # Errors
///
/// Main's.
fn clear_end<H: Host>(
    host: &mut H,
    end: End,
    main: Sectors,
    page: &mut <H::Room as Room>::Page,
) -> Result<(), Errno> {
    let places = end.range(main).zip(end.label_sector(main));
    let Some(((start, length), label)) = places else {
        return Ok(());
    };
    *page.raw_mut() = [0; BLOCK_4K_BYTES];
    let behind = start.get().saturating_add(length.align_down_4k().get());
    let mut at = start.get();
    while at < behind {
        if at != label.get() {
            host.write(Device::Main, Sector::new(at), page, LABEL)?;
        }
        at = at.saturating_add(BLOCK_4K_SECTORS);
    }
    Ok(())
}

impl<R: Room> Engine<R> {
    /// Writes the labels anew that are lost, or were written before all else at their end was
    /// zeros. An end of a covered main that is not all on the spare is left as it is.
    pub(super) fn mend_labels<H: Host<Room = R>>(
        &mut self,
        host: &mut H,
        found: &Look<R>,
    ) -> Result<(), WriteFailure> {
        let is_covered = self.superblock().map(Superblock::main_form) == Some(MainForm::Covered);
        let is_ours = End::ALL.map(|end| !is_covered || self.is_end_moved(host, end));
        let Self {
            metadata: Metadata::Full(joined),
            scratch,
            ..
        } = self
        else {
            return Ok(());
        };
        let ends = End::ALL.into_iter().zip(found.labels).zip(is_ours);
        for (end, state) in ends.filter(|(_, ours)| *ours).map(|(end, _)| end) {
            if state == LabelState::Unsealed {
                clear_end(host, end, joined.superblock.main_sectors, scratch)
                    .map_err(WriteFailure::Main)?;
            }
            if state.is_mendable() {
                write_label(host, end, &joined.superblock, joined.name, scratch)
                    .map_err(WriteFailure::Main)?;
            }
        }
        Ok(())
    }
}
