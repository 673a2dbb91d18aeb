//! The command line, as it is typed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, PathBufValueParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Parser, Subcommand, ValueEnum};

use crate::config;
use crate::ops::CorruptionKind;
use crate::port::journal::ActionId;
use crate::remap_core::units::ArrayUuid;

/// Terminal administration of dm-remap-v4 devices: shows whether the metadata that finds
/// your data again is intact, and lets you write, break, heal and reassemble it.
///
/// Without a command, opens the terminal application on this machine; `lab` opens it on
/// image files, without root and without a kernel module.
#[derive(Parser, Debug)]
#[command(name = "dmremap-tui", version, max_term_width = 100)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What applies to every command.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Work on the lab in this directory instead of this machine's devices
    #[arg(long, global = true, value_name = "DIR", env = "DMREMAP_LAB", value_parser = path())]
    pub lab: Option<PathBuf>,
    /// Print one JSON object on stdout; errors are JSON on stderr
    #[arg(long, global = true, env = "DMREMAP_JSON", value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// Print the plan and change nothing
    #[arg(long, global = true, env = "DMREMAP_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub dry_run: bool,
    /// The name that confirms a change, for scripts: the mapped device's, else the last
    /// component of the path
    #[arg(long, global = true, value_name = "NAME", env = "DMREMAP_CONFIRM")]
    pub confirm: Option<String>,
    /// Refuse every change
    #[arg(long, global = true, env = "DMREMAP_READ_ONLY", value_parser = FalseyValueParser::new())]
    pub read_only: bool,
    /// Whether to use colour; NO_COLOR in the environment is heeded
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        env = "DMREMAP_COLOR",
        default_value = "auto"
    )]
    pub color: ColorChoice,
    /// Draw with ASCII characters only
    #[arg(long, global = true, env = "DMREMAP_ASCII", value_parser = FalseyValueParser::new())]
    pub ascii: bool,
    /// The theme of the terminal application: terminal, dark, light, high-contrast,
    /// monochrome, or one of the settings file
    #[arg(long, global = true, value_name = "NAME", env = "DMREMAP_THEME")]
    pub theme: Option<String>,
    /// Leave the mouse to the terminal
    #[arg(long, global = true, env = "DMREMAP_NO_MOUSE", value_parser = FalseyValueParser::new())]
    pub no_mouse: bool,
    /// Show times in UTC instead of the local time zone
    #[arg(long, global = true, env = "DMREMAP_UTC", value_parser = FalseyValueParser::new())]
    pub utc: bool,
    /// Read settings from this file instead of ~/.config/dmremap/config.toml
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "DMREMAP_CONFIG",
        value_parser = path()
    )]
    pub config: Option<PathBuf>,
    /// Read what may be assembled without a person from this file instead of
    /// /etc/dmremap.toml, or a lab's own dmremap.toml
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "DMREMAP_POLICY",
        value_parser = path()
    )]
    pub policy: Option<PathBuf>,
    /// What comes from the command line or the environment: the option or the variable, by
    /// the setting's key
    #[arg(skip)]
    pub origins: BTreeMap<&'static str, String>,
}

/// Reads a path; `~` at its beginning is the home directory also where no shell saw to that.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(config::from_home)
}

/// The settings that an option sets as well: the setting's key, and the option's name.
const SET_BY_OPTIONS: [(&str, &str); 7] = [
    ("theme", "theme"),
    ("color", "color"),
    ("ascii", "ascii"),
    ("mouse", "no_mouse"),
    ("utc", "utc"),
    ("read_only", "read_only"),
    ("dry_run", "dry_run"),
];

impl Global {
    /// Notes which settings were set by an option or its variable, as `matches` of
    /// `description` tell. A switch that is off leaves its setting to the file.
    pub fn note_origins(&mut self, description: &clap::Command, matches: &ArgMatches) {
        for (key, name) in SET_BY_OPTIONS {
            let mut options = description.get_arguments();
            let Some(option) = options.find(|option| option.get_id() == name) else {
                continue;
            };
            let off = matches!(matches.try_get_one::<bool>(name), Ok(Some(false)));
            let origin = match matches.value_source(name) {
                _ if off => None,
                Some(ValueSource::CommandLine) => option.get_long().map(|it| format!("--{it}")),
                Some(ValueSource::EnvVariable) => {
                    option.get_env().map(|it| it.to_string_lossy().into_owned())
                }
                _ => None,
            };
            if let Some(origin) = origin {
                self.origins.insert(key, origin);
            }
        }
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Open the terminal application on a lab of image files, made on first use
    Lab {
        /// Its directory
        #[arg(value_name = "DIR", value_parser = path())]
        directory: Option<PathBuf>,
    },
    /// List devices and the part each plays
    List,
    /// Look for our metadata, and assemble what may be assembled by itself
    Scan(ScanArgs),
    /// Show the five copies of a device, the verdict and the fields
    Inspect(InspectArgs),
    /// Join a main disk and a spare to a new mapped device
    Create(CreateArgs),
    /// Write the copies of a device anew, or for the first time
    WriteMetadata(WriteMetadataArgs),
    /// Bring devices up from their metadata
    Reassemble(ReassembleArgs),
    /// Take a mapped device down; its metadata stays
    Remove {
        /// The mapped device
        name: String,
    },
    /// Show what the targets say of themselves
    Status {
        /// The mapped device; all of them without one
        name: Option<String>,
        /// Go on, with one report for each change
        #[arg(long)]
        watch: bool,
    },
    /// Print a device as plain targets, for a machine without ours
    Table(TableArgs),
    /// Scrub a mapped device now
    Scrub {
        /// The mapped device
        name: String,
        /// Do not wait for the repair that a scrub may schedule
        #[arg(long)]
        no_wait: bool,
    },
    /// Bring the winning content to the copies that do not hold it
    Repair {
        /// The mapped device, or the path of its spare
        #[arg(value_name = "NAME|PATH")]
        target: String,
        /// The copy that is right, chosen among rivals
        #[arg(long, value_name = "SLOT", value_parser = clap::value_parser!(u32).range(0..5))]
        from: Option<u32>,
        /// Rebuild lost copies from a header of the remap table
        #[arg(long)]
        rebuild: bool,
        /// The array to rebuild, where headers of several are left
        #[arg(long, value_name = "UUID", requires = "rebuild", value_parser = crate::policy::parse_uuid)]
        array: Option<ArrayUuid>,
    },
    /// Show nothing of a main that is in use but labels; its first and last MiB go to the spare
    Cover {
        /// The mapped device
        name: String,
    },
    /// Bring the first and the last MiB of main back from the spare
    Uncover {
        /// The mapped device
        name: String,
    },
    /// Damage copies on purpose, to see what happens
    Corrupt {
        /// The spare
        path: PathBuf,
        /// Which copies, 0 to 4
        #[arg(long, value_name = "N[,N]", required = true, value_delimiter = ',',
              value_parser = clap::value_parser!(u32).range(0..5))]
        copy: Vec<u32>,
        /// How
        #[arg(long, value_parser = parse_kind, default_value = "bit-flip")]
        kind: CorruptionKind,
        /// What makes it repeatable
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
    },
    /// Give a plain v4 spare checksums, identities, a name and a remap table
    Migrate {
        /// The spare
        path: PathBuf,
        /// The name of the mapped device
        #[arg(long)]
        name: Option<String>,
        /// The remap unit in bytes
        #[arg(long, value_name = "N", value_parser = super::parse_block_size)]
        block_size: Option<crate::remap_core::units::BlockSize>,
        /// Main, to be recorded; else it is recorded if it can be told beyond doubt
        #[arg(long, value_name = "PATH")]
        main: Option<PathBuf>,
    },
    /// Show the journal of what was done, and the events of the targets
    Log,
    /// Take an action back, byte for byte
    Undo {
        /// Its number in the journal; the last one that can be taken back without one
        id: Option<ActionId>,
    },
    /// Let devices be assembled without a person, or show which may
    Allow(AllowArgs),
    /// Tell udev what a device is to us, as KEY=value lines
    UdevProbe(ProbeArgs),
    /// Have the kernel forget the partitions of a disk that udev hides
    UdevHide(ProbeArgs),
    /// Tell what this machine can and cannot do, and why
    Doctor,
    /// Go through a drill in a lab, step by step, and check what comes of each
    Scenario {
        /// Which; all of them are listed without one
        name: Option<String>,
    },
    /// Let blocks of a mapped device's disks fail, in a lab
    Fault {
        /// The mapped device
        name: String,
        /// On which disk
        #[arg(value_parser = ["main", "spare"], required_unless_present = "clear")]
        disk: Option<String>,
        /// Which I/O fails
        #[arg(long, default_value = "both", value_parser = ["read", "write", "both"])]
        on: String,
        /// The first block, in remap units
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many blocks
        #[arg(long, default_value_t = 1)]
        count: u64,
        /// Let everything work again
        #[arg(long, conflicts_with = "disk")]
        clear: bool,
    },
    /// Read from or write to a mapped device, in a lab
    Io {
        /// The mapped device
        name: String,
        /// Read to stdout, or write from stdin
        #[arg(value_parser = ["read", "write"])]
        direction: String,
        /// The first sector
        #[arg(long, default_value_t = 0)]
        sector: u64,
        /// How many sectors to read
        #[arg(long, default_value_t = 1)]
        count: u64,
    },
    /// Write a load to a mapped device and report what is acknowledged, in a lab
    Exercise {
        /// The mapped device
        name: String,
        /// Decides which blocks are written, and with what
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
        /// How many blocks from the start of the device are written
        #[arg(long, value_name = "N", default_value_t = 1024)]
        blocks: u64,
        /// The first step
        #[arg(long, value_name = "STEP", default_value_t = 0)]
        from: u64,
        /// How many steps
        #[arg(long, value_name = "N", default_value_t = 100)]
        steps: u64,
        /// Write nothing: hold the device against the report in this file
        #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "steps"])]
        verify: Option<PathBuf>,
    },
    /// Show the settings that are in force, or a commented file to begin with
    Config {
        /// Print a settings file with every setting, commented out
        #[arg(long)]
        template: bool,
        /// With --template: the file of the machine, /etc/dmremap.toml
        #[arg(long, requires = "template")]
        machine: bool,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
        /// For one of the tools that this program is as well
        #[arg(long, value_name = "TOOL", value_parser = super::tools::NAMES)]
        of: Option<String>,
    },
    /// Print the manual page
    Man {
        /// The command, or a tool; the program as a whole without one
        command: Option<String>,
    },
}

/// What `scan` takes.
#[derive(Args, Debug)]
pub struct ScanArgs {
    /// Assemble nothing
    #[arg(long)]
    pub scan_only: bool,
    /// Look at this device or image, or at the images in this directory; repeatable
    #[arg(long, value_name = "PATH")]
    pub device: Vec<PathBuf>,
    /// Show every copy
    #[arg(long, short)]
    pub verbose: bool,
}

/// What `reassemble` takes.
#[derive(Args, Debug)]
pub struct ReassembleArgs {
    /// Names of mapped devices, or paths of their spares
    #[arg(value_name = "NAME|PATH", required_unless_present_any = ["all", "unattended"])]
    pub targets: Vec<String>,
    /// Everything that may be assembled without a person
    #[arg(long, conflicts_with = "targets")]
    pub all: bool,
    /// Main, where nothing stable tells which device it is
    #[arg(long, value_name = "PATH")]
    pub main: Option<PathBuf>,
    /// The name to give, where the metadata holds none
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// The array of this UUID, if the policy of this machine allows it: as while starting up
    #[arg(long, value_name = "UUID", value_parser = crate::policy::parse_uuid,
          conflicts_with_all = ["targets", "all", "main", "name"])]
    pub unattended: Option<crate::remap_core::units::ArrayUuid>,
    /// With --unattended: how long to wait for a disk that is not here yet
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 5,
        requires = "unattended"
    )]
    pub wait: u64,
}

/// What `allow` takes.
#[derive(Args, Debug)]
pub struct AllowArgs {
    /// Names of mapped devices, or paths of their spares; shows the list without one
    #[arg(value_name = "NAME|PATH")]
    pub targets: Vec<String>,
    /// Take these off the list, by name or UUID
    #[arg(long, requires = "targets")]
    pub remove: bool,
}

/// What `udev-probe` and `udev-hide` take.
#[derive(Args, Debug)]
pub struct ProbeArgs {
    /// A block device or an image file
    pub path: PathBuf,
}

/// What `inspect` takes.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// A block device or an image file
    pub path: PathBuf,
    /// The disk that is to be its main, where the metadata does not tell it
    #[arg(long, value_name = "PATH")]
    pub main: Option<PathBuf>,
    /// Show the remap table and every field's bytes as well
    #[arg(long, short)]
    pub verbose: bool,
}

/// What `table` takes.
#[derive(Args, Debug)]
pub struct TableArgs {
    /// The name of a device that is not up, or the path of its spare
    #[arg(value_name = "NAME|PATH")]
    pub target: String,
    /// Main, where nothing stable tells which device it is
    #[arg(long, value_name = "PATH")]
    pub main: Option<PathBuf>,
}

/// What `create` takes.
#[derive(Args, Debug)]
pub struct CreateArgs {
    /// The name of the mapped device
    pub name: String,
    /// The ageing disk
    #[arg(long, value_name = "PATH")]
    pub main: PathBuf,
    /// The disk that will replace its bad blocks
    #[arg(long, value_name = "PATH")]
    pub spare: PathBuf,
    /// Put labels at both ends of main, so that nobody takes it past the device: as is done by
    /// itself where main is empty; where it is not, this is refused
    #[arg(long)]
    pub labelled: bool,
    /// Leave main as it is: whoever takes the disk itself passes the device by
    #[arg(long, conflicts_with = "labelled")]
    pub bare: bool,
    /// What may be set and replaced
    #[command(flatten)]
    pub options: OptionArgs,
}

/// What `write-metadata` takes.
#[derive(Args, Debug)]
pub struct WriteMetadataArgs {
    /// The mapped device
    #[arg(required_unless_present_any = ["main", "spare", "name_option"])]
    pub name: Option<String>,
    /// The ageing disk, of a device that is not up
    #[arg(long, value_name = "PATH", requires = "spare")]
    pub main: Option<PathBuf>,
    /// The spare, of a device that is not up
    #[arg(long, value_name = "PATH", requires = "main")]
    pub spare: Option<PathBuf>,
    /// The name of a device that is not up
    #[arg(
        long = "name",
        value_name = "NAME",
        conflicts_with = "name",
        requires = "spare"
    )]
    pub name_option: Option<String>,
    /// Take other disks than the metadata was written to as main and spare, for good
    #[arg(long, requires = "spare", conflicts_with = "replace")]
    pub adopt: bool,
    /// What may be set and replaced
    #[command(flatten)]
    pub options: OptionArgs,
}

impl WriteMetadataArgs {
    /// For an active device.
    pub fn of_active(name: String) -> Self {
        Self {
            name: Some(name),
            main: None,
            spare: None,
            name_option: None,
            adopt: false,
            options: OptionArgs {
                block_size: None,
                scrub_interval: None,
                replace: false,
            },
        }
    }
}

/// What a new device may be given.
#[derive(Args, Debug)]
pub struct OptionArgs {
    /// The remap unit in bytes: 512, 1024, 2048 or 4096; else the larger logical block
    #[arg(long, value_name = "N", value_parser = super::parse_block_size)]
    pub block_size: Option<crate::remap_core::units::BlockSize>,
    /// Seconds between two scrubs; 0 for never
    #[arg(long, value_name = "S")]
    pub scrub_interval: Option<u32>,
    /// Overwrite metadata or a signature that lies on the spare
    #[arg(long)]
    pub replace: bool,
}

fn parse_kind(word: &str) -> Result<CorruptionKind, String> {
    word.parse()
        .map_err(|error: crate::ops::UnknownKind| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn every(command: &clap::Command, see: &mut impl FnMut(&clap::Command)) {
        see(command);
        for below in command.get_subcommands() {
            every(below, see);
        }
    }

    #[test]
    fn every_command_and_every_option_is_described() {
        let mut program = Cli::command();
        program.build();
        let mut seen = 0;
        every(&program, &mut |command| {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} is not described");
            for argument in command.get_arguments() {
                let id = argument.get_id();
                let help = argument.get_help().map(ToString::to_string);
                assert!(
                    help.is_some_and(|help| !help.is_empty()),
                    "{name}: {id} is not described"
                );
                seen += 1;
            }
        });
        assert!(seen > 60, "{seen} arguments");
    }

    #[test]
    fn every_global_option_has_an_environment_variable() {
        let program = Cli::command();
        let globals = program.get_arguments().filter(|it| it.is_global_set());
        let mut seen = 0;
        for option in globals {
            let variable = option.get_env().and_then(|name| name.to_str());
            let expected = option.get_id().as_str().to_uppercase();
            assert_eq!(variable, Some(format!("DMREMAP_{expected}").as_str()));
            seen += 1;
        }
        assert!(seen >= 11, "{seen} global options");
    }
    #[test]
    fn what_is_typed_on_the_screen_is_typed_the_same_in_a_shell() {
        let mut program = Cli::command();
        program.build();
        for verb in crate::ops::verbs::VERBS {
            let command = program.find_subcommand(verb.name).expect(verb.name);
            for (option, _) in verb.options {
                let known = command
                    .get_arguments()
                    .any(|it| it.get_long() == option.strip_prefix("--"));
                assert!(known, "{} {option}", verb.name);
            }
            assert!(command.get_positionals().count() >= verb.arguments.len());
        }
    }
}
