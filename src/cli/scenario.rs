//! Scenarios on a lab, from the command line.

use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::config;
use super::session::{Done, Session};
use crate::error::{Error, Exit};
use crate::inspect::Depth;
use crate::ops::{self, words::Names};
use crate::remap_core::quorum::Verdict;
use crate::scenario::{self, Scenario, Step};

/// How long a step may take to come to its verdict: a repair is due after three seconds
/// at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the lab is looked at meanwhile.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub(super) fn run(session: &mut Session, name: Option<&str>) -> Result<Exit, Error> {
    let all = scenario::all();
    let Some(name) = name else {
        return list(session, &all);
    };
    let scenario = &find(name)?;
    if session.host.lab_directory().is_none() {
        return Err(Error::failed("no-lab", "a scenario works in a lab only")
            .advise("Name one with --lab DIR.")
            .exiting(Exit::Usage));
    }
    let keys = config::options(&session.global, &session.settings, session.style)?.keys;
    let mut text = format!("{}\n", scenario.title);
    let mut rows = Vec::new();
    let mut failure = None;
    for (number, step) in (1..).zip(&scenario.steps) {
        let done = run_step(session, scenario, step)?;
        let (passed, verdict) = (done.failure.is_none(), done.verdict.map(Verdict::name));
        let say = keys.spell(&step.say);
        text += &format!("\n{number}. {say}\n");
        if let Some(line) = &step.run {
            text += &format!("   {line}\n");
        }
        if let Some(predicted) = done.predicted {
            text += &format!("   foretold: {predicted}\n");
        }
        if let Some(verdict) = verdict {
            text += &format!("   then: {verdict}\n");
        }
        rows.push(json!({
            "say": say,
            "run": step.run,
            "predicted": done.predicted.map(Verdict::name),
            "verdict": verdict,
            "passed": passed,
        }));
        if let Some(why) = done.failure {
            text += &format!("   failed: {why}\n");
            failure = Some(why);
            break;
        }
    }
    let passed = failure.is_none();
    let json = json!({
        "name": scenario.name,
        "device": scenario.device,
        "dry_run": session.global.dry_run,
        "passed": passed,
        "steps": rows,
    });
    session.print("scenario", || json, || text)?;
    Ok(if passed { Exit::Done } else { Exit::Failed })
}

/// The scenario of this name.
///
/// # Errors
///
/// [`Error`] names those that there are.
pub(super) fn find(name: &str) -> Result<Scenario, Error> {
    let mut all = scenario::all();
    if let Some(at) = all.iter().position(|scenario| scenario.name == name) {
        return Ok(all.swap_remove(at));
    }
    let shown = crate::text::escape_str(name);
    let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).collect();
    Err(
        Error::failed("usage", format!("there is no scenario {shown}"))
            .advise(format!("The scenarios are {}.", names.join(", ")))
            .exiting(Exit::Usage),
    )
}

fn list(session: &Session, all: &[Scenario]) -> Result<Exit, Error> {
    let rows = all.iter().map(|scenario| {
        json!({
            "name": scenario.name,
            "title": scenario.title,
            "about": scenario.about,
            "device": scenario.device,
            "steps": scenario.steps.len(),
        })
    });
    let json: Value = json!({ "scenarios": rows.collect::<Vec<_>>() });
    let lines = all
        .iter()
        .map(|scenario| format!("{:<18} {}\n", scenario.name, scenario.about));
    session.print("scenario", || json, || lines.collect())?;
    Ok(Exit::Done)
}

/// What came of a step.
struct StepDone {
    predicted: Option<Verdict>,
    verdict: Option<Verdict>,
    failure: Option<String>,
}

fn run_step(session: &mut Session, scenario: &Scenario, step: &Step) -> Result<StepDone, Error> {
    let mut done = StepDone {
        predicted: None,
        verdict: None,
        failure: None,
    };
    let mapped = session.host.mapped()?;
    let names = Names::of(&session.host.devices()?, &mapped);
    let operation = step.operation(&names);
    let operation =
        operation.map_err(|why| Error::failed("usage", format!("{}: {why}", scenario.name)))?;
    if let Some(operation) = operation {
        let plan = ops::plan(&mut *session.host, &mut session.context, &operation)?;
        done.predicted = plan.predicted;
        if step.predict.is_some() && step.predict != plan.predicted {
            done.failure = Some("the plan foretells something else".to_owned());
            return Ok(done);
        }
        if let Done::Planned(_) = session.carry_out(&operation)? {
            return Ok(done);
        }
    }
    let Some(wanted) = step.then.filter(|_| !session.global.dry_run) else {
        return Ok(done);
    };
    let end = Instant::now() + PATIENCE;
    loop {
        done.verdict = verdict_of(session, &scenario.device)?;
        if done.verdict == Some(wanted) {
            return Ok(done);
        }
        if Instant::now() >= end {
            done.failure = Some(format!("the copies did not become {wanted}"));
            return Ok(done);
        }
        // In a lab whoever looks lets targets do what is due.
        session.host.run_due()?;
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// What the copies of a mapped device that is up are judged, as they lie on its spare.
fn verdict_of(session: &mut Session, device: &str) -> Result<Option<Verdict>, Error> {
    let mapped = session.host.mapped()?;
    let Some(found) = mapped.into_iter().find(|it| it.name == device) else {
        return Ok(None);
    };
    Ok(Some(session.look(&found.spare, Depth::Full)?.verdict()))
}
