//! What a device must hold, kept beside it.

use std::io;
use std::path::Path;

use crate::block::{Buffer, Device};
use crate::random::Random;

/// Sectors of a device, and which round each was written in last.
pub struct Shadow {
    device: Device,
    from: u64,
    rounds: Vec<u64>,
    round: u64,
}

impl Shadow {
    /// Opens a device and writes its sectors `from..from + count`.
    pub fn over(path: &Path, from: u64, count: u64) -> Self {
        let mut shadow = Self {
            device: Device::open(path),
            from,
            rounds: vec![0; count as usize],
            round: 0,
        };
        for at in (from..from + count).step_by(1024) {
            let length = (from + count - at).min(1024);
            shadow.write(at, length).expect("it takes writes");
        }
        shadow
    }

    /// Writes something new to sectors `at..at + count`.
    ///
    /// # Errors
    ///
    /// What the device gives; what it holds there is still taken for what it was.
    pub fn write(&mut self, at: u64, count: u64) -> io::Result<()> {
        self.round += 1;
        self.device.write_pattern(at, count, self.round)?;
        let first = (at - self.from) as usize;
        self.rounds[first..first + count as usize].fill(self.round);
        Ok(())
    }

    /// Reads sectors `at..at + count` and checks every one.
    pub fn check(&self, at: u64, count: u64) {
        let mut buffer = Buffer::sectors(count);
        self.device
            .read(at, &mut buffer)
            .unwrap_or_else(|error| panic!("sectors {at}+{count}: {error}"));
        for sector in at..at + count {
            let round = self.rounds[(sector - self.from) as usize];
            buffer.check_part(sector - at, 1, sector, round);
        }
    }

    /// Checks everything.
    pub fn check_all(&self) {
        let end = self.from + self.rounds.len() as u64;
        for at in (self.from..end).step_by(1024) {
            self.check(at, (end - at).min(1024));
        }
    }

    /// A request of at most `most` units of `unit` sectors, somewhere in it.
    pub fn somewhere(&self, random: &mut Random, unit: u64, most: u64) -> (u64, u64) {
        let units = self.rounds.len() as u64 / unit;
        let count = 1 + random.below(most.min(units));
        let at = random.below(units - count + 1);
        (self.from + at * unit, count * unit)
    }

    /// Closes the device, so that it can be taken down.
    pub fn close(self) -> Closed {
        Closed {
            from: self.from,
            rounds: self.rounds,
            round: self.round,
        }
    }
}

/// What a device must hold that is not open.
pub struct Closed {
    from: u64,
    rounds: Vec<u64>,
    round: u64,
}

impl Closed {
    /// Opens it again.
    pub fn open(self, path: &Path) -> Shadow {
        Shadow {
            device: Device::open(path),
            from: self.from,
            rounds: self.rounds,
            round: self.round,
        }
    }
}
