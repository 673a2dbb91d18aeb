//! The scan: what is here, and bringing up what may be brought up without a person.

use std::path::{Path, PathBuf};

use super::args::ScanArgs;
use super::look::is_unseen;
use super::session::{Done, Session};
use crate::command_line;
use crate::error::{Error, Exit};
use crate::inspect::{look_at_each, Inspection, Mains};
use crate::ops::{Operation, Surroundings, Target};
use crate::port::Usage;
use crate::privilege;
use crate::remap_core::quorum::{Assembly, Verdict};
use crate::report::{path_text, scan_text, Form, ScanReport, ScanRow};

/// Looks at the named devices, or at all there are; assembles what may be, unless told
/// not to. Reports the worst it met: of all devices only ours count, of named ones each.
pub(super) fn scan(session: &mut Session, args: &ScanArgs) -> Result<Exit, Error> {
    let form = if session.global.json {
        Form::Json
    } else {
        Form::Text {
            style: session.style,
            verbose: args.verbose,
        }
    };
    let met = if args.device.is_empty() {
        let devices = session.host.devices()?.into_iter();
        let paths: Vec<PathBuf> = devices.map(|device| device.path).collect();
        met_by_chance(session, paths, args.verbose)
    } else {
        met_by_name(session, &args.device, args.verbose)?
    };
    let mut worst = Exit::Done;
    let mut rows = Vec::with_capacity(met.len());
    let mut surroundings = Surroundings::default();
    let mut mains = Mains::default();
    for Met {
        path,
        seen,
        is_named,
    } in met
    {
        let seen = seen.map(|mut seen| {
            mains.note(&mut *session.host, &mut seen);
            seen
        });
        let mut row = ScanRow::new(path, &seen, form);
        let exit = match row.verdict.clone() {
            Ok(Verdict::None) => {
                row.outcome = "not-ours";
                if is_named {
                    Exit::of_verdict(Verdict::None)
                } else {
                    Exit::Done
                }
            }
            Ok(verdict) => {
                let done = match args.scan_only {
                    true => Exit::Done,
                    false => try_assemble(session, &mut surroundings, &mut row, verdict),
                };
                Exit::of_verdict(verdict).worse(done)
            }
            Err(error) if !is_named && !is_unseen(&error) => {
                row.outcome = "not-ours";
                row.reason = Some(error.message);
                Exit::Done
            }
            Err(error) => {
                row.outcome = "refused";
                row.advice = advice_of(&error);
                row.reason = Some(error.message);
                error.exit
            }
        };
        worst = worst.worse(exit);
        rows.push(row);
    }
    session.print("scan", || ScanReport::new(&rows), || scan_text(&rows))?;
    Ok(worst)
}

/// A device that is part of the report.
struct Met {
    path: PathBuf,
    seen: Result<Inspection, Error>,
    /// Whether it was named itself.
    is_named: bool,
}

/// Devices that nobody named: ours are reported, and those of which it could not be seen
/// whether they are; with `verbose` the others too.
fn met_by_chance(session: &mut Session, paths: Vec<PathBuf>, verbose: bool) -> Vec<Met> {
    let keep = |_: &Path, seen: Result<Inspection, Error>| {
        let is_told = match &seen {
            Ok(seen) => seen.is_ours(),
            Err(error) => is_unseen(error),
        };
        (is_told || verbose).then_some(seen)
    };
    let kept = look_at_each(&mut *session.host, &paths, keep);
    let met = paths.into_iter().zip(kept).filter_map(|(path, seen)| {
        Some(Met {
            path,
            seen: seen?,
            is_named: false,
        })
    });
    met.collect()
}

/// The named devices, and the images in a named directory.
fn met_by_name(session: &mut Session, words: &[PathBuf], verbose: bool) -> Result<Vec<Met>, Error> {
    let paths = words.iter().map(|word| session.spare(word));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    let seen = look_at_each(&mut *session.host, &paths, |_, seen| seen);
    let mut met = Vec::with_capacity(seen.len());
    for (path, seen) in paths.into_iter().zip(seen) {
        // What can be opened as a device is no directory, and most names are devices'.
        let images = seen.is_err().then(|| files_in(&path)).flatten();
        let seen = match images {
            Some(Ok(images)) => {
                met.extend(met_by_chance(session, images, verbose));
                continue;
            }
            Some(Err(error)) => Err(error),
            None => seen,
        };
        met.push(Met {
            path,
            seen,
            is_named: true,
        });
    }
    Ok(met)
}

/// The files in a directory, sorted by name, or why they cannot be told; `None` if it is
/// none.
fn files_in(directory: &Path) -> Option<Result<Vec<PathBuf>, Error>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    };
    let failed = |error: std::io::Error| {
        let message = format!("{}: {error}", path_text(directory));
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                Error::failed("not-permitted", message).advise(privilege::advice())
            }
            _ => Error::failed("io", message),
        }
    };
    directory.is_dir().then(|| list().map_err(failed))
}

/// Assembles what may be assembled without a person, and says what came of it. Tells the
/// status of that, which the verdict does not tell.
fn try_assemble(
    session: &mut Session,
    surroundings: &mut Surroundings,
    row: &mut ScanRow,
    verdict: Verdict,
) -> Exit {
    let refused = |reason| Error::refused("refused", reason);
    row.outcome = "refused";
    let error = match session.host.usage(&row.path) {
        Ok(Usage::Mapped { .. }) => {
            row.outcome = "already-active";
            return Exit::Done;
        }
        Err(error) => error.into(),
        Ok(_) if !matches!(verdict.assembly(), Assembly::Yes | Assembly::WithEvent) => {
            let reason = format!("copies judged {verdict} are not assembled without a person");
            let refused = refused(reason).advise(format!(
                "See what there is: {}",
                command_line::line(["inspect", &path_text(&row.path)])
            ));
            refused.exiting(Exit::of_verdict(verdict))
        }
        Ok(_) => match session.host.can_activate(&[&row.path]) {
            Err(why) => refused(why),
            Ok(()) => {
                let operation = Operation::Reassemble {
                    target: Target::Path(row.path.clone()),
                    main: None,
                    name: None,
                    read_only: session.global.read_only,
                };
                match session.carry_out_in(surroundings, &operation) {
                    Ok(Done::Planned(plan)) => {
                        row.outcome = "scan-only";
                        row.reason = Some(plan.title);
                        return Exit::Done;
                    }
                    Ok(Done::CarriedOut(..)) => {
                        row.outcome = "assembled";
                        return Exit::Done;
                    }
                    Err(error) => error,
                }
            }
        },
    };
    row.advice = advice_of(&error);
    row.reason = Some(error.message);
    error.exit
}

/// What an error says is to be done, if anything.
fn advice_of(error: &Error) -> Option<String> {
    (!error.advice.is_empty()).then(|| error.advice.clone())
}
