//! The two tools that scripts may know already, as further names of this program: the name
//! that it is run by decides. They take those tools' options; what they do and how they exit
//! is what the commands of this program do.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{CommandFactory as _, Parser};

use super::args::{Cli, Command, Global, ScanArgs, WriteMetadataArgs};

/// Look for dm-remap metadata on block devices, and assemble what may be assembled by itself.
///
/// The same as `dmremap-tui scan`.
#[derive(Parser, Debug)]
#[command(name = SCAN, version, max_term_width = 100)]
struct ScanTool {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    scan: ScanArgs,
}

/// Have an active dm-remap device write its metadata anew.
///
/// The same as `dmremap-tui write-metadata NAME`.
#[derive(Parser, Debug)]
#[command(name = WRITE_METADATA, version, max_term_width = 100)]
struct WriteMetadataTool {
    #[command(flatten)]
    global: Global,
    /// The mapped device
    name: String,
}

const SCAN: &str = "dm-remap-scan";
const WRITE_METADATA: &str = "dm-remap-write-metadata";

/// The names of the tools.
pub(super) const NAMES: [&str; 2] = [SCAN, WRITE_METADATA];

/// Reads a command line by the name that the program was run by. `None` if that is no
/// tool's.
pub(super) fn parse(arguments: &[OsString]) -> Option<Result<Cli, clap::Error>> {
    let program = Path::new(arguments.first()?).file_name()?;
    if program == OsStr::new(SCAN) {
        let read = read::<ScanTool>(arguments);
        return Some(read.map(|tool| Cli {
            global: tool.global,
            command: Some(Command::Scan(tool.scan)),
        }));
    }
    (program == OsStr::new(WRITE_METADATA)).then(|| {
        let read = read::<WriteMetadataTool>(arguments);
        read.map(|tool| Cli {
            global: tool.global,
            command: Some(Command::WriteMetadata(WriteMetadataArgs::of_active(
                tool.name,
            ))),
        })
    })
}

fn read<T: Parser>(arguments: &[OsString]) -> Result<T, clap::Error> {
    let mut description = T::command();
    let matches = description.try_get_matches_from_mut(arguments)?;
    T::from_arg_matches(&matches).map_err(|error| error.format(&mut description))
}

/// What a tool takes, for its manual page and for shells.
pub(super) fn description(name: &str) -> Option<clap::Command> {
    match name {
        SCAN => Some(ScanTool::command()),
        WRITE_METADATA => Some(WriteMetadataTool::command()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<Result<Cli, clap::Error>> {
        parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_tool_means_what_its_command_means() {
        for (tool, command) in [
            ("/usr/bin/dm-remap-scan", "dmremap-tui scan"),
            (
                "dm-remap-scan --scan-only --verbose --device /dev/sdb",
                "dmremap-tui scan --scan-only --verbose --device /dev/sdb",
            ),
            (
                "./dm-remap-write-metadata my-storage",
                "dmremap-tui write-metadata my-storage",
            ),
        ] {
            let told = parsed(tool).unwrap().unwrap();
            let words = command.split(' ').map(OsString::from).collect();
            let meant = super::super::parse_fully(words).unwrap();
            assert_eq!(format!("{told:?}"), format!("{meant:?}"), "{tool}");
        }
    }

    #[test]
    fn other_names_are_no_tools() {
        for line in ["dmremap-tui scan", "dm-remap-status", ""] {
            assert!(parsed(line).is_none(), "{line}");
        }
        assert!(parse(&[]).is_none());
        for name in NAMES {
            assert_eq!(description(name).unwrap().get_name(), name);
        }
        assert!(description("dmremap-tui").is_none());
    }

    #[test]
    fn what_a_tool_does_not_know_is_an_error() {
        for line in [
            "dm-remap-scan --all",
            "dm-remap-scan /dev/sdb",
            "dm-remap-write-metadata",
            "dm-remap-write-metadata one two",
        ] {
            assert!(parsed(line).unwrap().is_err(), "{line}");
        }
    }
}
