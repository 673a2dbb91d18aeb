//! The settings file, its environment, and what is said where it cannot be used.

use crate::Bench;

#[test]
fn the_template_is_a_settings_file_that_changes_nothing() {
    let bench = Bench::new();
    let template = bench.run("config --template");
    assert_eq!(template.status, 0, "{}", template.stderr);
    std::fs::write(bench.path("config.toml"), &template.stdout).unwrap();
    let with = bench
        .run("--config config.toml --json config")
        .json("config");
    let without = bench.run("--json config").json("config");
    assert_eq!(with["settings"], "config.toml");
    assert_eq!(without["settings"], serde_json::Value::Null);
    for name in [
        "theme", "mouse", "utc", "sort", "own_keys", "dry_run", "lab",
    ] {
        assert_eq!(with[name], without[name], "{name}");
    }
}

#[test]
fn an_option_comes_before_its_variable_and_that_before_the_file() {
    let bench = Bench::new();
    std::fs::write(bench.path("config.toml"), "theme = \"light\"\nutc = true\n").unwrap();
    let run = |words: &str, variables: &[(&str, &str)]| {
        let words: Vec<&str> = words.split_whitespace().collect();
        let mut command = bench.command(&words);
        command.envs(variables.iter().copied());
        crate::Ran::from(command.output().unwrap()).json("config")
    };
    let always = "--config config.toml --color always --json config";
    assert_eq!(run(always, &[])["theme"], "light");
    let dark = [("DMREMAP_THEME", "dark")];
    assert_eq!(run(always, &dark)["theme"], "dark");
    let both = format!("{always} --theme high-contrast");
    assert_eq!(run(&both, &dark)["theme"], "high-contrast");
    assert_eq!(run(always, &[])["utc"], true);
    assert_eq!(run(always, &[("DMREMAP_NO_MOUSE", "1")])["mouse"], false);
    assert_eq!(run(always, &[("DMREMAP_DRY_RUN", "1")])["dry_run"], true);
    // Without colour there is one theme.
    let plain = "--config config.toml --color never --json config";
    assert_eq!(run(plain, &[])["theme"], "monochrome");
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_their_file_and_the_reason() {
    let bench = Bench::new();
    for (text, said) in [
        ("[keys]\nscrub = \"x\"\n", "x is for scrub and for corrupt"),
        ("[keys]\nscrubb = \"S\"\n", "did you mean scrub?"),
        ("[keys]\ndo-it = \"ctrl-l\"\n", "ctrl-l asks for refresh"),
        (
            "[themes.mine]\naccent = \"purplish\"\n",
            "theme mine: accent",
        ),
        ("sort = \"colour\"\n", "there is no order"),
        ("them = \"dark\"\n", "unknown field `them`"),
    ] {
        std::fs::write(bench.path("config.toml"), text).unwrap();
        let ran = bench.run("--config config.toml config");
        assert_eq!(ran.status, 2, "{text}");
        assert!(ran.stderr.contains("config.toml"), "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let ran = bench.run("--theme dusk config");
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr.contains("The themes are terminal"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_dry_run_asked_for_in_the_settings_file_changes_nothing() {
    let bench = Bench::new();
    bench.vault();
    std::fs::write(bench.path("config.toml"), "dry_run = true\n").unwrap();
    let words = "--config config.toml corrupt spare.img --copy 1 --confirm vault";
    let (changed, ran) = bench.is_changed_by("spare.img", words);
    assert!(!changed);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}
