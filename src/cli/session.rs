//! What the commands work with: a host, the journal, and how to ask and answer.

use std::io::{BufRead as _, BufWriter, IsTerminal as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use clap::CommandFactory as _;
use serde::Serialize;
use serde_json::json;

use super::args::{Cli, ColorChoice, Global};
use super::Ports;
use crate::command_line;
use crate::config::{self, Settings};
use crate::error::{Error, Exit};
use crate::inspect::{look, Depth, Inspection};

use crate::lab::{Contents, Lab};
use crate::machine::Machine;
use crate::ops::{self, Context, Operation, Outcome, Plan, Progress, Surroundings, Target};
use crate::policy::Policy;
use crate::port::journal::{Journal, NoJournal};
use crate::port::{Access, Host, Mapped};
use crate::remap_core::units::Sectors;
use crate::report::{self, style::Style};
use crate::stop::Stop;
use crate::text::escape_os;

/// Where a journal is kept, in the directory of a lab or of the user's state.
const JOURNAL: &str = "journal";

/// One run of one command.
pub(super) struct Session {
    pub(super) host: Box<dyn Host>,
    pub(super) context: Context,
    pub(super) global: Global,
    pub(super) style: Style,
    pub(super) settings: Settings,
    /// What is wrong with the settings file, where it cannot be used.
    flaw: Option<Error>,
    /// Whether something was changed: then the status tells of that, whatever becomes of
    /// the report.
    pub(super) changed: bool,
}

impl Session {
    /// Opens the host that the options name.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) fn open(global: Global, ports: &Ports, first_use: FirstUse) -> Result<Self, Error> {
        let mut session = Self::open_at_rest(global, ports, first_use)?;
        let global = &session.global;
        if !global.read_only && !global.dry_run && session.flaw.is_none() {
            // Where targets live in no process of their own, whoever comes next does what
            // fell due meanwhile. A device that cannot be looked at is told of when it is
            // asked for.
            let host = &mut session.host;
            let _ = told_if_long(global, "scrubbing and repairing what fell due", || {
                host.run_due()
            });
        }
        Ok(session)
    }

    /// As [`Session::open`], and leaves what fell due to the caller, who has threads for it.
    ///
    /// # Errors
    ///
    /// As [`Session::open`].
    pub(super) fn open_at_rest(
        mut global: Global,
        ports: &Ports,
        mut first_use: FirstUse,
    ) -> Result<Self, Error> {
        let (settings, flaw) = Settings::load_or_usual(global.config.as_deref())?;
        if global.lab.is_none() {
            global.lab = settings.lab()?;
            // It means another directory wherever one stands: none of them was asked for.
            if global.lab.as_ref().is_some_and(|lab| lab.is_relative()) {
                first_use = FirstUse::Missing;
            }
        }
        global.read_only |= settings.read_only;
        global.dry_run |= settings.dry_run;
        global.ascii |= settings.ascii;
        let host: Box<dyn Host> = match &global.lab {
            Some(directory) => Box::new(open_lab(directory, &global, ports, first_use)?),
            None => Box::new(Machine::new(
                ports.platform.clone(),
                ports.device_mapper.clone(),
                config::state_directory().map(|directory| directory.join(JOURNAL)),
            )),
        };
        let context = Context {
            journal: open_journal(host.lab_directory(), ports),
            platform: ports.platform.clone(),
            read_only: global.read_only,
            progress: progress(&global),
        };
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
            flaw,
            changed: false,
        })
    }

    /// What lacks for a change, if anything: settings that make sense, and with `logged` a
    /// journal that can be written.
    pub(super) fn lack(&self, logged: bool) -> Option<Error> {
        let journal = || ops::require_journal(&self.context).err();
        let flaw = self.flaw.clone().map(|flaw| Error {
            message: format!("nothing is changed without settings: {}", flaw.message),
            ..flaw
        });
        flaw.or_else(|| logged.then(journal).flatten())
    }

    /// Tells of settings that cannot be used: whoever only looked did without them.
    pub(super) fn warn_of_settings(&self) {
        if let Some(flaw) = &self.flaw {
            super::warn(flaw, self.global.json);
        }
    }

    /// Refuses to begin a change where something lacks.
    pub(super) fn require_ready(&self, logged: bool) -> Result<(), Error> {
        self.lack(logged).map_or(Ok(()), Err)
    }

    /// The list of what may be assembled without a person here.
    pub(super) fn policy(&self) -> Result<Policy, Error> {
        Policy::in_force(self.global.policy.as_deref(), self.host.lab_directory())
    }

    /// The device that the operator means: a path, or the short name of one that the
    /// host lists.
    pub(super) fn device(&mut self, word: &Path) -> Result<PathBuf, Error> {
        if is_path(word) {
            return Ok(word.to_owned());
        }
        let devices = self.host.devices()?;
        let named = devices
            .into_iter()
            .find(|device| device.name == escape_os(word.as_os_str()));
        Ok(named.map_or(word.to_owned(), |device| device.path))
    }

    /// The device that carries the copies the operator means: the spare of an active mapped
    /// device of that name, or as [`Session::device`] finds it.
    pub(super) fn spare(&mut self, word: &Path) -> Result<PathBuf, Error> {
        Ok(match self.named(word)? {
            Named::Mapped(mapped) => mapped.spare,
            Named::Device(path) => path,
        })
    }

    /// A mapped device by its name, or a spare by its path.
    pub(super) fn target(&mut self, word: &str) -> Result<Target, Error> {
        Ok(match self.named(Path::new(word))? {
            Named::Mapped(mapped) => Target::Name(mapped.name),
            Named::Device(path) if is_path(&path) => Target::Path(path),
            Named::Device(_) => Target::Name(word.to_owned()),
        })
    }

    /// What a word means: an active mapped device before any file that is called like it.
    fn named(&mut self, word: &Path) -> Result<Named, Error> {
        if has_slash(word) {
            return Ok(Named::Device(word.to_owned()));
        }
        let mapped = self.host.mapped();
        let mut listed = mapped.iter().flatten();
        if let Some(found) = listed.find(|mapped| Path::new(&mapped.name) == word) {
            return Ok(Named::Mapped(Box::new(found.clone())));
        }
        let device = self.device(word)?;
        if !is_path(&device) {
            // Where mapped devices could not be asked, it may be the name of one.
            mapped?;
        }
        Ok(Named::Device(device))
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
        if !self.global.dry_run {
            self.require_ready(true)?;
        }
        let (host, context) = (&mut *self.host, &mut self.context);
        let plan = ops::plan_in(surroundings, host, context, operation)?;
        if self.global.dry_run {
            return Ok(Done::Planned(Box::new(plan)));
        }
        let typed = self.confirmation(&plan)?;
        let confirmed = plan.clone().confirm(typed.as_deref())?;
        let stop = Stop::default();
        let progress = std::mem::replace(&mut self.context.progress, Progress::silent());
        self.context.progress = progress.until(stop.clone());
        let execute = || ops::execute(&mut *self.host, &mut self.context, confirmed);
        let outcome = super::interrupt::guard(&stop, execute)?;
        self.changed |= outcome.changed;
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
        let written = match self.global.json {
            true => write_json(&report::object(command, json())),
            false => write_bytes(text().as_bytes()),
        };
        match written {
            Err(error) if self.changed => {
                let message = format!("done, but the report could not be written: {error}");
                let warning = Error::failed("not-told", message);
                super::warn(&warning.exiting(Exit::Done), self.global.json);
                Ok(())
            }
            written => printed(written),
        }
    }
}

/// What a word means that names a device.
enum Named {
    /// A mapped device that is up.
    Mapped(Box<Mapped>),
    /// A device by its path, or whatever else was said.
    Device(PathBuf),
}

fn has_slash(word: &Path) -> bool {
    word.as_os_str().as_bytes().contains(&b'/')
}

/// Whether a word is a path: it has a slash, or is the name of a block device or of an image
/// file here. Nothing else that is called like a device hides it.
fn is_path(word: &Path) -> bool {
    let is_store = |found: std::fs::Metadata| {
        let kind = found.file_type();
        kind.is_file() || kind.is_block_device()
    };
    has_slash(word) || std::fs::metadata(word).is_ok_and(is_store)
}

/// What came of an operation.
pub(super) enum Done {
    /// It was only planned.
    Planned(Box<Plan>),
    /// It was carried out.
    CarriedOut(Box<Plan>, Outcome),
}

/// What a command does where it is told to work on a lab that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstUse {
    /// It says so.
    Missing,
    /// It makes one, where nothing is yet.
    MadeWhereNothingIs,
    /// It makes one, also beside images that lie there.
    Made,
}

/// Opens the lab that `--lab` or the settings name. Looking makes none, and neither does a
/// run that is to change nothing.
fn open_lab(
    directory: &Path,
    global: &Global,
    ports: &Ports,
    first_use: FirstUse,
) -> Result<Lab, Error> {
    let platform = ports.platform.clone();
    if Lab::is_at(directory) {
        return Ok(Lab::open(directory, platform)?);
    }
    let shown = report::path_text(directory);
    let is_made = match first_use {
        FirstUse::Missing => false,
        FirstUse::MadeWhereNothingIs => is_vacant(directory),
        FirstUse::Made => true,
    };
    if !is_made || global.read_only || global.dry_run {
        let error = Error::failed("not-found", format!("there is no lab in {shown}"));
        let word = command_line::quote(directory.as_os_str());
        return Err(error.advise(format!(
            "Check the path, or make a lab there: dmremap-tui lab {word}"
        )));
    }
    require_meant(directory)?;
    if config::usual_lab().as_deref() == Some(directory) {
        let parents = directory.parent().map_or(Ok(()), std::fs::create_dir_all);
        parents.map_err(|error| Error::failed("io", format!("{shown}: {error}")))?;
    }
    Ok(Lab::open_or_create(
        directory,
        platform,
        Contents::Training,
    )?)
}

/// Whether a directory can be made here, or is there and empty.
fn is_vacant(directory: &Path) -> bool {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Refuses to make a lab under a name that was hardly meant as one.
fn require_meant(directory: &Path) -> Result<(), Error> {
    let Some(word) = directory.to_str().filter(|_| !directory.exists()) else {
        return Ok(());
    };
    // Everybody calls it "lab", which stands behind --lab and before a command.
    let is_command = word != "lab" && Cli::command().find_subcommand(word).is_some();
    if !is_command && !word.starts_with('-') && !word.is_empty() {
        return Ok(());
    }
    let shown = report::path_text(directory);
    Err(Error::failed(
        "usage",
        format!("a lab is to be made in \"{shown}\", a word of the command line"),
    )
    .advise(format!(
        "Name a directory: --lab DIR, then the command. If it is to be called so: ./{shown}"
    ))
    .exiting(Exit::Usage))
}

/// Opens the journal of a lab, or the user's.
pub(super) fn open_journal(lab: Option<&Path>, ports: &Ports) -> Box<dyn Journal> {
    let directory = lab.map(Path::to_owned).or_else(config::state_directory);
    match directory {
        Some(directory) => (ports.journal)(&directory.join(JOURNAL)),
        None => Box::new(NoJournal),
    }
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
    printed(write_bytes(bytes)).map(|()| Exit::Done)
}

fn write_bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush())
}

/// Writes one line of JSON to stdout as it is made: that of a scan can be large.
fn write_json(value: &impl Serialize) -> std::io::Result<()> {
    const AT_ONCE: usize = 1 << 16;
    let mut stdout = BufWriter::with_capacity(AT_ONCE, std::io::stdout().lock());
    let written = serde_json::to_writer(&mut stdout, value).map_err(std::io::Error::from);
    written
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush())
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

/// Whether a person waits at a terminal, on which a line can be overwritten.
fn is_waited_for(global: &Global) -> bool {
    let can_overwrite = || std::env::var_os("TERM").is_some_and(|term| term != "dumb");
    !global.json && std::io::stderr().is_terminal() && can_overwrite()
}

/// Does something, and says what it is to a person who has waited for it for a while.
pub(super) fn told_if_long<T>(global: &Global, what: &str, act: impl FnOnce() -> T) -> T {
    const WHILE: Duration = Duration::from_secs(1);
    if !is_waited_for(global) {
        return act();
    }
    let say = |line: &str| {
        // Whoever cannot be told waits all the same.
        let _ = std::io::stderr().write_all(line.as_bytes());
    };
    thread::scope(|scope| {
        let (done, waits) = mpsc::channel::<()>();
        scope.spawn(move || {
            if waits.recv_timeout(WHILE) == Err(RecvTimeoutError::Timeout) {
                say(&format!("\x1b[K{what}\r"));
                // Until it is done, which closes the channel.
                let _ = waits.recv();
                say("\x1b[K");
            }
        });
        let outcome = act();
        drop(done);
        outcome
    })
}

/// Tells how far something long came, to a person who waits for it at a terminal. The line is
/// overwritten by whatever is said next.
fn progress(global: &Global) -> Progress {
    /// What is smaller is done before anybody could read that.
    const LONG: Sectors = Sectors::new(64 << 11);
    if !is_waited_for(global) {
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
