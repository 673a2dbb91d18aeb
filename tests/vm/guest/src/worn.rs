//! A disk that is worn: in some places it takes no writes, though what they hold can still
//! be read. That is how a disk ages under a file system, which has most of what it writes
//! in memory and reads little of it back.

use std::path::{Path, PathBuf};

use crate::block::Device;
use crate::dm::{Line, Mapped};

/// A disk under a mapped device that sends writes another way than reads and flushes.
pub struct Worn {
    disk: PathBuf,
    sectors: u64,
    /// Where writes go: the same disk, but for the places that take none.
    writes: Mapped,
    whole: Mapped,
    /// The places, in order: where they begin and end.
    places: Vec<(u64, u64)>,
}

impl Worn {
    /// A disk that takes writes everywhere as yet.
    pub fn over(disk: &Path) -> Self {
        let sectors = Device::open_read_only(disk).sectors();
        let writes = Mapped::create("worn-writes", &table(disk, sectors, &[]));
        let writes = writes.expect("the way of writes comes up");
        let line = Line {
            start: 0,
            length: sectors,
            target: "delay",
            // Without any delay it only tells reads, writes and flushes apart.
            words: format!(
                "{0} 0 0 {1} 0 0 {0} 0 0",
                disk.display(),
                writes.path().display()
            ),
        };
        let whole = Mapped::create("worn", &[line]).expect("the worn disk comes up");
        Self {
            disk: disk.to_owned(),
            sectors,
            writes,
            whole,
            places: Vec::new(),
        }
    }

    /// The node to open it by.
    pub fn path(&self) -> PathBuf {
        self.whole.path()
    }

    /// Its size, in sectors.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Has these places, each a first sector and a count, take no writes from now on.
    pub fn wear(&mut self, places: impl Iterator<Item = (u64, u64)>) {
        let end = |(from, count): (u64, u64)| (from, (from + count).min(self.sectors));
        self.places.extend(places.map(end));
        self.places.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, end) in self.places.drain(..) {
            match merged.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(end),
                None => merged.push((from, end)),
            }
        }
        self.places = merged;
        let table = table(&self.disk, self.sectors, &self.places);
        self.writes.load(&table).expect("another table is taken");
        self.writes.resume().expect("writes go another way");
    }

    /// Takes it down; the disk stays.
    pub fn remove(self) {
        for mapped in [self.whole, self.writes] {
            mapped.remove().expect("nobody uses the worn disk");
        }
    }
}

fn table(disk: &Path, sectors: u64, places: &[(u64, u64)]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = 0;
    let mut put = |target, from: u64, end: u64| {
        if from < end {
            lines.push(Line {
                start: from,
                length: end - from,
                target,
                words: match target {
                    "linear" => format!("{} {from}", disk.display()),
                    _ => String::new(),
                },
            });
        }
    };
    for (from, end) in places {
        put("linear", at, *from);
        put("error", *from, *end);
        at = *end;
    }
    put("linear", at, sectors);
    lines
}
