//! Names of disks in the tables that a machine starts by: `fstab`, `crypttab` and `mdadm.conf`.
//! Some lead past a mapped device to its main, which lacks every block that was moved.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::port::block::{Partition, Signature, SignatureUse};
use crate::port::{BlockStore, Platform};
use crate::text::{escape_path, escape_str};

/// Name by which a table means a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskName {
    /// A path that says nothing of contents: a node, or a link by the disk's own name.
    Path(PathBuf),
    /// The UUID of what lies on it.
    Uuid(String),
    /// The label of what lies on it.
    Label(String),
    /// The UUID of a partition.
    PartUuid(String),
    /// The label of a partition.
    PartLabel(String),
}

impl fmt::Display for DiskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tag, text) = match self {
            Self::Path(path) => return f.write_str(&escape_path(path)),
            Self::Uuid(text) => ("UUID", text),
            Self::Label(text) => ("LABEL", text),
            Self::PartUuid(text) => ("PARTUUID", text),
            Self::PartLabel(text) => ("PARTLABEL", text),
        };
        write!(f, "{tag}={}", escape_str(text))
    }
}

/// One disk that a table names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The table.
    pub file: PathBuf,
    /// The line, from 1 on.
    pub line: usize,
    /// The name.
    pub name: DiskName,
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = escape_path(&self.file);
        write!(f, "{} in {file}, line {}", self.name, self.line)
    }
}

/// Every disk that the table `file` with this `text` names. Lines that make no sense name
/// none.
pub fn mentions(file: &Path, text: &[u8]) -> Vec<Mention> {
    let names: fn(&str) -> Vec<DiskName> = match file.file_name().and_then(|name| name.to_str()) {
        Some("fstab") => of_fstab,
        Some("crypttab") => of_crypttab,
        _ => of_mdadm,
    };
    let mut found = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = String::from_utf8_lossy(line);
        if line.trim_start().starts_with('#') {
            continue;
        }
        found.extend(names(&line).into_iter().map(|name| Mention {
            file: file.to_owned(),
            line: at + 1,
            name,
        }));
    }
    found
}

/// A device and mount options that name further ones.
fn of_fstab(line: &str) -> Vec<DiskName> {
    const DEVICES: [&str; 4] = ["device=", "logdev=", "rtdev=", "journal_path="];
    let mut fields = line.split_whitespace();
    let device = fields.next().and_then(|word| disk_name(&unescape(word)));
    let options = fields.nth(2).unwrap_or_default().split(',');
    let further = options.filter_map(|option| {
        let mut values = DEVICES.iter().filter_map(|name| option.strip_prefix(name));
        disk_name(&unescape(values.next()?))
    });
    device.into_iter().chain(further).collect()
}

/// A device behind a name, and devices on which its key and its header lie.
fn of_crypttab(line: &str) -> Vec<DiskName> {
    let mut fields = line.split_whitespace();
    let device = fields.nth(1).and_then(|word| disk_name(&unescape(word)));
    let key = fields.next().unwrap_or_default();
    let options = fields.next().unwrap_or_default().split(',');
    let headers = options.filter_map(|option| option.strip_prefix("header="));
    // A device, or a file and behind a colon the device that it lies on.
    let further = [key].into_iter().chain(headers).filter_map(|word| {
        let behind = || disk_name(&unescape(word.rsplit_once(':')?.1));
        disk_name(&unescape(word)).or_else(behind)
    });
    device.into_iter().chain(further).collect()
}

/// Devices to look at, and arrays by their UUID, else by their name, and by their devices. A line
/// that begins with a blank goes on with the one before.
fn of_mdadm(line: &str) -> Vec<DiskName> {
    let mut names = Vec::new();
    let mut named = None;
    for word in line.split_whitespace() {
        let word = word.trim_matches('"');
        let (key, value) = word.split_once('=').unwrap_or(("", word));
        match key.to_ascii_lowercase().as_str() {
            "uuid" => names.push(DiskName::Uuid(value.to_owned())),
            "name" => named = Some(DiskName::Label(value.to_owned())),
            "devices" => names.extend(value.split(',').filter_map(disk_name)),
            // The name of an array itself is no member of it.
            "" if !value.starts_with("/dev/md") => names.extend(disk_name(value)),
            _ => {}
        }
    }
    let has_uuid = names.iter().any(|name| matches!(name, DiskName::Uuid(_)));
    names.extend(named.filter(|_| !has_uuid));
    names
}

/// Name made of the text of a link.
type OfLink = fn(String) -> DiskName;

/// Links below `/dev/disk` that say what lies there.
const LINKS: [(&str, OfLink); 4] = [
    ("/dev/disk/by-uuid/", DiskName::Uuid),
    ("/dev/disk/by-label/", DiskName::Label),
    ("/dev/disk/by-partuuid/", DiskName::PartUuid),
    ("/dev/disk/by-partlabel/", DiskName::PartLabel),
];

fn disk_name(word: &str) -> Option<DiskName> {
    if let Some((tag, value)) = word.split_once('=') {
        let value = value.trim_matches(['"', '\'']).to_owned();
        return Some(match tag.to_ascii_uppercase().as_str() {
            "UUID" => DiskName::Uuid(value),
            "LABEL" => DiskName::Label(value),
            "PARTUUID" => DiskName::PartUuid(value),
            "PARTLABEL" => DiskName::PartLabel(value),
            "ID" => DiskName::Path(Path::new("/dev/disk/by-id").join(value)),
            _ => return None,
        });
    }
    for (directory, name) in LINKS {
        if let Some(link) = word.strip_prefix(directory) {
            return Some(name(unescape(link)));
        }
    }
    word.starts_with("/dev/")
        .then(|| DiskName::Path(word.into()))
}

/// Takes back `\040` and `\x20`, as fstab and udev's links write what separates fields.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = |digits: Option<&[u8]>, radix| {
            let digits = str::from_utf8(digits?).ok()?;
            u8::from_str_radix(digits, radix).ok()
        };
        let escaped = match (first, behind.first()) {
            (b'\\', Some(b'x')) => code(behind.get(1..3), 16),
            (b'\\', Some(b'0'..=b'3')) => code(behind.get(..3), 8),
            _ => None,
        };
        out.push(escaped.unwrap_or(*first));
        rest = match escaped {
            Some(_) => &behind[3..],
            None => behind,
        };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// One thing that lies on main: all of it, or a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    partition: Option<Partition>,
    signatures: Vec<Signature>,
}

/// Everything that lies on a main, by the names that others know it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    parts: Vec<Content>,
    /// The UUID and the label that main, itself a partition, has in the table of its disk.
    own: (Option<String>, Option<String>),
}

/// Where a name of a table leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To main itself, or to the partition of this number on it, past its device.
    Past(Option<u32>),
    /// To whatever has this content: to the mapped device, where main is hidden.
    ByContent,
}

impl Contents {
    /// Looks for what lies on `main`, and on each of its partitions; main may be a partition
    /// itself, of which the `platform` knows.
    pub fn of(main: &dyn BlockStore, platform: &dyn Platform) -> Self {
        let whole = Content {
            partition: None,
            signatures: main.signatures().unwrap_or_default(),
        };
        let mut parts = vec![whole];
        for partition in main.partitions().unwrap_or_default() {
            parts.push(Content {
                signatures: main.signatures_in(&partition).unwrap_or_default(),
                partition: Some(partition),
            });
        }
        let device = main.number().and_then(|it| platform.block_device(it));
        let own = device.map(|it| {
            (
                it.partition_uuid,
                it.partition_label.as_deref().map(unescape),
            )
        });
        Self {
            parts,
            own: own.unwrap_or_default(),
        }
    }

    /// In words: `gpt partition table with 2 partitions (ext4, swap)`; none where nothing is.
    pub fn describe(&self) -> Option<String> {
        let (whole, partitions) = self.parts.split_first()?;
        let words = |content: &Content| {
            let words: Vec<String> = content
                .signatures
                .iter()
                .map(Signature::to_string)
                .collect();
            words.join(", ")
        };
        let inside: Vec<String> = partitions
            .iter()
            .map(words)
            .filter(|it| !it.is_empty())
            .collect();
        let inside = match inside.is_empty() {
            true => String::new(),
            false => format!(" ({})", inside.join(", ")),
        };
        let whole = words(whole);
        match (whole.is_empty(), partitions.len()) {
            (true, 0) => None,
            (false, 0) => Some(whole),
            (_, 1) => Some(format!("{whole} with one partition{inside}")),
            (_, count) => Some(format!("{whole} with {count} partitions{inside}")),
        }
    }

    /// Whether anything of this kind lies on main or a partition of it.
    pub fn holds(&self, kind: &str) -> bool {
        let mut signatures = self.parts.iter().flat_map(|part| &part.signatures);
        signatures.any(|signature| signature.kind == kind)
    }

    /// Whether main has partitions.
    pub fn is_partitioned(&self) -> bool {
        self.parts.len() > 1
    }

    /// Where `name` leads, if it has to do with `main`; `is_main` says whether a path leads
    /// there.
    pub fn leads(
        &self,
        name: &DiskName,
        main: &Path,
        is_main: impl Fn(&Path) -> bool,
    ) -> Option<Leads> {
        let signatures = || self.parts.iter().flat_map(|part| &part.signatures);
        let partitions = || self.parts.iter().filter_map(|part| part.partition.as_ref());
        let has =
            |known: Option<&String>, named: &str| known.is_some_and(|known| same(known, named));
        let is_there = match name {
            DiskName::Path(path) if is_main(path) || matches(path, main) => {
                return Some(Leads::Past(None));
            }
            DiskName::Path(path) => {
                let is_meant = |it: &&Partition| matches(path, &node_of(main, it.number));
                if let Some(part) = partitions().find(is_meant) {
                    return Some(Leads::Past(Some(part.number)));
                }
                let (whole, part) = whole_of_path(path)?;
                return (whole == main || is_main(&whole)).then_some(Leads::Past(Some(part)));
            }
            DiskName::Uuid(uuid) => signatures().any(|it| {
                it.used_for != SignatureUse::PartitionTable && has(it.uuid.as_ref(), uuid)
            }),
            DiskName::Label(label) => signatures().any(|it| it.label.as_ref() == Some(label)),
            DiskName::PartUuid(uuid) => {
                let uuids = partitions().map(|it| it.uuid.as_ref());
                uuids.chain([self.own.0.as_ref()]).any(|it| has(it, uuid))
            }
            DiskName::PartLabel(label) => {
                let labels = partitions().map(|it| it.label.as_ref());
                labels
                    .chain([self.own.1.as_ref()])
                    .any(|it| it == Some(label))
            }
        };
        is_there.then_some(Leads::ByContent)
    }
}

/// Whether two UUIDs are one, however they are grouped: `mdadm.conf` and libblkid differ.
fn same(one: &str, other: &str) -> bool {
    let digits = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    !digits(one).is_empty() && digits(one) == digits(other)
}

/// The path of the disk of which `path` names a partition by its form, and the number of that:
/// `/dev/sda1`, `/dev/nvme0n1p1`, `/dev/disk/by-id/X-part1`. The partition itself may be hidden.
fn whole_of_path(path: &Path) -> Option<(PathBuf, u32)> {
    let text = path.to_str()?;
    let stem = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let part = text[stem.len()..].parse().ok()?;
    let whole = match stem.strip_suffix("-part") {
        Some(whole) => whole,
        None => match stem.strip_suffix('p') {
            Some(whole) if whole.ends_with(|c: char| c.is_ascii_digit()) => whole,
            _ => stem,
        },
    };
    Some((whole.into(), part))
}

/// The node that the kernel gives a partition of `main`.
fn node_of(main: &Path, number: u32) -> PathBuf {
    let text = main.to_string_lossy();
    let ends_with_digit = text.ends_with(|c: char| c.is_ascii_digit());
    format!("{text}{}{number}", if ends_with_digit { "p" } else { "" }).into()
}

/// Whether `path` is a pattern of the shell's, such as mdadm takes, and stands for `node`.
fn matches(path: &Path, node: &Path) -> bool {
    let pattern: Vec<char> = path.to_string_lossy().chars().collect();
    let text: Vec<char> = node.to_string_lossy().chars().collect();
    let is_pattern = pattern.iter().any(|c| ['*', '?', '['].contains(c));
    is_pattern && stands_for(&pattern, &text)
}

fn stands_for(pattern: &[char], text: &[char]) -> bool {
    // Where the last star stands, and from where on it has been tried.
    let mut star: Option<(usize, usize)> = None;
    let (mut at, mut seen) = (0, 0);
    loop {
        let step = one_of(&pattern[at..], text.get(seen).copied());
        match (pattern.get(at), step, star) {
            (None, _, _) if seen == text.len() => return true,
            (Some('*'), ..) => {
                star = Some((at, seen));
                at += 1;
            }
            (_, Some(length), _) => {
                at += length;
                seen += 1;
            }
            // No star stands for a slash.
            (_, None, Some((from, tried))) if text.get(tried).is_some_and(|c| *c != '/') => {
                star = Some((from, tried + 1));
                (at, seen) = (from + 1, tried + 1);
            }
            _ => return false,
        }
    }
}

/// How many characters of the `pattern` stand for the one at hand, if they do.
fn one_of(pattern: &[char], c: Option<char>) -> Option<usize> {
    let c = c?;
    match pattern.first()? {
        '?' => (c != '/').then_some(1),
        '[' => {
            // A bracket right behind the first is one of the set.
            let end = pattern.iter().skip(2).position(|it| *it == ']')? + 2;
            let inside = &pattern[1..end];
            let (is_not, set) = match inside.split_first() {
                Some(('!' | '^', set)) if !set.is_empty() => (true, set),
                _ => (false, inside),
            };
            let mut is_in = set.contains(&c);
            for range in set.windows(3).filter(|range| range[1] == '-') {
                is_in |= (range[0]..=range[2]).contains(&c);
            }
            (is_in != is_not && c != '/').then_some(end + 1)
        }
        literal => (*literal == c).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap_core::units::{Sector, Sectors};

    fn names(file: &str, text: &str) -> Vec<String> {
        let found = mentions(Path::new(file), text.as_bytes());
        found
            .iter()
            .map(|it| format!("{} {}", it.line, it.name))
            .collect()
    }

    #[test]
    fn every_disk_of_a_table_is_found_with_its_line() {
        let fstab = "# /dev/sdz / ext4\n\
             UUID=0a-1 / ext4 defaults 0 1\n\n\
             \t/dev/sda1 /srv\\040x ext4 defaults,device=/dev/sdb,logdev=/dev/sdc1 0 2\n\
             LABEL=\"my data\" /x ext4\n\
             LABEL=my\\040data /x ext4\n\
             /dev/disk/by-label/a\\x20b /y xfs\n\
             /dev/disk/by-partuuid/77 none swap sw 0 0\n\
             PARTLABEL=home /home ext4\n\
             tmpfs /tmp tmpfs\nserver:/x /nfs nfs\n//host/share /smb cifs\n\
             PARTUUID='dead-01' /z vfat\n/dev/disk/by-id/ata-X-part2 /w ext4\nID=ata-X-part3 /v ext4";
        assert_eq!(
            names("/etc/fstab", fstab),
            [
                "2 UUID=0a-1",
                "4 /dev/sda1",
                "4 /dev/sdb",
                "4 /dev/sdc1",
                "5 LABEL=my",
                "6 LABEL=my data",
                "7 LABEL=a b",
                "8 PARTUUID=77",
                "9 PARTLABEL=home",
                "13 PARTUUID=dead-01",
                "14 /dev/disk/by-id/ata-X-part2",
                "15 /dev/disk/by-id/ata-X-part3"
            ]
        );
        let crypttab =
            "# x\nhome UUID=ab none luks,discard\nraw /dev/sda2 /key header=/dev/sdb1,luks\nlone\n\
             a LABEL=b /k:/dev/sdc1 header=/h:UUID=cd,luks\nswap PARTLABEL=s /dev/urandom swap\n";
        assert_eq!(
            names("/etc/crypttab", crypttab),
            [
                "2 UUID=ab",
                "3 /dev/sda2",
                "3 /dev/sdb1",
                "5 LABEL=b",
                "5 /dev/sdc1",
                "5 UUID=cd",
                "6 PARTLABEL=s",
                "6 /dev/urandom"
            ]
        );
        let mdadm = "DEVICE /dev/sd[ab]1 partitions\nMAILADDR root\n\
             ARRAY /dev/md/0 metadata=1.2 UUID=01:23 name=h:0\n   devices=/dev/sda1,/dev/sdb1\n\
             ARRAY /dev/md/1 metadata=1.2 name=h:1\n";
        assert_eq!(
            names("/etc/mdadm/mdadm.conf", mdadm),
            [
                "1 /dev/sd[ab]1",
                "3 UUID=01:23",
                "4 /dev/sda1",
                "4 /dev/sdb1",
                "5 LABEL=h:1"
            ]
        );
    }

    #[test]
    fn patterns_stand_for_what_the_shell_would_take_them_for() {
        for (pattern, text, expected) in [
            ("/dev/sd*", "/dev/sda", true),
            ("/dev/sd*", "/dev/sda12", true),
            ("/dev/*a*", "/dev/sdab", true),
            ("/dev/*b", "/dev/sdab", true),
            ("/dev/*b", "/dev/sdba", false),
            ("/dev/sd?", "/dev/sda", true),
            ("/dev/sd?", "/dev/sda1", false),
            ("/dev/sd[ab]1", "/dev/sda1", true),
            ("/dev/sd[ab]1", "/dev/sdc1", false),
            ("/dev/sd[a-c]", "/dev/sdb", true),
            ("/dev/sd[!a-c]", "/dev/sdb", false),
            ("/dev/sd[!a-c]", "/dev/sdd", true),
            ("/dev/sd[^a]", "/dev/sda", false),
            ("/dev/sd[]a]", "/dev/sd]", true),
            ("/*", "/dev/sda", false),
            ("/dev?sda", "/dev/sda", false),
            ("/dev/sd[a", "/dev/sda", false),
            ("/dev/sd[", "/dev/sd[", false),
            ("/dev/sda", "/dev/sda", false),
            ("***********", "/dev/sda", false),
            ("*", "", true),
        ] {
            let is_so = matches(Path::new(pattern), Path::new(text));
            assert_eq!(is_so, expected, "{pattern} {text}");
        }
        // A pattern that fits nowhere takes no longer than its length times that of the text.
        let hostile = "*a".repeat(2000) + "b";
        assert!(!matches(Path::new(&hostile), Path::new(&"a".repeat(4000))));
    }

    #[test]
    fn tables_of_any_bytes_are_read() {
        let mut state = 1u32;
        let bytes: Vec<u8> = (0..1 << 20)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        for file in ["fstab", "crypttab", "mdadm.conf"] {
            let _ = mentions(Path::new(file), &bytes);
            assert_eq!(mentions(Path::new(file), &[b'='; 1 << 16]), []);
            assert_eq!(
                mentions(Path::new(file), b"\\ \\x \\0 \\x2 \\04 = \"\n\\"),
                []
            );
        }
        let hostile = mentions(Path::new("fstab"), b"UUID=\x1b[2J\xff /x ext4");
        assert_eq!(hostile[0].to_string().matches('\u{1b}').count(), 0);
    }

    #[test]
    fn names_lead_past_the_device_by_path_and_to_it_by_content() {
        let signature = |kind: &str, uuid: &str, label: Option<&str>| Signature {
            kind: kind.to_owned(),
            used_for: SignatureUse::FileSystem,
            uuid: Some(uuid.to_owned()),
            label: label.map(str::to_owned),
            at: None,
        };
        let contents = Contents {
            parts: vec![
                Content {
                    partition: None,
                    signatures: vec![signature("linux_raid_member", "0d607299-dbac-9467", None)],
                },
                Content {
                    partition: Some(Partition {
                        number: 1,
                        start: Sector::new(64),
                        length: Sectors::new(64),
                        uuid: Some("AB-01".to_owned()),
                        label: Some("home".to_owned()),
                        boots: false,
                    }),
                    signatures: vec![signature("ext4", "11-22", Some("data"))],
                },
            ],
            own: (Some("fe-02".to_owned()), Some("outer".to_owned())),
        };
        let main = Path::new("/dev/nvme0n1");
        let is_main = |path: &Path| path == Path::new("/dev/disk/by-id/nvme-X");
        let path = |text: &str| DiskName::Path(text.into());
        let text = str::to_owned;
        for (name, expected) in [
            (path("/dev/nvme0n1p1"), Some(Leads::Past(Some(1)))),
            (path("/dev/nvme0n1p12"), Some(Leads::Past(Some(12)))),
            (path("/dev/disk/by-id/nvme-X"), Some(Leads::Past(None))),
            (
                path("/dev/disk/by-id/nvme-X-part3"),
                Some(Leads::Past(Some(3))),
            ),
            (path("/dev/nvme*"), Some(Leads::Past(None))),
            (path("/dev/nvme?n1p[1-4]"), Some(Leads::Past(Some(1)))),
            (path("/dev/nvme?n1p[2-4]"), None),
            (path("/dev/nvme0n2p1"), None),
            (path("/dev/nvme0n11"), None),
            (path("/dev/mapper/vault"), None),
            (DiskName::Uuid(text("11-22")), Some(Leads::ByContent)),
            (
                DiskName::Uuid(text("0d607299:dbac:9467")),
                Some(Leads::ByContent),
            ),
            (DiskName::Uuid(text("")), None),
            (DiskName::Uuid(text("11-23")), None),
            (DiskName::Label(text("data")), Some(Leads::ByContent)),
            (DiskName::Label(text("home")), None),
            (DiskName::PartUuid(text("ab-01")), Some(Leads::ByContent)),
            (DiskName::PartLabel(text("home")), Some(Leads::ByContent)),
            (DiskName::PartLabel(text("data")), None),
            (DiskName::PartUuid(text("FE-02")), Some(Leads::ByContent)),
            (DiskName::PartLabel(text("outer")), Some(Leads::ByContent)),
            (DiskName::Label(text("outer")), None),
        ] {
            assert_eq!(contents.leads(&name, main, is_main), expected, "{name}");
        }
        assert!(contents.holds("ext4") && !contents.holds("btrfs"));
        let told = contents.describe().unwrap();
        assert_eq!(told, "linux_raid_member with one partition (ext4)");
        assert_eq!(Contents::default().describe(), None);
    }
}
