//! Draws the pictures of the documents: `make pictures` writes them to
//! `assets/`, from a real lab on a machine whose clock and chance repeat themselves.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

use dmremap::config::SettingsFile;
use dmremap::lab::{Contents, Lab};
use dmremap::ops::Context;
use dmremap::port::journal::{
    ActionId, ActionRecord, BackupFiles, BackupSide, Begun, Ended, Journal,
};
use dmremap::port::{
    Access, BlockStore, Clock, DeviceInfo, HostError, Platform, Uptime, Usage, Watcher,
};
use dmremap::remap_core::units::{Millis, Timestamp};
use dmremap::sys::{FileJournal, ThisMachine};
use dmremap::tui::{self, Headless, Options, Theme};
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

/// The first begins where the lab was just made; a sixth of a second goes by with each step.
const SCENES: &[Scene] = &[
    Scene {
        file: "copies.svg",
        title: "Five copies of the metadata, two of them damaged, beside the winner",
        steps: &[
            // Disks are looked at one after the other: this is the last one.
            ("", "usb-e    16.0 M spare  ● 5 of 5"),
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

/// Each scene goes on from the one before it, in a lab in which no time goes by: nothing
/// falls due between them.
const FURTHER_SCENES: &[Scene] = &[
    Scene {
        file: "corrupt.svg",
        title: "Choosing which copies to damage, with what would come of it",
        steps: &[
            ("", "usb-e    16.0 M spare  ● 5 of 5"),
            ("j j j", "attic ── dm-remap-v4"),
            ("x 1 4 down", "degraded"),
        ],
    },
    Scene {
        file: "outcome.svg",
        title: "What came of a corruption, and its number in the journal",
        steps: &[
            ("enter", "Type attic to go on"),
            ("a t t i c enter", "in the journal"),
        ],
    },
    Scene {
        file: "log.svg",
        title: "What was done, each with the command that does the same",
        steps: &[("enter L", "corrupt /")],
    },
    Scene {
        file: "undo.svg",
        title: "What can be taken back",
        steps: &[("esc U", "corrupt /")],
    },
    Scene {
        file: "commands.svg",
        title: "Commands, completed as they are typed",
        steps: &[("esc : r e", "repair")],
    },
    Scene {
        file: "settings.svg",
        title: "The settings, and where they are saved",
        steps: &[("esc ,", "Saved in")],
    },
    Scene {
        file: "scenarios.svg",
        title: "Drills to go through",
        steps: &[("esc t", "Drills to go through")],
    },
    Scene {
        file: "drill.svg",
        title: "A step of a drill, and the key that does it",
        steps: &[("enter", "step 1 of 8")],
    },
    Scene {
        file: "events.svg",
        title: "The events of a device, with what the chosen one means",
        steps: &[("ctrl-g 4 enter", "moved to replacement 1")],
    },
    Scene {
        file: "journal.svg",
        title: "The journal of actions",
        steps: &[("5", "takes it back")],
    },
    Scene {
        file: "counters.svg",
        title: "What a target counts, now and over time",
        steps: &[("6", "repair attempts")],
    },
    Scene {
        file: "remaps.svg",
        title: "Where on main blocks failed, and where they are now",
        steps: &[("3", "moved to the spare")],
    },
];

/// A step of the film: its caption, how many seconds it is shown, the keys that lead to it
/// and the text to wait for, and how many milliseconds go by for the target before it.
type Step = (&'static str, u64, &'static str, &'static str, u64);

/// The first minutes of the lab.
const FILM: &[Step] = &[
    (
        "The lab: attic is healthy, vault is damaged and inactive",
        3,
        "",
        "usb-e    16.0 M spare  ● 5 of 5",
        0,
    ),
    (
        "2: its five copies, all valid",
        3,
        "j j j 2 enter",
        "agrees with copy 0",
        0,
    ),
    (
        "x: damage copies on purpose",
        2,
        "x",
        "Corrupt copies of attic",
        0,
    ),
    (
        "1 3: two of them; what would come of it is foretold",
        3,
        "1 3",
        "degraded",
        0,
    ),
    (
        "enter: the plan, with the exact bytes; nothing is written yet",
        4,
        "enter",
        "Type attic to go on",
        0,
    ),
    (
        "attic: whoever overwrites something types its name",
        2,
        "a t t i c",
        "go on: attic",
        0,
    ),
    (
        "enter: done, and kept so that it can be taken back",
        3,
        "enter",
        "in the journal",
        0,
    ),
    (
        "Two copies fail their checksums; the other three agree",
        4,
        "enter down",
        "copy 1 beside copy 0",
        0,
    ),
    (
        "s: a scrub finds the damage and schedules a repair",
        3,
        "s",
        "its metadata now: done.",
        0,
    ),
    (
        "A second later the target has repaired both",
        4,
        "ctrl-l",
        "was corrupt",
        1100,
    ),
    (
        "u: everything can be taken back, byte for byte",
        3,
        "1 U",
        "corrupt /",
        0,
    ),
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

/// A journal whose actions were all done at noon.
struct AtNoon(FileJournal);

impl Journal for AtNoon {
    fn ready(&self) -> Result<(), HostError> {
        self.0.ready()
    }

    fn beside(&self) -> Box<dyn Journal> {
        Box::new(Self(self.0.clone()))
    }

    fn actions(&mut self) -> Result<Vec<ActionRecord>, HostError> {
        let mut actions = self.0.actions()?;
        for action in &mut actions {
            action.time = Timestamp::new(NOON);
        }
        Ok(actions)
    }

    fn begin(
        &mut self,
        begun: &Begun,
        backup: Option<BackupFiles<'_>>,
    ) -> Result<ActionId, HostError> {
        self.0.begin(begun, backup)
    }

    fn end(&mut self, id: ActionId, ended: &Ended) -> Result<(), HostError> {
        self.0.end(id, ended)
    }

    fn backup(&mut self, id: ActionId, side: BackupSide) -> Result<Vec<u8>, HostError> {
        self.0.backup(id, side)
    }
}

/// Every picture, by the name of its file.
fn draw_all() -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    // One lab at a time may have this path.
    let lock = File::create(format!("{LAB}.lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let mut pictures = Vec::new();
    for (scenes, millis) in [(SCENES, 150), (FURTHER_SCENES, 0)] {
        let (mut screen, machine) = start()?;
        for scene in scenes {
            for (keys, text) in scene.steps {
                screen.press(keys)?;
                screen.wait_for(text, PATIENCE)?;
                machine.uptime.fetch_add(millis, Ordering::SeqCst);
            }
            pictures.push((scene.file, screen.svg(scene.title)));
        }
        screen.end();
    }
    let (mut screen, machine) = start()?;
    let mut shots = Vec::new();
    for (caption, seconds, keys, text, millis) in FILM {
        machine.uptime.fetch_add(*millis, Ordering::SeqCst);
        screen.press(keys)?;
        screen.wait_for(text, PATIENCE)?;
        shots.push(screen.shot(caption, Duration::from_secs(*seconds)));
    }
    screen.end();
    pictures.push((
        "journey.svg",
        tui::film(&shots, "Damage on purpose, found and repaired"),
    ));
    fs::remove_dir_all(LAB)?;
    Ok(pictures)
}

/// Starts the application on a lab that is as it was made.
fn start() -> Result<(Headless, Arc<Repeating>), Box<dyn Error>> {
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
        journal: Box::new(AtNoon(FileJournal::new(directory.join("journal")))),
        platform,
        read_only: false,
        progress: dmremap::ops::Progress::silent(),
    };
    let mut options = Options::with_theme(Theme::FULL);
    // Where nothing is: who draws pictures has settings of their own.
    let mut file = SettingsFile::look(Path::new("/nonexistent/config.toml"))?;
    file.path = "/home/me/.config/dmremap/config.toml".into();
    options.file = Some(file);
    let name = Some("~/lab".to_owned());
    let screen = Headless::start(Box::new(lab), context, options, name, SCREEN)?;
    Ok((screen, machine))
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
