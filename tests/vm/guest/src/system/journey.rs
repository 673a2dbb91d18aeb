//! One operator, one device: made with the wizard, with a main that goes bad under its file
//! system, damaged for a drill, trusted to come up by itself, and reset in the middle of work.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::Value;

use crate::after::{array_of, check_content, wait_for_end, DONE};
use crate::before::write;
use crate::disks::{node, take_away};
use crate::machine::{argument, is_up, json, mounted_at, run, tried, wait_for};
use crate::screen::{choose, confirm, drill, plan_create, plan_drill, ALL_GOOD};
use crate::terminal::{Terminal, ENTER};
use crate::wear::{bad_places, bad_sectors, check_main_is_old, Ledger};

const NAME: &str = "store";
const AT: &str = "/mnt/store";
const CONTENT: u8 = 3;

/// What was written last where main is bad.
const ROUND: u8 = 5;

fn open() -> Terminal {
    Terminal::start(Command::new("dmremap-tui"))
}

fn disk(serial: &str) -> String {
    node(serial).replace("/dev/", "")
}

/// Everything that is done before the reset, most of it at the screen.
pub fn from_two_disks_to_the_list() {
    // What lies on main keeps it bare: the places where it is bad are the device's own then.
    let main = OpenOptions::new().write(true).open(node("store-main"));
    let main = main.expect("main can be written");
    main.write_all_at(b"held", 700_000).expect("main is there");
    drop(main);
    let mut terminal = open();
    terminal.wait_for(&disk("store-spare"));
    choose(&mut terminal, &disk("store-main"), &disk("store-spare"));
    plan_create(&mut terminal, NAME);
    let allow = command_shown(&terminal.text(), "dmremap-tui allow");
    assert_eq!(allow, "dmremap-tui allow store");
    confirm(&mut terminal, NAME, "store is created");
    terminal.press(ENTER);
    terminal.wait_for("store ── dm-remap-v4 ── up, read-write");
    terminal.wait_for(ALL_GOOD);
    terminal.wait_for("store is safe. Nothing to do.");

    run("mke2fs -q -F -t ext4 -b 4096 /dev/mapper/store");
    fs::create_dir_all(AT).expect("a directory can be made");
    run("mount /dev/mapper/store /mnt/store");
    write(AT, CONTENT);
    let ledger = Ledger::reserve(AT);
    terminal.press_for("3", "no block of main has failed");
    let mut moved = 0;
    for place in bad_places() {
        ledger.write(&place, ROUND - 1);
        moved += place.end - place.start;
        terminal.wait_for(&format!(" {moved} blocks moved to the spare"));
        // What moved is written where it is now, and counted once.
        ledger.write(&place, ROUND);
        ledger.check(&place, ROUND);
    }

    plan_drill(&mut terminal, NAME);
    drill(&mut terminal, NAME, || {
        let seen = tried(&format!("dmremap-tui inspect {}", node("store-spare")));
        assert_eq!(seen.status.code(), Some(3), "the disk itself is damaged");
    });
    terminal.wait_for(&format!(" {moved} blocks moved to the spare"));
    terminal.wait_for("store is safe. Nothing to do.");
    terminal.leave();

    let found = status();
    assert_eq!(found["remaps_active"], bad_sectors());
    assert_eq!(found["corruption_detected"], 1);
    run(&allow);
    let table = OpenOptions::new().append(true).open("/etc/fstab");
    writeln!(
        table.expect("a table of mounts"),
        "/dev/mapper/store /mnt/store ext4 defaults,x-systemd.device-timeout=600 0 2"
    )
    .expect("it can be written");
    run("sync -f /etc/fstab");
}

fn status() -> Value {
    json("status store")
}

/// A command that the screen names, with what follows it on the line.
fn command_shown(screen: &str, command: &str) -> String {
    // In a window a sentence goes on past the frame.
    let frameless = screen.replace(['│', '▏'], " ");
    let words = frameless.split_whitespace().collect::<Vec<_>>().join(" ");
    let at = words.find(command);
    let at = at.unwrap_or_else(|| panic!("no {command} on the screen:\n{screen}"));
    let rest = words[at + command.len()..].split_whitespace().next();
    format!("{command} {}", rest.expect("a device"))
}

/// Records of a block each, written one after another and over again from the first.
const RECORDS: u64 = 32;
const RECORD: usize = 4096;

fn record(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(RECORD / 8)
}

/// Writes records until the machine is reset, which may come once each has been overwritten.
/// The host is told of each that is durable, and tells the next start of the last.
pub fn work_until_the_reset() {
    static DONE: AtomicU64 = AtomicU64::new(0);
    let path = format!("{AT}/records");
    let file = File::create(path).expect("a file can be made");
    thread::spawn(move || {
        for number in 0.. {
            let at = number % RECORDS * RECORD as u64;
            file.write_all_at(&record(number), at)
                .and_then(|()| file.sync_data())
                .expect("work goes on");
            println!("vm: synced {number}");
            DONE.store(number, Ordering::Relaxed);
        }
    });
    wait_for("work goes on", || {
        DONE.load(Ordering::Relaxed) > 2 * RECORDS
    });
}

/// Every record that was durable is there, or a later one that took its place.
fn check_records() {
    let last: u64 = argument("dmremap.synced").parse().expect("a number");
    assert!(last >= RECORDS, "{last}: the work was hardly begun");
    let file = File::open(format!("{AT}/records")).expect("the file is there");
    // The one that was being written may be either, or torn.
    for number in last + 2 - RECORDS..=last {
        let mut holds = vec![0; RECORD];
        let read = file.read_exact_at(&mut holds, number % RECORDS * RECORD as u64);
        read.expect("the file reads");
        assert!(holds == record(number), "record {number} of {last}");
    }
}

/// What is there after the reset, with nothing typed.
pub fn is_there_after_the_reset() {
    assert!(is_up(NAME));
    wait_for_end(&array_of("store-spare"), DONE);
    check_content(NAME, CONTENT);
    check_records();
    let ledger = Ledger::open(AT);
    for place in bad_places() {
        ledger.check(&place, ROUND);
        check_main_is_old(&node("store-main"), &place, ROUND);
    }
    let found = status();
    assert_eq!(found["remaps_active"], bad_sectors());
    assert_eq!(found["verdict"], "healthy");

    let mut terminal = open();
    terminal.wait_for(&format!("└ {NAME}"));
    terminal.point_at(NAME);
    terminal.wait_for("store ── dm-remap-v4 ── up, read-write");
    terminal.wait_for(ALL_GOOD);
    terminal.wait_for(&format!(" {} blocks moved to the spare", bad_sectors()));
    // A block that is bad already stays where it is now.
    let place = &bad_places()[0];
    ledger.write(place, ROUND + 1);
    ledger.check(place, ROUND + 1);
    drop(ledger);
    assert_eq!(status()["remaps_active"], bad_sectors());
    terminal.leave();

    run("umount /mnt/store");
    run("e2fsck -f -n /dev/mapper/store");
    run("mount /mnt/store");
    check_content(NAME, CONTENT);
}

/// Without the disks that are broken on purpose nothing is left to be done.
pub fn screen_says_safe() {
    let terminal = open();
    terminal.wait_for("frail");
    for serial in [
        "frail-main",
        "frail-spare",
        "twin-main",
        "twin-spare",
        "twin-clone",
        "stranger-main",
        "stranger-spare",
        "gone-main",
    ] {
        // For good: nothing is brought back at the end of the tests.
        let _ = take_away(serial);
    }
    let devices = json("status")["devices"].as_array().map(Vec::len);
    let devices = devices.expect("devices");
    terminal.wait_for(&format!(
        "All {devices} mapped devices are safe. Nothing to do."
    ));
    terminal.leave();
    wait_for("what is safe is mounted", are_mounted);
}

fn are_mounted() -> bool {
    [AT, "/mnt/vault", "/mnt/worn"]
        .iter()
        .all(|directory| mounted_at(directory).is_some())
}
