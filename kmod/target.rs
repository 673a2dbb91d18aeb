// SPDX-License-Identifier: GPL-2.0-or-later
//! The target `dm-remap-v4`: main joined to its spare.

use core::fmt;
use core::ops::ControlFlow;

use kernel::error::Result;
use kernel::ffi::c_int;
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::atomic::{Atomic, Full, Relaxed, Release};

use crate::dm::bio::{Bio, Ended, EndedBio, Mapped};
use crate::dm::device::Device;
use crate::dm::gate::Gate;
use crate::dm::lock::{Lock, Rank};
use crate::dm::published::read_once;
use crate::dm::target::{Constructor, Owner, Refusal, Reply, Report, Target};
use crate::dm::worker::Worker;
use crate::index::Index;
use crate::log;
use crate::map::FLUSHES;
use crate::remap_core::engine::host::Now;
use crate::remap_core::engine::{Settings, Shown};
use crate::remap_core::layout::Layout;
use crate::remap_core::message::{Device as Which, Message};
use crate::remap_core::params::{Options, TargetArgs, TARGET_VERSION};
use crate::remap_core::units::{BlockSize, Blocks, Sector, Sectors};
use crate::state::{now, State};

/// The kind of target.
pub struct Remap;

/// One target of a table: main joined to its spare.
pub struct Joined<'t> {
    owner: Owner<'t>,
    main: Device<'t>,
    spare: Device<'t>,
    /// How far ahead on main a sector of the mapped device is; below zero, by wrapping, where
    /// the target begins behind others.
    ahead: Atomic<u64>,
    length: Sectors,
    main_path: CString,
    spare_path: CString,
    options: Options,
    /// The smallest unit of the mapped device.
    unit: BlockSize,
    index: Index,
    /// Where the replacement area begins, once there is a table.
    replacement_area: Atomic<u64>,
    /// Whether the spare did not take a flush that nobody looked at yet.
    flush_failed: Atomic<bool>,
    /// Whether somebody waits for the device to be suspended.
    leaving: Atomic<bool>,
    /// Whether labels lie on main where the spare serves its ends.
    ends_covered: Atomic<bool>,
    gate: Gate,
    worker: Worker,
    /// Held by whoever scrubs, repairs or writes the copies.
    maintenance: Lock<()>,
    state: Lock<State>,
    shown: Lock<Shown>,
}

/// Where the replacement area is while there is no table.
const NOWHERE: u64 = u64::MAX;

impl<'t> Joined<'t> {
    /// The mapped device.
    pub fn owner(&self) -> &Owner<'t> {
        &self.owner
    }

    /// The sector of main that a sector of the mapped device is.
    #[inline]
    pub fn on_main(&self, sector: Sector) -> Sector {
        // Device-mapper hands a target only what is within it.
        Sector::new(sector.get().wrapping_add(read_once(&self.ahead)))
    }

    /// From now on the target begins at this sector of main.
    pub fn data_begins(&self, at: Sector) {
        let begin = self.owner.begin();
        self.ahead
            .store(at.get().wrapping_sub(begin.get()), Release);
    }

    /// From now on labels lie on main where the spare serves its ends, or no longer.
    pub fn covers_ends(&self, on: bool) {
        self.ends_covered.store(on, Release);
    }

    /// Whether labels lie on main where the spare serves its ends.
    #[inline]
    pub fn has_covered_ends(&self) -> bool {
        self.ends_covered.load(Relaxed)
    }

    /// How much of the mapped device the target is.
    pub fn length(&self) -> Sectors {
        self.length
    }

    /// The mapped device's number, as logs name it.
    pub fn number(&self) -> &str {
        self.owner.number()
    }

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

    /// One of the two.
    pub fn device(&self, which: Which) -> &Device<'t> {
        match which {
            Which::Main => &self.main,
            Which::Spare => &self.spare,
        }
    }

    /// Main, as the table line named it.
    pub fn main_path(&self) -> &str {
        self.main_path.to_str().unwrap_or_default()
    }

    /// The spare, as the table line named it.
    pub fn spare_path(&self) -> &str {
        self.spare_path.to_str().unwrap_or_default()
    }

    /// The remap unit.
    #[inline]
    pub fn unit(&self) -> BlockSize {
        self.unit
    }

    /// Which blocks are served elsewhere.
    #[inline]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What bios enter that write.
    #[inline]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Who does what may sleep.
    #[inline]
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The lock of whoever scrubs, repairs or writes the copies. It is taken before the
    /// state's.
    pub fn maintenance(&self) -> &Lock<()> {
        &self.maintenance
    }

    /// The state that changes.
    pub fn state(&self) -> &Lock<State> {
        &self.state
    }

    /// What was told last. Its lock is taken after the state's, and held for no I/O.
    pub fn shown(&self) -> &Lock<Shown> {
        &self.shown
    }

    /// Where the replacement area begins; there must be a table.
    #[inline]
    pub fn replacement_area(&self) -> Sector {
        Sector::new(read_once(&self.replacement_area))
    }

    /// Lets the worker know that the spare did not take a flush. From any context.
    pub fn note_failed_flush(&self) {
        self.flush_failed.store(true, Relaxed);
        self.worker.kick();
    }

    /// Whether the spare did not take a flush since this was last asked.
    pub fn take_flush_failed(&self) -> bool {
        self.flush_failed.xchg(false, Full)
    }

    /// Whether somebody waits for the device to be suspended.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    /// From now on there is a table.
    pub fn found_table(&self, layout: &Layout) {
        self.replacement_area
            .store(layout.replacement.get(), Release);
    }

    fn arguments(&self) -> TargetArgs<'_> {
        TargetArgs {
            main: self.main.name(),
            spare: self.spare.name(),
            options: self.options,
        }
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        self.tell_gone();
    }
}

impl Target for Remap {
    const NAME: &'static CStr = c"dm-remap-v4";
    const VERSION: [u32; 3] = TARGET_VERSION;
    const FLUSHES: u32 = FLUSHES;

    type Data<'t> = Joined<'t>;

    fn construct<'t>(
        constructor: &mut Constructor<'t>,
        words: &[&str],
    ) -> Result<KBox<Joined<'t>>, Refusal> {
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
        let no_memory = |error| refuse(error, c"Out of memory");
        let text = |text: &str| CString::try_from_fmt(fmt!("{text}"));
        let size = Blocks::new(main.size().get() >> unit.sector_shift());
        let settings = Settings {
            unit,
            size,
            read_only,
            scrub_interval: args.options.scrub_interval,
        };
        let state = State::new(settings).map_err(no_memory)?;
        let shown = state.engine.shown();
        let index = Index::new(main.size(), unit).map_err(no_memory)?;
        let joined = Joined {
            ahead: Atomic::new(0u64.wrapping_sub(constructor.owner().begin().get())),
            length: constructor.length(),
            owner: constructor.owner(),
            main_path: text(args.main).map_err(no_memory)?,
            spare_path: text(args.spare).map_err(no_memory)?,
            main,
            spare,
            options: args.options,
            unit,
            index,
            replacement_area: Atomic::new(NOWHERE),
            flush_failed: Atomic::new(false),
            leaving: Atomic::new(false),
            ends_covered: Atomic::new(false),
            gate: Gate::new().map_err(no_memory)?,
            worker: Worker::new().map_err(no_memory)?,
            maintenance: Lock::new(Rank::Maintenance, ()).map_err(no_memory)?,
            state: Lock::new(Rank::State, state).map_err(no_memory)?,
            shown: Lock::new(Rank::Shown, shown).map_err(no_memory)?,
        };
        KBox::new(joined, GFP_KERNEL).map_err(|_| no_memory(ENOMEM))
    }

    fn gate<'a>(joined: &'a Joined<'_>) -> &'a Gate {
        &joined.gate
    }

    fn worker<'a>(joined: &'a Joined<'_>) -> &'a Worker {
        &joined.worker
    }

    #[inline]
    fn map(joined: &Joined<'_>, bio: Bio) -> Mapped {
        joined.send(bio)
    }

    #[inline]
    fn end_io(joined: &Joined<'_>, bio: EndedBio) -> Ended {
        joined.receive(bio)
    }

    fn work(joined: &Joined<'_>) {
        joined.serve_held();
    }

    fn timer(joined: &Joined<'_>) {
        joined.on_timer();
    }

    fn preresume(joined: &Joined<'_>) -> Result {
        joined.load()
    }

    fn resume(joined: &Joined<'_>) {
        joined.leaving.store(false, Relaxed);
        joined.state.lock().running = true;
        joined.tell();
    }

    fn presuspend(joined: &Joined<'_>) {
        // Whoever is at work on the metadata stops at its next step.
        joined.leaving.store(true, Relaxed);
    }

    fn presuspend_undo(joined: &Joined<'_>) {
        joined.leaving.store(false, Relaxed);
        joined.tell();
    }

    fn postsuspend(joined: &Joined<'_>) {
        joined.leaving.store(true, Relaxed);
        let _maintaining = joined.maintenance.lock();
        {
            let mut state = joined.state.lock();
            state.running = false;
            state.claims = None;
        }
        joined.tell();
    }

    fn report(joined: &Joined<'_>, report: Report, out: &mut dyn fmt::Write) -> fmt::Result {
        let args = joined.arguments();
        match report {
            Report::Status => {
                let shown = *joined.shown.lock();
                let now = now();
                // What has passed, the clock tells that nobody sets.
                let ago = |then: Now| now.uptime.get().saturating_sub(then.uptime.get()) / 1000;
                write!(out, "{}", shown.status(now, ago))
            }
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

    fn message(joined: &Joined<'_>, words: &[&str], reply: &mut dyn fmt::Write) -> Result<Reply> {
        let message = Message::parse(words).map_err(|error| {
            log::error(format_args!("{}: {error}", joined.number()));
            EINVAL
        })?;
        joined.obey(&message, reply)
    }

    fn takes_discards(joined: &Joined<'_>) -> bool {
        joined.main.takes_discards()
    }

    fn largest_device<'a>(joined: &'a Joined<'_>) -> &'a Device<'a> {
        &joined.main
    }

    fn devices(
        joined: &Joined<'_>,
        length: Sectors,
        tell: &mut dyn FnMut(&Device<'_>, Sectors) -> ControlFlow<c_int>,
    ) -> ControlFlow<c_int> {
        tell(&joined.main, length)?;
        // What lies behind the last whole 4 KiB is never used.
        tell(&joined.spare, joined.spare.size().align_down_4k())
    }

    fn logical_block_bytes(joined: &Joined<'_>) -> u32 {
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
