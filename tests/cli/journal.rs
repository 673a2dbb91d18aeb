//! The journal across runs: from elsewhere, after a kill, beside another process.

use std::process::Stdio;

use crate::Bench;

#[test]
fn an_action_on_a_relative_path_is_taken_back_from_anywhere() {
    let bench = Bench::new();
    bench.vault();
    let before = bench.bytes("spare.img");
    let ran = bench.run("corrupt ./spare.img --copy 1 --kind zero --confirm vault");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let mut undo = bench.command(&["undo", "--confirm", "vault"]);
    let output = undo.current_dir("/").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(bench.bytes("spare.img"), before);
}

/// A spare so large that laying out its table takes a while.
fn create_and_kill(bench: &Bench) {
    bench.image("main.img", 1 << 16);
    bench.image("spare.img", 1 << 19);
    let mut create = bench.command(&[
        "create",
        "vault",
        "--main",
        "main.img",
        "--spare",
        "spare.img",
        "--bare",
        "--confirm",
        "vault",
    ]);
    let mut child = create.stdout(Stdio::null()).spawn().unwrap();
    let journal = bench.path("state/dmremap/journal/journal.jsonl");
    while !std::fs::read(&journal).is_ok_and(|lines| lines.ends_with(b"\n")) {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_kill_cut_off_is_shown_as_interrupted_and_taken_back() {
    let was_cut_off = (0..10).any(|_| {
        let bench = Bench::new();
        create_and_kill(&bench);
        let log = bench.run("log --json").json("log");
        if log["actions"][0]["state"] == "done" {
            return false;
        }
        assert_eq!(log["actions"][0]["state"], "interrupted", "{log}");
        let undo = bench.run("undo --json --confirm spare.img");
        let undo = match undo.status {
            // Far enough along, the metadata already tells a name.
            5 => bench.run("undo --json --confirm vault"),
            _ => undo,
        };
        assert_eq!(undo.status, 0, "{}", undo.stderr);
        assert_eq!(undo.json("undo")["verdict"], "none");
        let bytes = bench.bytes("spare.img");
        assert!(bytes.iter().all(|byte| *byte == 0), "not as it was");
        true
    });
    assert!(was_cut_off, "every run was too fast to be killed");
}

#[test]
fn actions_of_processes_at_once_each_get_a_number_and_a_backup() {
    let bench = Bench::new();
    bench.image("main.img", 65_536);
    let names: Vec<String> = (0..6).map(|number| format!("spare{number}.img")).collect();
    for name in &names {
        bench.image(name, 16_384);
    }
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            let words = ["create", "vault", "--main", "main.img", "--spare", name];
            let mut create = bench.command(&words);
            create
                .args(["--bare", "--confirm", "vault"])
                .stdout(Stdio::null());
            create.spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let log = bench.run("log --json").json("log");
    let actions = log["actions"].as_array().unwrap();
    let mut numbers: Vec<u64> = actions
        .iter()
        .map(|action| action["id"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    assert!(actions.iter().all(|action| action["state"] == "done"));
    for number in numbers {
        let ran = bench.run(&format!("undo {number} --confirm vault"));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    for name in &names {
        assert!(bench.bytes(name).iter().all(|byte| *byte == 0), "{name}");
    }
}
