//! Disks by their serial numbers, which is all that stays the same of them.

use std::fs;
use std::path::PathBuf;

use crate::machine::wait_for;

/// The node of the disk with this serial number, if the disk is here.
pub fn find(serial: &str) -> Option<PathBuf> {
    let disks = fs::read_dir("/sys/class/block").expect("sysfs is mounted");
    let disk = disks.filter_map(Result::ok).find(|disk| {
        let told = fs::read_to_string(disk.path().join("serial"));
        told.is_ok_and(|told| told.trim() == serial)
    })?;
    Some(PathBuf::from("/dev").join(disk.file_name()))
}

/// The node of a disk that must be here.
pub fn node(serial: &str) -> String {
    let node = find(serial).unwrap_or_else(|| panic!("no disk {serial}"));
    node.to_str().expect("ASCII").to_owned()
}

/// A disk that was taken away.
pub struct Away {
    serial: String,
    device: String,
}

/// Takes a disk away from the machine, as if it were unplugged.
pub fn take_away(serial: &str) -> Away {
    let name = node(serial).replace("/dev/", "");
    let device = fs::canonicalize(format!("/sys/class/block/{name}/device"));
    let device = device.expect("a virtual disk hangs on a virtual bus");
    let device = device
        .file_name()
        .expect("a name")
        .to_str()
        .expect("ASCII")
        .to_owned();
    fs::write("/sys/bus/virtio/drivers/virtio_blk/unbind", &device).expect("it can be unplugged");
    wait_for("the disk is gone", || find(serial).is_none());
    Away {
        serial: serial.to_owned(),
        device,
    }
}

impl Away {
    /// Plugs it in again.
    pub fn bring_back(self) {
        let bind = "/sys/bus/virtio/drivers/virtio_blk/bind";
        fs::write(bind, &self.device).expect("it can be plugged in");
        wait_for("the disk is back", || find(&self.serial).is_some());
    }
}
