//! A machine in memory: disks, a journal and targets that do nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use dmremap::error::Error;
use dmremap::inspect::{inspect, Inspection};
use dmremap::lab::fault::{FaultRange, Faulty};
use dmremap::lab::ram::{CachedDisk, RamDisk};
use dmremap::ops::{
    execute, plan, Confirmed, Context, CorruptionKind, Operation, Outcome, Plan, Refusal,
};
use dmremap::port::block::{Signature, SignatureUse};
use dmremap::port::{
    Access, Activation, BlockStore, Clock, DeviceInfo, Host, HostError, IoError, LoggedEvent,
    Mapped, Part, Platform, Reply, Uptime, Usage, Watcher,
};
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::message::{Direction, Message};
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::status::{Mode, RepairStatus, Status};
use dmremap::remap_core::superblock::{RawCopy, COPY_BYTES};
use dmremap::remap_core::units::{
    BlockSize, Blocks, IdentityDigest, Millis, PerSlot, Sector, Sectors, Sequence, Slot, Timestamp,
};

use crate::journal::MemoryJournal;

/// A round number of sectors that is enough for a spare.
pub const SPARE_SECTORS: Sectors = Sectors::new(5 * 2048);

/// Main is another size, so that the two cannot be mistaken for each other.
pub const MAIN_SECTORS: Sectors = Sectors::new(7 * 2048);

/// Where main is.
pub const MAIN: &str = "/disks/main";

/// Where the spare is.
pub const SPARE: &str = "/disks/spare";

pub type Disk = Arc<Mutex<Faulty<RamDisk>>>;

/// What happened to a disk, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many sectors were written from this one on.
    Write(u64, u64),
    /// What was written before is durable.
    Flush,
}

/// Disks by path, and what is up.
#[derive(Default)]
pub struct Machine {
    /// Disks that are about to lose their power, in place of those under the same paths.
    pub losing_power: BTreeMap<PathBuf, Arc<Mutex<CachedDisk>>>,
    /// Writes and flushes through every descriptor.
    pub steps: Arc<Mutex<Vec<Step>>>,
    pub disks: BTreeMap<PathBuf, Disk>,
    pub mapped: Vec<Mapped>,
    /// Whether bringing up a device fails.
    pub activation_fails: bool,
    /// How often a disk was opened.
    pub opened: usize,
    /// How often a disk was opened for writing.
    pub opened_for_writing: usize,
    /// Whether there are no targets at all.
    pub without_targets: bool,
    /// What others wrote on disks.
    pub signatures: BTreeMap<PathBuf, Vec<Signature>>,
    /// Messages that were sent.
    pub messages: Vec<(String, Message)>,
}

/// One opening of a disk.
struct Handle {
    disk: Arc<Mutex<dyn BlockStore>>,
    writable: bool,
    logical_block: BlockSize,
    steps: Arc<Mutex<Vec<Step>>>,
    signatures: Vec<Signature>,
}

impl BlockStore for Handle {
    fn signatures(&self) -> Result<Vec<Signature>, IoError> {
        Ok(self.signatures.clone())
    }

    fn size(&self) -> Sectors {
        self.disk.lock().unwrap().size()
    }

    fn logical_block(&self) -> BlockSize {
        self.logical_block
    }

    fn identity(&self) -> IdentityDigest {
        self.disk.lock().unwrap().identity()
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.disk.lock().unwrap().read_at(at, buffer)
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        assert!(self.writable, "written through a descriptor for reading");
        let sectors = data.len() as u64 / 512;
        let mut steps = self.steps.lock().unwrap();
        steps.push(Step::Write(at.get(), sectors));
        self.disk.lock().unwrap().write_at(at, data)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.steps.lock().unwrap().push(Step::Flush);
        self.disk.lock().unwrap().flush()
    }
}

impl Machine {
    /// A machine with a blank main and a blank spare, each with an identity.
    pub fn new() -> Self {
        let mut machine = Self::default();
        machine.add(MAIN, ram(MAIN_SECTORS, 1));
        machine.add(SPARE, ram(SPARE_SECTORS, 2));
        machine
    }

    /// The same disks, to be changed apart.
    pub fn fork(&self) -> Self {
        let mut fork = Self::default();
        for (path, disk) in &self.disks {
            let ram = disk.lock().unwrap().inner().clone();
            fork.add(path.to_str().unwrap(), ram);
        }
        fork
    }

    pub fn add(&mut self, path: &str, disk: RamDisk) {
        let disk = Arc::new(Mutex::new(Faulty::new(disk, Vec::new())));
        self.disks.insert(path.into(), disk);
    }

    /// Lets a file system with this UUID be found on a disk.
    pub fn format(&mut self, path: &str, uuid: &str) {
        let file_system = Signature {
            kind: "ext4".to_owned(),
            used_for: SignatureUse::FileSystem,
            uuid: Some(uuid.to_owned()),
            label: None,
            at: None,
        };
        self.signatures.insert(path.into(), vec![file_system]);
    }

    pub fn fail(&mut self, path: &str, direction: Direction, from: u64, sectors: u64) {
        let mut disk = self.disks[Path::new(path)].lock().unwrap();
        disk.faults().push(FaultRange::bad(
            direction,
            Sector::new(from),
            Sectors::new(sectors),
        ));
    }

    pub fn heal(&mut self, path: &str) {
        let mut disk = self.disks[Path::new(path)].lock().unwrap();
        disk.faults().clear();
    }

    /// Everything that was ever written to a disk, less what is zeros.
    pub fn image(&self, path: &str) -> BTreeMap<u64, Vec<u8>> {
        let mut disk = self.disks[Path::new(path)].lock().unwrap();
        let written = disk.inner().written();
        written
            .filter(|(_, block)| block.iter().any(|byte| *byte != 0))
            .map(|(at, block)| (at.get(), block.to_vec()))
            .collect()
    }

    pub fn images(&self) -> Vec<BTreeMap<u64, Vec<u8>>> {
        let paths = self.disks.keys();
        paths
            .map(|path| self.image(path.to_str().unwrap()))
            .collect()
    }

    /// Writes past every rule.
    pub fn poke(&mut self, path: &str, at: Sector, bytes: &[u8]) {
        let mut disk = self.disks[Path::new(path)].lock().unwrap();
        let disk = disk.inner();
        let unit = disk.logical_block().sectors().get();
        let start = Sector::new(at.get() / unit * unit);
        let lead = (at.get() - start.get()) as usize * 512;
        let length = (lead + bytes.len()).next_multiple_of(unit as usize * 512);
        let mut blocks = vec![0; length];
        disk.read_at(start, &mut blocks).unwrap();
        blocks[lead..lead + bytes.len()].copy_from_slice(bytes);
        disk.write_at(start, &blocks).unwrap();
    }

    pub fn put_copies(&mut self, path: &str, copies: &[RawCopy; Slot::COUNT]) {
        for (slot, raw) in Slot::ALL.into_iter().zip(copies) {
            self.poke(path, slot.sector(), raw);
        }
    }

    pub fn copy(&self, path: &str, slot: Slot) -> RawCopy {
        let mut block = [0; 4096];
        let mut disk = self.disks[Path::new(path)].lock().unwrap();
        disk.inner().read_at(slot.sector(), &mut block).unwrap();
        *block.first_chunk::<COPY_BYTES>().unwrap()
    }

    pub fn inspect(&mut self, path: &str) -> Inspection {
        let store = self.open(Path::new(path), Access::Read).unwrap();
        inspect(&*store, Path::new(path))
    }

    pub fn verdict(&mut self, path: &str) -> Verdict {
        self.inspect(path).verdict()
    }

    pub fn map(&mut self, name: &str, main: &str, spare: &str) {
        self.mapped.push(mapped(&Activation {
            name: name.to_owned(),
            main: main.into(),
            spare: spare.into(),
            options: Default::default(),
            meant: Default::default(),
        }));
    }
}

/// A blank disk of this identity.
pub fn ram(size: Sectors, identity: u8) -> RamDisk {
    RamDisk::new(size).with_identity(IdentityDigest::new([identity; 16]))
}

fn mapped(activation: &Activation) -> Mapped {
    Mapped {
        name: activation.name.clone(),
        main: activation.main.clone(),
        spare: activation.spare.clone(),
        size: MAIN_SECTORS,
        block_size: BlockSize::B512,
        options: activation.options,
        status: Status {
            mode: Mode::ReadWrite,
            verdict: Verdict::Healthy,
            copies: PerSlot::new(['V'; Slot::COUNT]),
            sequence: Sequence::new(1),
            active: Blocks::new(0),
            pending: Blocks::new(0),
            used: Blocks::new(0),
            total: Blocks::new(1000),
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
        },
    }
}

impl Host for Machine {
    fn lab_directory(&self) -> Option<&Path> {
        None
    }

    fn beside(&self) -> Result<Box<dyn Host>, HostError> {
        Err(HostError::Refused("one at a time".to_owned()))
    }

    fn devices(&mut self) -> Result<Vec<DeviceInfo>, HostError> {
        let paths: Vec<PathBuf> = self.disks.keys().cloned().collect();
        let info = |path: PathBuf| {
            let usage = self.usage(&path)?;
            let disk = self.disks[&path].lock().unwrap();
            Ok(DeviceInfo {
                name: path.file_name().unwrap().to_str().unwrap().to_owned(),
                size: disk.size(),
                logical_block: disk.logical_block(),
                read_only: false,
                usage,
                faults: 0,
                properties: None,
                path: path.clone(),
            })
        };
        paths.into_iter().map(info).collect()
    }

    fn open(&mut self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        let disk = self.disks.get(path);
        let disk = disk.ok_or_else(|| HostError::NotFound(path.display().to_string()))?;
        let disk: Arc<Mutex<dyn BlockStore>> = match self.losing_power.get(path) {
            Some(disk) => disk.clone(),
            None => disk.clone(),
        };
        let logical_block = disk.lock().unwrap().logical_block();
        if let (Access::Exclusive, Usage::Mapped { name, .. }) = (access, self.usage(path)?) {
            return Err(HostError::Busy {
                what: path.display().to_string(),
                by: name,
            });
        }
        let writable = access != Access::Read;
        self.opened += 1;
        self.opened_for_writing += usize::from(writable);
        Ok(Box::new(Handle {
            disk,
            writable,
            logical_block,
            steps: Arc::clone(&self.steps),
            signatures: self.signatures.get(path).cloned().unwrap_or_default(),
        }))
    }

    fn usage(&mut self, path: &Path) -> Result<Usage, HostError> {
        let part = self.mapped.iter().find_map(|device| {
            let part = match () {
                () if device.main == path => Part::Main,
                () if device.spare == path => Part::Spare,
                () => return None,
            };
            Some((device.name.clone(), part))
        });
        Ok(match part {
            Some((name, part)) => Usage::Mapped { name, part },
            None => Usage::Free,
        })
    }

    fn mapped(&mut self) -> Result<Vec<Mapped>, HostError> {
        Ok(self.mapped.clone())
    }

    fn can_activate(&self, _devices: &[&Path]) -> Result<(), String> {
        match self.without_targets {
            true => Err("there are no targets here".to_owned()),
            false => Ok(()),
        }
    }

    fn activate(&mut self, activation: &Activation) -> Result<(), HostError> {
        if self.activation_fails {
            return Err(HostError::Refused("the target does not come up".to_owned()));
        }
        self.mapped.push(mapped(activation));
        Ok(())
    }

    fn deactivate(&mut self, name: &str) -> Result<(), HostError> {
        self.mapped.retain(|device| device.name != name);
        Ok(())
    }

    fn message(&mut self, name: &str, message: &Message) -> Result<Reply, HostError> {
        self.messages.push((name.to_owned(), *message));
        Ok(Reply::Done)
    }

    fn events(&mut self, _after: u64) -> Result<Vec<LoggedEvent>, HostError> {
        Ok(Vec::new())
    }

    fn run_due(&mut self) -> Result<Option<u64>, HostError> {
        Ok(None)
    }

    fn watcher(&mut self) -> Result<Box<dyn Watcher>, HostError> {
        Err(HostError::Refused("nothing changes by itself".to_owned()))
    }
}

/// Time that stands still, and chance that counts from where it began.
#[derive(Default)]
struct Still {
    drawn: AtomicU8,
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::new(1_800_000_000)
    }
}

impl Uptime for Still {
    fn uptime(&self) -> Millis {
        Millis::new(0)
    }

    fn boot_id(&self) -> String {
        String::new()
    }
}

impl Platform for Still {
    fn open(&self, path: &Path, _access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        Err(HostError::NotFound(path.display().to_string()))
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        Ok(Vec::new())
    }

    fn usage(&self, _path: &Path) -> Result<Usage, HostError> {
        Ok(Usage::Free)
    }

    fn watch(
        &self,
        _replaced: &[PathBuf],
        _written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError> {
        Err(HostError::Refused("nothing changes by itself".to_owned()))
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError> {
        bytes.fill(0x5a ^ self.drawn.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }
}

/// A context, and the journal that it writes.
pub fn context() -> (Context, MemoryJournal) {
    let journal = MemoryJournal::default();
    let context = Context {
        journal: Box::new(journal.clone()),
        platform: Arc::<Still>::default(),
        read_only: false,
        progress: dmremap::ops::Progress::silent(),
    };
    (context, journal)
}

/// Plans, having made sure that planning opens nothing for writing and changes nothing.
pub fn planned(
    machine: &mut Machine,
    context: &mut Context,
    operation: &Operation,
) -> Result<Plan, Refusal> {
    let (opened, images) = (machine.opened_for_writing, machine.images());
    let result = plan(machine, context, operation);
    assert_eq!(machine.opened_for_writing, opened, "{operation:?}");
    assert!(
        machine.images() == images,
        "{operation:?} wrote while planning"
    );
    result
}

/// Says what must be said.
pub fn confirmed(plan: Plan) -> Confirmed {
    let token = plan.token.clone();
    plan.confirm(token.as_deref()).unwrap()
}

/// Plans, confirms and carries out.
pub fn run(
    machine: &mut Machine,
    context: &mut Context,
    operation: &Operation,
) -> Result<Outcome, Error> {
    let plan = planned(machine, context, operation)?;
    execute(machine, context, confirmed(plan))
}

/// Damages copies on the spare, each time in the same way.
pub fn corrupt(machine: &mut Machine, slots: &[Slot], kind: CorruptionKind) {
    let (mut context, _) = context();
    let operation = Operation::Corrupt {
        path: SPARE.into(),
        slots: slots.to_vec(),
        kind,
        seed: 5,
    };
    run(machine, &mut context, &operation).unwrap();
}

/// A created device that is not up, and the operation that made it.
pub fn created() -> (Machine, Context, MemoryJournal) {
    let mut machine = Machine::new();
    let (mut context, journal) = context();
    run(&mut machine, &mut context, &create("vault")).unwrap();
    machine.mapped.clear();
    (machine, context, journal)
}

pub fn create(name: &str) -> Operation {
    Operation::Create {
        name: name.to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Default::default(),
        replace: false,
        form: Some(MainForm::Bare),
    }
}

/// A spare with five copies of plain v4, from the fixtures of the existing tools.
pub fn with_plain() -> Machine {
    let mut machine = Machine::new();
    machine.put_copies(SPARE, &crate::common::plain_fixture("sda-sdb"));
    machine
}

/// Every choice of slots, the empty one first.
pub fn subsets() -> impl Iterator<Item = Vec<Slot>> {
    (0u32..32).map(|mask| {
        let slots = Slot::ALL.into_iter();
        slots
            .filter(|slot| mask & (1 << slot.index()) != 0)
            .collect()
    })
}
