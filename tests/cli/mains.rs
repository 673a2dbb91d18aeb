//! Main in the verdict: wherever a spare is judged, its main is, if it is here.

use crate::Bench;

/// Findings of `inspect`, as text.
fn findings(told: &serde_json::Value) -> Vec<&str> {
    let findings = told["findings"].as_array().into_iter().flatten();
    findings.filter_map(|it| it["id"].as_str()).collect()
}

/// The row of this disk among `devices`.
fn row<'a>(told: &'a serde_json::Value, disk: &str) -> &'a serde_json::Value {
    let devices = told["devices"].as_array().unwrap();
    let is_it = |row: &&serde_json::Value| {
        let path = row["device"].as_str().or(row["path"].as_str());
        path.is_some_and(|path| path.ends_with(disk))
    };
    devices.iter().find(is_it).unwrap()
}

impl Bench {
    fn resize(&self, name: &str, change: i64) {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(self.path(name));
        let file = file.unwrap();
        let size = file.metadata().unwrap().len();
        file.set_len(size.checked_add_signed(change).unwrap())
            .unwrap();
    }
}

/// The verdict of a spare whose main has another size, or is gone, by every command that tells
/// one, with its status and whether it is told of main.
#[test]
fn every_command_judges_a_spare_with_its_main() {
    for (change, verdict, status) in [
        (0, "healthy", 0),
        (-512, "unsupported", 4),
        (4096, "unsupported", 4),
    ] {
        let bench = Bench::new();
        let made = "create ledger --main disk-f --spare disk-h --confirm ledger";
        assert_eq!(bench.in_lab(made).status, 0);
        assert_eq!(bench.in_lab("remove ledger").status, 0);
        bench.resize("lab/disks/disk-f.img", change);
        let told: &[&str] = match change {
            0 => &[],
            _ => &["main-size"],
        };

        let inspected = bench.in_lab("inspect disk-h --json");
        assert_eq!(inspected.status, status, "{change}: {}", inspected.stdout);
        let inspected = inspected.json("inspect");
        assert_eq!(
            (&inspected["verdict"], findings(&inspected)),
            (&verdict.into(), told.to_vec())
        );
        assert_eq!(inspected["copies_verdict"], "healthy");

        let listed = bench.in_lab("list --json").json("list");
        assert_eq!(row(&listed, "disk-h.img")["verdict"], verdict, "{change}");

        for words in ["scan --scan-only", "scan --scan-only --device disk-h"] {
            let scanned = bench.in_lab(&format!("{words} --json")).json("scan");
            let row = row(&scanned, "disk-h.img");
            assert_eq!(
                (&row["verdict"], findings(row)),
                (&verdict.into(), told.to_vec()),
                "{words}"
            );
        }
        let named = bench.in_lab("scan --scan-only --device disk-h");
        assert_eq!(named.status, status, "{change}");

        let known = bench.in_lab("status ledger --json");
        assert_eq!(known.status, status, "{change}");
        assert_eq!(known.json("status")["verdict"], verdict);

        // The copies can be repaired all the same, and it is told beforehand what stays.
        let damaged = bench.in_lab("corrupt disk-h --copy 1 --kind zero --confirm ledger --json");
        assert_eq!(damaged.status, 0, "{}", damaged.stderr);
        let plan = bench
            .in_lab("repair disk-h --dry-run --json")
            .json("repair");
        assert_eq!(plan["plan"]["verdict_predicted"], verdict, "{plan}");
        let repaired = bench.in_lab("repair disk-h --confirm ledger --json");
        assert_eq!(repaired.json("repair")["verdict"], verdict, "{change}");

        let up = bench.in_lab("reassemble ledger --json");
        assert_eq!(up.status, status, "{change}: {}", up.stderr);
        if change != 0 {
            assert_eq!(up.error()["code"], "main-size");
            bench.resize("lab/disks/disk-f.img", -change);
            assert_eq!(bench.in_lab("reassemble ledger").status, 0);
        }
    }
}

/// A main that is not here is no part of the verdict: that is what waiting is for.
#[test]
fn a_main_that_is_not_here_leaves_the_verdict_to_the_spare() {
    let bench = Bench::new();
    let made = "create ledger --main disk-f --spare disk-h --confirm ledger";
    assert_eq!(bench.in_lab(made).status, 0);
    assert_eq!(bench.in_lab("remove ledger").status, 0);
    std::fs::remove_file(bench.path("lab/disks/disk-f.img")).unwrap();
    let inspected = bench.in_lab("inspect disk-h --json");
    assert_eq!(
        (
            inspected.status,
            inspected.json("inspect")["verdict"].as_str()
        ),
        (0, Some("healthy"))
    );
}

/// Images have no identity of their own: main counts where it is named.
#[test]
fn inspect_takes_a_word_on_main() {
    let bench = Bench::new();
    bench.vault();
    bench.image("longer.img", 65_544);
    for (main, verdict, status) in [
        ("", "healthy", 0),
        ("--main main.img", "healthy", 0),
        ("--main longer.img", "unsupported", 4),
        ("--main none.img", "", 1),
    ] {
        let ran = bench.run(&format!("inspect spare.img {main} --json"));
        assert_eq!(ran.status, status, "{main}: {}", ran.stderr);
        if !verdict.is_empty() {
            assert_eq!(ran.json("inspect")["verdict"], verdict, "{main}");
        }
    }
}
