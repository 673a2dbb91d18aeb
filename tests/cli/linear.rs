//! A device as plain targets: what its lines lead to is what its own target read.

use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::process::Stdio;

use crate::Bench;

/// Sectors of the device that are compared, from its beginning.
const COMPARED: u64 = 64;

impl Bench {
    /// Makes a disk of the lab as it left its factory.
    fn empty(&self, path: &str) {
        let file = std::fs::File::options()
            .write(true)
            .open(self.path(path))
            .unwrap();
        let size = file.metadata().unwrap().len();
        file.set_len(0).unwrap();
        file.set_len(size).unwrap();
    }

    /// Writes to a mapped device of the lab.
    fn write_device(&self, name: &str, sector: u64, bytes: &[u8]) {
        let sector = sector.to_string();
        let words = ["--lab", "lab", "io", name, "write", "--sector", &sector];
        let mut child = self.command(&words).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

/// The sector, where it can be read, as a table of `linear` and `error` has it.
fn through_lines(lines: &[serde_json::Value], sector: u64) -> Option<Vec<u8>> {
    let number = |line: &serde_json::Value, field: &str| line[field].as_u64().expect("a number");
    let line = lines.iter().find(|line| {
        let start = number(line, "start");
        (start..start + number(line, "length")).contains(&sector)
    })?;
    let file = std::fs::File::open(line["device"].as_str()?).unwrap();
    let at = number(line, "offset") + sector - number(line, "start");
    let mut bytes = vec![0; 512];
    file.read_exact_at(&mut bytes, at * 512).unwrap();
    Some(bytes)
}

#[test]
fn a_table_leads_to_what_the_target_read_and_lost_blocks_are_errors() {
    for form in ["--bare", ""] {
        let bench = Bench::new();
        assert_eq!(bench.in_lab("list").status, 0);
        bench.empty("lab/disks/disk-f.img");
        let create = format!("create ledger --main disk-f --spare disk-h {form} --confirm ledger");
        let made = bench.in_lab(&create);
        assert_eq!(made.status, 0, "{}", made.stderr);
        let begin = if form.is_empty() { 2048 } else { 0 };
        // Blocks that move when they are written, and one that is lost when it is read.
        let fault = |on, from: u64, count| {
            let words = format!(
                "fault ledger main --on {on} --from {} --count {count}",
                begin + from
            );
            assert_eq!(bench.in_lab(&words).status, 0, "{words}");
        };
        fault("write", 3, 2);
        fault("write", 9, 1);
        fault("both", 20, 1);
        let data: Vec<u8> = (0..COMPARED * 512).map(|at| (at / 512 + 1) as u8).collect();
        let (before, after) = data.split_at(20 * 512);
        bench.write_device("ledger", 0, before);
        bench.write_device("ledger", 21, &after[512..]);
        assert_ne!(bench.in_lab("io ledger read --sector 20").status, 0);

        let up = bench.in_lab("table ledger");
        assert_ne!(
            up.status, 0,
            "a table that its target changes is not printed"
        );
        assert!(up.stderr.contains("ledger is up"), "{}", up.stderr);
        let removed = bench.in_lab("remove ledger --confirm ledger");
        assert_eq!(removed.status, 0, "{}", removed.stderr);

        let told = bench.in_lab("table ledger --json").json("table");
        let lines = told["lines"].as_array().unwrap();
        let moved = lines.iter().filter(|line| {
            let device = line["device"].as_str().unwrap_or_default();
            device.ends_with("disk-h.img")
        });
        assert!(moved.count() >= 2, "{told}");
        for sector in 0..COMPARED {
            let expected = &data[sector as usize * 512..][..512];
            match through_lines(lines, sector) {
                None => assert_eq!(sector, 20, "{told}"),
                Some(read) => assert_eq!(read, expected, "sector {sector} of {told}"),
            }
        }
        let text = bench.in_lab("table ledger").stdout;
        let first = format!(
            "\n0 3 linear {} {begin}\n",
            bench.path("lab/disks/disk-f.img").display()
        );
        assert!(text.contains(&first), "{text}");
        assert!(text.contains("\n20 1 error\n"), "{text}");
    }
}
