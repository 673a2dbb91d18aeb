// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests of an operator to an active target.

use core::fmt;

use kernel::error::Result;
use kernel::prelude::*;

use crate::dm::clock;
use crate::dm::target::Reply;
use crate::index::Minding;
use crate::log;
use crate::remap_core::commit::Authority;
use crate::remap_core::engine::{RequestError, WriteFailure};
use crate::remap_core::message::Message;
use crate::remap_core::units::{ArrayUuid, MainBlock};
use crate::target::Joined;

impl Joined<'_> {
    /// Does what a message asks. A message names the device, which is the typed word
    /// that some repairs need.
    ///
    /// # Errors
    ///
    /// The kernel log says why not.
    pub fn obey(&self, message: &Message, reply: &mut dyn fmt::Write) -> Result<Reply> {
        let done = match message {
            Message::Remaps(from) => {
                return self.print_remaps(*from, reply).map(|()| Reply::Text);
            }
            Message::ClearStats => {
                self.state().lock().engine.clear_counters();
                Ok(())
            }
            Message::WriteMetadata => self.maintain(|| self.write_metadata()),
            Message::Scrub => self.maintain(|| {
                self.state().lock().engine.check_metadata()?;
                Ok(self.scrub()?)
            }),
            Message::Repair => self.maintain(|| {
                {
                    let state = self.state().lock();
                    state.engine.check_metadata()?;
                    state.engine.check_repairable()?;
                }
                Ok(self.repair(Authority::Typed)?)
            }),
            Message::Cover => self.maintain(|| self.cover()),
            Message::Uncover => self.maintain(|| self.uncover()),
            Message::Remap(block) => self.maintain(|| {
                let mut state = self.state().lock();
                let (engine, mut ground) = state.parts(self);
                engine.remap(&mut ground, *block)
            }),
            Message::Fault(fault) => {
                let mut state = self.state().lock();
                state.faults.add(*fault)?;
                self.index().mind(Minding::HOLD_ALL, true);
                Ok(())
            }
            Message::ClearFaults => {
                let mut state = self.state().lock();
                state.faults.clear();
                self.index().mind(Minding::HOLD_ALL, false);
                Ok(())
            }
        };
        self.tell();
        done.map(|()| Reply::Done)
    }

    /// Runs `inner` under the maintenance lock, if the device is up.
    fn maintain(&self, inner: impl FnOnce() -> Result<(), RequestError>) -> Result {
        let _maintaining = self.maintenance().lock();
        let done = match self.state().lock().running {
            true => Ok(()),
            false => Err(RequestError::NotWritten(WriteFailure::Suspended)),
        };
        done.and_then(|()| inner()).map_err(|why| {
            log::error(format_args!("{}: {why}", self.number()));
            error_of(why)
        })
    }

    fn write_metadata(&self) -> Result<(), RequestError> {
        let blank = {
            let state = self.state().lock();
            state.engine.check_writable()?;
            state.engine.superblock().is_none()
        };
        if blank {
            return self.create();
        }
        let mut state = self.state().lock();
        state.engine.check_table()?;
        let (engine, mut ground) = state.parts(self);
        Ok(engine.advance(&mut ground)?)
    }

    /// A new array's UUID: version 4 and variant 1, as random ones have it.
    pub fn new_array(&self) -> ArrayUuid {
        let mut uuid = clock::random();
        let [.., version, _, variant, _, _, _, _, _, _, _] = &mut uuid;
        *version = (*version & 0x0f) | 0x40;
        *variant = (*variant & 0x3f) | 0x80;
        ArrayUuid::new(uuid)
    }

    fn print_remaps(&self, from: MainBlock, reply: &mut dyn fmt::Write) -> Result {
        let mut state = self.state().lock();
        let (engine, ground) = state.parts(self);
        let lines = engine.remaps(&ground, from).map_err(|_| ENOMEM)?;
        // What finds no room is asked for again, with more of it.
        let _ = lines.iter().try_for_each(|line| writeln!(reply, "{line}"));
        Ok(())
    }
}

/// The error number that a message which was not obeyed gives.
fn error_of(why: RequestError) -> Error {
    match why {
        RequestError::NoMetadata => ENODATA,
        RequestError::PlainMetadata => EOPNOTSUPP,
        RequestError::ReadOnly { .. } => EROFS,
        RequestError::PastEnd(_) => ERANGE,
        RequestError::HasMetadata
        | RequestError::AlreadyMoved(_)
        | RequestError::HasLabels(_)
        | RequestError::NotCovered => EEXIST,
        RequestError::Unreadable(_) | RequestError::NotMoved(_) | RequestError::NotErased(_) => EIO,
        RequestError::Layout(_) | RequestError::MainTooSmall | RequestError::NoRoom { .. } => {
            ENOSPC
        }
        RequestError::NotWritten(why) => match why {
            WriteFailure::Refused(_) | WriteFailure::Contradiction => EPERM,
            WriteFailure::Stale => ESTALE,
            WriteFailure::Spare(_)
            | WriteFailure::Main(_)
            | WriteFailure::StillDamaged
            | WriteFailure::TooFew { .. }
            | WriteFailure::NotKept
            | WriteFailure::NoGeneration => EIO,
            WriteFailure::Memory => ENOMEM,
            WriteFailure::Suspended => EAGAIN,
        },
    }
}
