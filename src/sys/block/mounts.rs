//! Which devices are mounted or swapped to, as the kernel's tables tell.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::backing::place_of;
use crate::port::block::DeviceNumber;
use crate::port::layers::Place;
use crate::text::escape;

/// Places where devices are mounted, and devices that are swapped to. Without a table
/// nothing is known to be.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    by_number: BTreeMap<DeviceNumber, Vec<String>>,
    /// File systems over several devices have numbers of their own: these are mounted by
    /// the name of one of their devices.
    by_source: BTreeMap<Vec<u8>, Vec<String>>,
    swaps: Vec<Vec<u8>>,
}

impl Mounts {
    /// Reads `/proc/self/mountinfo` and `/proc/swaps`.
    pub(super) fn parse(mountinfo: &[u8], swaps: &[u8]) -> Self {
        let mut mounts = Self::default();
        for line in mountinfo.split(|byte| *byte == b'\n') {
            mounts.take_mount(line);
        }
        let lines = swaps.split(|byte| *byte == b'\n').skip(1);
        let sources = lines.filter_map(|line| words(line).next().map(unescape));
        mounts.swaps = sources.filter(|source| !source.is_empty()).collect();
        mounts
    }

    fn take_mount(&mut self, line: &[u8]) -> Option<()> {
        let mut words = words(line);
        let number = DeviceNumber::parse(str::from_utf8(words.nth(2)?).ok()?)?;
        let place = escape(&unescape(words.nth(1)?)).into_owned();
        let optional = words.position(|word| word == b"-");
        let source = optional.and_then(|_| words.nth(1)).map(unescape);
        let places = match source {
            Some(source) if number.major == 0 => self.by_source.entry(source).or_default(),
            _ => self.by_number.entry(number).or_default(),
        };
        if !places.contains(&place) {
            places.push(place);
        }
        Some(())
    }

    /// Where the device of this number is mounted, or one that a mount calls by one of
    /// these `names`.
    pub(super) fn places(&self, number: DeviceNumber, names: &[&[u8]]) -> Vec<String> {
        let by_name = names.iter().filter_map(|name| self.by_source.get(*name));
        let mut places: Vec<String> = self
            .by_number
            .get(&number)
            .into_iter()
            .chain(by_name)
            .flatten()
            .cloned()
            .collect();
        places.sort();
        places.dedup();
        places
    }

    /// Who uses the file in this place: the machine's swap, or a mount of the file itself.
    pub(super) fn use_of_file(&self, place: Place) -> Option<String> {
        let is_it = |path: &[u8]| {
            let path = Path::new(OsStr::from_bytes(path));
            path.is_absolute() && std::fs::metadata(path).is_ok_and(|it| place_of(&it) == place)
        };
        if self.swaps.iter().any(|swap| is_it(swap)) {
            return Some("the machine's swap".to_owned());
        }
        let mut mounted = self.by_source.iter().filter(|(source, _)| is_it(source));
        mounted.next().map(|(_, places)| on_mounts(places))
    }

    /// Whether the machine swaps to a device that is called by one of these `names`.
    pub(super) fn is_swap(&self, names: &[&[u8]]) -> bool {
        let mut swaps = self.swaps.iter();
        swaps.any(|swap| names.contains(&swap.as_slice()))
    }
}

/// What a device or file is used for that is mounted in these places.
pub(super) fn on_mounts(places: &[String]) -> String {
    let mount = if places.len() == 1 {
        "a mount"
    } else {
        "mounts"
    };
    format!("{mount} on {}", places.join(", "))
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b' ' || *byte == b'\t')
        .filter(|word| !word.is_empty())
}

/// Takes back what the kernel does to blanks and backslashes: `\040` and the like.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| octal(behind)).flatten();
        out.push(octal.unwrap_or(*first));
        rest = match octal {
            Some(_) => &behind[3..],
            None => behind,
        };
    }
    out
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = str::from_utf8(digits.get(..3)?).ok()?;
    u8::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"\
22 27 0:21 / /proc rw,relatime - proc proc rw
26 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
27 26 8:1 /srv /mnt/with\\040blank rw master:1 - ext4 /dev/sda1 rw
28 26 0:44 /@ /pool rw shared:9 propagate_from:2 - btrfs /dev/mapper/pool rw
29 26 259:3 / /evil\\012\x1b[31m rw - xfs /dev/nvme0n1p3 rw
30 26 0:44 /@ /pool rw - btrfs /dev/mapper/pool rw
31 26 x:y / /junk rw - ext4 /dev/sdz rw
32 26 7:0
";

    const SWAPS: &[u8] = b"\
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/dm-1                               partition\t8388604\t\t0\t\t-2
/swap\\040file                           file\t\t1024\t0\t-3
";

    fn number(major: u64, minor: u64) -> DeviceNumber {
        DeviceNumber { major, minor }
    }

    #[test]
    fn mounts_are_told_by_number_and_where_that_is_not_the_devices_by_name() {
        let mounts = Mounts::parse(MOUNTINFO, SWAPS);
        assert_eq!(mounts.places(number(8, 1), &[]), ["/", "/mnt/with blank"]);
        assert_eq!(
            mounts.places(number(253, 0), &[b"/dev/dm-0", b"/dev/mapper/pool"]),
            ["/pool"]
        );
        assert_eq!(mounts.places(number(259, 3), &[]), ["/evil\\x0a\\x1b[31m"]);
        assert!(mounts.places(number(8, 2), &[b"/dev/sda1"]).is_empty());
        assert!(mounts.is_swap(&[b"/dev/dm-1"]));
        assert!(mounts.is_swap(&[b"/swap file"]));
        assert!(!mounts.is_swap(&[b"Filename"]));
    }

    #[test]
    fn tables_that_are_none_say_nothing() {
        for junk in [&b""[..], b"\n\n", b"\\", b"1 2 3:4 5", b"\xff\xfe \\04 8:1"] {
            let mounts = Mounts::parse(junk, junk);
            assert!(mounts.places(number(3, 4), &[b""]).is_empty());
            assert!(!mounts.is_swap(&[b""]));
        }
    }
}
