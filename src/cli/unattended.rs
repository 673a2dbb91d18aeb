//! Assembly without a person: what the systemd unit runs for an array whose spare or main
//! has come.
//!
//! Its words go to the journal. A disk that is not here yet is no failure: the run that its
//! coming starts does the rest.

use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use serde_json::{json, Value};

use super::look::report_changes;
use super::session::{Done, Session};
use crate::error::{Error, Exit};
use crate::inspect::{scan_all, Array, Finding, MainMatch, Scan};
use crate::ops::{Operation, Surroundings, Target};
use crate::policy::Policy;
use crate::port::identity;
use crate::remap_core::quorum::{Assembly, Verdict};
use crate::remap_core::units::ArrayUuid;
use crate::report;
use crate::text::escape_str;

/// What came of a try.
enum Tried {
    /// It is up; by this run, or since before.
    Up {
        name: String,
        verdict: Option<Verdict>,
        changed: bool,
    },
    /// With `--dry-run`: it would be brought up.
    Planned { title: String },
    /// A disk is missing, or held for a moment.
    Waiting { why: String },
    /// A disk is held past the device, as by a mount or an array.
    Held(Error),
}

/// Brings up the array of this UUID, if the policy lists it and its copies are fit to be
/// assembled without a person. Waits for a disk that is missing for as long as `wait`.
///
/// # Errors
///
/// Why it does not come up, where waiting would change nothing.
pub(super) fn assemble(
    session: &mut Session,
    uuid: ArrayUuid,
    wait: Duration,
) -> Result<Exit, Error> {
    let policy = session.policy()?;
    // A clone that comes a moment later must be seen, or there would be no choice to refuse.
    session.context.platform.settle(wait);
    // Listened to before the first look: what comes in between would be missed.
    let changes = report_changes(session.host.watcher()?);
    let platform = session.context.platform.clone();
    let began = platform.uptime();
    loop {
        let tried = attempt(session, &policy, uuid)?;
        if !matches!(tried, Tried::Waiting { .. } | Tried::Held(_)) {
            return tell(session, uuid, &tried);
        }
        let waited = platform.uptime().get().saturating_sub(began.get());
        let left = wait.saturating_sub(Duration::from_millis(waited));
        match changes.recv_timeout(left) {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return match tried {
                    Tried::Held(error) => Err(error),
                    tried => tell(session, uuid, &tried),
                };
            }
        }
    }
}

fn attempt(session: &mut Session, policy: &Policy, uuid: ArrayUuid) -> Result<Tried, Error> {
    let scan = scan_all(&mut *session.host)?;
    let array = scan.arrays.iter().find(|array| array.uuid == Some(uuid));
    let Some(array) = array else {
        let mut known = policy.known_mains();
        known.retain(|main| main.array == uuid);
        let held = scan.held_mains(&known).into_iter();
        let mut held = held.filter(|held| held.array == Some(uuid));
        return Ok(match held.next() {
            Some(held) => Tried::Held(failure(held.finding, uuid)),
            None => Tried::Waiting {
                why: format!("no spare of array {uuid} is here"),
            },
        });
    };
    if let Some(name) = &array.active_as {
        return Ok(Tried::Up {
            name: name.clone(),
            verdict: None,
            changed: false,
        });
    }
    let name = array.name.as_deref();
    let shown = name.map_or_else(|| uuid.to_string(), |name| escape_str(name).into_owned());
    if !policy.allows(Some(uuid), name) {
        return Err(Error::refused(
            "not-allowed",
            format!("{shown} may not be assembled without a person on this machine"),
        )
        .advise(format!(
            "If it is yours: dmremap-tui allow {}",
            array
                .spares
                .first()
                .map_or(shown, |path| report::path_text(path))
        )));
    }
    let Some(spare) = array.spares.first() else {
        return Ok(Tried::Waiting { why: shown });
    };
    if !array.is_cloned() && is_main_missing(&scan, array) {
        return Ok(Tried::Waiting {
            why: format!("{shown}: the main disk is not here"),
        });
    }
    require_fit(&scan, spare, &shown)?;
    if let Some(held) = scan.held(array) {
        return Ok(Tried::Held(failure(held.finding, uuid)));
    }
    bring_up(session, spare.clone(), &shown)
}

/// The failure that a main which others hold is: it was taken past its device.
fn failure(finding: Finding, uuid: ArrayUuid) -> Error {
    Error::refused(finding.id, finding.summary).advise(format!(
        "{} By the unit: systemctl start dmremap-assemble@{uuid}",
        finding.advice
    ))
}

/// Whether main may still come. One that is known by the file system on it may also have got
/// another one: that is for a person to say, whenever it is asked.
fn is_main_missing(scan: &Scan, array: &Array) -> bool {
    let spare = scan
        .spares()
        .find(|seen| array.spares.first() == Some(&seen.path));
    match array.main {
        MainMatch::NotFound => true,
        MainMatch::Unknown => {
            spare.is_some_and(|seen| identity::is_of_contents(&seen.main_identity()))
        }
        _ => false,
    }
}

/// Refuses copies that a person must look at first. Worse ones are the plan's to refuse.
fn require_fit(scan: &Scan, spare: &PathBuf, shown: &str) -> Result<(), Error> {
    let seen = scan.spares().find(|seen| seen.path == *spare);
    match seen.map(|seen| seen.verdict()) {
        Some(verdict) if verdict.assembly() == Assembly::ReadOnlyOnRequest => {
            let path = report::path_text(spare);
            Err(Error::refused(
                "waits-for-operator",
                format!("{shown} is judged {verdict}: it waits for an operator"),
            )
            .advise(format!(
                "Look at it with: dmremap-tui inspect {path}. \
                 Then bring it up read-only (reassemble {path} --read-only), or repair it."
            )))
        }
        _ => Ok(()),
    }
}

fn bring_up(session: &mut Session, spare: PathBuf, shown: &str) -> Result<Tried, Error> {
    let operation = Operation::Reassemble {
        target: Target::Path(spare),
        main: None,
        name: None,
        read_only: session.global.read_only,
    };
    match session.carry_out_in(&mut Surroundings::default(), &operation) {
        Ok(Done::Planned(plan)) => Ok(Tried::Planned { title: plan.title }),
        Ok(Done::CarriedOut(plan, outcome)) => Ok(Tried::Up {
            name: outcome.name.or(plan.name).unwrap_or_default(),
            verdict: plan.predicted,
            changed: outcome.changed,
        }),
        // udev and other runs of this program hold a disk for as long as they look at it.
        Err(error) if error.code == "busy" => Ok(Tried::Waiting {
            why: format!("{shown}: {}", error.message),
        }),
        Err(error) => Err(error),
    }
}

fn tell(session: &Session, uuid: ArrayUuid, tried: &Tried) -> Result<Exit, Error> {
    let array = uuid.to_string();
    let json = || -> Value {
        match tried {
            Tried::Up {
                name,
                verdict,
                changed,
            } => json!({
                "array_uuid": array,
                "outcome": if *changed { "assembled" } else { "already-active" },
                "name": escape_str(name),
                "verdict": verdict.map(Verdict::name),
                "changed": changed,
                "reason": null,
            }),
            Tried::Planned { title } => json!({
                "array_uuid": array,
                "outcome": "planned",
                "changed": false,
                "reason": title,
            }),
            Tried::Waiting { why } => json!({
                "array_uuid": array,
                "outcome": "waiting",
                "changed": false,
                "reason": why,
            }),
            Tried::Held(error) => json!({
                "array_uuid": array,
                "outcome": "held",
                "changed": false,
                "reason": error.message,
            }),
        }
    };
    let text = || match tried {
        Tried::Up {
            name,
            verdict: Some(verdict),
            changed: true,
        } if *verdict != Verdict::Healthy => format!(
            "{}{} is up; its copies were judged {verdict}, and its target repairs them\n",
            warning(),
            escape_str(name)
        ),
        Tried::Up { name, changed, .. } => {
            let already = if *changed { "" } else { " already" };
            format!("{} is up{already}\n", escape_str(name))
        }
        Tried::Planned { title } => format!("{title}\n"),
        Tried::Waiting { why } => format!("{why}; waiting for it\n"),
        Tried::Held(error) => format!("{}\n", error.message),
    };
    session.print("reassemble", json, text)?;
    Ok(match tried {
        Tried::Up {
            verdict: Some(verdict),
            ..
        } => Exit::of_verdict(*verdict),
        _ => Exit::Done,
    })
}

/// What makes a line a warning, where the journal reads it.
fn warning() -> &'static str {
    match std::env::var_os("JOURNAL_STREAM") {
        Some(_) => "<4>",
        None => "",
    }
}
