//! A main that bears labels, from its creation to the day when nothing is left of it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;

use crate::Bench;

/// A new device on two empty disks of the lab.
const CREATE: &str = "create ledger --main disk-f --spare disk-h --labelled --confirm ledger";

impl Bench {
    /// A lab in which disk-f is as it left its factory.
    pub(crate) fn with_empty_main() -> Self {
        let bench = Self::new();
        assert_eq!(bench.in_lab("list").status, 0);
        let path = bench.path("lab/disks/disk-f.img");
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let size = file.metadata().unwrap().len();
        file.set_len(0).unwrap();
        file.set_len(size).unwrap();
        bench
    }

    fn ledger() -> Self {
        let bench = Self::with_empty_main();
        let made = bench.in_lab(CREATE);
        assert_eq!(made.status, 0, "{}", made.stderr);
        bench
    }

    pub(crate) fn disk(&self, name: &str) -> Vec<u8> {
        self.bytes(&format!("lab/disks/{name}.img"))
    }

    /// Writes to a disk as somebody would who knows nothing of the device.
    pub(crate) fn scribble(&self, name: &str, at: u64, bytes: &[u8]) {
        let path = self.path(&format!("lab/disks/{name}.img"));
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn last_label_at(&self, name: &str) -> u64 {
        (self.disk(name).len() / 4096 * 4096 - 4096) as u64
    }

    /// The verdict that `inspect` gives the spare, the one that it gives main, and its status.
    fn judged(&self) -> (String, String, i32) {
        let ran = self.in_lab("inspect disk-h --json");
        let told = ran.json("inspect");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let main = text(&told["fields"]["main_verdict"]);
        (text(&told["verdict"]), main, ran.status)
    }
}

#[test]
fn an_empty_main_gets_labels_and_undo_leaves_both_disks_as_they_were() {
    let bench = Bench::with_empty_main();
    let before = [bench.disk("disk-f"), bench.disk("disk-h")];
    let plan = bench.in_lab(&format!("{CREATE} --dry-run"));
    assert!(
        plan.stdout.contains("label at the first end of main"),
        "{}",
        plan.stdout
    );
    assert!(bench.disk("disk-f") == before[0], "a plan writes nothing");

    assert_eq!(bench.in_lab(CREATE).status, 0);
    let main = bench.disk("disk-f");
    assert_eq!(&main[..4], b"DRML");
    assert!(main[4096..1 << 20].iter().all(|byte| *byte == 0));
    assert_eq!(
        bench.judged(),
        ("healthy".to_owned(), "labelled".to_owned(), 0)
    );

    let list = bench.in_lab("list --json").json("list");
    let devices = list["devices"].as_array().unwrap();
    let size = |name: &str| {
        let row = devices.iter().find(|row| row["name"] == name).unwrap();
        row["size_sectors"].as_u64().unwrap()
    };
    let status = bench.in_lab("status ledger --json").json("status");
    let line = status["devices"][0]["table_line"].as_str().unwrap();
    let length: u64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(length, size("disk-f") / 8 * 8 - 4096, "{line}");

    // Down, main still says what it is.
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    let told = bench.in_lab("inspect disk-f --json").json("inspect");
    let labels = told["labels"].as_array().unwrap();
    let ends: Vec<_> = labels
        .iter()
        .map(|label| (&label["end"], &label["state"]))
        .collect();
    assert_eq!(
        ends,
        [
            (&"first".into(), &"valid".into()),
            (&"last".into(), &"valid".into())
        ]
    );
    assert_eq!(labels[0]["name"], "ledger");
    let shown = bench.in_lab("inspect disk-f").stdout;
    let rows = shown.lines().filter(|line| line.contains(" labelled "));
    assert_eq!(rows.count(), 2, "{shown}");
    let list = bench.in_lab("list --json").json("list");
    let devices = list["devices"].as_array().unwrap();
    let row = devices.iter().find(|row| row["name"] == "disk-f").unwrap();
    assert_eq!(
        (&row["part"], &row["mapped"]),
        (&"main".into(), &"ledger".into())
    );

    let undone = bench.in_lab("undo 2 --confirm ledger");
    assert_eq!(undone.status, 0, "{}", undone.stderr);
    assert!(bench.disk("disk-f") == before[0], "main is not what it was");
    assert!(
        bench.disk("disk-h") == before[1],
        "the spare is not what it was"
    );
}

#[test]
fn labels_are_taken_back_with_the_device_and_not_alone() {
    let bench = Bench::ledger();
    let alone = bench.in_lab("undo 1 --confirm ledger --json");
    assert_eq!(
        (alone.status, &alone.error()["code"]),
        (5, &"part-of-another".into())
    );
    assert_eq!(bench.in_lab("undo --confirm ledger").status, 0);
    for disk in ["disk-f", "disk-h"] {
        let all = bench.disk(disk);
        assert!(all.iter().all(|byte| *byte == 0), "{disk}");
    }
    let again = bench.in_lab("undo 1");
    assert_eq!(again.status, 5, "{}", again.stdout);
}

#[test]
fn a_main_that_holds_anything_gets_no_labels() {
    for at in [0, 70_000, (1 << 20) - 1] {
        let bench = Bench::with_empty_main();
        bench.scribble("disk-f", at, b"x");
        let spare = bench.disk("disk-h");
        let made = bench.in_lab(&format!("{CREATE} --json"));
        assert_eq!(
            (made.status, &made.error()["code"]),
            (5, &"main-not-empty".into())
        );
        assert!(bench.disk("disk-h") == spare);
    }
    // In the middle it does not matter: the device begins behind the labels.
    let bench = Bench::with_empty_main();
    bench.scribble("disk-f", 5 << 20, b"x");
    assert_eq!(bench.in_lab(CREATE).status, 0);
}

#[test]
fn a_lost_label_is_written_anew_by_the_target_and_two_on_request() {
    let bench = Bench::ledger();
    let whole = bench.disk("disk-f");
    let last = bench.last_label_at("disk-f");
    let zeros = [0; 4096];
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    for at in [0, last] {
        bench.scribble("disk-f", at, &zeros);
        assert_eq!(
            bench.judged(),
            ("degraded".to_owned(), "damaged".to_owned(), 3)
        );
        let up = bench.in_lab("reassemble ledger");
        assert_eq!(up.status, 0, "{}", up.stderr);
        assert_eq!(bench.in_lab("repair ledger").status, 0);
        assert!(bench.disk("disk-f") == whole, "label at {at}");
        assert_eq!(bench.in_lab("remove ledger").status, 0);
    }
    bench.scribble("disk-f", 0, &zeros);
    bench.scribble("disk-f", last, &zeros);
    assert_eq!(
        bench.judged(),
        ("weak".to_owned(), "unlabelled".to_owned(), 3)
    );
    let anew = "write-metadata --main disk-f --spare disk-h --name ledger --confirm ledger";
    let written = bench.in_lab(anew);
    assert_eq!(written.status, 0, "{}", written.stderr);
    assert!(bench.disk("disk-f") == whole, "both labels");
    assert_eq!(
        bench.judged(),
        ("healthy".to_owned(), "labelled".to_owned(), 0)
    );
    assert_eq!(bench.in_lab("reassemble ledger").status, 0);
}

#[test]
fn what_others_made_of_a_main_is_left_to_a_person() {
    let bench = Bench::ledger();
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    let mut theirs = [0; 4096];
    theirs[..4].copy_from_slice(b"XFSB");
    bench.scribble("disk-f", 0, &theirs);
    assert_eq!(
        bench.judged(),
        ("ambivalent".to_owned(), "overwritten".to_owned(), 4)
    );
    let up = bench.in_lab("reassemble ledger --json");
    assert_eq!((up.status, &up.error()["code"]), (4, &"main-label".into()));
    let anew = "write-metadata --main disk-f --spare disk-h --name ledger --confirm ledger";
    assert_eq!(bench.in_lab(anew).status, 4);
    assert_eq!(bench.disk("disk-f")[..4096], theirs);
}

#[test]
fn a_labelled_main_is_nobody_elses_main_and_told_to_udev() {
    let bench = Bench::ledger();
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    let before = bench.disk("disk-f");
    let other = bench.in_lab("create other --main disk-f --spare disk-g --confirm other --json");
    assert_eq!(
        (other.status, &other.error()["code"]),
        (5, &"main-labelled".into())
    );
    let spare = bench.in_lab("create other --main disk-g --spare disk-f --confirm other --json");
    assert_eq!(
        (spare.status, &spare.error()["code"]),
        (5, &"spare-not-empty".into())
    );
    assert!(bench.disk("disk-f") == before);
    let told = bench.run("udev-probe lab/disks/disk-f.img --json");
    assert_eq!(told.status, 0, "{}", told.stderr);
    let told = &told.json("udev-probe")["properties"];
    assert_eq!(told["DMREMAP_ROLE"], "main");
    assert_eq!(told["DMREMAP_NAME"], "ledger");
    assert_eq!(told["DMREMAP_ALLOWED"], "0");
    assert_eq!(told["ID_FS_TYPE"], "dm_remap_member");
}

#[test]
fn an_empty_main_is_labelled_unless_it_is_to_stay_bare() {
    let create = |bench: &Bench, words: &str| {
        let ran = bench.run(&format!(
            "create vault --main main.img --spare spare.img {words}"
        ));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stdout
    };
    let empty = || {
        let bench = Bench::new();
        bench.image("main.img", 65_536);
        bench.image("spare.img", 16_384);
        bench
    };
    let is_labelled = |bench: &Bench| bench.bytes("main.img").starts_with(b"DRML");

    let bench = empty();
    create(&bench, "--confirm vault");
    assert!(is_labelled(&bench));

    let bench = empty();
    create(&bench, "--bare --confirm vault");
    assert!(bench.bytes("main.img").iter().all(|byte| *byte == 0));

    // What lies on main stays where it is, and it is said what that means.
    let bench = empty();
    let main = bench.path("main.img");
    let file = OpenOptions::new().write(true).open(main).unwrap();
    file.write_all_at(b"x", 70_000).unwrap();
    let before = bench.bytes("main.img");
    let plan = create(&bench, "--dry-run");
    let why = "holds data, at sector 136, and gets no labels";
    assert!(plan.contains(why), "{plan}");
    create(&bench, "--confirm vault");
    assert!(bench.bytes("main.img") == before);

    let both = bench.run("create vault --main main.img --spare spare.img --bare --labelled");
    assert_eq!(both.status, 2, "{}", both.stderr);
}

#[test]
fn what_lies_between_the_labels_gets_a_new_spare_when_asked() {
    let bench = Bench::ledger();
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    bench.scribble("disk-f", 5 << 20, b"still there");
    let create = "create again --main disk-f --spare disk-g --confirm again";
    assert_eq!(bench.in_lab(create).status, 5);
    let bare = bench.in_lab(&format!("{create} --replace --bare --json"));
    assert_eq!(
        (bare.status, &bare.error()["code"]),
        (5, &"main-labelled".into())
    );
    let plan = bench
        .in_lab(&format!("{create} --replace --dry-run"))
        .stdout;
    assert!(plan.contains("is labelled as main of ledger"), "{plan}");
    let made = bench.in_lab(&format!("{create} --replace"));
    assert_eq!(made.status, 0, "{}", made.stderr);
    let told = bench.in_lab("inspect disk-f --json").json("inspect");
    assert_eq!(told["labels"][0]["name"], "again");
    assert!(bench.disk("disk-f")[5 << 20..].starts_with(b"still there"));
    // The spare that it had is nobody's spare any more.
    assert_eq!(bench.judged().1, "other");
}

#[test]
fn the_disk_that_was_main_before_another_is_told_from_it() {
    let bench = Bench::new();
    bench.image("main.img", 65_536);
    bench.image("spare.img", 16_384);
    let made = bench.run("create vault --main main.img --spare spare.img --confirm vault");
    assert_eq!(made.status, 0, "{}", made.stderr);
    std::fs::copy(bench.path("main.img"), bench.path("copy.img")).unwrap();
    let adopted = bench.run(
        "write-metadata --main copy.img --spare spare.img --name vault --adopt --confirm vault",
    );
    assert_eq!(adopted.status, 0, "{}", adopted.stderr);
    let judged = |main: &str| {
        let told = bench.run(&format!("inspect spare.img --main {main} --json"));
        let told = told.json("inspect");
        let verdict = told["fields"]["main_verdict"].as_str().unwrap();
        (
            verdict.to_owned(),
            told["verdict"].as_str().unwrap().to_owned(),
        )
    };
    let pair = |main: &str, device: &str| (main.to_owned(), device.to_owned());
    assert_eq!(judged("copy.img"), pair("labelled", "healthy"));
    assert_eq!(judged("main.img"), pair("former", "unsupported"));
}
