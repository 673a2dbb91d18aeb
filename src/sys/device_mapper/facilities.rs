//! What there is on this machine to bring up mapped devices with.

use std::fs;
use std::path::Path;

use crate::port::device_mapper::{Control, Facilities, NotBuilt, TargetModule, MODULE};
use crate::remap_core::params::TARGET_NAME;
use crate::text::escape_str;

/// Looks around. `loaded` is the target's version, where the kernel told that it has it.
pub(super) fn look(control: Control, loaded: Option<String>) -> Facilities {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    Facilities {
        target: target(loaded, &release),
        signed_only: signed_only(),
        udev: Path::new(super::UDEV).exists(),
        release,
        control,
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn target(loaded: Option<String>, release: &str) -> TargetModule {
    if loaded.is_some() || Path::new("/sys/module").join(MODULE).exists() {
        return TargetModule::Loaded(loaded);
    }
    let modules = Path::new("/lib/modules").join(release);
    match is_installed(&modules) {
        true => TargetModule::Loadable,
        false => TargetModule::NotInstalled(why_not_built(Path::new(DKMS), &modules.join("build"))),
    }
}

/// Where dkms keeps what it made of the module's package.
const DKMS: &str = "/var/lib/dkms/dm-remap-v4";

/// Why dkms has no module for the kernel whose headers are `tree`.
fn why_not_built(dkms: &Path, tree: &Path) -> NotBuilt {
    if !dkms.exists() {
        return NotBuilt::NoPackage;
    }
    if !tree.exists() {
        return NotBuilt::NoHeaders;
    }
    let versions = fs::read_dir(dkms).into_iter().flatten().flatten();
    let logs = versions.map(|version| version.path().join("build/make.log"));
    let Some(log) = logs.filter(|log| log.exists()).max() else {
        return NotBuilt::Failed {
            log: dkms.display().to_string(),
            why: None,
        };
    };
    // The module's own check of the headers begins each sentence with where they are.
    let text = fs::read(&log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let begins = format!("{}: ", tree.display());
    let why = text.lines().find_map(|line| line.strip_prefix(&begins));
    NotBuilt::Failed {
        log: log.display().to_string(),
        why: why.map(|why| escape_str(why).into_owned()),
    }
}

/// Whether the kernel can have the module loaded by the name of its target.
fn is_installed(modules: &Path) -> bool {
    let aliases = fs::read_to_string(modules.join("modules.alias")).unwrap_or_default();
    let wanted = format!("alias dm-{TARGET_NAME} ");
    aliases.lines().any(|line| line.starts_with(&wanted))
}

/// Why the kernel takes signed modules only.
fn signed_only() -> Option<&'static str> {
    let enforced = read("/sys/module/module/parameters/sig_enforce");
    let lockdown = read("/sys/kernel/security/lockdown");
    why_signed_only(enforced.as_deref(), lockdown.as_deref())
}

fn why_signed_only(enforced: Option<&str>, lockdown: Option<&str>) -> Option<&'static str> {
    let is_locked = |text: &str| text.contains("[integrity]") || text.contains("[confidentiality]");
    match (enforced, lockdown) {
        (_, Some(text)) if is_locked(text) => Some("it is locked down"),
        (Some("Y"), _) => Some("module.sig_enforce is set"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_lockdown_counts() {
        let open = "[none] integrity confidentiality";
        assert_eq!(why_signed_only(Some("N"), Some(open)), None);
        assert_eq!(why_signed_only(None, None), None);
        for locked in [
            "none [integrity] confidentiality",
            "none integrity [confidentiality]",
        ] {
            let why = why_signed_only(Some("N"), Some(locked));
            assert_eq!(why, Some("it is locked down"));
        }
        assert!(why_signed_only(Some("Y"), Some(open)).is_some());
    }

    #[test]
    fn what_keeps_dkms_from_building_is_found_in_its_log() {
        let place = tempfile::tempdir().unwrap();
        let (dkms, tree) = (place.path().join("dkms"), place.path().join("build"));
        let why = || why_not_built(&dkms, &tree);
        assert_eq!(why(), NotBuilt::NoPackage);
        fs::create_dir_all(dkms.join("0.1.0/build")).unwrap();
        assert_eq!(why(), NotBuilt::NoHeaders);
        fs::create_dir(&tree).unwrap();
        assert!(matches!(why(), NotBuilt::Failed { why: None, .. }));
        let log = dkms.join("0.1.0/build/make.log");
        let text = format!(
            "DKMS make.log\n{}: the C compiler gcc-99 is missing\nmake: error\n",
            tree.display()
        );
        fs::write(&log, text).unwrap();
        let expected = NotBuilt::Failed {
            log: log.display().to_string(),
            why: Some("the C compiler gcc-99 is missing".to_owned()),
        };
        assert_eq!(why(), expected);
    }

    #[test]
    fn a_module_is_loadable_if_its_alias_is_known() {
        let modules = tempfile::tempdir().unwrap();
        assert!(!is_installed(modules.path()));
        let aliases = modules.path().join("modules.alias");
        fs::write(&aliases, "alias dm-cache-smq dm_cache_smq\n").unwrap();
        assert!(!is_installed(modules.path()));
        fs::write(&aliases, "alias dm-dm-remap-v4 dm_remap_v4\n").unwrap();
        assert!(is_installed(modules.path()));
    }
}
