//! Commands that look: list, scan, inspect, status, log.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{json, Value};

use super::args::{Global, InspectArgs, TableArgs};
use super::change::find_mapped;
use super::session::Session;
use crate::error::{Error, Exit};
use crate::inspect::{
    inspect, inspect_table, journal_finding, log_findings, look, open_each, status_findings, Depth,
    Extent, Inspection, MainSeen, Mains, Scan, Scanned,
};
use crate::ops;
use crate::policy::Policy;
use crate::port::{Access, BlockStore, DeviceInfo, Usage, Watcher};
use crate::report::{self, ListRow, Seen};

pub(super) fn list(session: &mut Session) -> Result<Exit, Error> {
    let devices = session.host.devices()?;
    let paths: Vec<&Path> = devices.iter().map(|info| info.path.as_path()).collect();
    let seen = open_each(&mut *session.host, &paths, |index, path, store| {
        Ok(look_for_list(&*store?, path, devices.get(index)))
    });
    let rows = devices.iter().cloned().zip(seen);
    let scanned = rows.map(|(info, seen)| Scanned {
        info,
        seen: seen.map(Arc::new),
    });
    let rows = with_findings(Scan::of(scanned.collect()), &session.global);
    session.print(
        "list",
        || report::list_json(&rows),
        || report::list_text(&rows, session.style),
    )?;
    let worst = rows.iter().fold(Exit::Done, |worst, row| match &row.seen {
        Err(error) if is_unseen(error) => worst.worse(error.exit),
        _ if row.has_unread_use() => worst.worse(Exit::Failed),
        _ => worst,
    });
    Ok(worst)
}

/// Whether an error leaves it open what is on a device. What cannot be one of ours was seen.
pub(super) fn is_unseen(error: &Error) -> bool {
    error.code != "not-a-device"
}

/// Rows of a list, with what is to be said of mains that were taken past their devices.
fn with_findings(scan: Scan, global: &Global) -> Vec<ListRow> {
    // A list that cannot be read knows no main; doctor says so.
    let policy = Policy::load(global.policy.as_deref()).unwrap_or_default();
    let held = scan.held_mains(&policy.known_mains());
    let rows = scan.devices.into_iter().map(|Scanned { info, seen }| {
        let own = held.iter().find(|held| held.path == info.path);
        let finding = own.map(|held| held.finding.clone());
        ListRow {
            info,
            seen,
            finding,
        }
    });
    rows.collect()
}

/// Looks at a device, and for what others wrote on it where the machine does not know.
fn look_for_list(store: &dyn BlockStore, path: &Path, info: Option<&DeviceInfo>) -> Inspection {
    let mut seen = look(store, path, Depth::Scan);
    let known = info.and_then(|info| info.properties.as_ref());
    if known.is_none_or(|known| known.signatures.is_none()) {
        seen.look_for_signatures(store);
    }
    seen
}

/// What `inspect` tells a program.
#[derive(Serialize)]
struct Inspected {
    #[serde(flatten)]
    seen: Seen,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<Value>,
}

pub(super) fn inspect_one(session: &mut Session, args: &InspectArgs) -> Result<Exit, Error> {
    let path = session.spare(&args.path)?;
    let store = session.host.open(&path, Access::Read)?;
    let mut seen = inspect(&*store, &path);
    if let (true, Some(superblock)) = (args.verbose, &seen.superblock) {
        seen.table = inspect_table(&*store, superblock, Extent::Whole);
        seen.judge_anew();
    }
    match &args.main {
        Some(main) => {
            let main = session.device(main)?;
            let main = session.host.open(&main, Access::Read)?;
            seen.judge_with_main(Some(MainSeen::from(&*main)));
        }
        None => Mains::default().note(&mut *session.host, &mut seen),
    }
    let seen = seen;
    let json = || Inspected {
        seen: Seen::new(&seen),
        table: args
            .verbose
            .then(|| seen.table.as_ref().map_or(Value::Null, report::table_json)),
    };
    let text = || report::inspection_text(&seen, session.style, args.verbose);
    session.print("inspect", json, text)?;
    Ok(Exit::of_verdict(seen.verdict()))
}

/// Prints a device as lines of `linear` and `error`.
pub(super) fn table(session: &mut Session, args: &TableArgs) -> Result<Exit, Error> {
    let target = session.target(&args.target)?;
    let main = args.main.as_deref().map(|main| session.device(main));
    let main = main.transpose()?;
    let table = ops::linear_table(&mut *session.host, &target, main.as_deref())?;
    session.print(
        "table",
        || report::linear_json(&table),
        || report::linear_text(&table),
    )?;
    Ok(Exit::Done)
}

/// What is not up and may be.
pub(super) struct Candidates {
    /// Spares that nobody uses.
    pub(super) spares: Vec<Inspection>,
    /// Devices of which it could not be seen whether they are any.
    pub(super) unseen: Vec<(PathBuf, Error)>,
}

/// Looks for spares that are not up.
pub(super) fn candidates(session: &mut Session) -> Result<Candidates, Error> {
    let mut found = Candidates {
        spares: Vec::new(),
        unseen: Vec::new(),
    };
    let mut mains = Mains::default();
    for info in session.host.devices()? {
        if info.usage != Usage::Free {
            continue;
        }
        // A device that cannot be opened is no reason to leave the others down.
        match session.look(&info.path, Depth::Full) {
            Ok(mut seen) if seen.is_ours() => {
                mains.note(&mut *session.host, &mut seen);
                found.spares.push(seen);
            }
            Err(error) if is_unseen(&error) => found.unseen.push((info.path, error)),
            _ => {}
        }
    }
    Ok(found)
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
pub(super) fn report_changes(mut watcher: Box<dyn Watcher>) -> Receiver<std::io::Result<()>> {
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
        worst = worst.worse(Exit::of_verdict(device.status.verdict));
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
    let Candidates { spares, unseen } = candidates(session)?;
    let mut spares = spares.into_iter();
    let Some(seen) = spares.find(|seen| seen.name.as_deref() == Some(name)) else {
        return Err(match unseen.as_slice() {
            [] => error,
            [(_, first), ..] => Error {
                message: format!(
                    "{}; {} of the devices here could not be looked at: {}",
                    error.message,
                    unseen.len(),
                    first.message
                ),
                advice: first.advice.clone(),
                ..error
            },
        });
    };
    let json = json!({
        "name": crate::text::escape_str(name),
        "active": false,
        "spare": report::path_text(&seen.path),
        "verdict": seen.verdict().name(),
        "working_sequence": seen.judgement.sequence.map(|sequence| sequence.get()),
    });
    let text = format!(
        "{}  not active\n  {}  {}\n",
        crate::text::escape_str(name),
        session.style.verdict(seen.verdict(), 0),
        report::path_text(&seen.path)
    );
    Ok((json, text, Exit::of_verdict(seen.verdict())))
}

pub(super) fn log(session: &mut Session) -> Result<Exit, Error> {
    let actions = session.context.journal.actions()?;
    let unread = session.context.journal.unread()?;
    let log = session.host.target_log()?;
    let mut findings = log_findings(&log);
    findings.extend(journal_finding(unread));
    session.print(
        "log",
        || report::log_json(&actions, unread, &log, &findings),
        || report::log_text(&actions, &log, &findings, session.style),
    )?;
    Ok(Exit::Done)
}
