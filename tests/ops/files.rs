//! The same on real image files, with the real journal.

use std::fs::{self, File};
use std::os::unix::fs::{symlink, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmremap::error::Error;
use dmremap::inspect::inspect;
use dmremap::lab::{Contents, Lab};
use dmremap::machine::Machine;
use dmremap::ops::{execute, plan, Context, CorruptionKind, Operation, Outcome, Target};
use dmremap::port::journal::ActionId;
use dmremap::port::{Access, Host as _, Part, Usage};
use dmremap::remap_core::label::MainForm;
use dmremap::remap_core::params::Options;
use dmremap::remap_core::quorum::Verdict;
use dmremap::remap_core::units::Slot;
use dmremap::sys::{FileJournal, KernelDeviceMapper, ThisMachine};

/// A directory with two images, and what it takes to work on them.
struct Bench {
    directory: tempfile::TempDir,
    host: Machine,
    context: Context,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in [("main.img", 7 << 20), ("spare.img", 5 << 20)] {
            let file = File::create(directory.path().join(name)).unwrap();
            file.set_len(bytes).unwrap();
        }
        let journal = FileJournal::new(directory.path().join("journal"));
        Self {
            host: Machine::new(Arc::new(ThisMachine), Arc::new(KernelDeviceMapper), None),
            context: Context {
                journal: Box::new(journal),
                platform: Arc::new(ThisMachine),
                read_only: false,
                progress: dmremap::ops::Progress::silent(),
            },
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn create(&self) -> Operation {
        self.create_on("main.img", "spare.img")
    }

    fn create_on(&self, main: &str, spare: &str) -> Operation {
        Operation::Create {
            name: "vault".to_owned(),
            main: self.path(main),
            spare: self.path(spare),
            options: Options::default(),
            replace: false,
            form: Some(MainForm::Bare),
        }
    }

    fn corrupt(&self, slots: &[Slot]) -> Operation {
        Operation::Corrupt {
            path: self.path("spare.img"),
            slots: slots.to_vec(),
            kind: CorruptionKind::Random,
            seed: 1,
        }
    }

    fn run(&mut self, operation: &Operation) -> Result<Outcome, Error> {
        let plan = plan(&mut self.host, &mut self.context, operation)?;
        let token = plan.token.clone();
        let confirmed = plan.confirm(token.as_deref())?;
        execute(&mut self.host, &mut self.context, confirmed)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path("spare.img")).unwrap()
    }

    fn verdict(&mut self, name: &str) -> Verdict {
        let path = self.path(name);
        let store = self.host.open(&path, Access::Read).unwrap();
        inspect(&*store, &path).verdict()
    }
}

/// What a refusal must not change, the times included.
fn trace(path: &Path) -> (Vec<u8>, i64, i64, u64) {
    let metadata = fs::metadata(path).unwrap();
    let bytes = fs::read(path).unwrap();
    (
        bytes,
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.blocks(),
    )
}

#[test]
fn a_life_on_image_files_goes_back_to_where_it_began() {
    let mut bench = Bench::new();
    let blank = bench.bytes();
    bench.run(&bench.create()).unwrap();
    let healthy = bench.bytes();
    let kept = ["1.bin", "1.after.bin"].map(|file| bench.path("journal").join(file));
    let kept: u64 = kept
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert!(
        kept < 16 << 10,
        "{kept} bytes kept of a blank spare and a new table"
    );
    assert_eq!(bench.verdict("spare.img"), Verdict::Healthy);
    bench.run(&bench.corrupt(&[Slot::S0, Slot::S2])).unwrap();
    assert_eq!(bench.verdict("spare.img"), Verdict::Degraded);
    let repair = Operation::Repair {
        target: Target::Path(bench.path("spare.img")),
        from: None,
        rebuild: false,
        array: None,
    };
    bench.run(&repair).unwrap();
    assert_eq!(bench.bytes(), healthy);
    for _ in 0..3 {
        bench.run(&Operation::Undo { id: None }).unwrap();
    }
    assert_eq!(bench.bytes(), blank);
    let actions = bench.context.journal.actions().unwrap();
    let spare = bench.path("spare.img").display().to_string();
    assert!(actions
        .iter()
        .all(|action| action.begun.device.as_ref() == Some(&spare)));
    let told: Vec<_> = actions
        .iter()
        .map(|action| (action.begun.operation.as_str(), action.undone_by.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            ("create", true),
            ("corrupt", true),
            ("repair", true),
            ("undo", false),
            ("undo", false),
            ("undo", false)
        ]
    );
    assert!(actions.iter().all(|action| action.has_backup));
}

#[test]
fn refusals_leave_bytes_and_times_alone() {
    let mut bench = Bench::new();
    bench.run(&bench.create()).unwrap();
    bench.run(&bench.corrupt(&Slot::ALL)).unwrap();
    let path = bench.path("spare.img");
    let before = trace(&path);
    let target = Target::Path(path.clone());
    let refused = [
        (bench.create(), "spare-not-empty", 5),
        (
            Operation::Repair {
                target: target.clone(),
                from: None,
                rebuild: false,
                array: None,
            },
            "lost",
            5,
        ),
        (
            Operation::Reassemble {
                target,
                main: None,
                name: None,
                read_only: false,
            },
            "lost",
            4,
        ),
        (
            Operation::Migrate {
                path: path.clone(),
                name: None,
                block_size: None,
                main: None,
            },
            "verdict",
            5,
        ),
        (
            Operation::Undo {
                id: Some(ActionId::new(1)),
            },
            "stale",
            5,
        ),
    ];
    for (operation, code, exit) in refused {
        let error = bench.run(&operation).unwrap_err();
        assert_eq!(
            (error.code, error.exit.code()),
            (code, exit),
            "{operation:?}"
        );
        assert_eq!(trace(&path), before, "{operation:?}");
    }
    bench.context.read_only = true;
    let undo = Operation::Undo { id: None };
    assert_eq!(bench.run(&undo).unwrap_err().code, "read-only");
    assert_eq!(trace(&path), before);
}

#[test]
fn an_image_that_somebody_holds_is_not_written() {
    let mut bench = Bench::new();
    bench.run(&bench.create()).unwrap();
    let path = bench.path("spare.img");
    let holder = File::open(&path).unwrap();
    holder.lock().unwrap();
    let before = trace(&path);
    let error = bench.run(&bench.corrupt(&[Slot::S1])).unwrap_err();
    assert_eq!((error.code, error.exit.code()), ("busy", 5), "{error}");
    assert_eq!(trace(&path), before);
    drop(holder);
    bench.run(&bench.corrupt(&[Slot::S1])).unwrap();
}

#[test]
fn one_file_under_two_names_is_one_device() {
    let mut bench = Bench::new();
    fs::hard_link(bench.path("main.img"), bench.path("hard.img")).unwrap();
    symlink(bench.path("main.img"), bench.path("soft.img")).unwrap();
    for other in ["main.img", "hard.img", "soft.img"] {
        let error = bench.run(&bench.create_on("main.img", other)).unwrap_err();
        assert_eq!(
            (error.code, error.exit.code()),
            ("same-device", 5),
            "{other}"
        );
    }
    let dotted = "./main.img";
    let error = bench.run(&bench.create_on("main.img", dotted)).unwrap_err();
    assert_eq!(error.code, "same-device");
}

#[test]
fn what_is_no_device_is_told_and_fails() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path("folder")).unwrap();
    nix::unistd::mkfifo(&bench.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(bench.path("empty.img"), b"").unwrap();
    for (name, exit) in [("none", 1), ("folder", 1), ("pipe", 1), ("empty.img", 5)] {
        let operation = Operation::Corrupt {
            path: bench.path(name),
            slots: vec![Slot::S1],
            kind: CorruptionKind::Zero,
            seed: 1,
        };
        let error = bench.run(&operation).unwrap_err();
        assert_eq!(error.exit.code(), exit, "{name}: {error:?}");
        assert!(!error.message.is_empty());
    }
    assert_eq!(bench.verdict("empty.img"), Verdict::None);
}

#[test]
fn a_backup_that_was_tampered_with_restores_nothing() {
    let mut bench = Bench::new();
    bench.run(&bench.create()).unwrap();
    bench.run(&bench.corrupt(&[Slot::S1])).unwrap();
    let path = bench.path("spare.img");
    let before = trace(&path);
    for side in ["2.bin", "2.after.bin"] {
        let backup = bench.path("journal").join(side);
        let good = fs::read(&backup).unwrap();
        for change in [
            |bytes: &mut Vec<u8>| bytes[100] ^= 1,
            |bytes: &mut Vec<u8>| {
                bytes.pop();
            },
        ] {
            let mut bad = good.clone();
            change(&mut bad);
            fs::write(&backup, bad).unwrap();
            let error = bench.run(&Operation::Undo { id: None }).unwrap_err();
            assert_eq!(
                (error.code, error.exit.code()),
                ("backup-damaged", 1),
                "{side}"
            );
        }
        fs::remove_file(&backup).unwrap();
        let error = bench.run(&Operation::Undo { id: None }).unwrap_err();
        assert_eq!(error.exit.code(), 1, "{side}: {error:?}");
        fs::write(&backup, good).unwrap();
        assert_eq!(trace(&path), before, "{side}");
    }
    bench.run(&Operation::Undo { id: None }).unwrap();
}

#[test]
fn a_journal_that_cannot_be_written_stops_everything() {
    let mut bench = Bench::new();
    // A file where the directory would have to be.
    fs::write(bench.path("journal"), b"").unwrap();
    let before = trace(&bench.path("spare.img"));
    let error = bench.run(&bench.create()).unwrap_err();
    assert_eq!(
        (error.code, error.exit.code()),
        ("no-journal", 5),
        "{error:?}"
    );
    assert_eq!(trace(&bench.path("spare.img")), before);
}

#[test]
fn an_image_that_a_labs_device_uses_is_in_use_without_the_lab_too() {
    let mut bench = Bench::new();
    let directory = bench.path("lab");
    let platform = Arc::new(ThisMachine);
    let mut lab = Lab::open_or_create(&directory, platform, Contents::Training).unwrap();
    let device = lab.mapped().unwrap().remove(0);
    let free = lab.devices().unwrap();
    let free = free.iter().find(|info| info.usage == Usage::Free).unwrap();
    assert_eq!(bench.host.usage(&free.path).unwrap(), Usage::Free);
    for (path, part) in [(&device.main, Part::Main), (&device.spare, Part::Spare)] {
        let name = device.name.clone();
        assert_eq!(
            bench.host.usage(path).unwrap(),
            Usage::Mapped { name, part }
        );
    }
    let before = trace(&device.spare);
    let refused = [
        Operation::Repair {
            target: Target::Path(device.spare.clone()),
            from: None,
            rebuild: false,
            array: None,
        },
        Operation::Create {
            name: "other".to_owned(),
            main: bench.path("main.img"),
            spare: device.spare.clone(),
            options: Options::default(),
            replace: true,
            form: Some(MainForm::Bare),
        },
    ];
    for operation in refused {
        let error = bench.run(&operation).unwrap_err();
        assert_eq!(
            (error.code, error.exit.code()),
            ("busy", 5),
            "{operation:?}"
        );
        assert!(error.message.contains(&device.name), "{error}");
        assert_eq!(trace(&device.spare), before);
    }
    let damage = Operation::Corrupt {
        path: device.spare,
        slots: vec![Slot::S1],
        kind: CorruptionKind::Zero,
        seed: 1,
    };
    let damaged = plan(&mut bench.host, &mut bench.context, &damage).unwrap();
    assert!(
        damaged.live,
        "damage on purpose goes beneath whoever uses it"
    );
}
