//! Draws the pictures of the documents: `make pictures` writes them to
//! `assets/`, from a real lab on a machine whose clock and chance repeat themselves.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use dmremap::lab::{Contents, Lab};
use dmremap::ops::Context;
use dmremap::port::{
    Access, BlockStore, Clock, DeviceInfo, HostError, Platform, Uptime, Usage, Watcher,
};
use dmremap::remap_core::units::{Millis, Timestamp};
use dmremap::sys::{FileJournal, ThisMachine};
use dmremap::tui::{Headless, Options, Theme};
use dmremap::zone::Zone;
use nix::fcntl::{Flock, FlockArg};

/// Where the lab is. Its path is part of what is on its disks, and so of the pictures.
const LAB: &str = "/tmp/dmremap-pictures";

/// Far longer than any picture takes.
const PATIENCE: Duration = Duration::from_secs(60);

const SCREEN: (u16, u16) = (120, 34);

/// A picture: its file, its title, and the keys that lead to it, each with the text to
/// wait for.
struct Scene {
    file: &'static str,
    title: &'static str,
    steps: &'static [(&'static str, &'static str)],
}

/// Goes up with each scene; the first begins where the lab was just made.
const SCENES: [Scene; 5] = [
    Scene {
        file: "copies.svg",
        title: "Five copies of the metadata, two of them damaged, beside the winner",
        steps: &[
            // Disks are looked at one after the other: this is the last one.
            ("", "usb-e     16.0 M spare  ● 5 of 5"),
            ("j", "dm-remap-v4 of vault, not up"),
            ("2 enter j", "copy 1 beside copy 0"),
        ],
    },
    Scene {
        file: "overview.svg",
        title: "A device that found two damaged copies and is about to repair them",
        steps: &[
            ("esc esc 1 a", "Press enter to go on"),
            ("enter", "vault is up"),
            ("enter", "attempt 1 of 5"),
        ],
    },
    Scene {
        file: "plan.svg",
        title: "The plan of a corruption, before its name is typed",
        steps: &[
            ("esc j j", "attic ── dm-remap-v4"),
            ("x 1 4 down down down", "degraded"),
            ("enter", "Type attic to go on"),
            ("a t t", "go on: att"),
        ],
    },
    Scene {
        file: "wizard.svg",
        title: "The choice of a spare for a new device",
        steps: &[("esc n", "1 of 4"), ("j", "▸  disk-g"), ("enter", "2 of 4")],
    },
    Scene {
        file: "help.svg",
        title: "The keys that work in the list of devices",
        steps: &[("esc ?", "Keys in the list")],
    },
];

/// This machine, but for its clock, which goes on only when it is told to, and its
/// chance, which is the same every time.
struct Repeating {
    uptime: AtomicU64,
    drawn: AtomicU64,
}

/// 24 October 2025, at noon.
const NOON: u64 = 1_761_307_200;

impl Clock for Repeating {
    fn now(&self) -> Timestamp {
        Timestamp::new(NOON + self.uptime.load(Ordering::SeqCst) / 1000)
    }

    fn zone(&self) -> Zone {
        Zone::UTC
    }
}

impl Uptime for Repeating {
    fn uptime(&self) -> Millis {
        // A first scrub falls due after a tenth of a second, a repair a second later;
        // so much goes by from one look to the next that only the scrub is reached.
        Millis::new(self.uptime.load(Ordering::SeqCst))
    }

    fn boot_id(&self) -> String {
        "00000000-0000-4000-8000-000000000000".to_owned()
    }
}

impl Platform for Repeating {
    fn open(&self, path: &Path, access: Access) -> Result<Box<dyn BlockStore>, HostError> {
        ThisMachine.open(path, access)
    }

    fn block_devices(&self) -> Result<Vec<DeviceInfo>, HostError> {
        Ok(Vec::new())
    }

    fn usage(&self, path: &Path) -> Result<Usage, HostError> {
        ThisMachine.usage(path)
    }

    fn watch(
        &self,
        replaced: &[PathBuf],
        written: &[PathBuf],
    ) -> Result<Box<dyn Watcher>, HostError> {
        ThisMachine.watch(replaced, written)
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), HostError> {
        for byte in bytes {
            // Any constants will do that make the bytes look drawn.
            let drawn = self.drawn.fetch_add(0x9e37_79b9, Ordering::SeqCst);
            *byte = drawn.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()[6];
        }
        Ok(())
    }
}

/// Every picture, by the name of its file.
fn draw_all() -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    // One lab at a time may have this path.
    let lock = File::create(format!("{LAB}.lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let directory = Path::new(LAB);
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    let machine = Arc::new(Repeating {
        uptime: AtomicU64::new(1_000_000),
        drawn: AtomicU64::new(1),
    });
    let platform: Arc<dyn Platform> = machine.clone();
    let lab = Lab::open_or_create(directory, Arc::clone(&platform), Contents::Training)?;
    let context = Context {
        journal: Box::new(FileJournal::new(directory.join("journal"))),
        platform,
        read_only: false,
    };
    let options = Options::with_theme(Theme::FULL);
    let name = Some("~/lab".to_owned());
    let mut screen = Headless::start(Box::new(lab), context, options, name, SCREEN)?;
    let mut pictures = Vec::new();
    for scene in SCENES {
        for (keys, text) in scene.steps {
            screen.press(keys)?;
            screen.wait_for(text, PATIENCE)?;
            machine.uptime.fetch_add(150, Ordering::SeqCst);
        }
        pictures.push((scene.file, screen.svg(scene.title)));
    }
    drop(screen);
    fs::remove_dir_all(directory)?;
    Ok(pictures)
}

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")
}

fn main() -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(assets())?;
    for (file, picture) in draw_all()? {
        fs::write(assets().join(file), picture)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_show_what_is_drawn() {
        for (file, picture) in draw_all().unwrap() {
            let shown = fs::read_to_string(assets().join(file)).unwrap_or_default();
            assert!(
                shown == picture,
                "assets/{file} is old; draw it anew with: make pictures"
            );
        }
    }
}
