//! Images as other tools and damage leave them.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::{fixture, Bench};

pub(crate) const SECTORS: [u64; 5] = [0, 1024, 2048, 4096, 8192];

pub(crate) fn put(path: &Path, sector: u64, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, sector * 512).unwrap();
}

impl Bench {
    /// A spare that the existing tool wrote.
    pub(crate) fn plain(&self, name: &str, fixture_name: &str) {
        let path = self.image(name, 1_048_576);
        for (slot, sector) in SECTORS.into_iter().enumerate() {
            put(
                &path,
                sector,
                &fixture(&format!("plain-v4/{fixture_name}-copy{slot}.bin")),
            );
        }
    }

    /// A spare that the older kernel module wrote.
    pub(crate) fn other_layout(&self, name: &str) {
        let path = self.image(name, 1_048_576);
        let bytes = fixture("other/reference-kernel-84288.bin");
        for sector in [0, 256, 512, 768, 1024] {
            put(&path, sector, &bytes);
        }
    }
}
