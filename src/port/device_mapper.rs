//! The kernel's device-mapper: mapped devices, their tables, and what can be asked of
//! their targets.

use std::cmp::Ordering;
use std::fmt;

use crate::port::block::DeviceNumber;
use crate::port::{HostError, Watcher};
use crate::privilege;
use crate::remap_core::params::TARGET_VERSION;
use crate::remap_core::units::{Sector, Sectors};

/// The kernel module that brings the target.
pub const MODULE: &str = "dm_remap_v4";

/// The package that has it built for each kernel.
const PACKAGE: &str = "dm-remap-v4-dkms";

/// A mapped device of any kind, ours or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What names it for good, if it has such a name.
    pub uuid: String,
    /// Its number.
    pub number: DeviceNumber,
}

/// One target of a table, as it was loaded or as it tells its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it begins on the mapped device.
    pub start: Sector,
    /// How much of the mapped device it serves.
    pub length: Sectors,
    /// The kind of target.
    pub target: String,
    /// Its arguments, or its status.
    pub text: String,
}

/// What a new mapped device is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDevice {
    /// Its name.
    pub name: String,
    /// What names it for good; no two devices can be up with the same one.
    pub uuid: String,
    /// Its only target.
    pub line: Line,
    /// Whether it takes no writes.
    pub read_only: bool,
}

/// What the names for good of our mapped devices begin with.
pub const UUID_PREFIX: &str = "DMREMAP-";

/// Device-mapper, as far as it is needed here. Everything may block until udev has
/// caught up: none of it is for a thread that draws.
pub trait DeviceMapper: Send + Sync {
    /// Every mapped device there is, of any kind. Who may not ask device-mapper itself is
    /// told as well.
    ///
    /// # Errors
    ///
    /// [`HostError`] if not even a list can be had.
    fn list(&self) -> Result<Vec<Listed>, HostError>;

    /// The active table of a mapped device; empty where none was ever resumed.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device.
    fn table(&self, name: &str) -> Result<Vec<Line>, HostError>;

    /// What each target of a mapped device tells of itself.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device.
    fn status(&self, name: &str) -> Result<Vec<Line>, HostError>;

    /// The devices that a mapped device is made of.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device.
    fn dependencies(&self, name: &str) -> Result<Vec<DeviceNumber>, HostError>;

    /// Sends a message to the first target of a mapped device, and gives what it answers.
    ///
    /// # Errors
    ///
    /// [`HostError`] says what the target said, as far as the kernel tells.
    fn message(&self, name: &str, message: &str) -> Result<Option<String>, HostError>;

    /// Creates a mapped device, loads its table and resumes it. Its node is there then,
    /// where udev makes nodes.
    ///
    /// # Errors
    ///
    /// [`HostError`]; nothing is left behind then.
    fn create(&self, device: &NewDevice) -> Result<DeviceNumber, HostError>;

    /// Suspends a mapped device: what is in flight ends, what comes later waits.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device.
    fn suspend(&self, name: &str) -> Result<(), HostError>;

    /// Resumes a mapped device.
    ///
    /// # Errors
    ///
    /// [`HostError::NotFound`] if there is no such device; else what its target refused.
    fn resume(&self, name: &str) -> Result<(), HostError>;

    /// Gives a mapped device another name.
    ///
    /// # Errors
    ///
    /// [`HostError::Busy`] if that name is taken.
    fn rename(&self, name: &str, to: &str) -> Result<(), HostError>;

    /// Removes a mapped device.
    ///
    /// # Errors
    ///
    /// [`HostError::Busy`] if it is open.
    fn remove(&self, name: &str) -> Result<(), HostError>;

    /// Waits for events of mapped devices, and for those that come, go or change.
    ///
    /// # Errors
    ///
    /// [`HostError`] says why device-mapper cannot be asked.
    fn watcher(&self) -> Result<Box<dyn Watcher>, HostError>;

    /// What there is here to bring up mapped devices with.
    fn facilities(&self) -> Facilities;
}

/// Whether the control device of device-mapper can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// It can, and speaks this version.
    Open(String),
    /// There is none.
    Missing,
    /// It is for root.
    NotPermitted,
    /// It gives this error.
    Failed(String),
    /// The program was built without the feature `device-mapper`.
    NotBuilt,
}

/// Where the target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetModule {
    /// The kernel has it; in this version, as far as it tells.
    Loaded(Option<String>),
    /// The kernel can load it when it is asked for.
    Loadable,
    /// It is not installed for this kernel.
    NotInstalled(NotBuilt),
}

/// Why no module was built for this kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotBuilt {
    /// Its package is not installed.
    NoPackage,
    /// The package is there, and the kernel's headers are not.
    NoHeaders,
    /// The package and the headers are there, and dkms did not build it.
    Failed {
        /// The log of the build.
        log: String,
        /// What is missing, where the log says it.
        why: Option<String>,
    },
}

/// The version of the target that the kernel has, beside the one that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetAge {
    /// It knows the same.
    Same,
    /// It knows less: what was added since, it refuses.
    Older,
    /// It knows more, which this program does not ask for.
    Newer,
    /// Its table line, status or messages are others.
    Other,
}

impl TargetAge {
    /// Compares a version as the kernel tells it; `None` if it is none.
    fn of(version: &str) -> Option<Self> {
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
        let (first, second) = (numbers.next()??, numbers.next()??);
        let [own_first, own_second, _] = TARGET_VERSION;
        Some(match second.cmp(&own_second) {
            _ if first != own_first => Self::Other,
            Ordering::Less => Self::Older,
            Ordering::Equal => Self::Same,
            Ordering::Greater => Self::Newer,
        })
    }
}

/// What there is on a machine to bring up mapped devices with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facilities {
    /// The way to device-mapper.
    pub control: Control,
    /// The target.
    pub target: TargetModule,
    /// The kernel's release.
    pub release: String,
    /// Why the kernel takes signed modules only, if that is so.
    pub signed_only: Option<&'static str>,
    /// Whether udev makes nodes here.
    pub udev: bool,
}

/// What is missing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.advice)
    }
}

fn lack(what: impl Into<String>, advice: impl Into<String>) -> Lack {
    Lack {
        what: what.into(),
        advice: advice.into(),
    }
}

impl Facilities {
    /// What keeps device-mapper from being asked.
    pub fn control_lack(&self) -> Option<Lack> {
        match &self.control {
            Control::Open(_) => None,
            Control::NotPermitted => {
                let what = "device-mapper answers root alone, with CAP_SYS_ADMIN";
                Some(lack(what, privilege::advice().trim_end_matches('.')))
            }
            Control::Missing => Some(lack(
                "there is no /dev/mapper/control",
                "load the kernel's device-mapper as root: modprobe dm_mod",
            )),
            Control::Failed(error) => Some(lack(
                format!("/dev/mapper/control: {error}"),
                "see the kernel's log",
            )),
            Control::NotBuilt => Some(lack(
                "this program was built without device-mapper",
                "build it with the feature device-mapper",
            )),
        }
    }

    /// How the target that is loaded stands to what this program knows, as far as it tells.
    pub fn target_age(&self) -> Option<TargetAge> {
        match &self.target {
            TargetModule::Loaded(version) => TargetAge::of(version.as_deref()?),
            TargetModule::Loadable | TargetModule::NotInstalled(_) => None,
        }
    }

    /// What keeps the target from being had.
    pub fn target_lack(&self) -> Option<Lack> {
        match &self.target {
            TargetModule::Loaded(Some(version)) if self.target_age() == Some(TargetAge::Other) => {
                Some(lack(
                    format!(
                        "the kernel has the target dm-remap-v4 {version}, and this program takes {}.x of it",
                        TARGET_VERSION[0]
                    ),
                    format!(
                        "install program and module of one release, take its devices down, and load \
                         the module anew as root: modprobe -r {MODULE}, modprobe {MODULE}"
                    ),
                ))
            }
            TargetModule::Loaded(_) | TargetModule::Loadable => None,
            TargetModule::NotInstalled(not_built) => Some(self.not_installed(not_built)),
        }
    }

    fn not_installed(&self, why: &NotBuilt) -> Lack {
        let release = &self.release;
        let what = format!(
            "the kernel has no target dm-remap-v4, and no module {MODULE} is installed for {release}"
        );
        match why {
            NotBuilt::NoPackage => lack(
                what,
                format!(
                    "install the package {PACKAGE}, or build it in kmod/; then load it as root: modprobe {MODULE}"
                ),
            ),
            NotBuilt::NoHeaders => lack(
                format!("{what}: the headers of this kernel are missing"),
                format!(
                    "install them (on Debian linux-headers-{release}); dkms then builds the module"
                ),
            ),
            NotBuilt::Failed { log, why } => lack(
                format!(
                    "{what}: dkms did not build it{}",
                    why.iter().map(|why| format!(", for {why}")).collect::<String>()
                ),
                format!("mend that, and run as root: dkms autoinstall; the whole log is {log}"),
            ),
        }
    }

    /// Why the target is not there although its module was asked for.
    pub fn refused_module(&self) -> Lack {
        if let Some(lack) = self.target_lack() {
            return lack;
        }
        match self.signed_only {
            Some(why) => lack(
                format!(
                    "the kernel did not load {MODULE}: it takes signed modules only, for {why}"
                ),
                "sign the module with a key that the kernel trusts",
            ),
            None => lack(
                format!("the kernel did not load {MODULE}"),
                format!("see why as root: modprobe {MODULE}"),
            ),
        }
    }

    /// What keeps mapped devices from being brought up here, if anything does.
    pub fn lack(&self) -> Option<Lack> {
        self.control_lack().or_else(|| self.target_lack())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Facilities {
        Facilities {
            control: Control::Open("4.50.0".to_owned()),
            target: TargetModule::Loaded(Some("4.1.0".to_owned())),
            release: "7.3".to_owned(),
            signed_only: None,
            udev: true,
        }
    }

    #[test]
    fn each_lack_is_told_with_what_to_do() {
        let loadable = Facilities {
            target: TargetModule::Loadable,
            ..complete()
        };
        assert_eq!(complete().lack(), None);
        assert_eq!(loadable.lack(), None);
        let cases = [
            (
                Facilities {
                    control: Control::NotPermitted,
                    ..complete()
                },
                "root",
            ),
            (
                Facilities {
                    control: Control::Missing,
                    ..complete()
                },
                "modprobe dm_mod",
            ),
            (
                Facilities {
                    control: Control::NotBuilt,
                    ..complete()
                },
                "feature device-mapper",
            ),
            (
                Facilities {
                    target: TargetModule::NotInstalled(NotBuilt::NoPackage),
                    ..complete()
                },
                "modprobe dm_remap_v4",
            ),
        ];
        for (facilities, words) in cases {
            let told = facilities.lack().unwrap().to_string();
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn a_target_of_another_generation_is_refused_and_others_are_told() {
        for (version, age) in [
            ("4.1.0", Some(TargetAge::Same)),
            ("4.1.7", Some(TargetAge::Same)),
            ("4.0.0", Some(TargetAge::Older)),
            ("4.2.0", Some(TargetAge::Newer)),
            ("3.9.0", Some(TargetAge::Other)),
            ("5.1.0", Some(TargetAge::Other)),
            ("5", None),
            ("none", None),
        ] {
            let facilities = Facilities {
                target: TargetModule::Loaded(Some(version.to_owned())),
                ..complete()
            };
            assert_eq!(facilities.target_age(), age, "{version}");
            let refused = facilities.target_lack().map(|lack| lack.what);
            match age {
                Some(TargetAge::Other) => {
                    let refused = refused.unwrap();
                    assert!(
                        refused.contains(version) && refused.contains("4.x"),
                        "{refused}"
                    );
                }
                _ => assert_eq!(refused, None, "{version}"),
            }
        }
    }

    #[test]
    fn it_is_told_why_no_module_was_built() {
        let told = |why| {
            let facilities = Facilities {
                target: TargetModule::NotInstalled(why),
                ..complete()
            };
            facilities.target_lack().unwrap().to_string()
        };
        assert!(told(NotBuilt::NoPackage).contains("install the package dm-remap-v4-dkms"));
        assert!(told(NotBuilt::NoHeaders).contains("linux-headers-7.3"));
        let why = "the C compiler gcc-99 is missing".to_owned();
        let failed = told(NotBuilt::Failed {
            log: "/var/lib/make.log".to_owned(),
            why: Some(why.clone()),
        });
        assert!(failed.contains(&why) && failed.contains("/var/lib/make.log"));
    }

    #[test]
    fn a_module_that_the_kernel_refuses_is_told_apart_from_one_that_is_not_there() {
        let absent = Facilities {
            target: TargetModule::NotInstalled(NotBuilt::NoPackage),
            signed_only: Some("lockdown"),
            ..complete()
        };
        assert!(absent.refused_module().what.contains("no module"));
        let unsigned = Facilities {
            target: TargetModule::Loadable,
            signed_only: Some("lockdown"),
            ..complete()
        };
        assert!(unsigned.refused_module().what.contains("for lockdown"));
        let other = Facilities {
            target: TargetModule::Loadable,
            ..complete()
        };
        assert!(other.refused_module().advice.contains("modprobe"));
    }
}
