//! What a failed request to device-mapper means, in words.

use devicemapper::errors::Error as CoreError;
use devicemapper::DmError;
use nix::errno::Errno;

use super::kernel_log::KernelLog;
use crate::port::HostError;
use crate::text::escape_str;

/// The operating system's error in one of the bindings' errors, if it is one.
pub(super) fn errno(error: &DmError) -> Option<Errno> {
    match error {
        DmError::Core(CoreError::Ioctl(.., errno)) => Some(**errno),
        _ => None,
    }
}

/// What it means that a request about the mapped device `name` failed.
pub(super) fn of_device(name: &str, error: &DmError) -> HostError {
    let shown = escape_str(name);
    match errno(error) {
        Some(Errno::EACCES | Errno::EPERM) => not_permitted(),
        Some(Errno::ENXIO) => HostError::NotFound(format!("mapped device {shown}")),
        Some(errno) => HostError::Io {
            what: format!("mapped device {shown}"),
            source: errno.into(),
        },
        None => HostError::Refused(format!("mapped device {shown}: {}", words(error))),
    }
}

/// What it means that a target refused something: its reason stands in the kernel's log.
pub(super) fn of_target(name: &str, error: &DmError, log: &mut KernelLog) -> HostError {
    let refused =
        errno(error).filter(|errno| !matches!(errno, Errno::EACCES | Errno::EPERM | Errno::ENXIO));
    match (refused, log.reasons()) {
        (Some(errno), Some(reasons)) => HostError::Refused(format!(
            "{}: {} ({})",
            escape_str(name),
            escape_str(&reasons),
            errno.desc()
        )),
        _ => of_device(name, error),
    }
}

/// The refusal to all but root.
pub(super) fn not_permitted() -> HostError {
    HostError::NotPermitted("device-mapper answers root alone, with CAP_SYS_ADMIN".to_owned())
}

/// The bindings' own words: of an ioctl they would print every field of its header.
fn words(error: &DmError) -> String {
    let text = match error {
        DmError::Core(error) => error.to_string(),
        DmError::Dm(_, text) => text.clone(),
    };
    escape_str(&text).into_owned()
}
