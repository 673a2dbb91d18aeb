//! Names that come to mean another device between a plan and what is done about it: the
//! device that was looked at is changed, or none.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmremap::error::{Error, Exit};
use dmremap::machine::Machine;
use dmremap::ops::{self, Context, CorruptionKind, Operation, Outcome, Plan, Target};
use dmremap::port::block::DeviceNumber;
use dmremap::port::device_mapper::{DeviceMapper, Line, NewDevice};
use dmremap::port::{Access, BlockStore, Platform};
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::message::Message;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::units::{Sector, Sectors, Slot, SECTOR_BYTES};
use dmremap::sys::{FileJournal, KernelDeviceMapper, ThisMachine};

const KERNEL: KernelDeviceMapper = KernelDeviceMapper;

/// The fixtures of existing tools.
const PLAIN: [&[u8]; Slot::COUNT] = [
    include_bytes!("../fixtures/plain-v4/sda-sdb-copy0.bin"),
    include_bytes!("../fixtures/plain-v4/sda-sdb-copy1.bin"),
    include_bytes!("../fixtures/plain-v4/sda-sdb-copy2.bin"),
    include_bytes!("../fixtures/plain-v4/sda-sdb-copy3.bin"),
    include_bytes!("../fixtures/plain-v4/sda-sdb-copy4.bin"),
];

/// A disk that the tests may use.
struct Disk {
    path: PathBuf,
    store: Box<dyn BlockStore>,
}

impl Disk {
    fn open(path: &str) -> Self {
        Self {
            path: path.into(),
            store: ThisMachine.open(Path::new(path), Access::Read).unwrap(),
        }
    }

    fn size(&self) -> Sectors {
        self.store.size()
    }

    /// Sectors that were written to it so far, by whomever.
    fn sectors_written(&self) -> u64 {
        let name = self.path.file_name().unwrap();
        let statistics = fs::read_to_string(Path::new("/sys/block").join(name).join("stat"));
        let statistics = statistics.unwrap();
        statistics
            .split_whitespace()
            .nth(6)
            .unwrap()
            .parse()
            .unwrap()
    }

    fn read(&self, at: Sector, sectors: Sectors) -> Vec<u8> {
        let mut bytes = vec![0; sectors.get() as usize * SECTOR_BYTES];
        self.store.read_at(at, &mut bytes).unwrap();
        bytes
    }

    /// Everything on it.
    fn image(&self) -> Vec<u8> {
        self.read(Sector::new(0), self.size())
    }

    fn slots(&self) -> Vec<u8> {
        let slots = Slot::ALL.map(|slot| self.read(slot.sector(), Sectors::new(8)));
        slots.concat()
    }

    fn write(&self, at: Sector, bytes: &[u8]) {
        let mut store = ThisMachine.open(&self.path, Access::Damage).unwrap();
        store.write_at(at, bytes).unwrap();
    }
}

/// Two names for two disks, that can be exchanged.
enum Names {
    /// Of devices of device-mapper, each over one of the disks.
    Mapped([&'static str; 2]),
    /// Links to the disks themselves, about which nothing is stable.
    Links([PathBuf; 2]),
}

impl Names {
    fn mapped(names: [&'static str; 2], disks: [&Disk; 2]) -> Self {
        for (name, disk) in names.iter().zip(disks) {
            let device = NewDevice {
                name: (*name).to_owned(),
                uuid: format!("CRYPT-{name}"),
                line: Line {
                    start: Sector::new(0),
                    length: disk.size(),
                    target: "linear".to_owned(),
                    text: format!("{} 0", disk.store.number().unwrap()),
                },
                read_only: false,
            };
            KERNEL.create(&device).unwrap();
        }
        Self::Mapped(names)
    }

    fn links(names: [&str; 2], disks: [&Disk; 2]) -> Self {
        let directory = Path::new("/tmp/links");
        fs::create_dir_all(directory).unwrap();
        let links = names.map(|name| directory.join(name));
        for (link, disk) in links.iter().zip(disks) {
            symlink(&disk.path, link).unwrap();
        }
        Self::Links(links)
    }

    fn paths(&self) -> [PathBuf; 2] {
        match self {
            Self::Mapped(names) => names.map(|name| Path::new("/dev/mapper").join(name)),
            Self::Links(links) => links.clone(),
        }
    }

    fn exchange(&self) {
        match self {
            Self::Mapped(names) => exchange_mapped(*names),
            Self::Links([one, other]) => {
                let aside = one.with_extension("aside");
                fs::rename(one, &aside).unwrap();
                fs::rename(other, one).unwrap();
                fs::rename(&aside, other).unwrap();
            }
        }
    }

    fn remove(self) {
        match self {
            Self::Mapped(names) => {
                for name in names {
                    KERNEL.remove(name).unwrap();
                }
            }
            Self::Links(links) => links.iter().for_each(|link| fs::remove_file(link).unwrap()),
        }
    }
}

fn exchange_mapped([one, other]: [&str; 2]) {
    KERNEL.rename(one, "aside").unwrap();
    KERNEL.rename(other, one).unwrap();
    KERNEL.rename("aside", other).unwrap();
}

/// Two mains and two spares, of which the first of each are meant.
struct Bench {
    mains: [Disk; 2],
    spares: [Disk; 2],
    machine: Machine,
    context: Context,
    exchanges: usize,
}

impl Bench {
    fn new() -> Self {
        let named = std::env::var("DMREMAP_TEST_DISKS").expect("DMREMAP_TEST_DISKS names disks");
        let mut paths = named.split(' ').map(Disk::open);
        let mut two = || [(); 2].map(|()| paths.next().expect("DMREMAP_TEST_DISKS names four"));
        Self {
            mains: two(),
            spares: two(),
            machine: Machine::new(Arc::new(ThisMachine), Arc::new(KERNEL), None),
            context: Context {
                journal: Box::new(FileJournal::new("/tmp/journal")),
                platform: Arc::new(ThisMachine),
                read_only: false,
                progress: dmremap::ops::Progress::silent(),
            },
            exchanges: 0,
        }
    }

    fn plan(&mut self, operation: &Operation) -> Plan {
        ops::plan(&mut self.machine, &mut self.context, operation)
            .unwrap_or_else(|refusal| panic!("{operation:?}: {refusal}; {}", refusal.advice()))
    }

    fn carry_out(&mut self, plan: Plan) -> Result<Outcome, Error> {
        let token = plan.token.clone();
        let confirmed = plan.confirm(token.as_deref())?;
        ops::execute(&mut self.machine, &mut self.context, confirmed)
    }

    fn done(&mut self, operation: &Operation) {
        let plan = self.plan(operation);
        let done = self.carry_out(plan);
        assert!(done.is_ok(), "{operation:?}: {done:?}");
    }

    fn blank(&self) {
        for spare in &self.spares {
            spare.write(
                Sector::new(0),
                &vec![0; spare.size().get() as usize * SECTOR_BYTES],
            );
        }
    }

    /// Makes the second spare a copy of the first, so that nothing on them tells which is
    /// which.
    fn clone_spare(&self) {
        self.spares[1].write(Sector::new(0), &self.spares[0].image());
    }

    fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.mains.iter().chain(&self.spares)
    }

    fn sectors_written(&self) -> Vec<u64> {
        self.disks().map(Disk::sectors_written).collect()
    }

    fn images(&self) -> Vec<Vec<u8>> {
        self.disks().map(Disk::image).collect()
    }

    fn slots(&self) -> [Vec<u8>; 2] {
        [0, 1].map(|which| self.spares[which].slots())
    }

    /// Plans, has the names exchanged, and carries out: nothing may be written anywhere, and
    /// what comes up, found by its identity, must be what was meant. Not exchanged, the same
    /// plan must come to something, so that it was none of its own that kept it from writing.
    fn exchange(
        &mut self,
        operation: &Operation,
        meant: &[DeviceNumber],
        times: usize,
        exchange: &dyn Fn(),
    ) {
        let images = self.images();
        let (written, slots) = (self.sectors_written(), self.slots());
        for _ in 0..times {
            let plan = self.plan(operation);
            exchange();
            let result = self.carry_out(plan);
            exchange();
            match result {
                Ok(_) => {
                    assert!(
                        matches!(operation, Operation::Reassemble { .. }),
                        "{operation:?}"
                    );
                    let mut held = KERNEL.dependencies("vault").unwrap();
                    held.sort_unstable();
                    assert_eq!(held, meant, "{operation:?}");
                    KERNEL.remove("vault").unwrap();
                }
                Err(error) => {
                    let refused = (error.code, error.exit);
                    assert_eq!(refused, ("stale", Exit::Refused), "{operation:?}: {error}");
                }
            }
            assert_eq!(self.sectors_written(), written, "{operation:?}");
            assert_eq!(self.slots(), slots, "{operation:?}");
            self.exchanges += 1;
        }
        assert_eq!(self.images(), images, "{operation:?}");
        let wrong = self.spares[1].image();
        let plan = self.plan(operation);
        exchange();
        exchange();
        let done = self.carry_out(plan);
        assert!(done.is_ok(), "{operation:?}: {done:?}");
        assert_eq!(self.spares[1].image(), wrong, "{operation:?}");
    }
}

/// Changes of spares that are not up, each made where both spares hold the same.
fn change_idle_spares(bench: &mut Bench, mains: &Names, spares: &Names) {
    let [main, _] = mains.paths();
    let [spare, _] = spares.paths();
    let exchange_spares = || spares.exchange();
    let write = |replace| Operation::WriteInactive {
        name: "vault".to_owned(),
        main: main.clone(),
        spare: spare.clone(),
        options: Options::default(),
        replace,
        adopt: false,
    };
    let corrupt = Operation::Corrupt {
        path: spare.clone(),
        slots: vec![Slot::S1, Slot::S3],
        kind: CorruptionKind::BitFlip,
        seed: 7,
    };
    bench.blank();
    bench.exchange(&write(false), &[], 8, &exchange_spares);
    bench.clone_spare();
    bench.exchange(&write(false), &[], 8, &exchange_spares);
    bench.clone_spare();
    bench.exchange(&corrupt, &[], 110, &exchange_spares);
    bench.clone_spare();
    let repair = Operation::Repair {
        target: Target::Path(spare.clone()),
        from: None,
        rebuild: false,
        array: None,
    };
    bench.exchange(&repair, &[], 160, &exchange_spares);
    bench.done(&corrupt);
    bench.clone_spare();
    bench.exchange(&Operation::Undo { id: None }, &[], 160, &exchange_spares);
    bench.blank();
    for (slot, copy) in Slot::ALL.into_iter().zip(PLAIN) {
        bench.spares[0].write(slot.sector(), copy);
    }
    bench.clone_spare();
    let migrate = Operation::Migrate {
        path: spare.clone(),
        name: Some("vault".to_owned()),
        block_size: None,
        main: None,
    };
    bench.exchange(&migrate, &[], 20, &exchange_spares);
}

/// Devices that come up: neither of their two parts may be another than was looked at.
fn bring_up(bench: &mut Bench, mains: &Names, spares: &Names, times: usize) {
    let [main, _] = mains.paths();
    let [spare, _] = spares.paths();
    let exchanges: [&dyn Fn(); 3] = [&|| spares.exchange(), &|| mains.exchange(), &|| {
        mains.exchange();
        spares.exchange();
    }];
    let meant = [&main, &spare].map(|path| {
        let store = ThisMachine.open(path, Access::Read).unwrap();
        store.number().unwrap()
    });
    let remove = Operation::Remove {
        name: "vault".to_owned(),
    };
    let create = Operation::Create {
        name: "vault".to_owned(),
        main: main.clone(),
        spare: spare.clone(),
        options: Options::default(),
        replace: false,
        form: Some(MainForm::Bare),
    };
    for exchange in exchanges {
        bench.blank();
        bench.exchange(&create, &[], times, exchange);
        bench.done(&remove);
        let reassemble = Operation::Reassemble {
            target: Target::Path(spare.clone()),
            main: matches!(mains, Names::Links(_)).then(|| main.clone()),
            name: None,
            read_only: false,
        };
        bench.exchange(&reassemble, &meant, times, exchange);
        bench.done(&remove);
    }
}

/// Devices that are up, and exchange their names.
fn change_active(bench: &mut Bench, times: usize) {
    bench.blank();
    for (which, name) in ["vault", "attic"].into_iter().enumerate() {
        bench.done(&Operation::Create {
            name: name.to_owned(),
            main: bench.mains[which].path.clone(),
            spare: bench.spares[which].path.clone(),
            options: Options::default(),
            replace: false,
            form: Some(MainForm::Bare),
        });
    }
    let exchange = || exchange_mapped(["vault", "attic"]);
    let name = || "vault".to_owned();
    let tell = |message| Operation::Message {
        name: name(),
        message,
    };
    for operation in [
        Operation::WriteMetadata { name: name() },
        tell(Message::Scrub),
        Operation::Repair {
            target: Target::Name(name()),
            from: None,
            rebuild: false,
            array: None,
        },
        Operation::Remove { name: name() },
    ] {
        bench.exchange(&operation, &[], times, &exchange);
    }
    KERNEL.remove("attic").unwrap();
}

#[test]
fn a_thousand_exchanged_names_change_no_other_device() {
    let mut bench = Bench::new();
    for by_links in [false, true] {
        let (mains, spares) = match by_links {
            false => (
                Names::mapped(["main-one", "main-other"], bench.mains.each_ref()),
                Names::mapped(["spare-one", "spare-other"], bench.spares.each_ref()),
            ),
            true => (
                Names::links(["main-one", "main-other"], bench.mains.each_ref()),
                Names::links(["spare-one", "spare-other"], bench.spares.each_ref()),
            ),
        };
        change_idle_spares(&mut bench, &mains, &spares);
        bring_up(&mut bench, &mains, &spares, 4);
        mains.remove();
        spares.remove();
    }
    change_active(&mut bench, 5);
    assert!(bench.exchanges >= 1000, "{} exchanges", bench.exchanges);
}

/// A plan on real disks that is overtaken: by another write to a copy, or by a device that
/// takes the disk over.
#[test]
fn a_plan_is_overtaken_by_whatever_happens_to_its_disk() {
    let mut bench = Bench::new();
    let spare = bench.spares[0].path.clone();
    let write = Operation::WriteInactive {
        name: "vault".to_owned(),
        main: bench.mains[0].path.clone(),
        spare: spare.clone(),
        options: Options::default(),
        replace: false,
        adopt: false,
    };
    let corrupt = Operation::Corrupt {
        path: spare.clone(),
        slots: vec![Slot::S2],
        kind: CorruptionKind::Torn,
        seed: 3,
    };
    let repair = Operation::Repair {
        target: Target::Path(spare),
        from: None,
        rebuild: false,
        array: None,
    };
    bench.blank();
    for operation in [write, corrupt, repair, Operation::Undo { id: None }] {
        let image = bench.spares[0].image();
        let plan = bench.plan(&operation);
        let was = bench.spares[0].read(Slot::S4.sector(), Sectors::new(1));
        let mut now = was.clone();
        now[300] ^= 1;
        bench.spares[0].write(Slot::S4.sector(), &now);
        let error = bench.carry_out(plan).expect_err("a copy has changed");
        assert_eq!(
            (error.code, error.exit),
            ("stale", Exit::Refused),
            "{operation:?}"
        );
        bench.spares[0].write(Slot::S4.sector(), &was);

        let plan = bench.plan(&operation);
        let holder = Names::mapped(["holder", "other-holder"], bench.spares.each_ref());
        let error = bench.carry_out(plan).expect_err("another device holds it");
        assert_eq!(
            (error.code, error.exit),
            ("busy", Exit::Refused),
            "{operation:?}"
        );
        holder.remove();
        assert_eq!(bench.spares[0].image(), image, "{operation:?}");
        bench.done(&operation);
    }
}
