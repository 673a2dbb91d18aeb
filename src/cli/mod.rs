//! The command line: every action as a subcommand, for people and for scripts.
//!
//! The report goes to stdout and nothing else does; plans, questions and errors go to
//! stderr.

mod allow;
mod args;
mod change;
mod config;
mod doctor;
mod interrupt;
mod lab;
mod look;
mod quick;
mod scan;
mod scenario;
mod session;
mod tools;
mod udev_probe;
mod unattended;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{FalseyValueParser, TypedValueParser as _};
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, FromArgMatches as _};

use crate::config::FLAW;
use crate::error::{Error, Exit};
use crate::lab::exercise::Exercise;
use crate::port::device_mapper::DeviceMapper;
use crate::port::journal::Journal;
use crate::port::Platform;
use crate::remap_core::units::{BlockSize, Blocks};
use crate::report;

use args::{Cli, Command};
use session::{FirstUse, Session};

/// What the commands are built on.
#[derive(Clone)]
pub struct Ports {
    /// Devices, images, time, chance.
    pub platform: Arc<dyn Platform>,
    /// The kernel's mapped devices.
    pub device_mapper: Arc<dyn DeviceMapper>,
    /// Makes the journal that is kept in a directory.
    pub journal: fn(&Path) -> Box<dyn Journal>,
}

/// Runs the command line `arguments`, the program's name first.
pub fn run(arguments: Vec<OsString>, ports: &Ports) -> ExitCode {
    // Asked for before parsing: a command line that cannot be parsed is an error too.
    let json = arguments.iter().any(|word| word == "--json")
        || std::env::var_os("DMREMAP_JSON").is_some_and(|value| is_truth(&value));
    let result = match parse(arguments).map_err(escape_words) {
        Ok(cli) => dispatch(cli, ports),
        Err(error) if error.use_stderr() && json => {
            let text = error.render().to_string();
            let text = text
                .trim()
                .strip_prefix("error: ")
                .unwrap_or(&text)
                .trim()
                .to_owned();
            Err(Error::failed("usage", text).exiting(Exit::Usage))
        }
        Err(error) if error.use_stderr() => {
            // Who does not read it is told by the status.
            let _ = error.print();
            return ExitCode::from(Exit::Usage.code());
        }
        // Help and the version are asked for, and printed like any report.
        Err(asked) => {
            let written = asked.print().and_then(|()| std::io::stdout().flush());
            session::printed(written).map(|()| Exit::Done)
        }
    };
    let exit = result.unwrap_or_else(|error| {
        tell(&error, json);
        error.exit
    });
    if let Some(signal) = interrupt::caught() {
        // Whoever runs commands in a row is to see that this one was interrupted.
        signal.die();
    }
    ExitCode::from(exit.code())
}

/// The error with what was typed escaped: a word that a script took from a file or a disk is
/// printed with it.
fn escape_words(mut error: clap::Error) -> clap::Error {
    let escaped = |word: &String| crate::text::escape_str(word).into_owned();
    let typed: Vec<(ContextKind, ContextValue)> = error
        .context()
        .filter_map(|(kind, value)| match value {
            ContextValue::String(word) => Some((kind, ContextValue::String(escaped(word)))),
            ContextValue::Strings(words) => {
                let words = words.iter().map(escaped).collect();
                Some((kind, ContextValue::Strings(words)))
            }
            _ => None,
        })
        .collect();
    for (kind, value) in typed {
        error.insert(kind, value);
    }
    error
}

/// Whether this value of a variable turns its option on, read as the command line reads it.
fn is_truth(value: &OsStr) -> bool {
    let command = clap::Command::default();
    FalseyValueParser::new()
        .parse_ref(&command, None, value)
        .unwrap_or(true)
}

/// Reads the command line.
fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    if let Some(tool) = tools::parse(&arguments) {
        return tool;
    }
    match quick::parse(&arguments) {
        Some(cli) => Ok(cli),
        None => parse_fully(arguments),
    }
}

/// Reads the command line by the description of every command.
fn parse_fully(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    // The description of every command is some thousand small allocations. To free them
    // one by one before a command that takes a millisecond would be a tenth of it.
    let mut description = std::mem::ManuallyDrop::new(Cli::command());
    let matches = description.try_get_matches_from_mut(arguments)?;
    let mut cli =
        Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut description))?;
    cli.global.note_origins(&description, &matches);
    Ok(cli)
}

fn dispatch(cli: Cli, ports: &Ports) -> Result<Exit, Error> {
    let Cli { global, command } = cli;
    match command {
        Some(Command::Completions { shell, of }) => print_completions(shell, of.as_deref()),
        Some(Command::Man { command }) => print_manual(command.as_deref()),
        Some(Command::Doctor) => doctor::run(&global, ports),
        Some(Command::UdevProbe(args)) => udev_probe::run(&global, &args, ports),
        Some(Command::UdevHide(args)) => udev_probe::hide(&args, ports),
        Some(Command::Config { template, machine }) => match template {
            true => config::print_template(machine),
            false => config::run(&global),
        },
        Some(Command::Lab { directory }) => lab::open_seat(global, directory, ports),
        None => lab::open_seat_here(global, ports, FirstUse::MadeWhereNothingIs),
        Some(command) => {
            let mut session = Session::open(global, ports, first_use(&command)?)?;
            let is_endless = matches!(command, Command::Status { watch: true, .. });
            if is_endless {
                session.warn_of_settings();
            }
            let result = run_command(command, &mut session);
            let is_told = matches!(&result, Err(error) if error.code == FLAW);
            if !is_endless && !is_told {
                session.warn_of_settings();
            }
            result
        }
    }
}

/// Whether a command makes a lab where there is none: the list, with which everybody begins,
/// and a drill that there is. Whatever else there is to see or to change must be there.
fn first_use(command: &Command) -> Result<FirstUse, Error> {
    match command {
        Command::List => Ok(FirstUse::MadeWhereNothingIs),
        Command::Scenario { name: Some(name) } => {
            scenario::find(name).map(|_| FirstUse::MadeWhereNothingIs)
        }
        _ => Ok(FirstUse::Missing),
    }
}

fn run_command(command: Command, session: &mut Session) -> Result<Exit, Error> {
    match command {
        Command::List => look::list(session),
        Command::Scan(args) => scan::scan(session, &args),
        Command::Inspect(args) => look::inspect_one(session, &args),
        Command::Status { name, watch } => look::status(session, name.as_deref(), watch),
        Command::Table(args) => look::table(session, &args),
        Command::Log => look::log(session),
        Command::Create(create) => change::create(session, create),
        Command::WriteMetadata(write) => change::write_metadata(session, write),
        Command::Reassemble(args) => match args.unattended {
            Some(uuid) => unattended::assemble(session, uuid, Duration::from_secs(args.wait)),
            None => change::reassemble(session, args),
        },
        Command::Allow(args) => allow::run(session, &args),
        Command::Remove { name } => change::remove(session, name),
        Command::Scrub { name, no_wait } => change::scrub(session, name, !no_wait),
        Command::Repair {
            target,
            from,
            rebuild,
            array,
        } => change::repair(session, &target, from, rebuild, array),
        Command::Cover { name } => change::cover(session, name),
        Command::Uncover { name } => change::uncover(session, name),
        Command::Corrupt {
            path,
            copy,
            kind,
            seed,
        } => change::corrupt(session, &path, &copy, kind, seed),
        Command::Migrate {
            path,
            name,
            block_size,
            main,
        } => change::migrate(session, &path, name, block_size, main),
        Command::Scenario { name } => scenario::run(session, name.as_deref()),
        Command::Undo { id } => change::undo(session, id),
        Command::Fault {
            name,
            disk,
            on,
            from,
            count,
            clear,
        } => change::fault(
            session,
            name,
            disk.as_deref().filter(|_| !clear),
            &on,
            from,
            count,
        ),
        Command::Io {
            name,
            direction,
            sector,
            count,
        } => lab::transfer(session, &name, &direction, sector, count),
        Command::Exercise {
            name,
            seed,
            blocks,
            from,
            steps,
            verify,
        } => {
            let load = Exercise {
                seed,
                blocks: Blocks::new(blocks),
            };
            match verify {
                Some(report) => lab::verify(session, &name, &load, &report),
                None => lab::exercise(session, &name, &load, from, steps),
            }
        }
        Command::Lab { .. }
        | Command::Doctor
        | Command::UdevProbe(_)
        | Command::UdevHide(_)
        | Command::Config { .. }
        | Command::Completions { .. }
        | Command::Man { .. } => Err(Error::failed("internal", "this command needs no host")),
    }
}

/// Puts an error on stderr, in the form that was asked for.
fn tell(error: &Error, json: bool) {
    say(error, "", json.then(|| report::error_json(error)));
}

/// Puts on stderr what did not keep a command from what was asked of it.
fn warn(warning: &Error, json: bool) {
    say(
        warning,
        "warning: ",
        json.then(|| report::warning_json(warning)),
    );
}

fn say(error: &Error, kind: &str, json: Option<report::Object<serde_json::Value>>) {
    let text = if let Some(json) = json {
        json.to_string()
    } else if error.advice.is_empty() {
        format!("dmremap-tui: {kind}{}", error.message)
    } else {
        format!("dmremap-tui: {kind}{}\n  {}", error.message, error.advice)
    };
    // Where stderr is gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn print_completions(shell: clap_complete::Shell, tool: Option<&str>) -> Result<Exit, Error> {
    let mut script = Vec::new();
    let mut described = tool.and_then(tools::description);
    let description = described.get_or_insert_with(Cli::command);
    let name = tool.unwrap_or("dmremap-tui");
    clap_complete::generate(shell, description, name, &mut script);
    session::print_bytes(&script)
}

fn print_manual(name: Option<&str>) -> Result<Exit, Error> {
    let mut program = Cli::command();
    program.build();
    let command = match name.map(|name| (name, tools::description(name))) {
        None => program,
        Some((_, Some(tool))) => tool,
        Some((name, None)) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| {
                let name = crate::text::escape_str(name);
                Error::failed("usage", format!("there is no command {name}"))
                    .advise("dmremap-tui --help lists the commands.")
                    .exiting(Exit::Usage)
            })?
            .display_name(format!("dmremap-tui-{name}")),
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Error::failed("io", error.to_string()))?;
    session::print_bytes(&page)
}

/// Reads a remap unit in bytes.
fn parse_block_size(word: &str) -> Result<BlockSize, String> {
    let bytes = word.parse().ok().and_then(BlockSize::from_bytes);
    bytes.ok_or_else(|| "a remap unit has 512, 1024, 2048 or 4096 bytes".to_owned())
}
