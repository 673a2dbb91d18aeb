//! What programs read.

use serde_json::Value;

use crate::images::put;
use crate::Bench;

#[test]
fn inspect_has_the_fields_of_the_contract() {
    let bench = Bench::new();
    bench.vault();
    bench.overwrite("spare.img", 3, &[0xa5; 512]);
    bench.overwrite("spare.img", 1, &[0; 512]);
    let seen = bench.run("inspect spare.img --json").json("inspect");
    assert_eq!(seen["device"], "spare.img");
    assert_eq!(seen["verdict"], "degraded");
    assert_eq!(seen["working_sequence"], 1);
    let states = ["valid", "missing", "valid", "corrupt", "valid"];
    let sectors = [0, 1024, 2048, 4096, 8192];
    for (slot, copy) in seen["copies"].as_array().unwrap().iter().enumerate() {
        assert_eq!(copy["slot"], slot);
        assert_eq!(copy["sector"], sectors[slot]);
        assert_eq!(copy["state"], states[slot]);
        let is_valid = states[slot] == "valid";
        assert_eq!(copy["sequence"].as_u64(), is_valid.then_some(1));
        assert_eq!(copy["reason"].is_null(), is_valid, "{copy}");
        assert!(copy["checksum_stored"].is_u64() && copy["checksum_computed"].is_u64());
        assert_eq!(
            copy["checksum_stored"] == copy["checksum_computed"],
            is_valid
        );
    }
    let fields = &seen["fields"];
    assert_eq!(fields["name"], "vault");
    assert_eq!(fields["main_sectors"], 65_536);
    assert_eq!(fields["spare_sectors"], 16_384);
    assert!(fields["main_path"].as_str().unwrap().ends_with("main.img"));
    assert_eq!(fields["array_uuid"].as_str().unwrap().len(), 36);
    for finding in seen["findings"].as_array().unwrap() {
        for key in [
            "id",
            "severity",
            "certainty",
            "summary",
            "meaning",
            "advice",
        ] {
            assert!(finding[key].is_string(), "{finding}");
        }
    }
}

#[test]
fn plain_v4_is_read_and_reported_exactly() {
    let bench = Bench::new();
    for (name, spare_path) in [("sda-sdb", "/dev/sdb"), ("sda-relative", "sdb")] {
        bench.plain("plain.img", name);
        let ran = bench.run("inspect plain.img --json");
        let seen = ran.json("inspect");
        assert_eq!(
            (ran.status, seen["verdict"].as_str()),
            (0, Some("healthy")),
            "{name}"
        );
        assert_eq!(seen["format"], "plain");
        assert_eq!(seen["working_sequence"], 1);
        for copy in seen["copies"].as_array().unwrap() {
            assert_eq!(copy["state"], "plain");
            assert_eq!(copy["checksum_stored"], 0);
        }
        let fields = &seen["fields"];
        assert_eq!(fields["main_path"], "/dev/sda");
        assert_eq!(fields["spare_path"], spare_path);
        assert_eq!(fields["main_sectors"], 2_097_152);
        assert_eq!(fields["spare_sectors"], 1_048_576);
        assert_eq!(fields["timestamp_seconds"], 1_761_264_000);
        assert_eq!(fields["entry_size_bytes"], 512);
        assert_eq!(fields["capacity"], 2048);
        assert!(fields["name"].is_null() && fields["array_uuid"].is_null());
    }
}

#[test]
fn the_older_modules_layout_is_never_taken_for_plain_v4() {
    let bench = Bench::new();
    bench.other_layout("other.img");
    let seen = bench.run("inspect other.img --json").json("inspect");
    assert_eq!(seen["verdict"], "unsupported");
    assert_eq!(seen["copies"][0]["state"], "unsupported");
    assert!(
        seen["fields"]["main_path"].is_null(),
        "nothing of it is parsed"
    );
}

#[test]
fn text_from_a_disk_is_escaped_in_json_and_on_the_terminal() {
    let bench = Bench::new();
    bench.plain("plain.img", "sda-sdb");
    let mut path = [0u8; 128];
    let hostile = "/dev/\u{202e}gpj.\u{7f}".as_bytes();
    path[..hostile.len()].copy_from_slice(hostile);
    for sector in crate::images::SECTORS {
        let mut copy = crate::fixture("plain-v4/sda-sdb-copy0.bin");
        let slot = crate::images::SECTORS
            .iter()
            .position(|s| *s == sector)
            .unwrap();
        copy[28] = slot as u8;
        copy[144..272].copy_from_slice(&path);
        put(&bench.path("plain.img"), sector, &copy);
    }
    for words in [
        "inspect plain.img --verbose",
        "inspect plain.img --json",
        "scan --scan-only --device plain.img --verbose",
    ] {
        let ran = bench.run(words);
        let is_raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!ran.stdout.contains(is_raw), "{words}: {:?}", ran.stdout);
        assert!(!ran.stderr.contains(is_raw), "{words}: {:?}", ran.stderr);
    }
}

/// Numbers are integers, and names tell their units.
#[test]
fn every_number_is_an_integer_whose_name_says_what_it_counts() {
    let bench = Bench::new();
    bench.vault();
    let commands = [
        ("inspect", "inspect spare.img --verbose --json"),
        ("scan", "scan --scan-only --device spare.img --json"),
        (
            "corrupt",
            "corrupt spare.img --copy 2 --kind torn --confirm vault --json",
        ),
        ("repair", "repair spare.img --confirm vault --json"),
        ("undo", "undo --confirm vault --json"),
        ("log", "log --json"),
        ("doctor", "doctor --json"),
        ("list", "list --json"),
    ];
    for (command, words) in commands {
        let ran = bench.run(words);
        assert!(ran.stderr.is_empty(), "{words}: {}", ran.stderr);
        check_numbers(&ran.json(command), words);
    }
}

fn check_numbers(value: &Value, words: &str) {
    match value {
        Value::Number(number) => assert!(number.is_i64() || number.is_u64(), "{words}: {number}"),
        Value::Array(values) => values.iter().for_each(|value| check_numbers(value, words)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            for (unit, wrong) in [
                ("size", "a size"),
                ("length", "a length"),
                ("offset", "an offset"),
            ] {
                assert!(
                    !(key.ends_with(unit) && value.is_number()),
                    "{words}: {key} is {wrong} without a unit"
                );
            }
            check_numbers(value, words);
        }),
        _ => {}
    }
}

#[test]
fn migrating_keeps_what_simple_readers_read() {
    let bench = Bench::new();
    bench.plain("plain.img", "sda-sdb");
    let before = bench.run("inspect plain.img --json").json("inspect");
    let ran = bench.run("migrate plain.img --confirm plain.img --json");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let after = bench.run("inspect plain.img --json").json("inspect");
    assert_eq!(after["verdict"], "healthy");
    assert_eq!(after["format"], "checksummed");
    assert_eq!(after["working_sequence"], 2);
    for field in ["main_path", "spare_path", "main_sectors", "spare_sectors"] {
        assert_eq!(after["fields"][field], before["fields"][field], "{field}");
    }
    assert_eq!(bench.bytes("plain.img")[..4], *b"4RMD");
    let undone = bench.run_words(&["undo", "--confirm", after["token"].as_str().unwrap()]);
    assert_eq!(undone.status, 0, "{}", undone.stderr);
    let plain = crate::fixture("plain-v4/sda-sdb-copy0.bin");
    assert_eq!(bench.bytes("plain.img")[..512], plain[..]);
}
