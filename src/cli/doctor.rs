//! What this machine can and cannot do, and why.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::Global;
use super::session::{open_journal, print_bytes, wants_color};
use super::Ports;
use crate::config::{self, Settings};
use crate::error::{Error, Exit};
use crate::initramfs::{Images, RULE};
use crate::inspect::{scan_all, Contents, Finding, Inspection, KnownMain, Leads, MainMatch, Scan};
use crate::machine::Machine;
use crate::ops;
use crate::policy::{Allowed, Mode, Policy};
use crate::port::device_mapper::{Control, Facilities, Lack, TargetAge, TargetModule};
use crate::port::Access;
use crate::privilege;
use crate::remap_core::event::Severity;
use crate::remap_core::label::MainForm;
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
    let mut machine = Machine::new(ports.platform.clone(), ports.device_mapper.clone(), None);
    let scan = scan_all(&mut machine).map_err(Error::from);
    let checks = [
        check_version(),
        check_kernel(&facilities),
        check_root(),
        check_devices(ports),
        check_mounts(),
        check_control(&facilities),
        check_module(&facilities),
        check_signatures(&facilities),
        check_udev(&facilities),
        check_rule(),
        check_unit(),
        check_settings(flaw),
        check_journal(ports),
        check_policy(&policy),
        check_listed(&policy, &scan),
        check_hidden(&policy),
        check_held(&policy, &scan),
        check_tables(&policy, &scan, ports),
        check_bare(&scan),
        check_lvm(&policy, &scan, ports),
        check_initramfs(&policy),
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

/// Devices whose main shows others what lies on it. That is no fault of the machine.
fn check_bare(scan: &Result<Scan, Error>) -> Check {
    let id = "covered";
    let Ok(scan) = scan else {
        return Check::good(id, "no devices were looked at");
    };
    let is_bare = |seen: &&Inspection| {
        let superblock = seen.superblock.as_ref();
        superblock.is_some_and(|it| it.extension.is_some() && it.main_form() == MainForm::Bare)
    };
    let bare = scan.spares().filter(is_bare);
    let bare: Vec<String> = bare.map(Inspection::token).collect();
    match bare.as_slice() {
        [] => Check::good(id, "no main of a device here shows others what lies on it"),
        names => Check::good(
            id,
            format!(
                "others see what lies on the main of {}; dmremap-tui cover NAME leaves labels alone to see",
                names.join(", ")
            ),
        ),
    }
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
    match (privilege::is_root(), privilege::lacking().as_slice()) {
        (true, []) => Check::good("root", "this is root: devices can be changed"),
        (true, lacking) => Check::bad(
            "root",
            format!("this is root without {}", lacking.join(" and ")),
            privilege::advice(),
        ),
        (false, _) => Check::bad(
            "root",
            "this is not root: what a device's node lets you read can be looked at",
            "Run it as root to change devices; the lab needs no root.",
        ),
    }
}

fn check_devices(ports: &Ports) -> Check {
    match ports.platform.block_devices() {
        Ok(devices) => Check::good("sysfs", format!("/sys shows {} devices", devices.len())),
        Err(error) => Check::bad(
            "sysfs",
            Error::from(error).message,
            "Mount it: mount -t sysfs sysfs /sys",
        ),
    }
}

fn check_mounts() -> Check {
    const TABLE: &str = "/proc/self/mountinfo";
    match std::fs::File::open(TABLE) {
        Ok(_) => Check::good("mounts", format!("{TABLE} tells what is mounted")),
        Err(error) => Check::bad(
            "mounts",
            format!("{TABLE}: {error}: what is mounted cannot be told, and nothing is changed"),
            "Mount it: mount -t proc proc /proc",
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
            let age = match facilities.target_age() {
                Some(TargetAge::Older) => {
                    "; it is older than this program, and refuses what it does not know"
                }
                Some(TargetAge::Newer) => {
                    "; it is newer than this program, and knows all it asks for"
                }
                Some(TargetAge::Same | TargetAge::Other) | None => "",
            };
            format!("the target dm-remap-v4 {version} is loaded{age}")
        }
        TargetModule::Loaded(None) => "the target dm-remap-v4 is loaded".to_owned(),
        TargetModule::Loadable => {
            "the target dm-remap-v4 is installed; the kernel loads it when a device is brought up"
                .to_owned()
        }
        TargetModule::NotInstalled(_) => String::new(),
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
fn check_listed(policy: &Result<Policy, Error>, scan: &Result<Scan, Error>) -> Check {
    let listed: Vec<&Allowed> = policy.iter().flat_map(Policy::listed).collect();
    if listed.is_empty() {
        return Check::good("listed", "no device is waited for");
    }
    let scan = match scan {
        Ok(scan) => scan,
        Err(error) => return Check::bad("listed", error.message.clone(), error.advice.clone()),
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

/// Looks for devices whose main the list does not tell, so that the rule cannot hide it.
fn check_hidden(policy: &Result<Policy, Error>) -> Check {
    let listed: Vec<&Allowed> = policy.iter().flat_map(Policy::listed).collect();
    let untold = listed.iter().filter(|entry| entry.main.is_none());
    let untold: Vec<String> = untold.map(|entry| entry.describe()).collect();
    match (listed.is_empty(), untold.is_empty()) {
        (true, _) => Check::good("hidden", "no device is listed: no main is hidden"),
        (_, true) => Check::good("hidden", "the list tells main of every device on it"),
        (_, false) => Check::bad(
            "hidden",
            format!(
                "the list does not tell main of {}: it is not hidden, and md, LVM, btrfs, LUKS and mounts may take it",
                untold.join(", ")
            ),
            "Where main has a serial number or a UUID, put the device on the list anew: \
             dmremap-tui allow --remove NAME, then dmremap-tui allow NAME.",
        ),
    }
}

/// Looks for mains that were taken past their devices.
fn check_held(policy: &Result<Policy, Error>, scan: &Result<Scan, Error>) -> Check {
    let known = policy.iter().flat_map(Policy::known_mains);
    let known: Vec<KnownMain<'_>> = known.collect();
    let held = scan.iter().flat_map(|scan| scan.held_mains(&known));
    let held: Vec<Finding> = held.map(|held| held.finding).collect();
    let Some(first) = held.first() else {
        return Check::good("held", "no main is in use past its device");
    };
    let summaries: Vec<&str> = held.iter().map(|it| it.summary.as_str()).collect();
    Check::bad("held", summaries.join(" "), first.advice.clone())
}

/// The mains of listed devices that are here, with what lies on each.
fn listed_mains(
    policy: &Result<Policy, Error>,
    scan: &Result<Scan, Error>,
    ports: &Ports,
) -> Vec<(PathBuf, Contents)> {
    let (Ok(policy), Ok(scan)) = (policy, scan) else {
        return Vec::new();
    };
    let mut mains = scan.mains(&policy.known_mains());
    // The list may know an array without knowing its main; the spare tells of that.
    let listed = scan
        .arrays
        .iter()
        .filter(|array| policy.allows(array.uuid, array.name.as_deref()));
    mains.extend(listed.filter_map(|array| match &array.main {
        MainMatch::Found(main) => Some(main.clone()),
        _ => None,
    }));
    mains.sort();
    mains.dedup();
    let contents = mains.into_iter().filter_map(|main| {
        let store = ports.platform.open(&main, Access::Read).ok()?;
        Some((main, Contents::of(&*store, &*ports.platform)))
    });
    contents.collect()
}

/// Looks for names in the tables of the machine's start that lead past a listed device.
fn check_tables(
    policy: &Result<Policy, Error>,
    scan: &Result<Scan, Error>,
    ports: &Ports,
) -> Check {
    let mains = listed_mains(policy, scan, ports);
    let mentions = mains
        .iter()
        .flat_map(|(main, contents)| ops::mentions_of_main(&*ports.platform, main, contents));
    let past: Vec<String> = mentions
        .filter(|(_, leads)| matches!(leads, Leads::Past(_)))
        .map(|(mention, _)| mention.to_string())
        .collect();
    match past.is_empty() {
        true => Check::good(
            "tables",
            "fstab, crypttab and mdadm.conf name no listed main past its device",
        ),
        false => Check::bad(
            "tables",
            format!("main itself is named, past its device: {}", past.join("; ")),
            "Name /dev/mapper/NAME there, or what lies on it by UUID= or LABEL=.",
        ),
    }
}

/// Where LVM is told which devices it may look at.
const LVM: [&str; 2] = ["/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf"];
const LVM_DEVICES: &str = "/etc/lvm/devices/system.devices";

/// Looks for volume groups on listed mains that LVM sees twice.
fn check_lvm(policy: &Result<Policy, Error>, scan: &Result<Scan, Error>, ports: &Ports) -> Check {
    let mains = listed_mains(policy, scan, ports).into_iter();
    let volumes = mains.filter(|(_, contents)| contents.holds("LVM2_member"));
    let volumes: Vec<String> = volumes.map(|(main, _)| report::path_text(&main)).collect();
    let has_filter = |path: &&str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|line| line.starts_with("global_filter") || line.starts_with("filter"))
    };
    match (
        volumes.is_empty(),
        Path::new(LVM_DEVICES).exists() || LVM.iter().any(has_filter),
    ) {
        (true, _) => Check::good("lvm", "no volume group lies on a listed main"),
        (false, true) => Check::good("lvm", "LVM is told which devices it may look at"),
        (false, false) => Check::bad(
            "lvm",
            format!("a volume group lies on {}", volumes.join(", ")),
            format!("{}.", ops::LVM_ADVICE),
        ),
    }
}

/// Looks for images that lack the rule, or have an older list.
fn check_initramfs(policy: &Result<Policy, Error>) -> Check {
    if policy.iter().flat_map(Policy::listed).next().is_none() {
        return Check::good("initramfs", "no device is listed: nothing is hidden in it");
    }
    match Images::look(Path::new("/")) {
        Images::None => Check::good("initramfs", "there is no initramfs in /boot"),
        Images::Fresh => Check::good(
            "initramfs",
            "every initramfs is newer than the list and the rule that hides main",
        ),
        Images::NoHook => Check::bad(
            "initramfs",
            "no hook of ours is where the initramfs is made: LVM and md may take main there",
            "Install the package, or assets/initramfs-tools/dmremap in /etc/initramfs-tools/hooks \
             (for dracut: assets/dracut/90dmremap in /usr/lib/dracut/modules.d).",
        ),
        Images::Stale { older, maker } => {
            let older: Vec<String> = older.iter().map(|path| report::path_text(path)).collect();
            Check::bad(
                "initramfs",
                format!(
                    "older than the list or the rule: {}: LVM and md may take main there",
                    older.join(", ")
                ),
                format!("Make them anew: {}", maker.command),
            )
        }
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
