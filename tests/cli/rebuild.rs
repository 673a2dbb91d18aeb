//! Copies that are all lost, on a spare that was set up for one array after another.

use crate::images::{put, SECTORS};
use crate::{Bench, Ran};

/// An array: its UUID and where its regions begin, in bytes.
struct Array {
    uuid: String,
    region_a: usize,
    region_b: usize,
}

impl Bench {
    fn joined(&self, name: &str, unit: u32, more: &str) -> Array {
        let words =
            format!("create {name} --main main.img --spare spare.img --block-size {unit} {more}");
        let made = self.run(&words);
        assert_eq!(made.status, 0, "{}", made.stderr);
        let told = self.run("inspect spare.img --json").json("inspect");
        let fields = &told["fields"];
        let at = |field: &str| fields[field].as_u64().unwrap() as usize * 512;
        Array {
            uuid: fields["array_uuid"].as_str().unwrap().to_owned(),
            region_a: at("region_a_sector"),
            region_b: at("region_b_sector"),
        }
    }

    fn rebuild(&self, words: &str) -> (bool, Ran) {
        self.is_changed_by(
            "spare.img",
            &format!("repair spare.img --rebuild {words} --json"),
        )
    }
}

/// A bench whose spare has a header of each of two arrays, and blocks of the former in a region of
/// the latter.
fn ambiguous() -> (Bench, [Array; 2]) {
    let bench = Bench::new();
    bench.image("main.img", 65_536);
    bench.image("spare.img", 16_384);
    let former = bench.joined("attic", 512, "--confirm attic");
    let earlier = bench.bytes("spare.img");
    let latter = bench.joined("cellar", 4096, "--replace --confirm attic");
    let later = bench.bytes("spare.img");
    assert!(former.region_b < latter.region_b);
    let path = bench.image("spare.img", 16_384);
    put(
        &path,
        former.region_b as u64 / 512,
        &earlier[former.region_b..],
    );
    let header = &later[latter.region_a..latter.region_a + 4096];
    put(&path, latter.region_a as u64 / 512, header);
    (bench, [former, latter])
}

#[test]
fn where_nothing_tells_arrays_apart_the_operator_names_the_one_to_rebuild() {
    let (bench, [former, latter]) = ambiguous();
    let seen = bench.run("inspect spare.img --json");
    assert_eq!(
        (seen.status, &seen.json("inspect")["verdict"]),
        (4, &"lost".into())
    );
    let other = "01234567-89ab-4cde-8123-456789abcdef";
    for (words, code) in [
        ("--confirm spare.img".to_owned(), "ambiguous-array"),
        (
            format!("--array {other} --confirm spare.img"),
            "ambiguous-array",
        ),
        // Of its table nothing is left: five good copies would not bring it up.
        (
            format!("--array {} --confirm spare.img", latter.uuid),
            "table-lost",
        ),
        (
            format!("--array {} --confirm attick", former.uuid),
            "wrong-confirmation",
        ),
    ] {
        let (changed, refused) = bench.rebuild(&words);
        assert_eq!(refused.error()["code"], code, "{words}");
        assert!(
            !changed && refused.status >= 4,
            "{words}: {}",
            refused.status
        );
        if code == "ambiguous-array" {
            for array in [&former.uuid, &latter.uuid] {
                assert!(
                    refused.stderr.contains(array.as_str()),
                    "{}",
                    refused.stderr
                );
            }
        }
    }
    let array = format!("--array {}", former.uuid);
    let plan = bench
        .rebuild(&format!("{array} --dry-run"))
        .1
        .json("repair");
    let token = plan["plan"]["token"].as_str().unwrap().to_owned();
    let (changed, rebuilt) = bench.rebuild(&format!("{array} --confirm {token}"));
    assert_eq!((changed, rebuilt.status), (true, 0), "{}", rebuilt.stderr);
    let seen = bench.run("inspect spare.img --json").json("inspect");
    assert_eq!(seen["fields"]["array_uuid"], former.uuid.as_str());
    assert_eq!(
        (&seen["verdict"], &seen["fields"]["name"]),
        (&"healthy".into(), &"attic".into())
    );
    assert_eq!(plan["plan"]["verdict_predicted"], "healthy");
}

/// An earlier array that something younger lies over is no choice.
#[test]
fn an_array_that_was_written_over_is_not_rebuilt_by_its_name_either() {
    let bench = Bench::new();
    bench.image("main.img", 65_536);
    let spare = bench.image("spare.img", 16_384);
    let former = bench.joined("attic", 512, "--confirm attic");
    let latter = bench.joined("cellar", 4096, "--replace --confirm attic");
    for sector in SECTORS {
        put(&spare, sector, &[0; 512]);
    }
    let (changed, refused) = bench.rebuild(&format!("--array {} --confirm cellar", former.uuid));
    assert_eq!(
        (changed, refused.error()["code"].as_str()),
        (false, Some("ambiguous-array"))
    );
    let (_, rebuilt) = bench.rebuild("--confirm cellar");
    assert_eq!(rebuilt.status, 0, "{}", rebuilt.stderr);
    let seen = bench.run("inspect spare.img --json").json("inspect");
    assert_eq!(seen["fields"]["array_uuid"], latter.uuid.as_str());
}
