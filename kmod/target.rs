// SPDX-License-Identifier: GPL-2.0-or-later
//! The target `dm-remap-v4`: main joined to its spare.

use core::fmt;
use core::ops::ControlFlow;
use core::pin::Pin;

use kernel::error::Result;
use kernel::ffi::c_int;
use kernel::new_mutex;
use kernel::prelude::*;
use kernel::sync::Mutex;

use crate::dm::bio::{Bio, Mapped};
use crate::dm::device::Device;
use crate::dm::target::{Constructor, Refusal, Reply, Report, Target};
use crate::log;
use crate::map::FLUSHES;
use crate::remap_core::layout::Layout;
use crate::remap_core::message::Message;
use crate::remap_core::params::{Options, TargetArgs};
use crate::remap_core::quorum::Verdict;
use crate::remap_core::status::{Mode, RepairStatus, Status};
use crate::remap_core::units::{BlockSize, Blocks, PerSlot, Sectors, Sequence, Slot};
use crate::store;

/// The kind of target.
pub struct Remap;

/// One target of a table: main joined to its spare.
#[pin_data]
pub struct Joined<'t> {
    main: Device<'t>,
    spare: Device<'t>,
    options: Options,
    /// The smallest unit of the mapped device.
    unit: BlockSize,
    read_only: bool,
    #[pin]
    metadata: Mutex<Metadata>,
}

/// What was read of the spare's metadata.
struct Metadata {
    mode: Mode,
    verdict: Verdict,
    copies: PerSlot<char>,
    sequence: Sequence,
}

impl<'t> Joined<'t> {
    /// The ageing disk.
    #[inline]
    pub fn main(&self) -> &Device<'t> {
        &self.main
    }

    /// The disk that replaces its bad blocks.
    #[inline]
    pub fn spare(&self) -> &Device<'t> {
        &self.spare
    }

    /// Whether it takes no writes.
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn arguments(&self) -> TargetArgs<'_> {
        TargetArgs {
            main: self.main.name(),
            spare: self.spare.name(),
            options: self.options,
        }
    }

    fn status(&self) -> Status {
        let metadata = self.metadata.lock();
        Status {
            mode: metadata.mode,
            verdict: metadata.verdict,
            copies: metadata.copies,
            sequence: metadata.sequence,
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
        }
    }

    /// Reads and judges the copies.
    fn load(&self) -> Result {
        let (survey, judgement) = store::survey(&self.spare)?;
        drop(survey);
        let mut metadata = self.metadata.lock();
        metadata.verdict = judgement.verdict;
        metadata.copies = judgement.states.map(|_, state| state.letter());
        if judgement.verdict != Verdict::None {
            log::error(format_args!(
                "{}: copies judged {}",
                self.spare.name(),
                judgement.verdict
            ));
            return Err(EOPNOTSUPP);
        }
        metadata.mode = match self.read_only {
            true => Mode::ReadOnly,
            false => Mode::PassThrough,
        };
        log::warn(format_args!(
            "{}: no metadata here; everything goes to {} and nothing is remapped",
            self.spare.name(),
            self.main.name()
        ));
        Ok(())
    }
}

impl Target for Remap {
    const NAME: &'static CStr = c"dm-remap-v4";
    const VERSION: [u32; 3] = [4, 0, 0];
    const FLUSHES: u32 = FLUSHES;

    type Data<'t> = Joined<'t>;

    fn construct<'t>(
        constructor: &mut Constructor<'t>,
        words: &[&str],
    ) -> Result<Pin<KBox<Joined<'t>>>, Refusal> {
        let refuse = |error, why| Refusal { error, why };
        let args = TargetArgs::parse(words).map_err(|error| {
            log::error(format_args!("{error}"));
            refuse(EINVAL, c"The table line is malformed")
        })?;
        let main = constructor.open(args.main);
        let main = main.map_err(|error| refuse(error, c"Main cannot be opened"))?;
        let spare = constructor.open(args.spare);
        let spare = spare.map_err(|error| refuse(error, c"The spare cannot be opened"))?;
        if main.is_same(&spare) {
            return Err(refuse(EINVAL, c"Main and the spare are the same device"));
        }
        let unit = choose_unit(&main, &spare, args.options.block_size)?;
        if constructor.length() > main.size() {
            return Err(refuse(EINVAL, c"The table is longer than main"));
        }
        let (has, needs) = (spare.size(), Layout::smallest_spare(unit));
        if has < needs {
            log::error(format_args!(
                "{}: the spare has {has} sectors and needs at least {needs}",
                spare.name()
            ));
            return Err(refuse(ENOSPC, c"The spare is too small"));
        }
        let read_only = args.options.read_only
            || constructor.is_read_only()
            || main.is_read_only()
            || spare.is_read_only();
        let joined = try_pin_init!(Joined {
            main,
            spare,
            options: args.options,
            unit,
            read_only,
            metadata <- new_mutex!(Metadata {
                mode: Mode::PassThrough,
                verdict: Verdict::None,
                copies: PerSlot::new(['-'; Slot::COUNT]),
                sequence: Sequence::new(0),
            }),
        }? Error);
        KBox::pin_init(joined, GFP_KERNEL).map_err(|error| refuse(error, c"Out of memory"))
    }

    #[inline]
    fn map(joined: Pin<&Joined<'_>>, bio: Bio) -> Mapped {
        joined.send(bio)
    }

    fn preresume(joined: Pin<&Joined<'_>>) -> Result {
        joined.load()
    }

    fn report(joined: Pin<&Joined<'_>>, report: Report, out: &mut dyn fmt::Write) -> fmt::Result {
        let args = joined.arguments();
        match report {
            Report::Status => write!(out, "{}", joined.status()),
            Report::Table => write!(out, "{args}"),
            Report::Measurement => write!(
                out,
                "target_name={},target_version={}.{}.{},main_device_name={},\
                 spare_device_name={},block_size={},read_only={};",
                crate::remap_core::params::TARGET_NAME,
                Self::VERSION[0],
                Self::VERSION[1],
                Self::VERSION[2],
                args.main,
                args.spare,
                joined.unit,
                if args.options.read_only { 'y' } else { 'n' },
            ),
        }
    }

    fn message(
        joined: Pin<&Joined<'_>>,
        words: &[&str],
        _reply: &mut dyn fmt::Write,
    ) -> Result<Reply> {
        let message = Message::parse(words).map_err(|error| {
            log::error(format_args!("{}: {error}", joined.main.name()));
            EINVAL
        })?;
        match message {
            Message::ClearStats => Ok(Reply::Done),
            _ => Err(EOPNOTSUPP),
        }
    }

    fn devices(
        joined: Pin<&Joined<'_>>,
        length: Sectors,
        tell: &mut dyn FnMut(&Device<'_>, Sectors) -> ControlFlow<c_int>,
    ) -> ControlFlow<c_int> {
        tell(&joined.main, length)?;
        // What lies behind the last whole 4 KiB is never used.
        tell(&joined.spare, joined.spare.size().align_down_4k())
    }

    fn logical_block_bytes(joined: Pin<&Joined<'_>>) -> u32 {
        joined.unit.bytes()
    }
}

/// The smallest unit of the mapped device: what the table line asks for, else the larger
/// logical block of the two devices.
fn choose_unit(
    main: &Device<'_>,
    spare: &Device<'_>,
    asked: Option<BlockSize>,
) -> Result<BlockSize, Refusal> {
    let needed = main.logical_block_bytes().max(spare.logical_block_bytes());
    let needed = BlockSize::from_bytes(needed).ok_or(Refusal {
        error: EINVAL,
        why: c"Logical blocks of more than 4096 bytes",
    })?;
    match asked {
        Some(asked) if asked < needed => Err(Refusal {
            error: EINVAL,
            why: c"block_size is less than a logical block of main or the spare",
        }),
        Some(asked) => Ok(asked),
        None => Ok(needed),
    }
}
