//! What this machine can and cannot do, and why.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::Global;
use super::session::{open_journal, print_bytes, wants_color};
use super::Ports;
use crate::config::{self, Settings};
use crate::error::{Error, Exit};
use crate::inspect::scan_all;
use crate::machine::Machine;
use crate::policy::{Allowed, Mode, Policy};
use crate::port::device_mapper::{Control, Facilities, Lack, TargetModule};
use crate::remap_core::event::Severity;
use crate::report::{self, style::Style};

/// One thing that was looked at.
struct Check {
    id: &'static str,
    ok: bool,
    summary: String,
    advice: String,
}

impl Check {
    fn good(id: &'static str, summary: impl Into<String>) -> Self {
        Self {
            id,
            ok: true,
            summary: summary.into(),
            advice: String::new(),
        }
    }

    fn bad(id: &'static str, summary: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            id,
            ok: false,
            summary: summary.into(),
            advice: advice.into(),
        }
    }

    /// What is there, unless something of it lacks.
    fn unless(id: &'static str, lack: Option<Lack>, summary: impl Into<String>) -> Self {
        match lack {
            None => Self::good(id, summary),
            Some(lack) => Self::bad(id, sentence(&lack.what, ""), sentence(&lack.advice, ".")),
        }
    }
}

/// The same, beginning with a capital where it is advice and ending as given.
fn sentence(text: &str, end: &str) -> String {
    let text = crate::text::guard(text);
    let mut letters = text.chars();
    match (letters.next(), end) {
        (Some(first), ".") => format!("{}{}{end}", first.to_uppercase(), letters.as_str()),
        _ => text.into_owned(),
    }
}

pub(super) fn run(global: &Global, ports: &Ports) -> Result<Exit, Error> {
    let (settings, flaw) = Settings::load_or_usual(global.config.as_deref())?;
    let style = Style {
        ascii: global.ascii || settings.ascii,
        color: wants_color(global, settings.color),
    };
    let facilities = ports.device_mapper.facilities();
    let policy = Policy::load(global.policy.as_deref());
    let checks = [
        check_version(),
        check_kernel(&facilities),
        check_root(),
        check_control(&facilities),
        check_module(&facilities),
        check_signatures(&facilities),
        check_udev(&facilities),
        check_rule(),
        check_unit(),
        check_settings(flaw),
        check_journal(ports),
        check_policy(&policy),
        check_listed(&policy, ports),
        check_libblkid(),
        check_lab(),
        check_terminal(),
    ];
    let rows = checks.iter().map(|check| {
        json!({
            "id": check.id,
            "ok": check.ok,
            "summary": check.summary,
            "advice": check.advice,
        })
    });
    let json = report::object("doctor", json!({ "checks": rows.collect::<Vec<_>>() }));
    let mut text = String::new();
    for check in &checks {
        let severity = if check.ok {
            Severity::Info
        } else {
            Severity::Warning
        };
        text += &format!(
            "{} {:<15} {}\n",
            style.severity(severity),
            check.id,
            check.summary
        );
        if !check.ok {
            text += &format!("  {:<15} {}\n", "", check.advice);
        }
    }
    let out = if global.json {
        format!("{json}\n")
    } else {
        text
    };
    print_bytes(out.as_bytes())
}

fn check_version() -> Check {
    Check::good(
        "version",
        format!(
            "dmremap-tui {}, for metadata of version 4",
            env!("CARGO_PKG_VERSION")
        ),
    )
}

fn check_kernel(facilities: &Facilities) -> Check {
    match facilities.release.as_str() {
        "" => Check::bad(
            "kernel",
            "the kernel's release cannot be read",
            "Mount /proc.",
        ),
        release => Check::good(
            "kernel",
            format!("Linux {}", crate::text::escape_str(release)),
        ),
    }
}

fn check_root() -> Check {
    match nix::unistd::geteuid().is_root() {
        true => Check::good("root", "this is root: devices can be changed"),
        false => Check::bad(
            "root",
            "this is not root: what a device's node lets you read can be looked at",
            "Run it as root to change devices; the lab needs no root.",
        ),
    }
}

fn check_control(facilities: &Facilities) -> Check {
    let summary = match &facilities.control {
        Control::Open(version) => format!("device-mapper {version} can be asked"),
        _ => String::new(),
    };
    Check::unless("device-mapper", facilities.control_lack(), summary)
}

fn check_module(facilities: &Facilities) -> Check {
    let summary = match &facilities.target {
        TargetModule::Loaded(Some(version)) => {
            format!("the target dm-remap-v4 {version} is loaded")
        }
        TargetModule::Loaded(None) => "the target dm-remap-v4 is loaded".to_owned(),
        TargetModule::Loadable => {
            "the target dm-remap-v4 is installed; the kernel loads it when a device is brought up"
                .to_owned()
        }
        TargetModule::NotInstalled => String::new(),
    };
    Check::unless("target", facilities.target_lack(), summary)
}

fn check_signatures(facilities: &Facilities) -> Check {
    match (facilities.signed_only, &facilities.target) {
        (None, _) => Check::good("signatures", "the kernel takes modules without a signature"),
        (Some(why), TargetModule::Loaded(_)) => Check::good(
            "signatures",
            format!("the kernel takes signed modules only, for {why}; it took this one"),
        ),
        (Some(why), _) => Check::bad(
            "signatures",
            format!("the kernel takes signed modules only, for {why}"),
            "Sign the module with a key that the kernel trusts.",
        ),
    }
}

fn check_udev(facilities: &Facilities) -> Check {
    match facilities.udev {
        true => Check::good("udev", "udev is running"),
        false => Check::bad(
            "udev",
            "udev is not running: nothing makes the names below /dev/disk",
            "Name disks by their nodes. The nodes below /dev/mapper are made by this program then.",
        ),
    }
}

/// Where udev looks for rules, the operator's own first.
const RULES: [&str; 3] = [
    "/etc/udev/rules.d",
    "/usr/lib/udev/rules.d",
    "/lib/udev/rules.d",
];
const RULE: &str = "63-dmremap.rules";

/// Where systemd looks for units, the operator's own first.
const UNITS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const UNIT: &str = "dmremap-assemble@.service";

/// What the rule and the unit run.
const PROGRAM: &str = "/usr/bin/dmremap-tui";

/// A file in the first of these directories that has it.
fn find_in(directories: &[&str], file: &str) -> Option<PathBuf> {
    let paths = directories
        .iter()
        .map(|directory| Path::new(directory).join(file));
    paths.into_iter().find(|path| path.exists())
}

fn check_rule() -> Check {
    match find_in(&RULES, RULE) {
        Some(_) if !Path::new(PROGRAM).exists() => Check::bad(
            "rule",
            format!("{PROGRAM}, which udev's rule runs, is not there"),
            "Install the package, or this program there.",
        ),
        Some(path) => Check::good(
            "rule",
            format!(
                "udev is told of our devices by {}",
                report::path_text(&path)
            ),
        ),
        None => Check::bad(
            "rule",
            "udev's rule is not installed: nothing comes up by itself",
            format!("Install the package, or assets/udev/{RULE} in /etc/udev/rules.d."),
        ),
    }
}

fn check_unit() -> Check {
    match find_in(&UNITS, UNIT) {
        Some(path) => Check::good(
            "unit",
            format!(
                "what may come up is assembled by {}",
                report::path_text(&path)
            ),
        ),
        None => Check::bad(
            "unit",
            "systemd's unit is not installed: nothing comes up by itself",
            format!("Install the package, or assets/systemd/{UNIT} in /etc/systemd/system."),
        ),
    }
}

fn check_settings(flaw: Option<Error>) -> Check {
    let file = config::usual_path().filter(|path| path.exists());
    match (flaw, file) {
        (Some(flaw), _) => Check::bad(
            "settings",
            flaw.message,
            format!("{} Nothing is changed until then.", flaw.advice),
        ),
        (None, Some(path)) => Check::good(
            "settings",
            format!("the settings are in {}", report::path_text(&path)),
        ),
        (None, None) => Check::good("settings", "the usual settings are in force"),
    }
}

fn check_journal(ports: &Ports) -> Check {
    let place = config::state_directory().unwrap_or_default();
    match open_journal(None, ports).ready() {
        Ok(()) => Check::good(
            "journal",
            format!("changes are logged below {}", report::path_text(&place)),
        ),
        Err(error) => Check::bad(
            "journal",
            format!("changes cannot be logged: {}", Error::from(error).message),
            "Set XDG_STATE_HOME, or HOME, to a directory that can be written to.",
        ),
    }
}

fn check_policy(policy: &Result<Policy, Error>) -> Check {
    match policy {
        Err(error) => Check::bad("policy", error.message.clone(), error.advice.clone()),
        Ok(policy) => match (policy.assembly.mode, policy.listed().count()) {
            (Mode::None, _) => Check::good("policy", "nothing comes up without a person"),
            (Mode::Listed, 0) => Check::good(
                "policy",
                "no device is listed: nothing comes up without a person",
            ),
            (Mode::Listed, 1) => Check::good("policy", "1 device may come up without a person"),
            (Mode::Listed, count) => Check::good(
                "policy",
                format!("{count} devices may come up without a person"),
            ),
        },
    }
}

/// Looks for devices that are listed and not here.
fn check_listed(policy: &Result<Policy, Error>, ports: &Ports) -> Check {
    let listed: Vec<&Allowed> = policy.iter().flat_map(Policy::listed).collect();
    if listed.is_empty() {
        return Check::good("listed", "no device is waited for");
    }
    let mut machine = Machine::new(ports.platform.clone(), ports.device_mapper.clone(), None);
    let scan = match scan_all(&mut machine) {
        Ok(scan) => scan,
        Err(error) => {
            let error = Error::from(error);
            return Check::bad("listed", error.message, error.advice);
        }
    };
    let is_here = |entry: &&Allowed| {
        let mut arrays = scan.arrays.iter();
        arrays.any(|array| entry.fits(array.uuid, array.name.as_deref()))
    };
    let missing = listed.iter().filter(|entry| !is_here(entry));
    let missing: Vec<String> = missing.map(|entry| entry.describe()).collect();
    match (missing.is_empty(), nix::unistd::geteuid().is_root()) {
        (true, _) => Check::good("listed", "every device that is listed is here"),
        (false, true) => Check::bad(
            "listed",
            format!("listed, and not here: {}", missing.join(", ")),
            "Connect the spare, or take it off the list: dmremap-tui allow --remove NAME.",
        ),
        (false, false) => Check::bad(
            "listed",
            "whether the devices that are listed are here takes root to see",
            "Run it as root.",
        ),
    }
}

fn check_libblkid() -> Check {
    if cfg!(feature = "blkid") {
        return Check::good("libblkid", "what others wrote on a device is found");
    }
    Check::bad(
        "libblkid",
        "this program was built without libblkid: of what others wrote on a device only that is seen which shows in a slot",
        "Look with blkid -p before a disk becomes a spare, or build with the feature blkid.",
    )
}

fn check_lab() -> Check {
    match config::usual_lab() {
        Some(path) if path.is_dir() => {
            Check::good("lab", format!("the lab is in {}", report::path_text(&path)))
        }
        Some(path) if has_place(&path) => Check::good(
            "lab",
            format!("the lab will be made in {}", report::path_text(&path)),
        ),
        _ => Check::bad(
            "lab",
            "there is no place for a lab",
            "Set HOME, or name a directory: dmremap-tui lab DIR.",
        ),
    }
}

/// Whether a directory could be made there: what is there of its path is all directories.
fn has_place(path: &Path) -> bool {
    let mut above = path.ancestors();
    let nearest = above.find(|path| path.symlink_metadata().is_ok());
    nearest.is_some_and(Path::is_dir)
}

fn check_terminal() -> Check {
    let terminal = std::env::var("TERM").unwrap_or_default();
    match terminal.as_str() {
        "" | "dumb" => Check::bad(
            "terminal",
            "TERM names no terminal that can be drawn on",
            "The commands work without one; the terminal application does not.",
        ),
        name => Check::good(
            "terminal",
            format!("TERM is {}", crate::text::escape_str(name)),
        ),
    }
}
