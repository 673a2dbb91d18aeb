//! Commands that only a lab has, and the way into the terminal application.

use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::Global;
use super::session::{print_bytes, FirstUse, Session};
use super::Ports;
use crate::config::{self, Settings};
use crate::error::{Error, Exit};
use crate::lab::exercise::{Exercise, ExerciseError};
use crate::lab::{Lab, LabIoError};
use crate::own_file;
use crate::remap_core::units::{Sector, Sectors, SECTOR_BYTES};
use crate::tui;

/// Opens the terminal application on a lab: the one named, or the user's own.
pub(super) fn open_seat(
    mut global: Global,
    directory: Option<PathBuf>,
    ports: &Ports,
) -> Result<Exit, Error> {
    // What is wrong with them is told when the lab is opened.
    let (settings, _) = Settings::load_or_usual(global.config.as_deref())?;
    let directory = match directory.or(global.lab.take()) {
        Some(named) => Some(named),
        None => settings.lab()?.or_else(config::usual_lab),
    };
    global.lab = Some(directory.ok_or_else(|| {
        Error::failed("no-home", "there is no directory to make a lab in")
            .advise("Name one: dmremap-tui lab DIR.")
    })?);
    open_seat_here(global, ports, FirstUse::Made)
}

/// Opens the terminal application on the host that the options name.
pub(super) fn open_seat_here(
    global: Global,
    ports: &Ports,
    first_use: FirstUse,
) -> Result<Exit, Error> {
    let term = std::env::var_os("TERM").unwrap_or_default();
    let is_dumb = term.is_empty() || term == "dumb";
    if is_dumb || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        // Without a screen the lab is still made: a script may go on with --lab.
        if global.lab.is_some() {
            let mut session = Session::open(global, ports, first_use)?;
            let lab = session.host.lab_directory().map(crate::report::path_text);
            let lab = lab.unwrap_or_default();
            session.changed = true;
            session.warn_of_settings();
            let text = format!("The lab is in {lab}. Open it from a terminal to see it.\n");
            session.print("lab", || json!({ "lab": lab }), || text)?;
            return Ok(Exit::Done);
        }
        let why = match is_dumb {
            true => {
                "the terminal application needs a terminal that it can draw on; TERM says \
                     that there is none"
            }
            false => "the terminal application needs a terminal",
        };
        return Err(Error::failed("no-terminal", why)
            .advise("Use the commands instead: dmremap-tui --help.")
            .exiting(Exit::Usage));
    }
    let session = Session::open_at_rest(global, ports, first_use)?;
    let options = super::config::options(&session.global, &session.settings, session.style);
    let (mut options, flaw) = match options {
        Err(flaw) if session.global.theme.is_none() => {
            let usual = Settings::default();
            let options = super::config::options(&session.global, &usual, session.style)?;
            (options, Some(flaw))
        }
        options => (options?, None),
    };
    if !options.read_only {
        let lack = session.lack(true).or(flaw);
        options.lack = lack.map(|lack| format!("{} {}", lack.message, lack.advice));
        options.read_only = options.lack.is_some();
    }
    let Session {
        host, mut context, ..
    } = session;
    // A dry run lets nothing happen that falls due, either, and so it is where something
    // lacks for changes.
    context.read_only |= options.dry_run || options.lack.is_some();
    tui::run(host, context, options)?;
    Ok(Exit::Done)
}

/// The lab that `--lab` names, for what only a lab can do.
fn open_lab(session: &Session) -> Result<Lab, Error> {
    let directory = session.host.lab_directory().ok_or_else(|| {
        Error::failed("no-lab", "this command works in a lab only")
            .advise("Name one with --lab DIR.")
            .exiting(Exit::Usage)
    })?;
    Ok(Lab::open(directory, session.context.platform.clone())?)
}

fn failed(error: LabIoError) -> Error {
    match error {
        LabIoError::Host(error) => error.into(),
        error => Error::failed("io", error.to_string()),
    }
}

fn check_writable(session: &Session) -> Result<(), Error> {
    session.require_ready(false)?;
    let why = match () {
        () if session.global.read_only => "Changes are refused: the program was started read-only.",
        () if session.global.dry_run => "Data is not written in a dry run.",
        () => return Ok(()),
    };
    Err(Error::refused("read-only", why))
}

fn load_failed(error: ExerciseError) -> Error {
    match error {
        ExerciseError::Device(error) => failed(error),
        ExerciseError::Blocks { .. } => {
            Error::failed("usage", error.to_string()).exiting(Exit::Usage)
        }
        error => Error::failed("io", error.to_string()),
    }
}

/// Writes a load to a mapped device; each acknowledged block is a line on stdout.
pub(super) fn exercise(
    session: &Session,
    name: &str,
    load: &Exercise,
    from: u64,
    steps: u64,
) -> Result<Exit, Error> {
    check_writable(session)?;
    let mut lab = open_lab(session)?;
    let mut stdout = std::io::stdout().lock();
    let done = load
        .run(&mut lab, name, from, steps, &mut stdout)
        .map_err(load_failed)?;
    Ok(match done.failed {
        0 => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Holds a mapped device against the report of a load.
pub(super) fn verify(
    session: &Session,
    name: &str,
    load: &Exercise,
    report: &Path,
) -> Result<Exit, Error> {
    let mut lab = open_lab(session)?;
    let file = own_file::open(File::options().read(true), report).map_err(|error| {
        let shown = crate::report::path_text(report);
        Error::failed("io", format!("{shown}: {error}"))
    })?;
    let verified = load
        .verify(&mut lab, name, &mut BufReader::new(file))
        .map_err(load_failed)?;
    let wrong: Vec<String> = verified.wrong.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "{} blocks acknowledged, {} of them wrong\n",
        verified.blocks,
        wrong.len()
    );
    for line in &wrong {
        text.push_str(line);
        text.push('\n');
    }
    let json = json!({
        "name": name,
        "acknowledged_blocks": verified.blocks,
        "next_step": verified.next_step,
        "wrong": wrong,
    });
    session.print("exercise", || json, || text)?;
    Ok(match wrong.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

/// Reads sectors of a mapped device to stdout, or writes stdin to it.
pub(super) fn transfer(
    session: &mut Session,
    name: &str,
    direction: &str,
    sector: u64,
    count: u64,
) -> Result<Exit, Error> {
    let mut lab = open_lab(session)?;
    let (size, block_size) = lab.geometry(name)?;
    let at = Sector::new(sector);
    if direction == "read" {
        let bytes = Sectors::new(count).bytes().filter(|_| count <= size.get());
        let bytes = bytes
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| {
                Error::failed("usage", format!("{name} has {size} sectors")).exiting(Exit::Usage)
            })?;
        let mut buffer = vec![0; bytes];
        lab.read(name, at, &mut buffer).map_err(failed)?;
        return print_bytes(&buffer);
    }
    check_writable(session)?;
    let mut data = Vec::new();
    std::io::stdin()
        .read_to_end(&mut data)
        .map_err(|error| Error::failed("io", format!("stdin: {error}")))?;
    let unit = block_size.bytes() as usize;
    if data.is_empty() || data.len() % unit != 0 {
        let message = format!(
            "stdin gave {} bytes, and {name} takes blocks of {unit}",
            data.len()
        );
        return Err(Error::failed("usage", message).exiting(Exit::Usage));
    }
    lab.write(name, at, &data)
        .and_then(|()| lab.flush(name))
        .map_err(failed)?;
    session.changed = true;
    let sectors = data.len() / SECTOR_BYTES;
    let json = json!({ "name": name, "sector": sector, "written_sectors": sectors });
    session.print(
        "io",
        || json,
        || format!("{sectors} sectors written to {name} from {sector} on\n"),
    )?;
    Ok(Exit::Done)
}
