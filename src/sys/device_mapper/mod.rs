//! Device-mapper on this machine: what there is of it, and the way to it.

#[cfg(not(feature = "device-mapper"))]
mod absent;
#[cfg(feature = "device-mapper")]
mod control;
mod facilities;
#[cfg(feature = "device-mapper")]
mod failure;
#[cfg(feature = "device-mapper")]
mod kernel_log;
#[cfg(feature = "device-mapper")]
mod node;
mod sysfs;
#[cfg(feature = "device-mapper")]
mod watch;

#[cfg(not(feature = "device-mapper"))]
pub use absent::KernelDeviceMapper;
#[cfg(feature = "device-mapper")]
pub use control::KernelDeviceMapper;

/// Where udev listens while it runs.
const UDEV: &str = "/run/udev/control";

/// The control device.
#[cfg(feature = "device-mapper")]
const CONTROL: &str = "/dev/mapper/control";
