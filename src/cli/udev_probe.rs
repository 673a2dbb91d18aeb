//! What a device is to us, in the words of udev: for the rule that runs this program on
//! every block device that comes or changes.
//!
//! It reads the five slots, the labels of a main and one header, and nothing else of a device
//! that is known by itself. The device is opened for reading alone, so that closing it makes udev no event.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{json, Map, Value};

use super::args::{Global, ProbeArgs};
use super::session::print_bytes;
use super::{tell, Ports};
use crate::error::{Error, Exit};
use crate::inspect::{look, Depth, Inspection, Mains};
use crate::policy::Policy;
use crate::port::block::DeviceNumber;
use crate::port::device_mapper::UUID_PREFIX;
use crate::port::{identity, Access, BlockDevice, BlockStore, Usage};
use crate::remap_core::params::TargetArgs;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::ArrayUuid;
use crate::report;

/// What udev calls what lies on our devices.
const MEMBER: &str = "dm_remap_member";

/// Properties by name, in the order in which they are told.
type Properties = Vec<(&'static str, String)>;

/// Tells what there is to know of a device. A device that is nothing to us has no
/// properties, and the status says that nothing is here.
pub(super) fn run(global: &Global, args: &ProbeArgs, ports: &Ports) -> Result<Exit, Error> {
    // A broken policy allows nothing; what the device is stays true all the same.
    let policy = Policy::load(global.policy.as_deref()).unwrap_or_else(|error| {
        tell(&error, global.json);
        Policy::default()
    });
    let store = ports.platform.open(&args.path, Access::Read)?;
    let mut seen = look(&*store, &args.path, Depth::Scan);
    let properties = match (mapped_main(&*store, ports), seen.is_ours()) {
        (Some(main), _) => of_mapped(main),
        (None, true) => {
            note_main(&mut seen, ports);
            of_spare(&seen, &policy)
        }
        (None, false) => match main_of(&mut seen, &*store, &policy) {
            Some(main) => {
                let is_held = is_held_by_another(&args.path, main.uuid, ports);
                of_main(main, is_held)
            }
            None => Vec::new(),
        },
    };
    let exit = match properties.is_empty() {
        true => Exit::of_verdict(Verdict::None),
        false => Exit::Done,
    };
    if global.json {
        let told = properties.into_iter();
        let told: Map<String, Value> = told
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let device = report::path_text(&args.path);
        let json = json!({ "device": device, "properties": told });
        print_bytes(format!("{}\n", report::object("udev-probe", json)).as_bytes())?;
        return Ok(exit);
    }
    let mut lines = String::new();
    for (name, value) in properties {
        // Writing to a string cannot fail.
        let _ = writeln!(lines, "{name}={}", encode(&value));
    }
    print_bytes(lines.as_bytes())?;
    Ok(exit)
}

/// Has a spare judged with its main, as far as the machine tells of that: nothing else is opened.
fn note_main(seen: &mut Inspection, ports: &Ports) {
    if !seen.main_identity().is_none() {
        let devices = ports.platform.block_devices().unwrap_or_default();
        Mains::listed(devices).note_known(seen);
    }
}

/// What a spare tells of itself.
fn of_spare(seen: &Inspection, policy: &Policy) -> Properties {
    let uuid = seen.array_uuid();
    let name = seen.name.as_deref();
    let mut told: Properties = vec![
        ("DMREMAP_ROLE", "spare".to_owned()),
        ("DMREMAP_VERDICT", seen.verdict().name().to_owned()),
    ];
    let mut tell = |name: &'static str, value: Option<String>| {
        told.extend(value.map(|value| (name, value)));
    };
    let sequence = seen.judgement.sequence;
    tell(
        "DMREMAP_FORMAT",
        report::format_name(seen).map(str::to_owned),
    );
    tell("DMREMAP_UUID", uuid.map(|uuid| uuid.to_string()));
    tell("DMREMAP_NAME", name.map(str::to_owned));
    tell(
        "DMREMAP_SEQUENCE",
        sequence.map(|sequence| sequence.get().to_string()),
    );
    let allowed = uuid.is_some() && policy.allows(uuid, name);
    tell("DMREMAP_ALLOWED", Some(u8::from(allowed).to_string()));
    // What somebody else wrote over us is theirs to be told.
    if seen.verdict() != Verdict::ForeignOverwritten {
        told.extend(hidden());
    }
    told
}

/// Properties of a device that nobody is to take past the mapped device.
fn hidden() -> Properties {
    vec![
        ("DMREMAP_HIDE", "1".to_owned()),
        ("ID_FS_USAGE", "raid".to_owned()),
        ("ID_FS_TYPE", MEMBER.to_owned()),
    ]
}

/// Main of the mapped device of ours that is looked at; none for any other device.
fn mapped_main(store: &dyn BlockStore, ports: &Ports) -> Option<BlockDevice> {
    let number = store.number()?;
    let listed = ports.device_mapper.list().ok()?;
    let ours = listed
        .into_iter()
        .find(|device| device.number == number && device.uuid.starts_with(UUID_PREFIX))?;
    let table = ports.device_mapper.table(&ours.name).ok()?;
    let words: Vec<&str> = table.first()?.text.split_whitespace().collect();
    let main = DeviceNumber::parse(TargetArgs::parse(&words).ok()?.main)?;
    ports.platform.block_device(main)
}

/// Properties of a mapped device: where main is a partition, the names by which that stands in
/// its partition table lead to the mapped device from now on.
fn of_mapped(main: BlockDevice) -> Properties {
    let mut told: Properties = vec![("DMREMAP_ROLE", "mapped".to_owned())];
    let mut tell = |name: &'static str, value: Option<String>| {
        told.extend(value.map(|value| (name, value)));
    };
    tell("DMREMAP_MAIN_PARTUUID", main.partition_uuid);
    tell("DMREMAP_MAIN_PARTLABEL", main.partition_label);
    told
}

/// Whether somebody else than the mapped device uses main: hidden, it would be pulled from
/// under them. A mapped device that is up, or coming up, leaves main to nobody else.
fn is_held_by_another(path: &Path, array: Option<ArrayUuid>, ports: &Ports) -> bool {
    let mapped = array.map(|uuid| format!("{UUID_PREFIX}{uuid}"));
    let listed = ports.device_mapper.list().unwrap_or_default();
    let is_up = listed.into_iter().any(|device| Some(device.uuid) == mapped);
    !is_up && matches!(ports.platform.usage(path), Ok(Usage::InUse(_)))
}

/// The array that a device is main of.
struct MainOf {
    uuid: Option<ArrayUuid>,
    name: Option<String>,
    /// The array is on the list.
    allowed: bool,
}

/// The array whose main this is: by its label, listed or not, else by the list. A file system is
/// looked for only where a main is known by one, and on what has nothing else to be known by.
fn main_of(seen: &mut Inspection, store: &dyn BlockStore, policy: &Policy) -> Option<MainOf> {
    if let Some(label) = seen.label() {
        let name = seen.known_name();
        return Some(MainOf {
            uuid: Some(label.array),
            allowed: policy.allows(Some(label.array), name),
            name: name.map(str::to_owned),
        });
    }
    let known = policy.listed().filter_map(|entry| entry.main.as_ref());
    if seen.identity.is_none() && known.into_iter().any(identity::is_of_contents) {
        seen.look_for_signatures(store);
    }
    let entry = policy.array_of_main(seen.identity_as_main())?;
    Some(MainOf {
        uuid: entry.uuid,
        name: entry.name.clone(),
        allowed: true,
    })
}

/// What is told of the main of an array that is listed, or that its label names.
fn of_main(main: MainOf, is_held: bool) -> Properties {
    let mut told: Properties = vec![("DMREMAP_ROLE", "main".to_owned())];
    told.extend(main.uuid.map(|uuid| ("DMREMAP_UUID", uuid.to_string())));
    told.extend(main.name.map(|name| ("DMREMAP_NAME", name)));
    told.push(("DMREMAP_ALLOWED", u8::from(main.allowed).to_string()));
    match is_held {
        true => told.push(("DMREMAP_HELD", "1".to_owned())),
        false => told.extend(hidden()),
    }
    told
}

/// Has the kernel forget the partitions of a disk that is hidden.
pub(super) fn hide(args: &ProbeArgs, ports: &Ports) -> Result<Exit, Error> {
    ports.platform.forget_partitions(&args.path)?;
    Ok(Exit::Done)
}

/// A value as udev's rules can use it, in names of units and links too: everything but
/// letters, digits and `#+-.:=@_/` becomes `\xNN`, byte for byte.
fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(byte.into()),
            b'#' | b'+' | b'-' | b'.' | b':' | b'=' | b'@' | b'_' | b'/' => out.push(byte.into()),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "\\x{byte:02x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_plain_characters_reaches_udev() {
        for (value, encoded) in [
            ("my-storage", "my-storage"),
            ("a b\n", "a\\x20b\\x0a"),
            ("x\\y\"$z'%", "x\\x5cy\\x22\\x24z\\x27\\x25"),
            ("\u{1b}[2Jé", "\\x1b\\x5b2J\\xc3\\xa9"),
            ("", ""),
        ] {
            assert_eq!(encode(value), encoded);
        }
        for byte in 0..=127u8 {
            let text = char::from(byte).to_string();
            let encoded = encode(&text);
            let is_plain =
                |c: char| c.is_ascii_alphanumeric() || "#+-.:=@_/".contains(c) || c == '\\';
            assert!(encoded.chars().all(is_plain), "{encoded}");
        }
    }
}
