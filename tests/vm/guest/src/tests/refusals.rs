//! What the application refuses, each for its own reason: nothing is written then.

use std::fs::File;
use std::path::Path;

use nix::mount::{mount, umount, MsFlags};

use super::pass_through::make_partitions;
use super::Test;
use crate::application::{run, run_unprivileged, Answer};
use crate::block::Device;
use crate::disk::{Disk, Shape, MIB};
use crate::dm::{Line, Mapped};
use crate::file_system::Kind;
use crate::kernel_log::KernelLog;
use crate::sys;
use crate::witness::{put, Witness};

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("application-refuses-what-is-in-use", in_use),
    ("application-refuses-what-does-not-fit", does_not_fit),
    ("application-refuses-to-lose-what-is-there", occupied),
    ("application-refuses-without-the-right-word", unconfirmed),
    ("application-refuses-who-is-not-root", not_root),
    ("application-refuses-to-go-behind-a-target", active),
    ("application-refuses-what-cannot-be-done", impossible),
];

/// An ext4 file system.
pub const EXT4: Kind = Kind {
    name: "ext4",
    make: "mke2fs -q -t ext4 -b 4096 -E nodiscard",
    check: "e2fsck -f -n",
};

/// Checks that a command was refused by this code, says so on stderr alone with a word on
/// what to do, and changed nothing.
fn check_refused(words: &str, answer: &Answer, status: i32, code: &str, says: &str) {
    assert_eq!(answer.code(status), code, "{words}: {answer:?}");
    assert!(answer.on_stderr_alone, "{words}: {answer:?}");
    let text = |key| answer.json[key].as_str().unwrap_or_default().to_owned();
    let (message, advice) = (text("message"), text("advice"));
    assert!(
        format!("{message} {advice}").contains(says),
        "{words}: {says:?} is not in {answer:?}"
    );
    assert!(!advice.is_empty(), "{words}: {answer:?}");
}

/// Runs commands that must each be refused, and looks at every byte of the disks after each.
fn refuse(disks: &[&Disk], cases: &[(String, i32, &str, &str)]) {
    let witness = Witness::of(disks);
    for (words, status, code, says) in cases {
        check_refused(words, &run(words), *status, code, says);
        witness.check(words);
    }
}

fn create(main: &Disk, spare: &Disk) -> String {
    create_from(main.word(), spare.word())
}

fn create_from(main: &str, spare: &str) -> String {
    format!("create vault --main {main} --spare {spare} --bare --confirm vault")
}

/// A linear device over the beginning of another.
fn hold(name: &str, device: &Path) -> Mapped {
    let line = Line {
        start: 0,
        length: 64,
        target: "linear",
        words: format!("{} 0", device.display()),
    };
    Mapped::create(name, &[line]).expect("a linear device comes up")
}

/// A page with which swap space begins.
fn swap_header(disk: &Disk) -> Vec<u8> {
    const PAGE: usize = 4096;
    let pages = Device::open_read_only(disk.path()).sectors() / 8;
    let mut page = vec![0; PAGE];
    page[1024..1028].copy_from_slice(&1u32.to_le_bytes());
    page[1028..1032].copy_from_slice(&(pages as u32 - 1).to_le_bytes());
    page[PAGE - 10..].copy_from_slice(b"SWAPSPACE2");
    page
}

fn in_use(_: &mut KernelLog) {
    let (free, other) = (Disk::of_mib(8), Disk::of_mib(8));
    let (mounted, swap, held, split) = (
        Disk::of_mib(16),
        Disk::of_mib(8),
        Disk::of_mib(8),
        Disk::of_mib(16),
    );
    EXT4.make(mounted.path());
    let (device, at) = (Some(mounted.path()), "/mounted");
    std::fs::create_dir_all(at).expect("a place to mount at");
    mount(device, at, Some("ext4"), MsFlags::MS_RDONLY, None::<&str>).expect("it is mounted");
    put(&swap, 0, &swap_header(&swap));
    sys::swap_on(swap.path()).expect("the kernel swaps to it");
    let holder = hold("holder", held.path());
    let parts = make_partitions(&split, &[8 * MIB, 4 * MIB]);
    let part_holder = hold("part-holder", &parts[0]);
    let locked = File::open(other.path()).expect("a node opens");
    locked.lock().expect("nobody has the lock");

    let busy = |words: String, says| (words, 5, "busy", says);
    refuse(
        &[&free, &other, &mounted, &swap, &held, &split],
        &[
            busy(create(&mounted, &free), "a mount on /mounted"),
            busy(create(&free, &mounted), "a mount on /mounted"),
            busy(create(&swap, &free), "the machine's swap"),
            busy(create(&free, &swap), "the machine's swap"),
            busy(create(&held, &free), "(holder)"),
            busy(create(&free, &held), "(holder)"),
            busy(create(&split, &free), " on disk"),
            busy(create(&free, &split), " on disk"),
            busy(create(&free, &other), "process 1 (init)"),
            busy(
                format!("{} --replace", create(&free, &mounted)),
                "a mount on /mounted",
            ),
            busy(
                format!("corrupt {} --copy 0 --kind zero --confirm x", held.word()),
                "(holder)",
            ),
        ],
    );
    drop(locked);
    part_holder.remove().expect("nobody has it open");
    holder.remove().expect("nobody has it open");
    sys::swap_off(swap.path()).expect("nothing is on it");
    umount(at).expect("nobody uses it");
}

fn does_not_fit(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let small = Disk::of_mib(4);
    let large_blocks = Disk::new(&Shape {
        mib: 8,
        block: 4096,
        ..Shape::default()
    });
    let (fixed, fixed_main) = (Disk::of_mib(8), Disk::of_mib(16));
    let protect = |disk: &Disk, yes| {
        let device = Device::open_read_only(disk.path());
        sys::set_read_only(device.file(), yes).expect("root may");
    };
    for disk in [&fixed, &fixed_main] {
        protect(disk, true);
    }
    let parts = make_partitions(&main, &[12 * MIB]);
    let part = parts[0].to_str().expect("a node's path is text");
    std::os::unix::fs::symlink(spare.path(), "/dev/by-another-name").expect("a link is made");
    let same = |words| (words, 5, "same-device", "");
    refuse(
        &[&main, &spare, &small, &large_blocks, &fixed, &fixed_main],
        &[
            (create(&main, &small), 5, "spare-size", "8192 sectors, and "),
            (
                create(&main, &small),
                5,
                "spare-size",
                "Name a device of at least ",
            ),
            (create(&main, &fixed), 5, "read-only", fixed.word()),
            (
                create(&fixed_main, &spare),
                5,
                "read-only",
                fixed_main.word(),
            ),
            (
                format!("{} --block-size 512", create(&main, &large_blocks)),
                5,
                "block-size",
                "--block-size 4096",
            ),
            same(create(&spare, &spare)),
            same(create_from(spare.word(), "/dev/by-another-name")),
            same(create_from(main.word(), part)),
            same(create_from(part, main.word())),
            (
                create_from(main.word(), "/dev/zero"),
                1,
                "not-a-device",
                "/dev/zero",
            ),
            (create_from(main.word(), "/sys"), 1, "not-a-device", "/sys"),
            (
                create_from(main.word(), "/dev/nothing"),
                1,
                "not-found",
                "/dev/nothing",
            ),
        ],
    );
    std::fs::remove_file("/dev/by-another-name").expect("the link is there");
    for disk in [&fixed, &fixed_main] {
        protect(disk, false);
    }
}

/// The first sectors of what others put on a disk, and the word for it.
fn foreign() -> [(u64, Vec<u8>, &'static str); 3] {
    let mut lvm = vec![0; 512];
    lvm[..8].copy_from_slice(b"LABELONE");
    lvm[8] = 1;
    lvm[20] = 32;
    lvm[24..32].copy_from_slice(b"LVM2 001");
    lvm[32..64].copy_from_slice(b"abcdefghijklmnopqrstuvwxyz012345");
    let mut luks = vec![0; 1024];
    luks[..8].copy_from_slice(&[b'L', b'U', b'K', b'S', 0xba, 0xbe, 0, 1]);
    luks[168..204].copy_from_slice(b"6bf29a05-3d0e-4b3c-8a57-b1d3a6a2f0aa");
    let mut table = vec![0; 512];
    table[440..444].copy_from_slice(&[1, 2, 3, 4]);
    table[446..462].copy_from_slice(&[0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0]);
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    [
        (1, lvm, "LVM2_member"),
        (0, luks, "crypto_LUKS"),
        (0, table, "dos partition table"),
    ]
}

fn occupied(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let not_empty = |says| (create(&main, &spare), 5, "spare-not-empty", says);
    for (at, bytes, name) in foreign() {
        put(&spare, at, &bytes);
        refuse(&[&main, &spare], &[not_empty(name)]);
        put(&spare, 0, &[0; 4096]);
    }
    put(&spare, 0, &swap_header(&spare));
    refuse(&[&main, &spare], &[not_empty("swap")]);
    EXT4.make(spare.path());
    refuse(
        &[&main, &spare],
        &[
            not_empty("ext4"),
            // Its new name is not what says yes to losing what is there.
            (
                format!("{} --replace", create(&main, &spare)),
                5,
                "wrong-confirmation",
                spare.word().trim_start_matches("/dev/"),
            ),
        ],
    );

    let (other_main, other) = (Disk::of_mib(16), Disk::of_mib(8));
    let attic = create(&other_main, &other).replace("vault", "attic");
    run(&attic).done();
    run("remove attic").done();
    refuse(
        &[&main, &spare, &other_main, &other],
        &[
            (create(&main, &other), 5, "spare-not-empty", "attic"),
            (create(&other, &spare), 5, "main-is-a-spare", "attic"),
            (
                format!("{} --replace", create(&main, &other)),
                5,
                "wrong-confirmation",
                "attic",
            ),
            (
                format!(
                    "write-metadata --main {} --spare {} --name vault --confirm attic",
                    other_main.word(),
                    other.word()
                ),
                5,
                "other-name",
                "attic",
            ),
        ],
    );
}

fn unconfirmed(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let idle = Disk::of_mib(8);
    let pair = format!("--main {} --spare {}", main.word(), spare.word());
    run(&create(&main, &idle)).done();
    run("remove vault").done();
    let corrupt = format!("corrupt {} --copy 1 --kind zero", idle.word());
    let not_confirmed = |words: String| (words, 5, "not-confirmed", "--confirm");
    let wrong = |words: String| (words, 5, "wrong-confirmation", "");
    refuse(
        &[&main, &spare, &idle],
        &[
            not_confirmed(format!("create attic {pair} --bare")),
            not_confirmed(corrupt.clone()),
            not_confirmed(format!("write-metadata {pair} --name attic")),
            not_confirmed("undo".to_owned()),
            wrong(format!("create attic {pair} --bare --confirm vault")),
            wrong(format!("create attic {pair} --bare --confirm yes")),
            wrong(format!("{corrupt} --confirm Vault")),
            wrong(format!("{corrupt} --confirm attic")),
            wrong("undo --confirm y".to_owned()),
            (
                format!("{corrupt} --confirm vault --read-only"),
                5,
                "read-only",
                "--read-only",
            ),
        ],
    );
    // A dry run is no refusal, and writes as little.
    let witness = Witness::of(&[&main, &spare, &idle]);
    for words in [
        format!("create attic {pair} --bare --dry-run"),
        format!("{corrupt} --dry-run"),
        "undo --dry-run".to_owned(),
    ] {
        assert_eq!(run(&words).done()["dry_run"], true, "{words}");
        witness.check(&words);
    }
}

fn not_root(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let witness = Witness::of(&[&main, &spare]);
    for words in [
        create(&main, &spare),
        format!("corrupt {} --copy 1 --kind zero --confirm x", spare.word()),
        format!("migrate {} --confirm x", spare.word()),
        format!("inspect {}", spare.word()),
    ] {
        let refused = run_unprivileged(&words);
        check_refused(&words, &refused, 1, "not-permitted", "");
        witness.check(&words);
    }
}

fn active(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let (other, free) = (Disk::of_mib(16), Disk::of_mib(8));
    run(&create(&main, &spare)).done();
    // Until the first scrub is over, the target reads and may write.
    run("scrub vault").done();
    let (main_word, spare_word) = (main.word(), spare.word());
    let attic = |main, spare| create(main, spare).replace("vault", "attic");
    let busy = |words: String| (words, 5, "busy", "vault");
    refuse(
        &[&main, &spare, &other, &free],
        &[
            busy(attic(&main, &free)),
            busy(attic(&other, &spare)),
            busy(format!("{} --replace", attic(&other, &spare))),
            busy(format!(
                "write-metadata --main {main_word} --spare {spare_word} --name vault --confirm vault"
            )),
            (
                format!("migrate {spare_word} --confirm vault"),
                5,
                "not-plain",
                "",
            ),
            (
                format!("repair {spare_word} --rebuild --confirm vault"),
                5,
                "active",
                "remove vault",
            ),
            (
                format!("repair {spare_word} --from 1 --confirm vault"),
                5,
                "active",
                "",
            ),
            (
                format!("repair {main_word} --confirm vault"),
                5,
                "not-a-spare",
                "",
            ),
            (create(&other, &free), 5, "name-taken", "vault"),
            (
                format!("reassemble {} --main {}", free.word(), other.word()),
                4,
                "none",
                free.word(),
            ),
        ],
    );
    run("remove vault").done();
}

fn impossible(_: &mut KernelLog) {
    let (main, spare) = (Disk::of_mib(16), Disk::of_mib(8));
    let blank = Disk::of_mib(8);
    run(&create(&main, &spare)).done();
    run("remove vault").done();
    let spare_word = spare.word();
    refuse(
        &[&main, &spare, &blank],
        &[
            (
                create(&main, &blank).replace("vault", "a/b"),
                5,
                "invalid-name",
                "a/b",
            ),
            (
                create(&main, &blank).replace("vault", "a%b"),
                5,
                "invalid-name",
                "letters, digits",
            ),
            (
                format!("migrate {spare_word} --confirm vault"),
                5,
                "not-plain",
                "",
            ),
            (
                format!("migrate {} --confirm x", blank.word()),
                5,
                "verdict",
                "none",
            ),
            (
                format!("reassemble {}", blank.word()),
                4,
                "none",
                blank.word(),
            ),
            (
                format!("reassemble {spare_word} --main {spare_word}"),
                5,
                "same-device",
                "",
            ),
            ("reassemble attic".to_owned(), 1, "not-found", "attic"),
            ("remove vault".to_owned(), 1, "not-found", "vault"),
            (
                "scrub vault".to_owned(),
                1,
                "not-active",
                "reassemble vault",
            ),
            ("undo 4711 --confirm x".to_owned(), 1, "not-found", "4711"),
        ],
    );
    // What somebody wrote later is not overwritten by what lay there before.
    put(&spare, 2048, &[0x5a; 512]);
    refuse(
        &[&main, &spare],
        &[("undo --confirm vault".to_owned(), 5, "stale", "Sector 2048")],
    );
}
