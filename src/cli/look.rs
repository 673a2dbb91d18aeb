//! Commands that look: list, scan, inspect, status, log.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use serde_json::{json, Value};

use super::args::{InspectArgs, ScanArgs};
use super::change::find_mapped;
use super::session::{Done, Session};
use crate::error::{Error, Exit};
use crate::inspect::{inspect, inspect_table, look, status_findings, Depth, Inspection};
use crate::ops::{Operation, Target};
use crate::port::journal::ActionRecord;
use crate::port::{Access, DeviceInfo, Usage, Watcher};
use crate::remap_core::quorum::{Assembly, Verdict};
use crate::report::{self, ListRow, ScanRow};

pub(super) fn list(session: &mut Session) -> Result<Exit, Error> {
    let mut rows = Vec::new();
    for info in session.host.devices()? {
        let seen = look_for_list(session, &info);
        rows.push(ListRow { info, seen });
    }
    session.print(
        "list",
        || report::list_json(&rows),
        || report::list_text(&rows, session.style),
    )?;
    Ok(Exit::Done)
}

/// Looks at a device, and for what others wrote on it where the machine does not know.
fn look_for_list(session: &mut Session, info: &DeviceInfo) -> Result<Inspection, Error> {
    let store = session.host.open(&info.path, Access::Read)?;
    let mut seen = look(&*store, &info.path, Depth::Scan);
    let known = info.properties.as_ref();
    if known.is_none_or(|known| known.signatures.is_none()) {
        seen.look_for_signatures(&*store);
    }
    Ok(seen)
}

pub(super) fn inspect_one(session: &mut Session, args: &InspectArgs) -> Result<Exit, Error> {
    let path = session.spare(&args.path)?;
    let store = session.host.open(&path, Access::Read)?;
    let seen = inspect(&*store, &path);
    let json = || {
        let seen_json = report::inspection_json(&seen);
        if !args.verbose {
            return seen_json;
        }
        let superblock = seen.superblock.as_ref();
        let table = superblock.and_then(|it| inspect_table(&*store, it));
        let table = table.as_ref().map_or(Value::Null, report::table_json);
        report::merge(seen_json, json!({ "table": table }))
    };
    let text = || report::inspection_text(&seen, session.style, args.verbose);
    session.print("inspect", json, text)?;
    Ok(Exit::of_verdict(seen.verdict()))
}

/// Looks at the named devices, or at all there are; assembles what may be, unless told
/// not to. Reports the worst it met: of all devices only ours count, of named ones each.
pub(super) fn scan(session: &mut Session, args: &ScanArgs) -> Result<Exit, Error> {
    let mut rows = Vec::new();
    let mut are_named = Vec::new();
    for (path, is_named) in scan_paths(session, &args.device)? {
        let seen = session.look(&path, Depth::Scan);
        let is_ours = seen.as_ref().is_ok_and(Inspection::is_ours);
        if is_named || is_ours || args.verbose {
            are_named.push(is_named);
            rows.push(ScanRow {
                path,
                seen,
                outcome: "scan-only",
                reason: None,
            });
        }
    }
    let mut worst = Exit::Done;
    for (row, is_named) in rows.iter_mut().zip(are_named) {
        let exit = match &row.seen {
            Ok(seen) if seen.is_ours() => {
                let exit = Exit::of_verdict(seen.verdict());
                if !args.scan_only {
                    (row.outcome, row.reason) = try_assemble(session, &row.path, seen.verdict());
                }
                exit
            }
            Ok(seen) => {
                row.outcome = "not-ours";
                if is_named {
                    Exit::of_verdict(seen.verdict())
                } else {
                    Exit::Done
                }
            }
            Err(error) => {
                row.outcome = "refused";
                row.reason = Some(error.message.clone());
                error.exit
            }
        };
        worst = worst.max(exit);
    }
    session.print(
        "scan",
        || report::scan_json(&rows),
        || report::scan_text(&rows, session.style, args.verbose),
    )?;
    Ok(worst)
}

/// The devices to scan: those named, the images in a named directory, or all there are;
/// each with whether it was named itself.
fn scan_paths(session: &mut Session, named: &[PathBuf]) -> Result<Vec<(PathBuf, bool)>, Error> {
    if named.is_empty() {
        let devices = session.host.devices()?.into_iter();
        return Ok(devices.map(|device| (device.path, false)).collect());
    }
    let mut paths = Vec::new();
    for word in named {
        let path = session.device(word)?;
        match std::fs::read_dir(&path) {
            Ok(entries) => {
                let files = entries
                    .filter_map(Result::ok)
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
                let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
                files.sort();
                paths.extend(files.into_iter().map(|path| (path, false)));
            }
            // Not a directory, or not to be read: opening it will say which.
            Err(_) => paths.push((path, true)),
        }
    }
    Ok(paths)
}

/// Assembles what may be assembled without a person, and says what came of it.
fn try_assemble(
    session: &mut Session,
    path: &Path,
    verdict: Verdict,
) -> (&'static str, Option<String>) {
    match session.host.usage(path) {
        Ok(Usage::Mapped { .. }) => return ("already-active", None),
        Ok(_) => {}
        Err(error) => return ("refused", Some(error.to_string())),
    }
    if !matches!(verdict.assembly(), Assembly::Yes | Assembly::WithEvent) {
        let reason = format!("copies judged {verdict} are not assembled without a person");
        return ("refused", Some(reason));
    }
    if let Err(why) = session.host.can_activate(&[path]) {
        return ("refused", Some(why));
    }
    let operation = Operation::Reassemble {
        target: Target::Path(path.to_owned()),
        main: None,
        name: None,
        read_only: session.global.read_only,
    };
    match session.carry_out(&operation) {
        Ok(Done::Planned(plan)) => ("scan-only", Some(plan.title)),
        Ok(Done::CarriedOut(..)) => ("assembled", None),
        Err(error) => ("refused", Some(error.message)),
    }
}

/// Spares that may be assembled without a person and are not up.
pub(super) fn candidates(session: &mut Session) -> Result<Vec<Inspection>, Error> {
    let mut candidates = Vec::new();
    for info in session.host.devices()? {
        if info.usage != Usage::Free {
            continue;
        }
        // A device that cannot be opened is no reason to leave the others down.
        let Ok(seen) = session.look(&info.path, Depth::Full) else {
            continue;
        };
        if seen.is_ours() {
            candidates.push(seen);
        }
    }
    Ok(candidates)
}

pub(super) fn status(
    session: &mut Session,
    name: Option<&str>,
    watch: bool,
) -> Result<Exit, Error> {
    let changes = if watch {
        Some(report_changes(session.host.watcher()?))
    } else {
        None
    };
    let mut last = None;
    loop {
        let (json, text, exit) = status_now(session, name)?;
        if last.as_ref() != Some(&json) {
            session.print("status", || json.clone(), || text)?;
            last = Some(json);
        }
        let Some(changes) = &changes else {
            return Ok(exit);
        };
        let may_write = !session.global.read_only && !session.global.dry_run;
        let due = match may_write.then(|| session.host.run_due()) {
            None => None,
            Some(Ok(due)) => due,
            // A device that cannot be looked at now is put off by its host.
            Some(Err(_)) => Some(1000),
        };
        let changed = match due.map(Duration::from_millis) {
            Some(due) => changes.recv_timeout(due),
            None => changes.recv().map_err(RecvTimeoutError::from),
        };
        match changed {
            Ok(Ok(())) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Err(error)) => {
                let message = format!("watching for changes: {error}");
                return Err(Error::failed("io", message));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(exit),
        }
        // Several files change together; one report is enough for them.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for changes on a thread of its own, so that something else can be waited for
/// besides. The thread ends with its watcher or with whoever listens.
fn report_changes(mut watcher: Box<dyn Watcher>) -> Receiver<std::io::Result<()>> {
    let (changed, changes) = mpsc::channel();
    std::thread::spawn(move || loop {
        let waited = watcher.wait();
        let failed = waited.is_err();
        if changed.send(waited).is_err() || failed {
            return;
        }
    });
    changes
}

fn status_now(session: &mut Session, name: Option<&str>) -> Result<(Value, String, Exit), Error> {
    let devices = match name {
        Some(name) => match find_mapped(session, name) {
            Ok(device) => vec![device],
            Err(error) => return inactive_status(session, name, error),
        },
        None => session.host.mapped()?,
    };
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut worst = Exit::Done;
    for device in &devices {
        let findings = status_findings(device);
        text += &report::mapped_text(device, &findings, session.style);
        rows.push(report::mapped_json(device, &findings));
        worst = worst.max(Exit::of_verdict(device.status.verdict));
    }
    let json = match (name, rows.as_slice()) {
        (Some(_), [row]) => report::merge(row.clone(), json!({ "devices": rows })),
        _ => json!({ "devices": rows }),
    };
    Ok((json, text, worst))
}

/// A device that is not up: what its spare says, if there is one.
fn inactive_status(
    session: &mut Session,
    name: &str,
    error: Error,
) -> Result<(Value, String, Exit), Error> {
    let spare = candidates(session)?
        .into_iter()
        .find(|seen| seen.name.as_deref() == Some(name));
    let Some(seen) = spare else {
        return Err(error);
    };
    let json = json!({
        "name": name,
        "active": false,
        "spare": report::path_text(&seen.path),
        "verdict": seen.verdict().name(),
        "working_sequence": seen.judgement.sequence.map(|sequence| sequence.get()),
    });
    let text = format!(
        "{name}  not active\n  {}  {}\n",
        session.style.verdict(seen.verdict(), 0),
        report::path_text(&seen.path)
    );
    Ok((json, text, Exit::of_verdict(seen.verdict())))
}

pub(super) fn log(session: &mut Session) -> Result<Exit, Error> {
    let actions = session.context.journal.actions()?;
    let events = session.host.events(0)?;
    let json = json!({
        "actions": actions.iter().map(action_json).collect::<Vec<_>>(),
        "events": events.iter().map(report::event_json).collect::<Vec<_>>(),
    });
    let mut text = String::new();
    for action in &actions {
        text += &format!(
            "{:>4}  {}  {:<12}  {}\n",
            action.id.to_string(),
            report::time_text(action.time),
            action_state(action),
            action.begun.title
        );
    }
    for logged in &events {
        let device = crate::text::escape_str(&logged.device);
        text += &format!(
            "      {}  {device}: {}\n",
            report::time_text(logged.time),
            logged.event
        );
    }
    session.print("log", || json, || text)?;
    Ok(Exit::Done)
}

fn action_state(action: &ActionRecord) -> &'static str {
    match (&action.ended, action.undone_by) {
        (_, Some(_)) => "undone",
        (None, None) => "interrupted",
        (Some(ended), None) if ended.done => "done",
        (Some(ended), None) if ended.rolled_back => "rolled back",
        (Some(_), None) => "failed",
    }
}

fn action_json(action: &ActionRecord) -> Value {
    json!({
        "id": action.id.get(),
        "time_seconds": action.time.get(),
        "operation": action.begun.operation,
        "title": action.begun.title,
        "command": action.begun.command,
        "name": action.begun.name,
        "device": action.begun.device,
        "state": action_state(action),
        "summary": action.ended.as_ref().map(|ended| &ended.summary),
        "undoable": action.has_backup && action.undone_by.is_none(),
        "undoes": action.begun.undoes.map(|id| id.get()),
        "undone_by": action.undone_by.map(|id| id.get()),
    })
}
