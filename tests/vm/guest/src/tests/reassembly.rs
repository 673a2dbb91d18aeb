//! What is brought up, and what is not, when disks are copied, exchanged, cut short,
//! overwritten or used by others: never a main with a spare that is not its own.

use std::os::unix::fs::symlink;

use nix::mount::{mount, umount, MsFlags};

use super::refusals::EXT4;
use super::Test;
use crate::application::run;
use crate::disk::{Disk, MIB};
use crate::dm::{self, Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::known::Known;
use crate::remap_core::units::Slot;
use crate::witness::put;

/// The tests of this file.
pub const TESTS: &[(&str, Test)] = &[
    ("application-reassembles-no-copy-for-the-original", copies),
    ("application-reassembles-no-other-main", mains),
    ("application-reassembles-nothing-that-is-in-use", used),
    ("application-reassembles-no-damaged-spare-unasked", damaged),
    (
        "application-reassembles-one-of-two-claims-when-told",
        claims,
    ),
    ("application-reassembles-no-disk-by-its-path", plain),
];

const MAIN: &str = "WITNESS-main";
const SPARE: &str = "WITNESS-spare";
const MAIN_MIB: u64 = 16;
const SPARE_MIB: u64 = 8;

/// A main and its spare that were joined as `vault` and taken down.
struct Pair {
    main: Known,
    spare: Known,
    /// What the spare held then.
    image: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        // Main could grow.
        let main = Known::beginning_of(MAIN, Disk::of_mib(MAIN_MIB + 4), MAIN_MIB * MIB);
        let pair = Self::joined("vault", main, Known::of_mib(SPARE, SPARE_MIB));
        pair.reads(Slot::ALL.len(), "healthy");
        pair
    }

    fn joined(name: &str, main: Known, spare: Known) -> Self {
        let (main_word, spare_word) = (main.word(), spare.word());
        run(&format!(
            "create {name} --main {main_word} --spare {spare_word} --bare --confirm {name}"
        ))
        .done();
        run(&format!("remove {name}")).done();
        let image = spare.image();
        Self { main, spare, image }
    }

    /// Checks that the spare is judged so, which is what the rest of a test stands on.
    fn reads(&self, valid: usize, verdict: &str) {
        let seen = run(&format!("inspect {}", self.spare.word()));
        assert_eq!(seen.json["verdict"], verdict, "{:#}", seen.json);
        let copies = seen.json["copies"].as_array().expect("five copies");
        let is_valid = |copy: &&serde_json::Value| copy["state"] == "valid";
        assert_eq!(
            copies.iter().filter(is_valid).count(),
            valid,
            "{:#}",
            seen.json
        );
    }

    fn restore(&self) {
        self.spare.copy(&self.image);
    }

    fn by_path(&self) -> String {
        format!("reassemble {}", self.spare.word())
    }

    /// Checks that a command brings up this very pair, and takes it down again.
    fn comes_up(&self, words: &str, status: i32) {
        let answer = run(words);
        assert_eq!(answer.status, status, "{words}: {:#}", answer.json);
        let name = answer.json["devices"][0]["name"].as_str();
        let name = name.unwrap_or_else(|| panic!("{words}: {:#}", answer.json));
        let mapped = Mapped::named(name);
        let mut devices = mapped.dependencies().expect("it is up");
        devices.sort_unstable();
        let mut pair = [self.main.device(), self.spare.device()];
        pair.sort_unstable();
        assert_eq!(devices, pair, "{words}");
        run(&format!("remove {name}")).done();
    }

    fn unplug(self) {
        self.main.unplug();
        self.spare.unplug();
    }
}

/// The targets of ours that are up.
fn up() -> Vec<String> {
    let names = dm::names();
    let is_ours = |name: &String| {
        let table = Mapped::named(name).targets().expect("it has a table");
        table.iter().any(|target| target == "dm-remap-v4")
    };
    names.into_iter().filter(is_ours).collect()
}

/// Checks that these commands are refused, each with its code and a word on what to do,
/// that a scan assembles nothing either and says why, and that nothing is up.
fn stays_down(what: &str, cases: &[(String, i32, &str)]) {
    for (words, status, code) in cases {
        let refused = run(words);
        assert_eq!(refused.code(*status), *code, "{what}: {words}: {refused:?}");
        let advice = refused.json["advice"].as_str().unwrap_or_default();
        assert!(!advice.is_empty(), "{what}: {words}: {refused:?}");
        assert_eq!(up(), [""; 0], "{what}: {words}");
    }
    let scan = run("scan");
    for row in scan.json["devices"].as_array().expect("a scan has rows") {
        assert_eq!(row["outcome"], "refused", "{what}: {row:#}");
        let text = |key| row[key].as_str().unwrap_or_default();
        assert!(!text("reason").is_empty(), "{what}: {row:#}");
        assert!(!text("advice").is_empty(), "{what}: {row:#}");
    }
    assert_eq!(up(), [""; 0], "{what}: a scan");
}

fn copies(_: &mut KernelLog) {
    let pair = Pair::new();
    let old = pair.image.clone();
    let by_name = || "reassemble vault".to_owned();
    let clone = Known::of_mib("WITNESS-clone", SPARE_MIB);
    let clone_by_path = format!("reassemble {}", clone.word());

    clone.copy(&old);
    let both = [
        (by_name(), 4, "ambiguous-name"),
        (pair.by_path(), 4, "duplicate-array"),
        (clone_by_path.clone(), 4, "duplicate-array"),
    ];
    stays_down("a copy beside the original", &both);

    clone.copy(&vec![0; old.len()]);
    pair.comes_up("reassemble vault", 0);
    let (main, spare) = (pair.main.word(), pair.spare.word());
    run(&format!(
        "write-metadata --main {main} --spare {spare} --name vault --confirm vault"
    ))
    .done();
    clone.copy(&old);
    stays_down("an older copy beside the newer original", &both);

    // Of the original nothing is left; the copy may lack what was moved since.
    let Pair { main, spare, .. } = pair;
    spare.unplug();
    let alone = [
        (by_name(), 5, "not-confirmed"),
        (clone_by_path.clone(), 5, "not-confirmed"),
    ];
    stays_down("a copy alone", &alone);
    let refused = run(&clone_by_path);
    let message = refused.json["message"].as_str().unwrap_or_default();
    assert!(message.contains("holds a copy of it"), "{refused:?}");
    let pair = Pair {
        main,
        spare: clone,
        image: old,
    };
    pair.comes_up(&format!("{clone_by_path} --confirm vault"), 0);
    pair.unplug();
}

fn mains(_: &mut KernelLog) {
    let pair = Pair::new();
    let refused = |code| [(pair.by_path(), 4, code)];
    pair.main.resize(MAIN_MIB * MIB - 8);
    stays_down("a smaller main", &refused("main-size"));
    pair.main.resize(MAIN_MIB * MIB + 8);
    stays_down("a larger main", &refused("main-size"));
    pair.main.resize(MAIN_MIB * MIB);
    pair.comes_up(&pair.by_path(), 0);
    pair.spare.resize(SPARE_MIB * MIB - 8);
    stays_down("a shorter spare", &refused("spare-shrunk"));
    pair.spare.resize(SPARE_MIB * MIB);

    let Pair { main, spare, image } = pair;
    let (path, content) = (main.path(), main.image());
    let by_path = format!("reassemble {}", spare.word());
    main.unplug();
    let gone = [(by_path.clone(), 4, "main-not-found")];
    stays_down("a main that is missing", &gone);

    // As large, with the same data, and at the same path.
    let decoy = Known::beginning_of("WITNESS-decoy", Disk::of_mib(MAIN_MIB + 4), MAIN_MIB * MIB);
    decoy.copy(&content);
    assert_eq!(decoy.path(), path);
    let named = format!("{by_path} --main {}", decoy.word());
    let other = [gone[0].clone(), (named, 4, "main-identity")];
    stays_down("another disk in the place of main", &other);
    let itself = format!("{by_path} --main {}", spare.word());
    stays_down("a spare for its own main", &[(itself, 5, "same-device")]);
    Pair {
        main: decoy,
        spare,
        image,
    }
    .unplug();
}

fn used(_: &mut KernelLog) {
    let pair = Pair::new();
    let busy = [(pair.by_path(), 5, "busy")];
    let hold = |known: &Known| {
        let line = Line {
            start: 0,
            length: 8,
            target: "linear",
            words: format!("{} 0", known.word()),
        };
        Mapped::create("holder", &[line]).expect("a linear device comes up")
    };
    for held in [&pair.main, &pair.spare] {
        let holder = hold(held);
        stays_down("a part that another device holds", &busy);
        holder.remove().expect("nobody has it open");
    }
    EXT4.make(&pair.main.path());
    std::fs::create_dir_all("/mounted").expect("a place to mount at");
    let (device, at) = (Some(&pair.main.path()), "/mounted");
    mount(device, at, Some("ext4"), MsFlags::MS_RDONLY, None::<&str>).expect("it is mounted");
    stays_down("a main that is mounted", &busy);
    umount(at).expect("nobody uses it");

    let line = Line {
        start: 0,
        length: 8,
        target: "error",
        words: String::new(),
    };
    let other = Mapped::create("vault", &[line]).expect("an error target comes up");
    let taken = [(pair.by_path(), 5, "name-taken")];
    stays_down("a name that another device has", &taken);
    other.remove().expect("nobody has it open");

    run(&pair.by_path()).done();
    for words in [pair.by_path(), "reassemble vault".to_owned()] {
        let again = run(&words).done();
        assert_eq!(again["devices"][0]["changed"], false, "{again:#}");
    }
    assert_eq!(up(), ["vault"]);
    run("remove vault").done();
    pair.unplug();
}

fn damaged(_: &mut KernelLog) {
    let pair = Pair::new();
    let spare = pair.spare.word();
    let slots = |numbers: &str, kind: &str| {
        pair.restore();
        let damage = format!("corrupt {spare} --copy {numbers} --kind {kind} --confirm vault");
        run(&damage).done();
    };
    for (numbers, kind, status, code) in [
        ("3,4", "rival", 4, "split"),
        ("2", "ahead", 4, "outlier"),
        ("0,1,2", "zero", 5, "not-confirmed"),
        ("0,1,2,3,4", "random", 4, "lost"),
    ] {
        slots(numbers, kind);
        stays_down(kind, &[(pair.by_path(), status, code)]);
    }
    pair.restore();
    EXT4.make(&pair.spare.path());
    let foreign = [(pair.by_path(), 4, "foreign-overwritten")];
    stays_down("a file system over the spare", &foreign);

    // A write of the copies that was cut off behind the third.
    pair.restore();
    let main = pair.main.word();
    run(&format!(
        "write-metadata --main {main} --spare {spare} --name vault --confirm vault"
    ))
    .done();
    for slot in [Slot::S3, Slot::S4] {
        let at = slot.sector().get();
        put(
            &pair.spare.disk,
            at,
            &pair.image[at as usize * 512..][..512],
        );
    }
    pair.reads(3, "interrupted");
    pair.comes_up(&pair.by_path(), 3);

    pair.restore();
    pair.spare.disk.spoil(Slot::S1.sector().get(), 8);
    pair.reads(4, "degraded");
    pair.comes_up(&pair.by_path(), 3);
    for slot in Slot::ALL {
        pair.spare.disk.spoil(slot.sector().get(), 8);
    }
    stays_down(
        "a spare whose copies cannot be read",
        &[(pair.by_path(), 4, "lost")],
    );
    for slot in Slot::ALL {
        pair.spare.disk.heal(slot.sector().get(), 8);
    }
    pair.unplug();
}

fn claims(_: &mut KernelLog) {
    let pair = Pair::new();
    let second = Known::of_mib("WITNESS-second", SPARE_MIB);
    let Pair { main, spare, image } = pair;
    // Main of one that is not up can become main of another, and is then of both.
    let other = Pair::joined("attic", main, second);
    let unsure = |name: &str| (format!("reassemble {name}"), 5, "not-confirmed");
    stays_down(
        "two spares of one main",
        &[unsure("vault"), unsure("attic")],
    );
    let refused = run("reassemble vault");
    let message = refused.json["message"].as_str().unwrap_or_default();
    assert!(message.contains("main of attic as well"), "{refused:?}");
    other.comes_up("reassemble attic --confirm attic", 0);
    let Pair {
        main,
        spare: second,
        ..
    } = other;
    second.unplug();
    let pair = Pair { main, spare, image };
    pair.comes_up("reassemble vault", 0);

    // Another pair of the same name: each spare knows its own main.
    let main = Known::of_mib("WITNESS-other-main", MAIN_MIB);
    let spare = Known::of_mib("WITNESS-other-spare", SPARE_MIB);
    let third = Pair::joined("vault", main, spare);
    assert_eq!(run("reassemble vault").code(4), "ambiguous-name");
    assert_eq!(up(), [""; 0]);
    for each in [&pair, &third] {
        each.comes_up(&each.by_path(), 0);
    }
    run(&pair.by_path()).done();
    assert_eq!(run(&third.by_path()).code(5), "name-taken");
    third.comes_up(&format!("{} --as other", third.by_path()), 0);
    run("remove vault").done();
    third.unplug();
    pair.unplug();
}

fn plain(_: &mut KernelLog) {
    let spare = super::plain::spare_with(&super::plain::SDA_SDB);
    // The metadata says that main is /dev/sda, which is some other disk by now.
    let wrong = Known::of_mib("WITNESS-wrong", MAIN_MIB);
    symlink(wrong.path(), "/dev/sda").expect("nothing is called so here");
    let by_path = format!("reassemble {}", spare.word());
    let cases = [
        (by_path.clone(), 5, "main-unknown"),
        (format!("{by_path} --main /dev/sda"), 4, "main-size"),
    ];
    stays_down("plain copies that name another disk", &cases);
    std::fs::remove_file("/dev/sda").expect("it is there");
    wrong.unplug();
}
