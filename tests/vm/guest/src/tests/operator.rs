//! An operator at the screen: from choosing two disks to watching the kernel heal what was
//! damaged, and backing out of everything.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::mount::{umount2, MntFlags};

use super::refusals::EXT4;
use super::remapping::{wait_for, Unhealed};
use super::Test;
use crate::application::{open_terminal, run};
use crate::block::{Buffer, Device};
use crate::disk::Disk;
use crate::dm::{self, Mapped};
use crate::file_system::Tree;
use crate::kernel_log::KernelLog;
use crate::metadata;
use crate::random::Random;
use crate::screen::{choose, confirm, drill, plan_create, plan_drill, ALL_GOOD};
use crate::sys;
use crate::terminal::ENTER;
use crate::witness::Witness;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("application-screen-from-two-disks-to-healed", wizard),
    ("application-screen-leaves-nothing-when-left", backing_out),
    ("application-script-from-two-disks-to-healed", script),
];

/// The key that goes back.
const ESC: &str = "\x1b";

fn name_of(disk: &Disk) -> &str {
    disk.word().trim_start_matches("/dev/")
}

/// A mounted file system; a test that fails leaves none to the tests after it.
struct Mounted;

impl Mounted {
    fn new(device: &Path) -> Self {
        EXT4.mount(device);
        Self
    }

    fn end(self) {
        EXT4.unmount();
        std::mem::forget(self);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2("/mnt", MntFlags::MNT_DETACH);
    }
}

/// A file whose blocks on main go bad under it, and who writes it again and again.
struct Worn {
    file: std::fs::File,
    first: u64,
}

const WORN_SECTORS: u64 = 64;

impl Worn {
    fn new() -> Self {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).read(true).write(true);
        let file = options.open("/mnt/worn").expect("a file is made");
        let mut worn = Self { file, first: 0 };
        worn.write(1);
        worn.first = sys::first_sector_of(&worn.file).expect("it lies somewhere");
        worn
    }

    fn write(&self, round: u64) {
        let mut buffer = Buffer::sectors(WORN_SECTORS);
        buffer.fill(0, round);
        let written = self.file.write_all_at(buffer.bytes(), 0);
        written
            .and_then(|()| self.file.sync_all())
            .expect("the spare takes what main does not");
    }

    fn check(&self, round: u64) {
        let mut buffer = Buffer::sectors(WORN_SECTORS);
        self.file
            .read_exact_at(buffer.bytes_mut(), 0)
            .expect("the file reads");
        buffer.check(0, round);
    }
}

fn wizard(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(32), Disk::of_mib(8));
    EXT4.make(main.path());
    let mut terminal = open_terminal("");
    terminal.wait_for(name_of(&spare));
    let witness = Witness::of(&[&main, &spare]);
    choose(&mut terminal, name_of(&main), name_of(&spare));
    plan_create(&mut terminal, "vault");
    witness.check("a plan");
    confirm(&mut terminal, "vault", "vault is created");
    assert_eq!(metadata::judgement(&spare).verdict.name(), "healthy");
    terminal.press(ENTER);
    terminal.wait_for("vault ── dm-remap-v4 ── up, read-write");
    terminal.wait_for(ALL_GOOD);

    // A file system lives on it, and main goes bad under one of its files.
    let mounted = Mounted::new(Path::new("/dev/mapper/vault"));
    let mut tree = Tree::plant();
    tree.exercise(&mut Random::new(4), 60);
    let worn = Worn::new();
    terminal.press_for("3", "no block of main has failed");
    for (round, bad) in [(2, 8), (3, 24)] {
        main.spoil(worn.first, bad);
        worn.write(round);
        worn.check(round);
        terminal.wait_for(&format!(" {bad} blocks moved to the spare"));
    }

    // A drill on the live device says what it does, and does that.
    wait_for(&Mapped::named("vault"), "the first scrub", |told| {
        told.scrubs > 0
    });
    let before = metadata::slots(&spare);
    plan_drill(&mut terminal, "vault");
    assert_eq!(metadata::slots(&spare), before, "a plan writes nothing");
    drill(&mut terminal, "vault", || {
        let damaged = metadata::slots(&spare);
        let changed = |slot: usize| damaged[slot * 512..][..512] != before[slot * 512..][..512];
        assert_eq!(
            [0, 1, 2, 3, 4].map(changed),
            [false, true, false, true, false]
        );
    });
    assert_eq!(metadata::slots(&spare), before, "not byte for byte");

    tree.check_all();
    worn.check(3);
    drop(worn);
    mounted.end();
    EXT4.check(Path::new("/dev/mapper/vault"));
    terminal.leave();
    run("remove vault").done();
}

fn backing_out(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    Device::open(main.path())
        .write_pattern(0, 64, 1)
        .expect("main takes writes");
    let witness = Witness::of(&[&main, &spare]);
    let mut terminal = open_terminal("");
    terminal.wait_for(name_of(&spare));
    // At each step, as far as that step goes.
    for steps in 1..=5 {
        terminal.press_for("n", "1 of 4");
        if steps >= 2 {
            terminal.point_at(name_of(&main));
            terminal.press_for(ENTER, "2 of 4");
        }
        if steps >= 3 {
            terminal.point_at(name_of(&spare));
            terminal.press_for(ENTER, "3 of 4");
        }
        if steps >= 4 {
            terminal.press_for("vault", "vault▏");
            terminal.press_for(ENTER, "Type vault to go on");
        }
        if steps >= 5 {
            terminal.press_for("vaul", "go on: vaul");
            terminal.press_for(ENTER, "vaul is not vault; nothing was changed");
        }
        while let Some(before) = step(&terminal.text()) {
            terminal.press(ESC);
            terminal.wait_until("a step back", |screen| step(screen) != Some(before));
        }
        witness.check(&format!("{steps} steps and back"));
        assert_eq!(dm::names(), [""; 0]);
    }
    terminal.leave();
    witness.check("leaving");
}

/// Which step of the wizard is on the screen; the last is the typed name.
fn step(screen: &str) -> Option<u32> {
    const TYPED_NAME: u32 = 4;
    if screen.contains("go on") {
        return Some(TYPED_NAME);
    }
    let at = screen.find(" of 4")?;
    screen[..at].chars().next_back()?.to_digit(10)
}

/// The same by a script, which reads JSON alone.
fn script(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(32), Disk::of_mib(8));
    EXT4.make(main.path());
    let (main_word, spare_word) = (main.word(), spare.word());
    run(&format!(
        "create vault --main {main_word} --spare {spare_word} --bare --confirm vault"
    ))
    .done();
    let vault = Path::new("/dev/mapper/vault");
    let mounted = Mounted::new(vault);
    let worn = Worn::new();
    let counters = || {
        let status = run("status vault").done();
        ["remaps_active", "write_errors", "spare_used_blocks"].map(|key| {
            status[key]
                .as_u64()
                .unwrap_or_else(|| panic!("{key}: {status:#}"))
        })
    };
    assert_eq!(counters(), [0, 0, 0]);
    main.spoil(worn.first, 16);
    worn.write(2);
    let [active, errors, used] = counters();
    assert_eq!((active, used), (16, 16));
    assert!(errors > 0);
    let mapped = Mapped::named("vault");
    let unhealed = Unhealed::hold(&mapped);
    run(&format!(
        "corrupt {spare_word} --copy 0,4 --kind torn --confirm vault"
    ))
    .done();
    let inspect = format!("inspect {spare_word}");
    let seen = run(&inspect);
    assert_eq!(seen.status, 3);
    for finding in seen.json["findings"].as_array().expect("findings") {
        for key in [
            "id",
            "severity",
            "certainty",
            "summary",
            "meaning",
            "advice",
        ] {
            assert!(finding[key].is_string(), "{key}: {finding:#}");
        }
    }
    assert_eq!(run("scrub vault").json["verdict_found"], "degraded");
    unhealed.release();
    run("repair vault").done();
    assert_eq!(run(&inspect).done()["verdict"], "healthy");
    worn.check(2);
    drop(worn);
    mounted.end();
    run("remove vault").done();

    // Main is known by its file system alone, and that is enough.
    run("reassemble vault").done();
    EXT4.check(vault);
    let mounted = Mounted::new(vault);
    let mut holds = Buffer::sectors(WORN_SECTORS);
    std::fs::File::open("/mnt/worn")
        .and_then(|file| file.read_exact_at(holds.bytes_mut(), 0))
        .expect("the file is there");
    holds.check(0, 2);
    mounted.end();
    assert_eq!(counters()[0], 16);
    let log = run("log").done();
    let actions = log["actions"].as_array().expect("a log has actions");
    for operation in ["create", "corrupt", "repair", "remove", "reassemble"] {
        let is_it = |action: &&serde_json::Value| action["operation"] == operation;
        assert!(
            actions.iter().any(|action| is_it(&action)),
            "{operation}: {log:#}"
        );
    }
    run("remove vault").done();
}
