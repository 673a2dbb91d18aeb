//! Reading the command lines that are waited for most without describing every command.
//!
//! To describe all commands takes longer than to look at a disk. A line that names one of
//! [`COMMANDS`] first is therefore read by the description of that command alone. What
//! it does not take goes to the description of all of them: help and errors have one
//! source. The line that is waited for most of all takes no description at all.

use std::ffi::{OsStr, OsString};
use std::mem::ManuallyDrop;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser};

use super::args::{Cli, Command, Global, InspectArgs, ProbeArgs, ScanArgs};

/// Reads what stands behind a command's name.
type Read = fn(&[OsString]) -> Option<Cli>;

/// The commands that are read on their own, by name.
const COMMANDS: [(&str, Read); 3] = [
    ("inspect", |rest| {
        read(rest, Command::Inspect as fn(InspectArgs) -> Command)
    }),
    ("scan", |rest| {
        read(rest, Command::Scan as fn(ScanArgs) -> Command)
    }),
    ("udev-probe", |rest| {
        read(rest, Command::UdevProbe as fn(ProbeArgs) -> Command)
    }),
];

/// A command without its name. It knows no help: who asks for it wants to see all there is.
#[derive(Parser, Debug)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Alone<A: Args> {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    command: A,
}

/// Reads a line that begins with the program's name and one of [`COMMANDS`]. `None` for
/// all others, and for every line that is not to be carried out as it stands.
pub(super) fn parse(arguments: &[OsString]) -> Option<Cli> {
    let [_program, name, rest @ ..] = arguments else {
        return None;
    };
    if let Some(cli) = parse_bare(name, rest, std::env::vars_os().map(|(name, _)| name)) {
        return Some(cli);
    }
    let (_, read) = COMMANDS.iter().find(|(known, _)| name == known)?;
    read(rest)
}

/// Reads `inspect PATH`, perhaps with `--json`, where no variable of `environment` is one of
/// ours: such a line leaves every other option at its default, and needs no description.
fn parse_bare(
    name: &OsStr,
    rest: &[OsString],
    mut environment: impl Iterator<Item = OsString>,
) -> Option<Cli> {
    let (json, path) = match rest {
        _ if name != "inspect" => return None,
        [path] => (false, path),
        [json, path] | [path, json] if json == "--json" => (true, path),
        _ => return None,
    };
    let is_option = path.is_empty() || path.as_encoded_bytes().starts_with(b"-");
    let is_ours = |name: OsString| name.as_encoded_bytes().starts_with(b"DMREMAP_");
    if is_option || environment.any(is_ours) {
        return None;
    }
    let global = Global {
        json,
        ..Global::default()
    };
    let command = Command::Inspect(InspectArgs {
        main: None,
        path: path.into(),
        verbose: false,
    });
    Some(Cli {
        global,
        command: Some(command),
    })
}

fn read<A: Args>(rest: &[OsString], command: fn(A) -> Command) -> Option<Cli> {
    // As with the description of all commands: to free it would take longer than to make it.
    let mut description = ManuallyDrop::new(Alone::<A>::command());
    let matches = ManuallyDrop::new(description.try_get_matches_from_mut(rest).ok()?);
    if description
        .get_arguments()
        .any(|it| is_said_twice(it, &matches))
    {
        return None;
    }
    let mut alone = Alone::<A>::from_arg_matches(&matches).ok()?;
    alone.global.note_origins(&description, &matches);
    Some(Cli {
        global: alone.global,
        command: Some(command(alone.command)),
    })
}

/// Whether an option stands in the line and in its environment variable, which counts for
/// nothing then, but must make sense all the same: that is for the full description to see.
fn is_said_twice(argument: &Arg, matches: &ArgMatches) -> bool {
    let name = argument.get_env();
    matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
        && name.is_some_and(|name| std::env::var_os(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::super::parse_fully;
    use super::*;

    fn line(words: &[&str]) -> Vec<OsString> {
        let program = std::iter::once(&"dmremap-tui");
        program.chain(words).map(OsString::from).collect()
    }

    #[test]
    fn a_line_read_on_its_own_says_what_it_says_among_all_commands() {
        let rests: [&[&str]; 26] = [
            &["p"],
            &["--json", "p"],
            &["p", "--json"],
            &[""],
            &["-"],
            &["p", "-v"],
            &["-v", "--json", "p"],
            &["--device", "p"],
            &["--device=p", "--device", "q", "--scan-only"],
            &["--scan-only", "-v", "--json"],
            &[],
            &["--lab", "l", "--dry-run", "--read-only", "p"],
            &["--lab=l", "--confirm", "n", "--ascii", "--device", "p"],
            &["--color", "never", "p"],
            &["--color", "sometimes", "p"],
            &["--config", "c", "--", "-v"],
            &["--", "--help"],
            &["p", "q"],
            &["p", "--vebose"],
            &["-vh"],
            &["--help"],
            &["--version"],
            &["help"],
            &["--device"],
            &["--json=yes", "p"],
            &["--lab", "one", "--lab", "two", "p"],
        ];
        let mut read = 0;
        for (name, _) in COMMANDS {
            for rest in rests {
                let line = line(&[&[name], rest].concat());
                let fully = parse_fully(line.clone());
                match (parse(&line), &fully) {
                    (Some(alone), Ok(fully)) => {
                        assert_eq!(format!("{alone:?}"), format!("{fully:?}"), "{line:?}");
                        read += 1;
                    }
                    (None, Err(_)) => {}
                    (alone, fully) => panic!("{line:?}: {alone:?}, but {fully:?}"),
                }
            }
        }
        assert_eq!(read, 25, "lines that are read on their own");
    }

    #[test]
    fn a_bare_line_is_described_where_a_variable_may_say_more() {
        let rest = line(&["p"])[1..].to_vec();
        let bare = |variables: &[&str]| {
            let variables = variables.iter().map(OsString::from);
            parse_bare(OsStr::new("inspect"), &rest, variables).is_some()
        };
        assert!(bare(&["HOME", "XDMREMAP_JSON", "NO_COLOR"]));
        assert!(!bare(&["HOME", "DMREMAP_JSON"]));
    }

    #[test]
    fn a_line_that_does_not_begin_with_such_a_command_is_left_alone() {
        for words in [
            &[][..],
            &["list"],
            &["--json", "inspect", "p"],
            &["inspects", "p"],
        ] {
            assert!(parse(&line(words)).is_none(), "{words:?}");
        }
    }

    #[test]
    fn a_word_that_is_no_text_is_read_as_it_stands() {
        use std::os::unix::ffi::OsStringExt as _;
        let mut line = line(&["inspect"]);
        line.push(OsString::from_vec(vec![b'p', 0xff]));
        let fully = parse_fully(line.clone()).unwrap();
        let alone = parse(&line).unwrap();
        assert_eq!(format!("{alone:?}"), format!("{fully:?}"));
    }
}
