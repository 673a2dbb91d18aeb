//! The machine on a kernel and disks of the tests' own.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::lab::ram::RamDisk;
use crate::port::device_mapper::{Control, Facilities, NewDevice, TargetModule};
use crate::port::kernel_log::{Record, Records};
use crate::port::{Clock, IoError, Uptime};
use crate::remap_core::event::{Event, Severity};
use crate::remap_core::params::Options;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{IdentityDigest, Millis, Sector, Sectors, Timestamp, SECTOR_BYTES};

const MAIN: &str = "/dev/of-tests-main";
const SPARE: &str = "/dev/of-tests-spare";
const STATUS: &str = "1 rw healthy VVVVV 3 0 0 0/100 0 0 0 0 0 0 idle - - - -";

fn number(minor: u64) -> DeviceNumber {
    DeviceNumber { major: 8, minor }
}

/// A mapped device of the tests' kernel.
struct Up {
    listed: Listed,
    table: Vec<Line>,
    status: Vec<Line>,
}

/// A kernel that does what it is told, for those who may tell it.
struct Kernel {
    up: Mutex<BTreeMap<String, Up>>,
    messages: Mutex<Vec<String>>,
    permitted: bool,
}

impl Kernel {
    fn new() -> Self {
        Self {
            up: Mutex::new(BTreeMap::new()),
            messages: Mutex::new(Vec::new()),
            permitted: true,
        }
    }

    /// The same, with a device of one target.
    fn with(self, name: &str, uuid: &str, target: &str, text: &str) -> Self {
        self.bring_up(name, uuid, line(target, text));
        self
    }

    fn bring_up(&self, name: &str, uuid: &str, line: Line) -> DeviceNumber {
        let mut up = self.up.lock().unwrap();
        let number = DeviceNumber {
            major: 253,
            minor: up.len() as u64,
        };
        let status = Line {
            text: STATUS.to_owned(),
            ..line.clone()
        };
        let listed = Listed {
            name: name.to_owned(),
            uuid: uuid.to_owned(),
            number,
        };
        let device = Up {
            listed,
            table: vec![line],
            status: vec![status],
        };
        up.insert(name.to_owned(), device);
        number
    }

    fn ask<T>(&self, name: &str, answer: impl FnOnce(&Up) -> T) -> Result<T, HostError> {
        if !self.permitted {
            return Err(HostError::NotPermitted("root alone".to_owned()));
        }
        let up = self.up.lock().unwrap();
        let device = up.get(name);
        device
            .map(answer)
            .ok_or_else(|| HostError::NotFound(name.to_owned()))
    }
}

fn line(target: &str, text: &str) -> Line {
    Line {
        start: Sector::new(0),
        length: Sectors::new(1000),
        target: target.to_owned(),
        text: text.to_owned(),
    }
}

impl DeviceMapper for Kernel {
    fn list(&self) -> Result<Vec<Listed>, HostError> {
        let up = self.up.lock().unwrap();
        Ok(up.values().map(|up| up.listed.clone()).collect())
    }

    fn table(&self, name: &str) -> Result<Vec<Line>, HostError> {
        self.ask(name, |up| up.table.clone())
    }

    fn status(&self, name: &str) -> Result<Vec<Line>, HostError> {
        self.ask(name, |up| up.status.clone())
    }

    fn dependencies(&self, name: &str) -> Result<Vec<DeviceNumber>, HostError> {
        self.ask(name, |_| Vec::new())
    }

    fn message(&self, name: &str, message: &str) -> Result<Option<String>, HostError> {
        self.messages.lock().unwrap().push(message.to_owned());
        self.ask(name, |_| match message {
            "remaps 0" => Some("5 0 active 1\n9 1 pending 0\n".to_owned()),
            _ => None,
        })
    }

    fn create(&self, device: &NewDevice) -> Result<DeviceNumber, HostError> {
        assert!(self.table(&device.name).is_err(), "the name is taken");
        Ok(self.bring_up(&device.name, &device.uuid, device.line.clone()))
    }

    fn suspend(&self, name: &str) -> Result<(), HostError> {
        self.ask(name, |_| ())
    }

    fn resume(&self, name: &str) -> Result<(), HostError> {
        self.ask(name, |_| ())
    }

    fn rename(&self, name: &str, _to: &str) -> Result<(), HostError> {
        self.ask(name, |_| ())
    }

    fn remove(&self, name: &str) -> Result<(), HostError> {
        self.up.lock().unwrap().remove(name);
        Ok(())
    }

    fn watcher(&self) -> Result<Box<dyn Watcher>, HostError> {
        Err(HostError::Refused("nothing happens".to_owned()))
    }

    fn facilities(&self) -> Facilities {
        Facilities {
            control: match self.permitted {
                true => Control::Open("4.50.0".to_owned()),
                false => Control::NotPermitted,
            },
            target: TargetModule::Loaded(None),
            release: String::new(),
            signed_only: None,
            udev: false,
        }
    }
}

/// A disk under its number.
struct Numbered(RamDisk, DeviceNumber);

impl BlockStore for Numbered {
    fn size(&self) -> Sectors {
        self.0.size()
    }

    fn logical_block(&self) -> BlockSize {
        self.0.logical_block()
    }

    fn identity(&self) -> IdentityDigest {
        self.0.identity()
    }

    fn number(&self) -> Option<DeviceNumber> {
        Some(self.1)
    }

    fn read_at(&self, at: Sector, buffer: &mut [u8]) -> Result<(), IoError> {
        self.0.read_at(at, buffer)
    }

    fn write_at(&mut self, at: Sector, data: &[u8]) -> Result<(), IoError> {
        self.0.write_at(at, data)
    }

    fn flush(&mut self) -> Result<(), IoError> {
        self.0.flush()
    }
}

/// Two disks: main under 8:0, its spare under 8:16; and the kernel's log, where it can be read.
#[derive(Default)]
struct Disks(Option<Kmsg>);

impl Disks {
    fn info(path: &str) -> DeviceInfo {
        DeviceInfo {
            path: path.into(),
            name: path.to_owned(),
            size: Sectors::new(20_001),
            logical_block: BlockSize::B512,
            read_only: false,
            usage: Usage::InUse("dm-0".to_owned()),
            faults: 0,
            properties: None,
        }
    }
}

impl Clock for Disks {
    fn now(&self) -> Timestamp {
        Timestamp::new(7)
    }
}

impl Uptime for Disks {
    fn uptime(&self) -> Millis {
        Millis::new(0)
    }

    fn boot_id(&self) -> String {
        String::new()
    }
}

impl Platform for Disks {
    fn kernel_log(&self) -> Result<Box<dyn KernelLog>, HostError> {
        match &self.0 {
            Some(log) => Ok(Box::new(Reader(log.clone(), 0))),
            None => Err(HostError::NotFound("the kernel's log".to_owned())),
        }
    }

    fn open(&self, path: &Path, _access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        let minor = match path.to_str() {
            Some(MAIN) => 0,
            Some(SPARE) => 16,
            _ => return Err(HostError::NotFound(path.display().to_string())),
        };
        let disk = RamDisk::new(Sectors::new(20_001));
        assert!(disk.size().bytes().unwrap() > SECTOR_BYTES as u64);
        Ok(Box::new(Numbered(disk, number(minor))))
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        Ok([MAIN, SPARE].map(Self::info).to_vec())
    }

    fn usage(&self, path: &Path) -> Result<Usage, HostError> {
        Ok(Self::info(path.to_str().unwrap()).usage)
    }

    fn block_device(&self, device: DeviceNumber) -> Option<BlockDevice> {
        let known = [
            (number(0), MAIN, BlockSize::B512),
            (number(16), SPARE, BlockSize::B512),
        ];
        let mapped = (device.major == 253).then_some(("/dev/dm", BlockSize::B4096));
        let known = known.into_iter().find(|(number, ..)| *number == device);
        let (path, logical_block) = known.map(|(_, path, unit)| (path, unit)).or(mapped)?;
        Some(BlockDevice {
            path: path.into(),
            logical_block,
            partition_uuid: None,
            partition_label: None,
        })
    }

    fn watch(
        &self,
        _replaced: &[PathBuf],
        _written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError> {
        Err(HostError::Refused("nothing changes".to_owned()))
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError> {
        bytes.fill(1);
        Ok(())
    }
}

fn machine(kernel: Kernel) -> (Machine, Arc<Kernel>) {
    let kernel = Arc::new(kernel);
    let machine = Machine::new(Arc::new(Disks::default()), kernel.clone(), None);
    (machine, kernel)
}

/// The kernel's log, to which the tests write.
#[derive(Clone, Default)]
struct Kmsg(Arc<Mutex<Vec<Record>>>);

impl Kmsg {
    fn say(&self, text: &str) {
        let mut records = self.0.lock().unwrap();
        let sequence = records.len() as u64;
        records.push(Record {
            sequence,
            severity: Severity::Warning,
            time: Timestamp::new(1000 + sequence),
            text: text.to_owned(),
        });
    }
}

/// A place in that log.
struct Reader(Kmsg, usize);

impl KernelLog for Reader {
    fn read(&mut self) -> Result<Records, HostError> {
        let all = self.0 .0.lock().unwrap();
        let records = all[self.1..].to_vec();
        self.1 = all.len();
        Ok(Records {
            records,
            overwritten: false,
        })
    }
}

fn told(events: &[LoggedEvent]) -> Vec<String> {
    let told = events.iter();
    told.map(|logged| format!("{} {}: {}", logged.time, logged.device, logged.event))
        .collect()
}

#[test]
fn events_are_what_the_kernels_log_tells() {
    let log = Kmsg::default();
    log.say("dm_remap_v4: 253:0: this is attic");
    log.say("dm_remap_v4: 253:0: scrub: all intact");
    log.say("dm_remap_v4: 253:0: this is vault");
    log.say("dm_remap_v4: 253:0: activated, copies degraded");
    log.say("dm_remap_v4: 253:0: 8:16: the copies are torn \u{1b}[2J");
    log.say("sd 0:0:0:0: dm_remap_v4: 253:0: spare 75 % used");
    log.say("dm_remap_v4: 253:7: spare 90 % used");
    log.say("dm_remap_v4: a table line is malformed");
    let kernel = Kernel::new().with("renamed", "DMREMAP-x", TARGET_NAME, OURS);
    let kernel = Arc::new(kernel);
    let disks = Disks(Some(log.clone()));
    let mut machine = Machine::new(Arc::new(disks), kernel.clone(), None);
    machine.mapped().unwrap();
    let events = machine.events(0).unwrap();
    assert_eq!(
        told(&events),
        [
            "1001 attic: scrub: all intact",
            "1003 renamed: activated, copies degraded",
            "1006 253:7: spare 90 % used",
        ]
    );

    // Only what is new comes then, and the status tells nothing twice.
    log.say("dm_remap_v4: 253:0: scrub: damage in 2 of 5 copies");
    kernel.up.lock().unwrap().get_mut("renamed").unwrap().status[0].text =
        "1 rw degraded XVXVV 3 0 0 0/100 0 0 1 1 0 0 wait:1:1000 0 60 - -".to_owned();
    machine.mapped().unwrap();
    let last = events.last().unwrap().id;
    let later = machine.events(last).unwrap();
    assert_eq!(
        told(&later),
        ["1008 renamed: scrub: damage in 2 of 5 copies"]
    );

    // Its number may be anybody's when it is gone; what it did stays its own.
    kernel.up.lock().unwrap().clear();
    machine.mapped().unwrap();
    let gone = machine.events(later.last().unwrap().id).unwrap();
    assert_eq!(gone[0].event, Event::Deactivated);
    assert_eq!(gone[0].device, "renamed");
    // The kernel says so too, which is told once.
    log.say("dm_remap_v4: 253:0: deactivated");
    machine.mapped().unwrap();
    assert!(machine.events(gone[0].id).unwrap().is_empty());

    // The whole log has what was refused as well, and says who tells.
    let whole = machine.target_log().unwrap();
    let told: Vec<_> = whole
        .entries
        .iter()
        .map(|entry| {
            assert_eq!(entry.teller, Teller::KernelLog);
            (entry.id, entry.device.as_deref(), &entry.told)
        })
        .collect();
    assert_eq!(told.len(), 7);
    let words = |text: &str| Told::Words(Severity::Warning, text.to_owned());
    assert_eq!(
        told[2],
        (
            5,
            Some("vault"),
            &words("8:16: the copies are torn \u{1b}[2J")
        )
    );
    assert_eq!(told[4], (8, None, &words("a table line is malformed")));
    assert!(whole.unread.is_none() && !whole.overwritten);
}

#[test]
fn a_log_that_cannot_be_read_is_told_of() {
    let (mut machine, _) = machine(Kernel::new());
    let log = machine.target_log().unwrap();
    assert!(log.entries.is_empty());
    assert!(matches!(log.unread, Some(HostError::NotFound(_))));
}

const OURS: &str = "8:0 8:16 4 scrub_interval 60 block_size 4096";

#[test]
fn what_is_up_is_told_from_its_table_and_its_status() {
    let kernel = Kernel::new().with("root", "LVM-x", "linear", "8:0 0").with(
        "vault",
        "DMREMAP-x",
        TARGET_NAME,
        OURS,
    );
    let (mut machine, _) = machine(kernel);
    let mapped = machine.mapped().unwrap();
    let [vault] = mapped.as_slice() else {
        panic!("{mapped:?}")
    };
    assert_eq!(vault.name, "vault");
    assert_eq!(
        (&*vault.main, &*vault.spare),
        (Path::new(MAIN), Path::new(SPARE))
    );
    assert_eq!(vault.options.scrub_interval, 60);
    assert_eq!(vault.block_size, BlockSize::B4096);
    assert_eq!(vault.size, Sectors::new(1000));
    assert_eq!(vault.status.verdict, Verdict::Healthy);
    let part = |path: &str| Usage::Mapped {
        name: "vault".to_owned(),
        part: match path {
            MAIN => Part::Main,
            _ => Part::Spare,
        },
    };
    for device in machine.devices().unwrap() {
        assert_eq!(device.usage, part(device.path.to_str().unwrap()));
    }
    assert_eq!(machine.usage(Path::new(MAIN)).unwrap(), part(MAIN));
    let opened = machine.open(Path::new(SPARE), Access::Exclusive);
    assert!(matches!(opened, Err(HostError::Busy { by, .. }) if by.contains("vault")));
    assert!(machine.open(Path::new(SPARE), Access::Read).is_ok());
    for name in ["root", "vault"] {
        assert!(machine.is_name_taken(name).unwrap());
    }
    assert!(!machine.is_name_taken("attic").unwrap());
}

#[test]
fn a_number_without_a_node_is_still_a_path() {
    let kernel = Kernel::new().with("vault", "DMREMAP-x", TARGET_NAME, "9:9 /dev/odd");
    let (mut machine, _) = machine(kernel);
    let vault = machine.mapped().unwrap().remove(0);
    assert_eq!(vault.main, Path::new("/dev/block/9:9"));
    assert_eq!(vault.spare, Path::new("/dev/odd"));
}

#[test]
fn others_devices_are_left_alone() {
    let kernel = Kernel::new().with("root", "LVM-x", "linear", "8:0 0");
    let (mut machine, kernel) = machine(kernel);
    assert!(matches!(
        machine.deactivate("root"),
        Err(HostError::Refused(_))
    ));
    let message = machine.message("root", &Message::Scrub);
    assert!(matches!(message, Err(HostError::Refused(_))));
    assert!(kernel.messages.lock().unwrap().is_empty());
    assert!(kernel.up.lock().unwrap().contains_key("root"));
    assert!(matches!(
        machine.deactivate("gone"),
        Err(HostError::NotFound(_))
    ));
}

#[test]
fn a_device_that_joins_several_targets_is_not_taken_for_one_of_ours() {
    let kernel = Kernel::new().with("both", "", TARGET_NAME, OURS);
    let second = line("linear", "8:0 0");
    kernel
        .up
        .lock()
        .unwrap()
        .get_mut("both")
        .unwrap()
        .table
        .push(second);
    let (mut machine, _) = machine(kernel);
    assert_eq!(machine.mapped().unwrap(), []);
}

#[test]
fn who_may_not_ask_is_told_so_where_something_of_ours_is_up() {
    let mut kernel = Kernel::new().with("root", "LVM-x", "linear", "8:0 0");
    kernel.permitted = false;
    let (mut without_ours, kernel) = machine(kernel);
    assert_eq!(without_ours.mapped().unwrap(), []);
    assert!(without_ours.can_activate(&[]).unwrap_err().contains("root"));
    kernel.bring_up("vault", "DMREMAP-x", line(TARGET_NAME, OURS));
    assert!(matches!(
        without_ours.mapped(),
        Err(HostError::NotPermitted(_))
    ));
    // What is known without asking is told all the same.
    let device = without_ours.devices().unwrap().remove(0);
    assert_eq!(device.usage, Usage::InUse("dm-0".to_owned()));
}

#[test]
fn a_status_that_cannot_be_read_is_an_error_that_names_the_device() {
    let kernel = Kernel::new().with("vault", "DMREMAP-x", TARGET_NAME, OURS);
    kernel.up.lock().unwrap().get_mut("vault").unwrap().status[0].text = "2 rw".to_owned();
    let (mut machine, _) = machine(kernel);
    let error = machine.mapped().unwrap_err().to_string();
    assert!(
        error.contains("vault") && error.contains("version"),
        "{error}"
    );
}

#[test]
fn remaps_are_read_from_the_answer() {
    let kernel = Kernel::new().with("vault", "DMREMAP-x", TARGET_NAME, OURS);
    let (mut machine, kernel) = machine(kernel);
    let from = Message::Remaps(MainBlock::new(0));
    let Reply::Remaps(rows) = machine.message("vault", &from).unwrap() else {
        panic!("no rows")
    };
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row.block.get(), row.active))
        .collect();
    assert_eq!(told, [(5, true), (9, false)]);
    assert_eq!(
        machine.message("vault", &Message::Repair).unwrap(),
        Reply::Done
    );
    assert_eq!(*kernel.messages.lock().unwrap(), ["remaps 0", "repair"]);
}

#[test]
fn a_table_names_its_devices_by_number_and_ends_at_a_whole_block() {
    let (mut machine, kernel) = machine(Kernel::new());
    let activation = |options| Activation {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options,
        meant: Default::default(),
    };
    let options = Options {
        block_size: Some(BlockSize::B4096),
        ..Options::default()
    };
    machine.activate(&activation(options)).unwrap();
    let line = kernel.table("vault").unwrap().remove(0);
    assert_eq!(line.text, "8:0 8:16 2 block_size 4096");
    assert_eq!(line.length, Sectors::new(20_000));
    let uuid = kernel.list().unwrap().remove(0).uuid;
    assert_eq!(uuid, "DMREMAP-vault");
    machine.deactivate("vault").unwrap();
    machine.activate(&activation(Options::default())).unwrap();
    let line = kernel.table("vault").unwrap().remove(0);
    assert_eq!(line.text, "8:0 8:16");
    assert_eq!(line.length, Sectors::new(20_001));
}

#[test]
fn what_a_killed_run_left_is_not_in_the_way() {
    let kernel = Kernel::new()
        .with("vault", "DMREMAP-vault", TARGET_NAME, "")
        .with("attic", "", TARGET_NAME, "");
    for device in kernel.up.lock().unwrap().values_mut() {
        device.table.clear();
    }
    let (mut machine, kernel) = machine(kernel);
    assert!(!machine.is_name_taken("vault").unwrap());
    assert!(machine.is_name_taken("attic").unwrap(), "it is another's");
    let activation = Activation {
        name: "vault".to_owned(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        meant: Default::default(),
    };
    machine.activate(&activation).unwrap();
    assert_eq!(kernel.table("vault").unwrap().len(), 1);
    assert!(machine.is_name_taken("vault").unwrap());
}

#[test]
fn the_longest_name_still_makes_a_lasting_name() {
    let (mut machine, kernel) = machine(Kernel::new());
    let name = "x".repeat(127);
    let activation = Activation {
        name: name.clone(),
        main: MAIN.into(),
        spare: SPARE.into(),
        options: Options::default(),
        meant: Default::default(),
    };
    machine.activate(&activation).unwrap();
    assert_eq!(kernel.list().unwrap()[0].name, name);
    assert_eq!(kernel.list().unwrap()[0].uuid.len(), 128);
}

#[test]
fn what_cannot_be_joined_is_refused_before_the_kernel_is_asked() {
    let (mut machine, kernel) = machine(Kernel::new());
    for (name, main, spare) in [
        ("a/b", MAIN, SPARE),
        ("vault", MAIN, MAIN),
        ("vault", MAIN, "/dev/of-tests-nothing"),
    ] {
        let activation = Activation {
            name: name.to_owned(),
            main: main.into(),
            spare: spare.into(),
            options: Options::default(),
            meant: Default::default(),
        };
        assert!(
            machine.activate(&activation).is_err(),
            "{name} {main} {spare}"
        );
    }
    assert!(kernel.list().unwrap().is_empty());
}

#[test]
fn images_are_not_for_the_kernel() {
    let (machine, _) = machine(Kernel::new());
    let image = tempfile::NamedTempFile::new().unwrap();
    let why = machine.can_activate(&[Path::new(MAIN), image.path()]);
    assert!(why.unwrap_err().contains("losetup"));
    assert_eq!(machine.can_activate(&[Path::new(MAIN)]), Ok(()));
}

#[test]
fn events_are_what_changed_since_the_last_look() {
    let kernel = Kernel::new().with("vault", "DMREMAP-x", TARGET_NAME, OURS);
    let (mut machine, kernel) = machine(kernel);
    let mut look = |status: &str| {
        if let Some(up) = kernel.up.lock().unwrap().get_mut("vault") {
            up.status[0].text = status.to_owned();
        }
        let last = machine
            .events(0)
            .unwrap()
            .last()
            .map_or(0, |event| event.id);
        machine.mapped().unwrap();
        let events = machine.events(last).unwrap();
        events
            .iter()
            .map(|logged| logged.event.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(look(STATUS), [""; 0], "what was there did not happen now");
    let damaged = "1 rw degraded VVXVV 3 0 0 0/100 0 0 1 1 0 0 wait:1:1000 0 60 - -";
    assert_eq!(
        look(damaged),
        [
            "scrub: damage in 1 of 5 copies",
            "repair: attempt 1 in 1000 ms"
        ]
    );
    let failed = "1 rw degraded VVXVV 3 0 0 0/100 0 0 1 1 0 1 wait:2:2000 1 59 - -";
    assert_eq!(
        look(failed),
        ["repair: attempt 1 failed", "repair: attempt 2 in 2000 ms"]
    );
    let repaired = "1 rw healthy VVVVV 3 0 0 0/100 0 0 1 1 1 2 idle 3 57 0 -";
    assert_eq!(look(repaired), ["repair: all intact again"]);
    assert_eq!(look(repaired), [""; 0]);
    let moved = "1 rw healthy VVVVV 4 1 1 76/100 1 1 2 1 1 2 idle 0 60 4 m";
    assert_eq!(
        look(moved),
        [
            "metadata written, sequence 4",
            "scrub: all intact",
            "spare 75 % used",
            "main fails as a whole; nothing is moved",
            "block 5 moved to replacement 0",
            "block 9 cannot be read; the next write moves it",
        ]
    );
    kernel.up.lock().unwrap().clear();
    assert_eq!(look(""), ["deactivated"]);
    kernel.bring_up("vault", "DMREMAP-x", line(TARGET_NAME, OURS));
    assert_eq!(look(STATUS), ["activated, copies healthy"]);
}
