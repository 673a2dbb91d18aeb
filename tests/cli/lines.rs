//! One command line written in two ways: with the command first, it is read by the
//! description of that command alone; with an option first, by the description of all.

use crate::{Bench, Ran};

#[test]
fn what_the_environment_says_counts_wherever_the_command_stands() {
    let bench = Bench::new();
    bench.vault();
    std::fs::write(bench.path("settings.toml"), "ascii = true\n").unwrap();
    std::fs::write(bench.path("broken.toml"), "ascii = 7\n").unwrap();
    let environments = [
        ("DMREMAP_UNUSED", ""),
        ("DMREMAP_LAB", "nowhere/to/be/made"),
        ("DMREMAP_JSON", "1"),
        ("DMREMAP_JSON", "false"),
        ("DMREMAP_DRY_RUN", "yes"),
        ("DMREMAP_CONFIRM", "vault"),
        ("DMREMAP_READ_ONLY", "1"),
        ("DMREMAP_COLOR", "always"),
        ("DMREMAP_COLOR", "sometimes"),
        ("DMREMAP_ASCII", "1"),
        ("DMREMAP_CONFIG", "settings.toml"),
        ("DMREMAP_CONFIG", "broken.toml"),
    ];
    let lines = [
        "inspect spare.img",
        "inspect spare.img --verbose --ascii",
        "inspect spare.img --color never",
        "scan --scan-only --device spare.img",
        "scan -v --device spare.img --json",
        "inspect",
        "inspect --help",
        "scan --device",
        "scan --scanonly",
    ];
    let mut answers = Vec::new();
    for (name, value) in environments {
        for line in lines {
            let run = |line: &str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let output = bench.command(&words).env(name, value).output().unwrap();
                Ran::from(output)
            };
            let alone = run(line);
            let behind = run(&format!("--confirm vault {line}"));
            let told = |ran: Ran| (ran.status, ran.stdout, ran.stderr);
            let alone = told(alone);
            assert_eq!(alone, told(behind), "{name}={value} {line}");
            answers.push(alone);
        }
    }
    answers.sort();
    answers.dedup();
    assert!(answers.len() > lines.len(), "no variable has an effect");
}

#[test]
fn a_command_tells_of_itself_as_the_whole_program_does() {
    let bench = Bench::new();
    for name in ["inspect", "scan"] {
        let asked = bench.run(&format!("{name} --help"));
        assert_eq!((asked.status, asked.stderr.as_str()), (0, ""));
        assert_eq!(asked.stdout, bench.run(&format!("help {name}")).stdout);
        for option in ["--lab <DIR>", "--json", "--help"] {
            assert!(asked.stdout.contains(option), "{name}: {}", asked.stdout);
        }
        let wrong = bench.run(&format!("{name} --jso"));
        assert_eq!(wrong.status, 2);
        assert!(wrong.stderr.contains("'--json'"), "{}", wrong.stderr);
        let usage = format!("Usage: dmremap-tui {name}");
        assert!(wrong.stderr.contains(&usage), "{}", wrong.stderr);
    }
}
