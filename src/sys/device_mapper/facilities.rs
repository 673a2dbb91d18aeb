//! What there is on this machine to bring up mapped devices with.

use std::fs;
use std::path::Path;

use crate::port::device_mapper::{Control, Facilities, TargetModule, MODULE};
use crate::remap_core::params::TARGET_NAME;

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
        false => TargetModule::NotInstalled,
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
