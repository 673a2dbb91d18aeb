//! What the commands work with: a host, the journal, and how to ask and answer.

use std::io::{BufRead as _, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::args::{ColorChoice, Global};
use super::Ports;
use crate::config::{self, Settings};
use crate::error::{Error, Exit};
use crate::inspect::{look, Depth, Inspection};

use crate::lab::{Contents, Lab};
use crate::machine::Machine;
use crate::ops::{self, Context, Operation, Outcome, Plan, Progress, Surroundings, Target};
use crate::port::journal::Journal;
use crate::port::{Access, Host};
use crate::remap_core::units::Sectors;
use crate::report::{self, style::Style};

/// Where a journal is kept, in the directory of a lab or of the user's state.
const JOURNAL: &str = "journal";

/// One run of one command.
pub(super) struct Session {
    pub(super) host: Box<dyn Host>,
    pub(super) context: Context,
    pub(super) global: Global,
    pub(super) style: Style,
    pub(super) settings: Settings,
}

impl Session {
    /// Opens the host that the options name.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) fn open(mut global: Global, ports: &Ports) -> Result<Self, Error> {
        let settings = Settings::load(global.config.as_deref())?;
        global.lab = global.lab.or_else(|| settings.lab.clone());
        global.read_only |= settings.read_only;
        global.dry_run |= settings.dry_run;
        global.ascii |= settings.ascii;
        let mut host: Box<dyn Host> = match &global.lab {
            Some(directory) => Box::new(Lab::open_or_create(
                directory,
                ports.platform.clone(),
                Contents::Training,
            )?),
            None => Box::new(Machine::new(
                ports.platform.clone(),
                ports.device_mapper.clone(),
                config::state_directory().map(|directory| directory.join(JOURNAL)),
            )),
        };
        let context = Context {
            journal: open_journal(host.lab_directory(), ports)?,
            platform: ports.platform.clone(),
            read_only: global.read_only,
            progress: progress(&global),
        };
        if !global.read_only && !global.dry_run {
            // Where targets live in no process of their own, whoever comes next does what
            // fell due meanwhile. A device that cannot be looked at is told of when it is
            // asked for.
            let _ = host.run_due();
        }
        let style = Style {
            ascii: global.ascii,
            color: wants_color(&global, settings.color),
        };
        if style.color {
            crossterm::style::force_color_output(true);
        }
        Ok(Self {
            host,
            context,
            global,
            style,
            settings,
        })
    }

    /// The device that the operator means: a path, or the short name of one that the
    /// host lists.
    pub(super) fn device(&mut self, word: &Path) -> Result<PathBuf, Error> {
        if word.components().count() != 1 || word.exists() {
            return Ok(word.to_owned());
        }
        let devices = self.host.devices()?;
        let named = devices
            .into_iter()
            .find(|device| Path::new(&device.name) == word);
        Ok(named.map_or(word.to_owned(), |device| device.path))
    }

    /// The device that carries the copies the operator means: as [`Session::device`]
    /// finds it, or the spare of an active mapped device of that name.
    pub(super) fn spare(&mut self, word: &Path) -> Result<PathBuf, Error> {
        let device = self.device(word)?;
        if device.exists() {
            return Ok(device);
        }
        let mapped = self.host.mapped()?;
        let named = mapped
            .into_iter()
            .find(|mapped| Path::new(&mapped.name) == word);
        Ok(named.map_or(device, |mapped| mapped.spare))
    }

    /// A mapped device by its name, or a spare by its path.
    pub(super) fn target(&mut self, word: &str) -> Result<Target, Error> {
        let path = Path::new(word);
        if word.contains('/') || self.is_mapped(word)? {
            return Ok(if word.contains('/') {
                Target::Path(path.to_owned())
            } else {
                Target::Name(word.to_owned())
            });
        }
        let device = self.device(path)?;
        Ok(if device.exists() {
            Target::Path(device)
        } else {
            Target::Name(word.to_owned())
        })
    }

    fn is_mapped(&mut self, name: &str) -> Result<bool, Error> {
        Ok(self.host.mapped()?.iter().any(|device| device.name == name))
    }

    /// Opens a device for reading and looks at it.
    pub(super) fn look(&mut self, path: &Path, depth: Depth) -> Result<Inspection, Error> {
        let store = self.host.open(path, Access::Read)?;
        Ok(look(&*store, path, depth))
    }

    /// Plans, asks, carries out, and tells what came of it. With `--dry-run`, plans and
    /// tells. `None` where nothing was carried out.
    pub(super) fn change(
        &mut self,
        command: &str,
        operation: &Operation,
    ) -> Result<Option<Outcome>, Error> {
        let done = self.carry_out(operation)?;
        match &done {
            Done::Planned(plan) => self.print_plan(command, plan)?,
            Done::CarriedOut(plan, outcome) => self.print(
                command,
                || report::outcome_json(plan, outcome),
                || report::outcome_text(outcome, self.style),
            )?,
        }
        Ok(match done {
            Done::Planned(_) => None,
            Done::CarriedOut(_, outcome) => Some(outcome),
        })
    }

    /// Plans, asks and carries out, without telling.
    pub(super) fn carry_out(&mut self, operation: &Operation) -> Result<Done, Error> {
        self.carry_out_in(&mut Surroundings::default(), operation)
    }

    /// As [`Session::carry_out`], for one of several operations in a row.
    pub(super) fn carry_out_in(
        &mut self,
        surroundings: &mut Surroundings,
        operation: &Operation,
    ) -> Result<Done, Error> {
        let (host, context) = (&mut *self.host, &mut self.context);
        let plan = ops::plan_in(surroundings, host, context, operation)?;
        if self.global.dry_run {
            return Ok(Done::Planned(Box::new(plan)));
        }
        let typed = self.confirmation(&plan)?;
        let confirmed = plan.clone().confirm(typed.as_deref())?;
        let outcome = ops::execute(&mut *self.host, &mut self.context, confirmed)?;
        Ok(Done::CarriedOut(Box::new(plan), outcome))
    }

    /// What was typed to confirm a plan: beforehand with `--confirm`, or now at a
    /// terminal after having seen the plan.
    fn confirmation(&self, plan: &Plan) -> Result<Option<String>, Error> {
        let Some(token) = plan.token.as_ref().filter(|_| plan.is_needed()) else {
            return Ok(None);
        };
        if self.global.confirm.is_some() {
            return Ok(self.global.confirm.clone());
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() || self.global.json || self.global.read_only {
            return Ok(None);
        }
        let mut stderr = std::io::stderr();
        let question = format!(
            "{}\nType {} to go on, anything else to leave everything as it is: ",
            report::plan_text(plan, self.style),
            self.style.strong(token)
        );
        let mut answer = String::new();
        stderr
            .write_all(question.as_bytes())
            .and_then(|()| stderr.flush())
            .and_then(|()| stdin.lock().read_line(&mut answer))
            .map_err(|error| Error::failed("io", format!("the terminal: {error}")))?;
        Ok(Some(answer.trim_end_matches('\n').to_owned()))
    }

    /// Prints a plan that is not to be carried out.
    pub(super) fn print_plan(&self, command: &str, plan: &Plan) -> Result<(), Error> {
        self.print(
            command,
            || json!({ "changed": false, "dry_run": true, "plan": report::plan_json(plan) }),
            || report::plan_text(plan, self.style),
        )
    }

    /// Prints the report of a command: only the form that was asked for is made.
    pub(super) fn print<T: Serialize>(
        &self,
        command: &str,
        json: impl FnOnce() -> T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        if self.global.json {
            print_json(&report::object(command, json()))
        } else {
            print_bytes(text().as_bytes()).map(drop)
        }
    }
}

/// What came of an operation.
pub(super) enum Done {
    /// It was only planned.
    Planned(Box<Plan>),
    /// It was carried out.
    CarriedOut(Box<Plan>, Outcome),
}

/// Opens the journal of a lab, or the user's.
pub(super) fn open_journal(lab: Option<&Path>, ports: &Ports) -> Result<Box<dyn Journal>, Error> {
    let directory = lab.map(Path::to_owned).or_else(config::state_directory);
    let directory = directory.ok_or_else(|| {
        Error::failed("no-home", "there is no directory to keep a journal in")
            .advise("Set HOME or XDG_STATE_HOME.")
    })?;
    Ok((ports.journal)(&directory.join(JOURNAL)))
}

/// Whether reports are coloured.
pub(super) fn wants_color(global: &Global, setting: Option<bool>) -> bool {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match global.color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            !no_color && !global.json && setting.unwrap_or(true) && std::io::stdout().is_terminal()
        }
    }
}

/// Prints to stdout. A reader who has seen enough is no error.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<Exit, Error> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    printed(written).map(|()| Exit::Done)
}

/// Prints one line of JSON to stdout as it is made: that of a scan can be large.
fn print_json(value: &impl Serialize) -> Result<(), Error> {
    const AT_ONCE: usize = 1 << 16;
    let mut stdout = BufWriter::with_capacity(AT_ONCE, std::io::stdout().lock());
    let written = serde_json::to_writer(&mut stdout, value).map_err(std::io::Error::from);
    printed(
        written
            .and_then(|()| stdout.write_all(b"\n"))
            .and_then(|()| stdout.flush()),
    )
}

/// An error of printing to stdout, unless it is that nobody reads any more.
pub(super) fn printed(written: std::io::Result<()>) -> Result<(), Error> {
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::failed("io", format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Tells how far something long came, to a person who waits for it at a terminal. The line is
/// overwritten by whatever is said next.
fn progress(global: &Global) -> Progress {
    /// What is smaller is done before anybody could read that.
    const LONG: Sectors = Sectors::new(64 << 11);
    let can_overwrite = || std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    if global.json || !std::io::stderr().is_terminal() || !can_overwrite() {
        return Progress::silent();
    }
    Progress::told_to(|share| {
        if share.of < LONG {
            return;
        }
        let line = match share.percent() {
            100 => "\x1b[K".to_owned(),
            percent => format!(
                "\x1b[K{}: {percent} % of {}\r",
                share.work,
                report::size_text(share.of)
            ),
        };
        // Whoever cannot be told waits all the same.
        let _ = std::io::stderr().write_all(line.as_bytes());
    })
}
