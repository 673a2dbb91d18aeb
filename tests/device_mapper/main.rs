//! The adapter to the kernel's device-mapper, through its port. It takes root and a
//! kernel with device-mapper: `make vm-test` runs it in its guest.
#![cfg(test)]
#![cfg(feature = "device-mapper")]

mod swaps;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use dmremap::port::block::DeviceNumber;
use dmremap::port::device_mapper::{Control, DeviceMapper, Line, NewDevice};
use dmremap::port::{Access, HostError, Platform};
use dmremap::remap_core::units::{Sector, Sectors};
use dmremap::sys::{KernelDeviceMapper, ThisMachine};

const KERNEL: KernelDeviceMapper = KernelDeviceMapper;

/// Long enough for a busy machine; nothing waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(600);

/// Two disks that the tests may use.
fn disks() -> [PathBuf; 2] {
    let named = std::env::var("DMREMAP_TEST_DISKS").expect("DMREMAP_TEST_DISKS names two disks");
    let mut paths = named.split(' ').map(PathBuf::from);
    [paths.next().unwrap(), paths.next().unwrap()]
}

fn number(disk: &Path) -> DeviceNumber {
    let store = ThisMachine.open(disk, Access::Read).unwrap();
    store.number().expect("a disk has a number")
}

/// A device of the kernel's own target `linear` over the beginning of a disk.
fn linear(name: &str, disk: &Path) -> NewDevice {
    NewDevice {
        name: name.to_owned(),
        uuid: format!("DMREMAP-{name}"),
        line: Line {
            start: Sector::new(0),
            length: Sectors::new(64),
            target: "linear".to_owned(),
            text: format!("{} 0", number(disk)),
        },
        read_only: false,
    }
}

fn node(name: &str) -> PathBuf {
    Path::new("/dev/mapper").join(name)
}

#[test]
fn a_device_lives_from_creation_to_removal() {
    let [disk, _] = disks();
    let device = linear("one", &disk);
    let made = KERNEL.create(&device).unwrap();
    assert_eq!(
        KERNEL.table("one").unwrap(),
        std::slice::from_ref(&device.line)
    );
    assert_eq!(KERNEL.dependencies("one").unwrap(), [number(&disk)]);
    let status = KERNEL.status("one").unwrap();
    assert_eq!((status.len(), status[0].text.as_str()), (1, ""));
    let listed = KERNEL.list().unwrap();
    let one = listed.iter().find(|listed| listed.name == "one").unwrap();
    assert_eq!((one.number, one.uuid.as_str()), (made, "DMREMAP-one"));
    assert_eq!(number(&node("one")), made);

    KERNEL.suspend("one").unwrap();
    KERNEL.resume("one").unwrap();
    KERNEL.rename("one", "two").unwrap();
    assert!(matches!(KERNEL.table("one"), Err(HostError::NotFound(_))));
    assert_eq!(number(&node("two")), made);
    assert!(!node("one").exists());

    let open = ThisMachine.open(&node("two"), Access::Read).unwrap();
    let removed = KERNEL.remove("two");
    assert!(
        matches!(removed, Err(HostError::Busy { .. })),
        "{removed:?}"
    );
    drop(open);
    KERNEL.remove("two").unwrap();
    assert!(matches!(KERNEL.remove("two"), Err(HostError::NotFound(_))));
    assert!(!node("two").exists());
}

#[test]
fn what_fails_leaves_nothing_behind() {
    let [disk, other] = disks();
    let before = KERNEL.list().unwrap();
    let failing = |change: &dyn Fn(&mut NewDevice)| {
        let mut device = linear("failing", &disk);
        change(&mut device);
        let error = KERNEL.create(&device).unwrap_err();
        assert_eq!(KERNEL.list().unwrap(), before, "{error}");
        error
    };
    let past_end = failing(&|device| device.line.text = format!("{} 999999999", number(&disk)));
    assert!(matches!(
        past_end,
        HostError::Refused(_) | HostError::Io { .. }
    ));
    let unknown = failing(&|device| device.line.target = "no-such-target".to_owned());
    assert!(unknown.to_string().contains("no-such-target"), "{unknown}");
    let long = failing(&|device| device.line.target = "a-target-of-more-bytes".to_owned());
    assert!(matches!(long, HostError::Refused(_)), "{long}");

    let held = ThisMachine.open(&other, Access::Exclusive).unwrap();
    let busy = failing(&|device| device.line.text = format!("{} 0", number(&other)));
    assert!(matches!(busy, HostError::Busy { .. }), "{busy}");
    drop(held);
}

#[test]
fn names_and_lasting_names_are_taken_once() {
    let [disk, other] = disks();
    KERNEL.create(&linear("taken", &disk)).unwrap();
    let again = KERNEL.create(&linear("taken", &other)).unwrap_err();
    assert!(again.to_string().contains("the name taken"), "{again}");
    let same = NewDevice {
        uuid: "DMREMAP-taken".to_owned(),
        ..linear("other", &other)
    };
    let same = KERNEL.create(&same).unwrap_err();
    assert!(
        same.to_string().contains("the mapped device taken"),
        "{same}"
    );
    KERNEL.create(&linear("other", &other)).unwrap();
    let renamed = KERNEL.rename("other", "taken");
    assert!(
        matches!(renamed, Err(HostError::Busy { .. })),
        "{renamed:?}"
    );
    for name in ["taken", "other"] {
        KERNEL.remove(name).unwrap();
    }
}

#[test]
fn coming_and_going_wakes_who_waits() {
    let [disk, _] = disks();
    let mut watcher = KERNEL.watcher().unwrap();
    let (woken, wakes) = mpsc::channel();
    std::thread::spawn(move || while watcher.wait().is_ok() && woken.send(()).is_ok() {});
    KERNEL.create(&linear("watched", &disk)).unwrap();
    wakes.recv_timeout(PATIENCE).expect("it came");
    // One change may wake more than once; what is new is waited for.
    while wakes.recv_timeout(Duration::from_millis(500)).is_ok() {}
    KERNEL.remove("watched").unwrap();
    wakes.recv_timeout(PATIENCE).expect("it went");
}

#[test]
fn a_lock_is_held_on_the_disk_that_is_handed_over() {
    let [disk, _] = disks();
    let handed = ThisMachine.open(&disk, Access::HandOver).unwrap();
    let second = ThisMachine.open(&disk, Access::Exclusive);
    assert!(matches!(second, Err(HostError::Busy { .. })));
    // The lock keeps nobody from joining the disk to a device.
    KERNEL.create(&linear("handed", &disk)).unwrap();
    drop(handed);
    let held = ThisMachine.open(&disk, Access::Exclusive);
    assert!(matches!(held, Err(HostError::Busy { .. })));
    KERNEL.remove("handed").unwrap();
    ThisMachine
        .open(&disk, Access::Exclusive)
        .map(drop)
        .unwrap();
}

#[test]
fn what_there_is_here_is_told() {
    let facilities = KERNEL.facilities();
    assert!(
        matches!(facilities.control, Control::Open(_)),
        "{facilities:?}"
    );
    assert_eq!(facilities.control_lack(), None);
    assert!(!facilities.release.is_empty());
}
