//! Every scenario on a lab of its own, with everything that it foretells.

use dmremap::scenario;

use crate::Bench;

#[test]
fn every_scenario_comes_to_what_it_says() {
    for scenario in scenario::all() {
        let bench = Bench::new();
        let name = &scenario.name;
        let device = &scenario.device;
        let words = format!("--lab lab --json --confirm {device} scenario {name}");
        let ran = bench.run(&words);
        assert_eq!(ran.status, 0, "{name}: {}{}", ran.stdout, ran.stderr);
        let report = ran.json("scenario");
        assert_eq!(report["passed"], true, "{name}");
        let steps = report["steps"].as_array().unwrap();
        assert_eq!(steps.len(), scenario.steps.len(), "{name}");
        for (step, told) in scenario.steps.iter().zip(steps) {
            if let Some(predict) = step.predict {
                assert_eq!(told["predicted"], predict.name(), "{name}");
            }
            if let Some(then) = step.then {
                assert_eq!(told["verdict"], then.name(), "{name}");
            }
        }
    }
}

#[test]
fn scenarios_are_listed_without_a_lab_and_run_in_one_alone() {
    let bench = Bench::new();
    let listed = bench.run("--json scenario").json("scenario");
    let names = listed["scenarios"].as_array().unwrap();
    assert_eq!(names[0]["name"], "first-ten-minutes");
    assert_eq!(names.len(), scenario::all().len());
    let ran = bench.run("scenario torn-write");
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("--lab DIR"), "{}", ran.stderr);
    let ran = bench.run("--lab lab scenario torn-writ");
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("torn-write"), "{}", ran.stderr);
}

#[test]
fn a_scenario_is_confirmed_like_every_change_and_tried_without_one() {
    let bench = Bench::new();
    bench.run("lab lab");
    let spare = "lab/disks/disk-d.img";
    let (changed, ran) = bench.is_changed_by(spare, "--lab lab --dry-run scenario torn-write");
    assert!(!changed);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("foretold: degraded"), "{}", ran.stdout);
    let (changed, ran) = bench.is_changed_by(spare, "--lab lab scenario torn-write");
    assert!(!changed);
    assert_eq!(ran.status, 5, "{}", ran.stderr);
}
