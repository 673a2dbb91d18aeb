//! What a machine does by itself: what udev is told, the list of what may be assembled, and
//! assembly without a person.

use crate::{Bench, Ran};

impl Bench {
    /// Runs a command line on the training lab, with the list in `policy.toml`.
    fn listed(&self, words: &str) -> Ran {
        self.in_lab(&format!("--policy policy.toml {words}"))
    }

    /// The training lab with `attic` and `vault` down, and both on the list.
    fn start(&self) {
        std::fs::write(self.path("policy.toml"), "# begun\n").unwrap();
        for words in ["remove attic", "allow attic vault"] {
            let ran = self.listed(words);
            assert_eq!(ran.status, 0, "{words}: {}", ran.stderr);
        }
    }

    fn uuid(&self, disk: &str) -> String {
        let seen = self
            .listed(&format!("inspect {disk} --json"))
            .json("inspect");
        seen["fields"]["array_uuid"].as_str().unwrap().to_owned()
    }

    fn unattended(&self, uuid: &str) -> Ran {
        self.listed(&format!("reassemble --unattended {uuid} --wait 0 --json"))
    }
}

/// The properties in what `udev-probe` said.
fn properties(ran: &Ran) -> Vec<(&str, &str)> {
    let lines = ran.stdout.lines();
    lines
        .map(|line| line.split_once('=').expect(line))
        .collect()
}

fn property<'a>(ran: &'a Ran, name: &str) -> Option<&'a str> {
    let mut named = properties(ran).into_iter().filter(|it| it.0 == name);
    named.next().map(|it| it.1)
}

#[test]
fn udev_is_told_what_a_spare_is_and_nothing_of_other_devices() {
    let bench = Bench::new();
    bench.vault();
    let spare = bench.bytes("spare.img");
    let told = bench.run("udev-probe spare.img");
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert_eq!(property(&told, "DMREMAP_ROLE"), Some("spare"));
    assert_eq!(property(&told, "DMREMAP_VERDICT"), Some("healthy"));
    assert_eq!(property(&told, "DMREMAP_NAME"), Some("vault"));
    assert_eq!(property(&told, "DMREMAP_SEQUENCE"), Some("1"));
    assert_eq!(property(&told, "DMREMAP_ALLOWED"), Some("0"));
    assert_eq!(property(&told, "ID_FS_USAGE"), Some("raid"));
    let seen = bench.run("inspect spare.img --json").json("inspect");
    let uuid = seen["fields"]["array_uuid"].as_str();
    assert_eq!(property(&told, "DMREMAP_UUID"), uuid);
    assert_eq!(bench.bytes("spare.img"), spare, "it is only read");

    let json = bench.run("udev-probe spare.img --json").json("udev-probe");
    let pairs = json["properties"].as_object().unwrap();
    let pairs: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    assert_eq!(pairs, properties(&told));

    for (other, status) in [("main.img", 4), ("missing.img", 1)] {
        let nothing = bench.run(&format!("udev-probe {other}"));
        assert_eq!(nothing.status, status, "{other}");
        assert_eq!(nothing.stdout, "", "{other}");
    }
}

#[test]
fn udev_is_told_of_damage_and_left_what_is_somebody_elses() {
    for (kind, copies, verdict, usage) in [
        ("zero", "1,4", "degraded", Some("raid")),
        ("torn", "0,1,2,3", "weak", Some("raid")),
        ("rival", "3", "split", Some("raid")),
        ("bit-flip", "0,1,2,3,4", "lost", Some("raid")),
        ("foreign", "0", "foreign-overwritten", None),
    ] {
        let bench = Bench::new();
        bench.vault();
        let words = format!("corrupt spare.img --copy {copies} --kind {kind} --confirm vault");
        assert_eq!(bench.run(&words).status, 0);
        let told = bench.run("udev-probe spare.img");
        assert_eq!(told.status, 0, "{verdict}");
        assert_eq!(property(&told, "DMREMAP_VERDICT"), Some(verdict));
        assert_eq!(property(&told, "ID_FS_USAGE"), usage, "{verdict}");
    }
}

#[test]
fn a_listed_main_is_known_by_its_identity() {
    let bench = Bench::new();
    bench.start();
    let list = bench.listed("allow --json").json("allow");
    let attic = list["allowed"].as_array().unwrap();
    let attic = attic.iter().find(|it| it["name"] == "attic").unwrap();
    let known = attic["main_identity"].as_str().unwrap();
    assert_eq!(known.len(), 32, "a lab's disks have an identity");
    // An image has none of its own: no file is taken for the disk that it may be a copy of.
    let nothing = bench.listed("udev-probe lab/disks/disk-c.img");
    assert_eq!((nothing.status, nothing.stdout.as_str()), (4, ""));
}

#[test]
fn a_broken_list_allows_nothing_and_is_told_with_its_line() {
    let bench = Bench::new();
    bench.vault();
    std::fs::write(bench.path("policy.toml"), "[assembly]\npolicy = \"all\"\n").unwrap();
    let told = bench.run("--policy policy.toml udev-probe spare.img");
    assert_eq!(told.status, 0);
    assert_eq!(property(&told, "DMREMAP_ALLOWED"), Some("0"));
    for words in [
        "allow",
        "allow spare.img",
        "config",
        "reassemble --unattended 01234567-89ab-cdef-0123-456789abcdef",
    ] {
        let ran = bench.run(&format!("--policy policy.toml {words}"));
        assert_eq!(ran.status, 2, "{words}");
        for said in ["policy.toml", "line 2", "listed"] {
            assert!(ran.stderr.contains(said), "{words}: {}", ran.stderr);
        }
    }
    assert_eq!(bench.run("--policy missing.toml allow").status, 2);
    let ran = bench.run("reassemble --unattended vault");
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("vault is no UUID"), "{}", ran.stderr);
}

#[test]
fn devices_come_on_the_list_and_go_from_it() {
    let bench = Bench::new();
    bench.vault();
    let missing = bench.run("--policy policy.toml allow spare.img --dry-run");
    assert_eq!(missing.status, 0, "{}", missing.stderr);
    assert!(!bench.path("policy.toml").exists(), "it was a dry run");
    let refused = bench.run("--policy policy.toml allow spare.img --read-only --json");
    assert_eq!(refused.status, 5);
    assert_eq!(refused.error()["code"], "read-only");
    assert!(!bench.path("policy.toml").exists());

    let put = bench.run("--policy policy.toml allow spare.img --json");
    assert_eq!(put.status, 0, "{}", put.stderr);
    let put = put.json("allow");
    assert_eq!(put["changed"], true);
    assert_eq!(put["allowed"][0]["name"], "vault");
    let again = bench.run("--policy policy.toml allow spare.img --json");
    assert_eq!(again.json("allow")["changed"], false);
    let told = bench.run("--policy policy.toml udev-probe spare.img");
    assert_eq!(property(&told, "DMREMAP_ALLOWED"), Some("1"));

    let gone = bench.run("--policy policy.toml allow --remove vault --json");
    assert_eq!(gone.json("allow")["allowed"].as_array().unwrap().len(), 0);
    let told = bench.run("--policy policy.toml udev-probe spare.img");
    assert_eq!(property(&told, "DMREMAP_ALLOWED"), Some("0"));
    let nobody = bench.run("--policy policy.toml allow --remove vault --json");
    assert_eq!(nobody.status, 1);
    assert_eq!(nobody.error()["code"], "not-found");

    for (word, status) in [("main.img", 4), ("missing", 1)] {
        let ran = bench.run(&format!("--policy policy.toml allow {word}"));
        assert_eq!(ran.status, status, "{word}: {}", ran.stderr);
    }
    bench.plain("spare.img", "sda-sdb");
    let plain = bench.run("--policy policy.toml allow spare.img --json");
    assert_eq!(plain.status, 5);
    assert_eq!(plain.error()["code"], "no-array");
}

#[test]
fn what_is_listed_comes_up_by_itself_and_what_is_not_does_not() {
    let bench = Bench::new();
    bench.start();
    let attic = bench.uuid("disk-d");
    std::fs::write(bench.path("nothing.toml"), "").unwrap();
    let words = format!("--lab lab --policy nothing.toml reassemble --unattended {attic} --json");
    let foreign = bench.run(&words);
    assert_eq!(foreign.status, 5);
    assert_eq!(foreign.error()["code"], "not-allowed");
    assert_ne!(
        bench.listed("status attic --json").json("status")["active"],
        true
    );

    let dry = bench.listed(&format!("reassemble --unattended {attic} --dry-run --json"));
    assert_eq!(dry.json("reassemble")["outcome"], "planned");
    let up = bench.unattended(&attic);
    assert_eq!(up.status, 0, "{}", up.stderr);
    let up = up.json("reassemble");
    assert_eq!(up["outcome"], "assembled");
    assert_eq!(up["name"], "attic");
    assert_eq!(up["verdict"], "healthy");
    let again = bench.unattended(&attic);
    assert_eq!(again.status, 0);
    assert_eq!(again.json("reassemble")["outcome"], "already-active");

    let absent = bench.unattended("01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!(absent.status, 0);
    assert_eq!(absent.json("reassemble")["outcome"], "waiting");
}

#[test]
fn damage_decides_whether_a_device_comes_up_by_itself() {
    for (copies, kind, status, code) in [
        ("1,4", "zero", 3, None),
        ("0,1,2,3", "torn", 5, Some("waits-for-operator")),
        ("3", "rival", 4, Some("split")),
        ("2", "ahead", 4, Some("outlier")),
        ("0", "foreign", 4, Some("foreign-overwritten")),
    ] {
        let bench = Bench::new();
        bench.start();
        let attic = bench.uuid("disk-d");
        let words = format!("corrupt disk-d --copy {copies} --kind {kind} --confirm attic");
        assert_eq!(bench.listed(&words).status, 0);
        let ran = bench.unattended(&attic);
        assert_eq!(ran.status, status, "{kind}: {}", ran.stderr);
        match code {
            None => assert_eq!(ran.json("reassemble")["verdict"], "degraded"),
            Some(code) => assert_eq!(ran.error()["code"], code),
        }
    }
}

#[test]
fn a_main_that_comes_later_is_waited_for_and_a_clone_is_refused() {
    let bench = Bench::new();
    bench.start();
    let attic = bench.uuid("disk-d");
    let (main, away) = (bench.path("lab/disks/disk-c.img"), bench.path("away.img"));
    std::fs::rename(&main, &away).unwrap();
    let waiting = bench.unattended(&attic);
    assert_eq!(waiting.status, 0, "{}", waiting.stderr);
    assert_eq!(waiting.json("reassemble")["outcome"], "waiting");
    // It comes while the run is waiting for it.
    let words =
        format!("--lab lab --policy policy.toml reassemble --unattended {attic} --wait 60 --json");
    let words: Vec<&str> = words.split_whitespace().collect();
    let run = bench
        .command(&words)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    std::fs::rename(&away, &main).unwrap();
    let ran = Ran::from(run.wait_with_output().unwrap());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.json("reassemble")["outcome"], "assembled");

    assert_eq!(bench.listed("remove attic").status, 0);
    std::fs::copy(
        bench.path("lab/disks/disk-d.img"),
        bench.path("lab/disks/disk-d-copy.img"),
    )
    .unwrap();
    let cloned = bench.unattended(&attic);
    assert_eq!(cloned.status, 4, "{}", cloned.stdout);
    assert_eq!(cloned.error()["code"], "duplicate-array");
}

#[test]
fn doctor_tells_of_the_list_and_of_what_is_missing_from_it() {
    let bench = Bench::new();
    let told = |policy: &str| {
        std::fs::write(bench.path("policy.toml"), policy).unwrap();
        let ran = bench.run("--policy policy.toml doctor --json");
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.json("doctor")
    };
    let check = |report: &serde_json::Value, id: &str| {
        let checks = report["checks"].as_array().unwrap();
        let mut named = checks.iter().filter(|check| check["id"] == id);
        named.next().unwrap_or_else(|| panic!("no {id}")).clone()
    };
    let nothing = told("");
    for id in ["rule", "unit", "policy", "listed"] {
        let check = check(&nothing, id);
        let is_advised = !check["advice"].as_str().unwrap().is_empty();
        assert_eq!(check["ok"] == false, is_advised, "{check}");
    }
    assert_eq!(check(&nothing, "policy")["ok"], true);
    assert_eq!(check(&nothing, "listed")["ok"], true);

    let absent = told("[[assembly.allow]]\nname = \"nobody-has-this-name\"\n");
    let policy = check(&absent, "policy");
    assert!(
        policy["summary"].as_str().unwrap().starts_with("1 device"),
        "{policy}"
    );
    assert_eq!(check(&absent, "listed")["ok"], false);

    let broken = told("[assembly]\npolicy = 7\n");
    let policy = check(&broken, "policy");
    assert_eq!(policy["ok"], false);
    assert!(
        policy["summary"].as_str().unwrap().contains("line 2"),
        "{policy}"
    );
}

impl Bench {
    /// Runs a hook's script, with the machine's paths below this bench and `functions` as those
    /// that the maker of images has, and gives what it said and what it put into the image.
    fn in_image(
        &self,
        script: &str,
        functions: &str,
        call: &str,
        list: &str,
    ) -> (Ran, Vec<String>) {
        let text = std::fs::read_to_string(script).unwrap();
        std::fs::write(self.path("functions"), functions).unwrap();
        std::fs::write(self.path("dmremap.toml"), list).unwrap();
        std::fs::write(self.path("63-z-dmremap.rules"), "# the rule\n").unwrap();
        let here = self.path("").display().to_string();
        let here = here.trim_end_matches('/');
        let text = text
            .replace("/usr/bin/dmremap-tui", env!("CARGO_BIN_EXE_dmremap-tui"))
            .replace(
                "/usr/share/initramfs-tools/hook-functions",
                &format!("{here}/functions"),
            )
            .replace("/etc/dmremap.toml", &format!("{here}/dmremap.toml"))
            .replace("/etc/udev/rules.d ", &format!("{here} "));
        std::fs::write(self.path("hook"), text).unwrap();
        let _ = std::fs::remove_dir_all(self.path("image"));
        std::fs::create_dir(self.path("image")).unwrap();
        let call = call.replace("HERE", here);
        let output = std::process::Command::new("bash")
            .args(["-c", &call])
            .env("DESTDIR", self.path("image"))
            .env("DMREMAP_POLICY", self.path("dmremap.toml"))
            .output()
            .unwrap();
        let mut files = Vec::new();
        let mut waiting = vec![self.path("image")];
        while let Some(directory) = waiting.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => waiting.push(path),
                    false => files.push(path.file_name().unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        files.sort();
        (Ran::from(output), files)
    }
}

/// Lists, each with whether an image gets anything for it.
const LISTS: [(&str, bool); 6] = [
    ("", false),
    (
        "[assembly]\npolicy = \"none\"\n[[assembly.allow]]\nname = \"x\"\n",
        false,
    ),
    ("[assembly]\npolicy = 7\n", false),
    ("\0\u{1b}[2J", false),
    ("[[assembly.allow]]\nname = \"x\"\n", true),
    ("[assembly]\nallow = [{ name = \"x\" }]\n", true),
];

#[test]
fn the_rule_acts_after_what_looks_for_contents_and_before_what_assembles() {
    let mut rules: Vec<String> = std::fs::read_dir("assets/udev")
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(rules.len(), 1, "{rules:?}");
    let rule = rules.remove(0);
    // udev goes by the bytes of the names, wherever the files lie.
    for before in [
        "55-dm.rules",
        "60-persistent-storage.rules",
        "60-persistent-storage-dm.rules",
        "62-multipath.rules",
        "63-md-raid-arrays.rules",
    ] {
        assert!(*before < *rule, "{before}");
    }
    for behind in [
        "64-btrfs.rules",
        "64-md-raid-assembly.rules",
        "65-md-incremental.rules",
        "66-kpartx.rules",
        "69-bcache.rules",
        "69-dm-lvm.rules",
        "69-lvm.rules",
        "80-udisks2.rules",
        "90-zfs.rules",
        "99-systemd.rules",
    ] {
        assert!(*rule < *behind, "{behind}");
    }
}

#[test]
fn an_initramfs_gets_what_hides_main_if_anything_is_listed_and_never_fails() {
    let bench = Bench::new();
    let hook = |functions: &str, list: &str| {
        let script = "assets/initramfs-tools/dmremap";
        bench.in_image(script, functions, "sh HERE/hook", list)
    };
    let copies = "copy_exec() { mkdir -p \"$DESTDIR$2\" && cp \"$1\" \"$DESTDIR$2/\"; }\n";
    for (list, is_put) in LISTS {
        let (ran, files) = hook(copies, list);
        assert_eq!(ran.status, 0, "{list:?}: {}", ran.stderr);
        let put: &[&str] = match is_put {
            true => &["63-z-dmremap.rules", "dmremap-tui", "dmremap.toml"],
            false => &[],
        };
        assert_eq!(files, put, "{list:?}: {}", ran.stderr);
    }
    let listed = LISTS[4].0;
    for broken in [
        "copy_exec() { return 1; }\n",
        "copy_exec() { exit 7; }\n",
        "exit 7\n",
        "(",
    ] {
        let (ran, _) = hook(broken, listed);
        assert_eq!(ran.status, 0, "{broken}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("W: dmremap: "),
            "{broken}: {}",
            ran.stderr
        );
    }
    let (asked, files) = bench.in_image(
        "assets/initramfs-tools/dmremap",
        "exit 7\n",
        "sh HERE/hook prereqs",
        listed,
    );
    assert_eq!(
        (asked.status, asked.stdout.trim(), files.len()),
        (0, "udev", 0)
    );
}

#[test]
fn dracut_takes_the_module_in_if_anything_is_listed_and_never_fails() {
    let bench = Bench::new();
    let script = "assets/dracut/90dmremap/module-setup.sh";
    let good = "dwarn() { echo \"W: $*\" >&2; }\n\
         inst_multiple() { cp \"$@\" \"$DESTDIR/\"; }\n\
         inst_simple() { cp \"$1\" \"$DESTDIR/\"; }\n\
         initdir=$DESTDIR\n\
         inst_rules() { mkdir -p \"$initdir/etc/udev/rules.d\" && echo rule > \"$initdir/etc/udev/rules.d/$1\"; }\n";
    let call =
        "dracutsysrootdir=; . HERE/functions; . HERE/hook; if check; then depends; install; fi";
    for (list, is_put) in LISTS {
        let (ran, files) = bench.in_image(script, good, call, list);
        assert_eq!(ran.status, 0, "{list:?}: {}", ran.stderr);
        assert_eq!(
            files.len(),
            if is_put { 3 } else { 0 },
            "{list:?}: {files:?}"
        );
    }
    for (missing, status) in [
        ("inst_multiple", 1),
        ("inst_simple", 1),
        ("inst_rules", 1),
        // So it does with a rule that it does not find.
        ("inst_rules", 0),
    ] {
        let broken = format!("{good}{missing}() {{ return {status}; }}\n");
        let (ran, _) = bench.in_image(script, &broken, call, LISTS[4].0);
        assert_eq!(ran.status, 0, "{missing}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("W: dmremap: "),
            "{missing}: {}",
            ran.stderr
        );
    }
}
