//! Scans of so many images that several threads look at them.

use serde_json::Value;

use crate::images::put;
use crate::Bench;

/// Images of several kinds, in a directory of their own and by name.
fn many(bench: &Bench) -> Vec<String> {
    bench.vault();
    bench.plain("plain.img", "sda-sdb");
    std::fs::create_dir(bench.path("images")).unwrap();
    let spare = bench.bytes("spare.img");
    // It says that it is larger, which is a finding like any other.
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(bench.path("plain.img"));
    file.unwrap().set_len(spare.len() as u64).unwrap();
    let plain = bench.bytes("plain.img");
    let write = |name: &str, bytes: &[u8]| {
        let path = bench.image(name, bytes.len() as u64 / 512);
        for (block, sector) in bytes.chunks(4096).zip((0..).step_by(8)) {
            if block.iter().any(|byte| *byte != 0) {
                put(&path, sector, block);
            }
        }
    };
    let name = |number: usize| {
        let name = format!("images/{number:03}.img");
        let mut bytes = if number % 5 == 4 {
            plain.clone()
        } else {
            spare.clone()
        };
        match number % 7 {
            1 => bytes[..512].fill(0),
            2 => bytes[1024 * 512..1025 * 512].fill(0xa5),
            3 => bytes[..4096 * 512].fill(0),
            4 => bytes.truncate(2 << 20),
            5 => bytes.fill(0),
            _ => {}
        }
        write(&name, &bytes);
        name
    };
    (0..150).map(name).collect()
}

#[test]
fn a_scan_of_many_says_of_each_what_a_scan_of_it_alone_says() {
    let bench = Bench::new();
    let mut names = many(&bench);
    names.insert(70, "images/none.img".to_owned());
    names.reverse();
    let scan = |names: &[String], options: &[&str]| {
        let mut words = vec!["scan", "--scan-only"];
        words.extend(options);
        for name in names {
            words.extend(["--device", name]);
        }
        bench.run_words(&words)
    };
    let together = scan(&names, &["--json"]);
    assert_eq!(together.status, 1, "one of them is not there");
    let report = together.json("scan");
    assert_eq!(report["scanned"], 151);
    let devices = report["devices"].as_array().unwrap();
    let verdicts = devices.iter().map(|row| row["verdict"].as_str());
    let mut verdicts: Vec<_> = verdicts.collect();
    verdicts.sort_unstable();
    verdicts.dedup();
    let expected = [
        None,
        Some("degraded"),
        Some("healthy"),
        Some("none"),
        Some("unsupported"),
        Some("weak"),
    ];
    assert_eq!(verdicts, expected);
    let ours = devices
        .iter()
        .filter(|row| row["verdict"].is_string() && row["verdict"] != "none");
    assert_eq!(report["found"], ours.count());
    for (name, row) in names.iter().zip(devices) {
        let alone = scan(std::slice::from_ref(name), &["--json"]).json("scan");
        assert_eq!(alone["devices"], Value::Array(vec![row.clone()]), "{name}");
    }
    for options in [&[][..], &["--verbose"]] {
        let together = scan(&names, options).stdout;
        let halves = [&names[..40], &names[40..]].map(|names| scan(names, options).stdout);
        assert_eq!(together, halves.concat());
    }
}

#[test]
fn a_directory_counts_for_the_images_in_it_where_it_is_named() {
    let bench = Bench::new();
    let names = many(&bench);
    let ran =
        bench.run("scan --scan-only --device spare.img --device images --device plain.img --json");
    let report = ran.json("scan");
    let devices = report["devices"].as_array().unwrap();
    let told: Vec<&str> = devices
        .iter()
        .filter_map(|row| row["device"].as_str())
        .collect();
    assert_eq!(
        (told.first(), told.last()),
        (Some(&"spare.img"), Some(&"plain.img"))
    );
    let inside = &told[1..told.len() - 1];
    assert!(inside.is_sorted() && inside.len() > 64, "{inside:?}");
    assert!(inside
        .iter()
        .all(|name| names.iter().any(|known| known == name)));
    assert!(
        devices.iter().all(|row| row["verdict"] != "none"),
        "only ours, where none is named"
    );
    let verbose = bench.run("scan --scan-only --verbose --device images --json");
    assert_eq!(verbose.json("scan")["scanned"], 150);
}
