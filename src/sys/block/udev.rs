//! What udev knows of a device: its database, one file for each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::port::block::{DeviceNumber, Signature, SignatureUse};

/// What udev knows by now of the device whose event it runs this program for: that is in the
/// program's environment, and in the database only when the event is over.
static EVENT: LazyLock<Option<(DeviceNumber, BTreeMap<String, String>)>> = LazyLock::new(|| {
    let text = |name| std::env::var(name).ok();
    if text("SUBSYSTEM")? != "block" || text("ACTION").is_none() {
        return None;
    }
    let number = DeviceNumber::parse(&format!("{}:{}", text("MAJOR")?, text("MINOR")?))?;
    let variables = std::env::vars_os();
    let properties = variables.filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_told = name.starts_with("ID_") || name.starts_with("MD_");
        Some((name, value.into_string().ok()?)).filter(|_| is_told)
    });
    Some((number, properties.collect()))
});

/// The properties in one file of udev's database, and the links that it made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    properties: BTreeMap<String, String>,
    /// Links below `/dev`.
    pub(super) links: Vec<String>,
}

impl Entry {
    /// Reads a file of `/run/udev/data`. Lines that are not UTF-8 are passed over.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut entry = Self::default();
        for line in text.split(|byte| *byte == b'\n') {
            let Ok(line) = str::from_utf8(line) else {
                continue;
            };
            match line.split_once(':') {
                Some(("E", property)) => {
                    if let Some((name, value)) = property.split_once('=') {
                        entry.properties.insert(name.to_owned(), value.to_owned());
                    }
                }
                Some(("S", link)) => entry.links.push(link.to_owned()),
                _ => {}
            }
        }
        entry
    }

    /// The same with what udev knows of the device of this `number` while it looks at it.
    pub(super) fn and_of_event(mut self, number: DeviceNumber) -> Self {
        if let Some((_, properties)) = EVENT.as_ref().filter(|(told, _)| *told == number) {
            self.properties.extend(properties.clone());
        }
        self
    }

    /// The first of these properties that is there and says anything.
    pub(super) fn first(&self, names: &[&str]) -> Option<&str> {
        let mut values = names.iter().filter_map(|name| self.properties.get(*name));
        values
            .find(|value| !value.trim().is_empty())
            .map(String::as_str)
    }

    /// The first of these properties, with what udev wrote as `\xNN` taken back.
    pub(super) fn first_encoded(&self, names: &[&str]) -> Option<String> {
        self.first(names).map(decode)
    }

    /// The label of a partition in a GUID partition table, encoded as it stands in links.
    pub(super) fn partition_label(&self) -> Option<&str> {
        let is_gpt = self.first(&["ID_PART_ENTRY_SCHEME"]) == Some("gpt");
        let label = self.first(&["ID_PART_ENTRY_NAME"]).filter(|_| is_gpt)?;
        // udev encodes it; what it would not have written names no link.
        let is_plain = |c: char| c.is_alphanumeric() || "#+-.:=@_\\".contains(c);
        label.chars().all(is_plain).then_some(label)
    }

    /// What udev's own look at the device found on it. That it found nothing does not say
    /// that it looked: rules may keep it from that.
    pub(super) fn signatures(&self) -> Option<Vec<Signature>> {
        let mut signatures = Vec::new();
        if let Some(kind) = self.first(&["ID_PART_TABLE_TYPE"]) {
            signatures.push(Signature {
                kind: kind.to_owned(),
                used_for: SignatureUse::PartitionTable,
                uuid: self.first(&["ID_PART_TABLE_UUID"]).map(str::to_owned),
                label: None,
                at: None,
            });
        }
        if let Some(kind) = self.first(&["ID_FS_TYPE"]) {
            signatures.push(Signature {
                kind: kind.to_owned(),
                used_for: match self.first(&["ID_FS_USAGE"]) {
                    Some("filesystem") => SignatureUse::FileSystem,
                    Some("raid") => SignatureUse::Raid,
                    Some("crypto") => SignatureUse::Crypto,
                    _ => SignatureUse::Other,
                },
                uuid: self.first_encoded(&["ID_FS_UUID_ENC", "ID_FS_UUID"]),
                label: self.first_encoded(&["ID_FS_LABEL_ENC", "ID_FS_LABEL"]),
                at: None,
            });
        }
        (!signatures.is_empty()).then_some(signatures)
    }
}

fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let byte = behind
            .strip_prefix(b"x")
            .filter(|_| *first == b'\\')
            .and_then(|digits| str::from_utf8(digits.get(..2)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(byte.unwrap_or(*first));
        rest = match byte {
            Some(_) => &behind[3..],
            None => behind,
        };
    }
    String::from_utf8_lossy(&out).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDA1: &[u8] = b"\
S:disk/by-uuid/6fd2
S:disk/by-label/a\\x20b
W:12
I:1234567
E:ID_MODEL_ENC=Samsung\\x20SSD\\x20870\\x20\\x20
E:ID_SERIAL_SHORT=S5Y1
E:ID_FS_TYPE=ext4
E:ID_FS_USAGE=filesystem
E:ID_FS_UUID=6fd2
E:ID_FS_LABEL_ENC=a\\x20\\x1bb\\x
E:ID_PART_ENTRY_UUID=
E:NO_VALUE
G:systemd
V:1
";

    #[test]
    fn properties_links_and_what_lies_there_are_read() {
        let entry = Entry::parse(SDA1);
        assert_eq!(entry.links, ["disk/by-uuid/6fd2", "disk/by-label/a\\x20b"]);
        assert_eq!(
            entry.first_encoded(&["ID_MODEL_ENC"]).as_deref(),
            Some("Samsung SSD 870")
        );
        assert_eq!(
            entry.first(&["ID_PART_ENTRY_UUID", "ID_SERIAL_SHORT"]),
            Some("S5Y1"),
            "what is empty says nothing"
        );
        let found = entry.signatures().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind, "ext4");
        assert_eq!(found[0].used_for, SignatureUse::FileSystem);
        assert_eq!(found[0].uuid.as_deref(), Some("6fd2"));
        assert_eq!(found[0].label.as_deref(), Some("a \x1bb\\x"));
    }

    #[test]
    fn a_device_that_udev_did_not_look_at_is_not_blank() {
        assert_eq!(Entry::parse(b"I:1\nV:1\n").signatures(), None);
        assert_eq!(Entry::parse(b"E:DM_NAME=x\n").signatures(), None);
        assert_eq!(Entry::parse(b"\xff\n:\nE:\nE:=").signatures(), None);
    }
}
