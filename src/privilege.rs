//! What this process may do, and what to tell whom that is not enough for.

use std::fs;

/// What opening disks and asking the kernel for mapped devices takes, by the number of its bit.
const NEEDED: [(u32, &str); 3] = [
    (1, "CAP_DAC_OVERRIDE"),
    (17, "CAP_SYS_RAWIO"),
    (21, "CAP_SYS_ADMIN"),
];

/// Whether this is root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The needed capabilities that this process does not have; nothing where that cannot be told.
pub fn lacking() -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    lacking_in(&status)
}

fn lacking_in(status: &str) -> Vec<&'static str> {
    let mut lines = status.lines();
    let effective = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    let Some(effective) = effective else {
        return Vec::new();
    };
    let missing = NEEDED
        .into_iter()
        .filter(|(bit, _)| effective >> bit & 1 == 0);
    missing.map(|(_, name)| name).collect()
}

/// What to do where something is not permitted. Root that may not do it is not told to become
/// root.
pub fn advice() -> String {
    advice_for(is_root(), &lacking())
}

fn advice_for(is_root: bool, lacking: &[&str]) -> String {
    match (is_root, lacking) {
        (false, _) => "Run it as root, or as a user who may do this.".to_owned(),
        (true, []) => "This is root, and something else forbids it: in a container give it the \
                       device (--device, or the list of devices of its cgroup); see also what a \
                       security module logs."
            .to_owned(),
        (true, lacking) => format!(
            "This is root without {}, as in a container: give it that, or run it outside.",
            lacking.join(" and ")
        ),
    }
}

/// Whom it takes to open what may not be opened.
pub fn need() -> &'static str {
    match is_root() {
        false => "it takes a user who may open it",
        true => "this root may not open it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_root_lacks_is_named_and_nobody_who_is_root_is_told_to_become_it() {
        let status = |bits: &str| format!("Name:\tx\nCapEff:\t{bits}\nCapBnd:\t0\n");
        assert_eq!(lacking_in(&status("000001ffffffffff")), [""; 0]);
        assert_eq!(
            lacking_in(&status("00000000a80425fb")),
            ["CAP_SYS_RAWIO", "CAP_SYS_ADMIN"]
        );
        assert_eq!(lacking_in(&status("0")).len(), NEEDED.len());
        assert_eq!(lacking_in("Name:\tx\n"), [""; 0]);
        assert_eq!(lacking_in(&status("x")), [""; 0]);
        assert!(advice_for(false, &[]).contains("Run it as root"));
        for lacking in [
            &[][..],
            &["CAP_SYS_ADMIN"],
            &["CAP_SYS_RAWIO", "CAP_SYS_ADMIN"],
        ] {
            let advice = advice_for(true, lacking);
            assert!(!advice.contains("as root"), "{advice}");
            assert!(lacking.iter().all(|it| advice.contains(it)), "{advice}");
            assert!(advice.contains("container"), "{advice}");
        }
    }
}
