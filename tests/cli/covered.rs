//! A main that is covered while its device is up, and uncovered again.

use crate::Bench;

/// A new device of two disks of the lab, the first of which holds a file system.
const CREATE: &str = "create ledger --main disk-f --spare disk-h --bare --confirm ledger";

const END: usize = 1 << 20;

impl Bench {
    /// A lab with a bare device whose main others know.
    fn bare_ledger() -> Self {
        let bench = Self::with_empty_main();
        bench.scribble("disk-f", 1080, b"\x53\xef");
        bench.scribble("disk-f", 700_000, b"what lies in its first MiB");
        let last = bench.disk("disk-f").len() as u64 - 512;
        bench.scribble("disk-f", last, b"what lies in its last sector");
        let made = bench.in_lab(CREATE);
        assert_eq!(made.status, 0, "{}", made.stderr);
        bench
    }

    fn form(&self) -> (String, String) {
        let told = self.in_lab("inspect disk-h --json").json("inspect");
        let text = |key: &str| told["fields"][key].as_str().unwrap_or("-").to_owned();
        (text("main_form"), text("main_verdict"))
    }
}

#[test]
fn a_main_is_covered_in_use_and_undo_has_it_as_it_was() {
    let bench = Bench::bare_ledger();
    let before = [bench.disk("disk-f"), bench.disk("disk-h")];
    let plan = bench.in_lab("cover ledger --dry-run");
    assert_eq!(plan.status, 0, "{}", plan.stderr);
    for told in [
        "first end of main: label, and zeros",
        "0..1048576",
        "4096 replacement blocks",
        "is in the backup of this action alone",
    ] {
        assert!(plan.stdout.contains(told), "{told}: {}", plan.stdout);
    }
    assert_ne!(
        bench.in_lab("cover ledger").status,
        0,
        "it must be confirmed"
    );
    assert!(bench.disk("disk-f") == before[0] && bench.disk("disk-h") == before[1]);

    let covered = bench.in_lab("cover ledger --confirm ledger");
    assert_eq!(covered.status, 0, "{}", covered.stderr);
    let main = bench.disk("disk-f");
    let last = main.len() - 4096;
    assert_eq!(
        (&main[..4], &main[last..last + 4]),
        (&b"DRML"[..], &b"DRML"[..])
    );
    let around = main[4096..END].iter().chain(&main[main.len() - END..last]);
    assert!(around.clone().all(|byte| *byte == 0), "something is seen");
    assert!(main[END..main.len() - END] == before[0][END..main.len() - END]);
    let form = ("covered".to_owned(), "labelled".to_owned());
    assert_eq!(bench.form(), form);
    let read = bench.in_lab("io ledger read --sector 1367 --count 1");
    assert!(read.stdout.contains("what lies in its first MiB"));

    // Nothing is left to do, and a restart finds everything.
    let again = bench.in_lab("cover ledger --json").json("cover");
    assert_eq!(again["changed"], false);
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    let down = bench.in_lab("cover ledger --confirm ledger");
    assert_ne!(down.status, 0);
    assert_eq!(bench.in_lab("reassemble ledger").status, 0);
    assert_eq!(bench.form(), form);

    let undone = bench.in_lab("undo --confirm ledger");
    assert_eq!(undone.status, 0, "{}", undone.stderr);
    assert!(bench.disk("disk-f") == before[0], "main is as it was");
    assert_eq!(bench.form().0, "bare");
    // And the undo can be taken back by hand.
    assert_eq!(bench.in_lab("cover ledger --confirm ledger").status, 0);
    assert_eq!(bench.in_lab("uncover ledger --confirm ledger").status, 0);
    assert!(bench.disk("disk-f") == before[0], "main is as it was");
    let refused = bench.in_lab("uncover ledger --confirm ledger");
    assert!(refused.stderr.contains("not covered"), "{}", refused.stderr);
}

#[test]
fn a_main_that_others_would_still_know_is_not_covered() {
    let bench = Bench::bare_ledger();
    bench.scribble("disk-f", 65_536 + 64, b"_BHRfS_M");
    bench.scribble("disk-f", (64 << 20) + 64, b"_BHRfS_M");
    let before = bench.disk("disk-f");
    let refused = bench.in_lab("cover ledger --confirm ledger --json");
    assert_ne!(refused.status, 0);
    assert!(refused.stderr.contains("seen-beside"), "{}", refused.stderr);
    assert!(refused.stderr.contains("btrfs"), "{}", refused.stderr);
    assert!(bench.disk("disk-f") == before);
}

#[test]
fn what_cannot_be_covered_says_why() {
    let bench = Bench::with_empty_main();
    let made = bench.in_lab("create ledger --main disk-f --spare disk-h --confirm ledger");
    assert_eq!(made.status, 0, "{}", made.stderr);
    let labelled = bench.in_lab("cover ledger --confirm ledger");
    assert!(
        labelled.stderr.contains("is labelled"),
        "{}",
        labelled.stderr
    );
    let labelled = bench.in_lab("uncover ledger --confirm ledger");
    assert!(
        labelled.stderr.contains("not covered"),
        "{}",
        labelled.stderr
    );
    let missing = bench.in_lab("cover nothing --confirm nothing");
    assert_ne!(missing.status, 0);
}

/// The lab's `attic` has a block near its beginning that takes no writes: what it holds could still
/// be seen.
#[test]
fn a_cover_that_ends_early_says_how_to_give_back_what_was_moved() {
    let bench = Bench::new();
    let read = |bench: &Bench| bench.in_lab("io attic read --count 16").stdout;
    let before = read(&bench);
    let ran = bench.in_lab("cover attic --confirm attic --json");
    assert_eq!(ran.status, 1, "{}", ran.stdout);
    let error = ran.error();
    let advice = error["advice"].as_str().unwrap();
    assert!(advice.contains("uncover attic"), "{error}");
    assert_eq!(read(&bench), before);
    let back = bench.in_lab("uncover attic --confirm attic");
    assert_eq!(back.status, 0, "{}", back.stderr);
    assert_eq!(read(&bench), before);
    assert_eq!(bench.in_lab("inspect attic").status, 0, "healthy");
}

/// What lies on it begins at its first sector, which is on its spare: no other device can be made
/// of it.
#[test]
fn a_covered_main_gets_no_new_spare() {
    let bench = Bench::bare_ledger();
    let covered = bench.in_lab("cover ledger --confirm ledger");
    assert_eq!(covered.status, 0, "{}", covered.stderr);
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    let before = bench.disk("disk-f");
    for form in ["", "--labelled", "--bare"] {
        let again = bench.in_lab(&format!(
            "create again --main disk-f --spare disk-g --confirm again --replace --json {form}"
        ));
        assert_eq!(
            (again.status, &again.error()["code"]),
            (5, &"main-covered".into())
        );
    }
    assert!(bench.disk("disk-f") == before);
}
