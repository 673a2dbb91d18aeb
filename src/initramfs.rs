//! Images that a machine starts from: whether they have the rule that hides main, and a list
//! that is not older than the machine's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The file of udev's rule.
pub const RULE: &str = "63-z-dmremap.rules";

/// A program that makes images, with the hook of ours that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maker {
    /// The program.
    program: &'static str,
    /// Where a hook of ours may be: the package's, the operator's own.
    hooks: &'static [&'static str],
    /// The command line that makes every image anew.
    pub command: &'static str,
}

/// Makers that have a hook of ours. initramfs-tools come first: Debian lets only parts of dracut
/// be installed beside them.
const MAKERS: [Maker; 2] = [
    Maker {
        program: "usr/sbin/update-initramfs",
        hooks: &[
            "usr/share/initramfs-tools/hooks/dmremap",
            "etc/initramfs-tools/hooks/dmremap",
        ],
        command: "update-initramfs -u -k all",
    },
    Maker {
        program: "usr/bin/dracut",
        hooks: &["usr/lib/dracut/modules.d/90dmremap/module-setup.sh"],
        command: "dracut --force --regenerate-all",
    },
];

/// State of the images, for a machine that lists devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Images {
    /// There are none, or none that would be known.
    None,
    /// No maker with a hook of ours made them.
    NoHook,
    /// Some are older than the list, the rule or the hook.
    Stale {
        /// The images.
        older: Vec<PathBuf>,
        /// What makes them anew.
        maker: Maker,
    },
    /// All are newer.
    Fresh,
}

impl Images {
    /// Looks for images below `root`. What they must not be older than is below it too: the
    /// list, the rule and the hook.
    pub fn look(root: &Path) -> Self {
        let images = images(&root.join("boot"));
        if images.is_empty() {
            return Self::None;
        }
        let has = |maker: &&Maker| root.join(maker.program).exists();
        let hooked = |maker: &&Maker| maker.hooks.iter().any(|hook| root.join(hook).exists());
        let Some(maker) = MAKERS.iter().filter(has).find(hooked) else {
            return Self::NoHook;
        };
        let rules = ["usr/lib", "etc"].map(|place| format!("{place}/udev/rules.d/{RULE}"));
        let list = crate::policy::PATH.trim_start_matches('/');
        let parts = rules.iter().map(String::as_str);
        let parts = parts.chain([list]).chain(maker.hooks.iter().copied());
        // A package keeps the time at which a file was made, so a change counts by its inode.
        let newest = parts.filter_map(|part| changed(&root.join(part))).max();
        let older: Vec<PathBuf> = images
            .into_iter()
            .filter(|image| changed(image) < newest)
            .collect();
        match older.is_empty() {
            true => Self::Fresh,
            false => Self::Stale {
                older,
                maker: *maker,
            },
        }
    }
}

/// When a file was last written or put in its place.
fn changed(path: &Path) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path).ok()?;
    let seconds = u64::try_from(metadata.ctime()).ok()?;
    let nanos = u64::try_from(metadata.ctime_nsec()).unwrap_or(0);
    let since = std::time::Duration::from_secs(seconds) + std::time::Duration::from_nanos(nanos);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

/// Images by the names that makers give them; rescue images are made once and for all.
fn images(boot: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(boot).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_image = |name: &String| {
        let of_tools = name.starts_with("initrd.img-")
            && !name.contains(".bak")
            && !name.ends_with(".dpkg-bak");
        let of_dracut = name.starts_with("initramfs-") && name.ends_with(".img");
        (of_tools || of_dracut) && !name.contains("rescue") && !name.contains("kdump")
    };
    let mut images: Vec<String> = names.filter(is_image).collect();
    images.sort();
    images.into_iter().map(|name| boot.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_older_than_the_list_or_the_hook_are_told_with_what_makes_them() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            // Two files of one tick of the clock have one time: a later one must be told apart.
            let before = SystemTime::now();
            loop {
                fs::write(&path, "x").unwrap();
                if changed(&path).unwrap() > before {
                    break;
                }
            }
            path
        };
        let look = || Images::look(root.path());
        assert_eq!(look(), Images::None);
        write("etc/dmremap.toml");
        write("boot/vmlinuz-1");
        write("boot/initramfs-0-rescue-x.img");
        assert_eq!(look(), Images::None);
        let image = write("boot/initrd.img-1");
        assert_eq!(look(), Images::NoHook);
        write("usr/sbin/update-initramfs");
        assert_eq!(look(), Images::NoHook);
        let by_hand = write("etc/initramfs-tools/hooks/dmremap");
        assert!(matches!(look(), Images::Stale { .. }));
        fs::remove_file(by_hand).unwrap();
        assert_eq!(look(), Images::NoHook);
        write("usr/share/initramfs-tools/hooks/dmremap");
        let Images::Stale { older, maker } = look() else {
            panic!("the hook is newer");
        };
        assert_eq!(older, [image]);
        assert!(maker.command.starts_with("update-initramfs"));
        write("boot/initrd.img-1");
        assert_eq!(look(), Images::Fresh);
        write("etc/dmremap.toml");
        assert!(matches!(look(), Images::Stale { .. }));
        let second = write("boot/initrd.img-2");
        write("boot/initrd.img-1");
        assert_eq!(look(), Images::Fresh);
        write("usr/bin/dracut");
        write("usr/lib/dracut/modules.d/90dmremap/module-setup.sh");
        assert_eq!(look(), Images::Fresh, "the images are not dracut's");
        fs::remove_file(root.path().join("usr/sbin/update-initramfs")).unwrap();
        let Images::Stale { older, maker } = look() else {
            panic!("dracut's hook is newer");
        };
        assert_eq!(older.len(), 2);
        assert!(older.contains(&second));
        assert!(maker.command.starts_with("dracut"));
    }
}
