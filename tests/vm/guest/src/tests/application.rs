//! The application on the kernel's own target.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::pass_through::make_partitions;
use super::remapping::Unhealed;
use super::{join, table, words};
use crate::application::{run, run_unprivileged, Watch};
use crate::block::Device;
use crate::disk::{Disk, MIB};
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::modules;

/// Checks that nothing is on a spare, from its beginning to its end.
fn check_blank(spare: &Disk) {
    let device = Device::open_read_only(spare.path());
    device.check_zero(0, device.sectors());
}

fn is_up(name: &str) -> bool {
    let report = run("status").json;
    let devices = report["devices"].as_array().expect("status lists devices");
    devices.iter().any(|device| device["name"] == name)
}

/// What others brought up is listed, told and taken down.
pub fn knows_what_is_up(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let joined = join(&main, &spare);

    let status = run("status joined");
    assert_eq!(status.status, 4, "nothing says that a blank spare is ours");
    let status = status.json;
    assert_eq!(status["name"], "joined");
    assert_eq!(status["mode"], "pass");
    assert_eq!(status["main"], main.word());
    assert_eq!(status["spare"], spare.word());
    assert_eq!(status["size_sectors"], Device::open(main.path()).sectors());
    assert_eq!(status["findings"][0]["id"], "no-metadata");
    let line = format!("0 32768 dm-remap-v4 {} {}", main.word(), spare.word());
    assert_eq!(status["table_line"], line);

    let list = run("list").done();
    let rows = list["devices"].as_array().expect("a list of devices");
    let row = |disk: &Disk| {
        rows.iter()
            .find(|row| row["device"] == disk.word())
            .unwrap_or_else(|| panic!("{} is not listed in {list:#}", disk.word()))
    };
    for (disk, part) in [(&main, "main"), (&spare, "spare")] {
        assert_eq!(row(disk)["part"], part, "{list:#}");
        assert_eq!(row(disk)["mapped"], "joined", "{list:#}");
    }

    let over = format!(
        "create other --main {} --spare {} --bare",
        main.word(),
        spare.word()
    );
    assert_eq!(run(&over).code(5), "busy");
    assert!(joined.status().is_ok(), "it is up still");

    run("remove joined").done();
    assert!(joined.status().is_err(), "it is gone");
    assert_eq!(run("remove joined").code(1), "not-found");
    assert_eq!(run("status joined").code(1), "not-active");
}

/// A device that somebody has open stays up.
pub fn open_device_is_busy(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let joined = join(&main, &spare);
    let open = Device::open(&joined.path());
    let refused = run("remove joined");
    assert_eq!(refused.code(5), "busy");
    let message = refused.json["message"].as_str().expect("a message");
    assert!(message.contains("/dev/mapper/joined open"), "{message}");
    assert!(is_up("joined"));
    drop(open);
    run("remove joined").done();
}

/// Nobody but root is told more than sysfs tells everyone, nor changes anything.
pub fn not_root(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let doctor = run_unprivileged("doctor").done();
    for id in ["root", "device-mapper"] {
        let check = check(&doctor, id);
        assert_eq!(check["ok"], false, "{doctor:#}");
        assert!(
            check["advice"].as_str().unwrap().contains("as root"),
            "{doctor:#}"
        );
    }
    let create = create_vault(&main, &spare);
    let refused = run_unprivileged(&create);
    assert_eq!(refused.code(1), "not-permitted", "{refused:?}");
    let joined = join(&main, &spare);
    assert_eq!(run_unprivileged("remove joined").code(1), "not-found");
    joined.remove().expect("it is up still");
}

fn check<'a>(doctor: &'a serde_json::Value, id: &str) -> &'a serde_json::Value {
    let checks = doctor["checks"].as_array().expect("doctor lists checks");
    let named = checks.iter().find(|check| check["id"] == id);
    named.unwrap_or_else(|| panic!("no check {id} in {doctor:#}"))
}

/// A name that any mapped device has is taken before anything is written.
pub fn taken_name(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let line = Line {
        start: 0,
        length: 8,
        target: "error",
        words: String::new(),
    };
    let other = Mapped::create("vault", &[line]).expect("an error target comes up");
    let create = create_vault(&main, &spare);
    let refused = run(&create);
    assert_eq!(refused.code(5), "name-taken");
    check_blank(&spare);
    // It is not ours to be taken down.
    assert_eq!(run("remove vault").code(1), "not-found");
    other.remove().expect("it is up still");
}

/// Words that make no sense are refused by name.
pub fn malformed(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let long = "x".repeat(128);
    for name in ["a/b", "a%b", "..", &long] {
        let create = format!(
            "create {name} --main {} --spare {} --bare --confirm {name}",
            main.word(),
            spare.word()
        );
        assert_eq!(run(&create).status, 5, "{name}");
    }
    let same = format!(
        "create vault --main {0} --spare {0} --confirm vault",
        main.word()
    );
    assert_eq!(run(&same).code(5), "same-device");
    let unknown = "create vault --main /dev/nothing --spare /dev/nothing --confirm vault";
    assert_eq!(run(unknown).code(1), "not-found");
    check_blank(&spare);
}

/// A device from its making to its taking apart and back, on the kernel's own target.
pub fn whole_life(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let disk = Device::open(main.path());
    disk.write_pattern(0, 64, 1).expect("main takes writes");
    drop(disk);

    run(&create_vault(&main, &spare)).done();
    let status = run("status vault").done();
    assert_eq!(status["mode"], "rw");
    assert_eq!(status["copies"], "VVVVV");
    assert_eq!(status["working_sequence"], 1);
    let vault = Path::new("/dev/mapper/vault");
    Device::open_read_only(vault).check_pattern(0, 64, 1);

    // That something of ours is up is no secret; what its target says is root's.
    assert_eq!(run_unprivileged("status").code(1), "not-permitted");

    // The target alone writes while it is up, and what it wrote is seen on the disk.
    run("write-metadata vault").done();
    let inspect = format!("inspect {}", spare.word());
    let seen = run(&inspect).done();
    assert_eq!(seen["working_sequence"], 2);
    assert_eq!(seen["fields"]["name"], "vault");
    for change in ["migrate", "repair --rebuild"] {
        let refused = run(&format!("{change} {} --confirm vault", spare.word()));
        assert_eq!(refused.status, 5, "{change}: {refused:?}");
    }

    // Damage is found and healed.
    let corrupt = format!(
        "corrupt {} --copy 1,3 --kind bit-flip --confirm vault",
        spare.word()
    );
    let mapped = Mapped::named("vault");
    let unhealed = Unhealed::hold(&mapped);
    run(&corrupt).done();
    assert_eq!(run(&inspect).status, 3);
    let scrub = run("scrub vault");
    assert_eq!(scrub.status, 3, "{scrub:?}");
    assert_eq!(scrub.json["damage_found"], true);
    assert_eq!(scrub.json["verdict_found"], "degraded");
    unhealed.release();
    run("repair vault").done();
    let status = run("status vault").done();
    assert_eq!(status["corruption_detected"], 1);
    assert_eq!(status["repairs_completed"], 1);
    run(&inspect).done();

    // A block that cannot be written is served from the spare, also after it came back.
    main.spoil(8, 1);
    let mapped = Device::open(vault);
    mapped
        .write_pattern(0, 64, 2)
        .expect("the spare takes the bad block");
    drop(mapped);
    assert_eq!(run("status vault").done()["remaps_active"], 1);
    run("remove vault").done();
    assert!(fs::symlink_metadata(vault).is_err());
    assert_eq!(run("status vault").done()["active"], false);

    // Nothing tells these disks apart for good, so main must be named, and be main.
    assert_eq!(run("reassemble vault").code(5), "main-unknown");
    let other = Disk::of_mib(12);
    let wrong = format!("reassemble vault --main {}", other.word());
    assert_eq!(run(&wrong).code(4), "main-size");
    run(&format!("reassemble vault --main {}", main.word())).done();
    assert_eq!(run("status vault").done()["remaps_active"], 1);
    Device::open_read_only(vault).check_pattern(0, 64, 2);
    run("remove vault").done();

    // Down, it is changed on the disk, and the change is taken back.
    run(&corrupt).done();
    assert_eq!(run(&inspect).status, 3);
    run("undo --confirm vault").done();
    run(&inspect).done();
}

/// What targets did is told later, by their names, also when these are gone.
pub fn tells_what_happened(_: &mut KernelLog) {
    // The kernel's log has what the tests before this one did, under the same names.
    let last_id = |log: &serde_json::Value| {
        let events = log["events"].as_array().expect("a list of events");
        events.last().and_then(|event| event["id"].as_u64())
    };
    let before = last_id(&run("log").done());
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    run(&create_vault(&main, &spare)).done();
    main.spoil(8, 1);
    let mapped = Device::open(Path::new("/dev/mapper/vault"));
    mapped
        .write_pattern(0, 64, 1)
        .expect("the spare takes the bad block");
    drop(mapped);
    let damage = format!(
        "corrupt {} --copy 1,3 --kind bit-flip --confirm vault",
        spare.word()
    );
    let vault = Mapped::named("vault");
    let unhealed = Unhealed::hold(&vault);
    run(&damage).done();
    assert_eq!(run("scrub vault").status, 3);
    unhealed.release();
    run("repair vault").done();
    run("remove vault").done();
    // Its number goes to another one, which takes the name along that it is given later.
    let joined = join(&main, &Disk::of_mib(8));
    assert_eq!(run("status joined").json["mode"], "pass");

    let log = run("log").done();
    let events = log["events"].as_array().expect("a list of events");
    let of = |device: &str| -> Vec<&str> {
        let since = events.iter().filter(|event| event["id"].as_u64() > before);
        let of_device = since.filter(|event| event["device"] == device);
        of_device
            .map(|event| event["event"].as_str().expect("an event has a name"))
            .collect()
    };
    let vault = of("vault");
    for event in [
        "activated",
        "remapped",
        "corruption-detected",
        "repair-completed",
    ] {
        assert!(vault.contains(&event), "{event} is missing in {log:#}");
    }
    let joined_did = of("joined");
    assert!(joined_did.contains(&"words"), "{log:#}");
    assert!(!joined_did.contains(&"remapped"), "{log:#}");
    let sources = events.iter().map(|event| &event["source"]);
    assert!(sources.into_iter().all(|source| source == "kernel-log"));
    joined.remove().expect("nobody has it open");

    // Who may not read the kernel's log is told so.
    fs::write("/proc/sys/kernel/dmesg_restrict", "1").expect("it can be restricted");
    let log = run_unprivileged("log").done();
    assert_eq!(log["findings"][0]["id"], "kernel-log-unread", "{log:#}");
    assert_eq!(log["events"].as_array().map(Vec::len), Some(0));
}

/// What changes is told when it changes, without anybody asking again and again.
pub fn tells_of_changes(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    run(&create_vault(&main, &spare)).done();
    let mut watch = Watch::start("status vault --watch");
    let first = watch.next();
    assert_eq!(first["working_sequence"], 1);
    run("write-metadata vault").done();
    watch.until(|report| report["working_sequence"] == 2);
    run("scrub vault").done();
    let scrubs = first["scrubs"].as_u64().expect("scrubs are counted");
    watch.until(|report| report["scrubs"].as_u64().is_some_and(|now| now > scrubs));
    watch.end();
    run("remove vault").done();
}

/// Both disks may be partitions of one, whose lock is taken once.
pub fn partitions_of_one_disk(_: &mut KernelLog) {
    let disk = Disk::of_mib(32);
    let paths = make_partitions(&disk, &[16 * MIB, 8 * MIB]);
    let [main, spare] = [&paths[0], &paths[1]].map(|path| path.display().to_string());
    run(&format!(
        "create vault --main {main} --spare {spare} --bare --confirm vault"
    ))
    .done();
    let status = run("status vault").done();
    assert_eq!(
        (&status["main"], &status["spare"]),
        (&main.into(), &spare.into())
    );
    assert_eq!(status["copies"], "VVVVV");
    let third = Disk::of_mib(8);
    let whole = create_vault(&disk, &third).replace("vault", "other");
    assert_eq!(run(&whole).code(5), "busy", "its partitions are in use");
    run("remove vault").done();
}

/// The adapter does what its port says, also what no command asks of it.
pub fn adapter(_: &mut KernelLog) {
    run_adapter_tests(&["--skip=swaps"], &[16, 8]);
}

/// Names that come to mean other devices between a plan and its execution: 1,000 times
/// nothing is written to the wrong one.
pub fn exchanged_names(_: &mut KernelLog) {
    run_adapter_tests(&["swaps"], &[4, 4, 5, 5]);
}

/// Runs the tests of the adapter that `words` choose, on disks of so many MiB.
fn run_adapter_tests(words: &[&str], disks: &[u64]) {
    let disks: Vec<Disk> = disks.iter().map(|mib| Disk::of_mib(*mib)).collect();
    let named: Vec<&str> = disks.iter().map(Disk::word).collect();
    let output = Command::new("/bin/device_mapper")
        .args(["--test-threads=1"])
        .args(words)
        .env("DMREMAP_TEST_DISKS", named.join(" "))
        .output()
        .expect("the adapter's tests run");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{}: {said}", output.status);
    // A run of no tests passes as well.
    assert!(!said.contains(" 0 passed"), "{said}");
}

fn create_vault(main: &Disk, spare: &Disk) -> String {
    format!(
        "create vault --main {} --spare {} --bare --confirm vault",
        main.word(),
        spare.word()
    )
}

/// A create whose last step fails leaves neither a device nor a byte behind.
pub fn create_rolls_back(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let held = Device::open_exclusive(main.path()).expect("main can be held");
    let create = create_vault(&main, &spare);
    let refused = run(&create);
    assert_eq!(refused.code(5), "busy");
    let advice = refused.json["advice"].as_str().expect("advice");
    assert!(advice.contains("written back"), "{refused:?}");
    check_blank(&spare);
    assert!(!is_up("vault"));
    assert!(fs::symlink_metadata("/dev/mapper/vault").is_err());
    drop(held);
    // The same names and disks are free again.
    let again = Mapped::create("vault", &table(8, words(&main, &spare)));
    again
        .expect("nothing is held")
        .remove()
        .expect("nobody has it open");
}

/// Without the module it says so, and what to do.
pub fn module_is_missed(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let doctor = run("doctor").done();
    assert_eq!(check(&doctor, "target")["ok"], true, "{doctor:#}");
    modules::unload("dm_remap_v4").expect("nothing uses the module");
    let doctor = run("doctor").done();
    let create = format!(
        "create vault --main {} --spare {} --bare --dry-run",
        main.word(),
        spare.word()
    );
    let plan = run(&create).done();
    modules::load("dm_remap_v4", "").expect("the module loads again");
    let target = check(&doctor, "target");
    assert_eq!(target["ok"], false, "{doctor:#}");
    let advice = target["advice"].as_str().unwrap();
    assert!(advice.contains("modprobe dm_remap_v4"), "{advice}");
    let notes = plan["plan"]["notes"].to_string();
    assert!(notes.contains("modprobe dm_remap_v4"), "{notes}");
}
