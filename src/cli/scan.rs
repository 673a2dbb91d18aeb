//! The scan: what is here, and bringing up what may be brought up without a person.

use std::path::{Path, PathBuf};

use super::args::ScanArgs;
use super::session::{Done, Session};
use crate::command_line;
use crate::error::{Error, Exit};
use crate::inspect::{look_at_each, Inspection};
use crate::ops::{Operation, Surroundings, Target};
use crate::port::Usage;
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
        met_by_chance(session, &paths, form, args.verbose)
    } else {
        met_by_name(session, &args.device, form, args.verbose)?
    };
    let mut worst = Exit::Done;
    let mut rows = Vec::with_capacity(met.len());
    let mut surroundings = Surroundings::default();
    for Met { mut row, is_named } in met {
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
                if !args.scan_only {
                    try_assemble(session, &mut surroundings, &mut row, verdict);
                }
                Exit::of_verdict(verdict)
            }
            Err(error) => {
                row.outcome = "refused";
                row.advice = advice_of(&error);
                row.reason = Some(error.message);
                error.exit
            }
        };
        worst = worst.max(exit);
        rows.push(row);
    }
    session.print("scan", || ScanReport::new(&rows), || scan_text(&rows))?;
    Ok(worst)
}

/// A device that is part of the report.
struct Met {
    row: ScanRow,
    /// Whether it was named itself.
    is_named: bool,
}

/// Devices that nobody named: ours are reported, and with `verbose` the others too.
fn met_by_chance(session: &mut Session, paths: &[PathBuf], form: Form, verbose: bool) -> Vec<Met> {
    let keep = |path: &Path, seen: Result<Inspection, Error>| {
        let is_ours = seen.as_ref().is_ok_and(Inspection::is_ours);
        (is_ours || verbose).then(|| Met {
            row: ScanRow::new(path.to_owned(), &seen, form),
            is_named: false,
        })
    };
    let met = look_at_each(&mut *session.host, paths, keep);
    met.into_iter().flatten().collect()
}

/// The named devices, and the images in a named directory.
fn met_by_name(
    session: &mut Session,
    words: &[PathBuf],
    form: Form,
    verbose: bool,
) -> Result<Vec<Met>, Error> {
    let paths = words.iter().map(|word| session.spare(word));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    let rows = look_at_each(&mut *session.host, &paths, |path, seen| {
        ScanRow::new(path.to_owned(), &seen, form)
    });
    let mut met = Vec::with_capacity(rows.len());
    for row in rows {
        // What can be opened as a device is no directory, and most names are devices'.
        let images = row.verdict.is_err().then(|| files_in(&row.path)).flatten();
        match images {
            Some(images) => met.extend(met_by_chance(session, &images, form, verbose)),
            None => met.push(Met {
                row,
                is_named: true,
            }),
        }
    }
    Ok(met)
}

/// The files in a directory, sorted by name; `None` if it is none, or cannot be read.
fn files_in(directory: &Path) -> Option<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).ok()?;
    let files = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    Some(files)
}

/// Assembles what may be assembled without a person, and says what came of it.
fn try_assemble(
    session: &mut Session,
    surroundings: &mut Surroundings,
    row: &mut ScanRow,
    verdict: Verdict,
) {
    let refused = |reason| Error::refused("refused", reason);
    row.outcome = "refused";
    let error = match session.host.usage(&row.path) {
        Ok(Usage::Mapped { .. }) => {
            row.outcome = "already-active";
            return;
        }
        Err(error) => error.into(),
        Ok(_) if !matches!(verdict.assembly(), Assembly::Yes | Assembly::WithEvent) => {
            let reason = format!("copies judged {verdict} are not assembled without a person");
            refused(reason).advise(format!(
                "See what there is: {}",
                command_line::line(["inspect", &path_text(&row.path)])
            ))
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
                        return;
                    }
                    Ok(Done::CarriedOut(..)) => {
                        row.outcome = "assembled";
                        return;
                    }
                    Err(error) => error,
                }
            }
        },
    };
    row.advice = advice_of(&error);
    row.reason = Some(error.message);
}

/// What an error says is to be done, if anything.
fn advice_of(error: &Error) -> Option<String> {
    (!error.advice.is_empty()).then(|| error.advice.clone())
}
