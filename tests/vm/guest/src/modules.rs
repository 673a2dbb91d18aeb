//! Kernel modules.

use std::ffi::CString;
use std::fs::File;
use std::io;

use nix::kmod::{delete_module, finit_module, DeleteModuleFlags, ModuleInitFlags};

/// The modules that the tests stand on, each after those it needs; a kernel may have
/// some built in.
const STOCK: [(&str, &str); 18] = [
    ("configfs", ""),
    ("null_blk", "nr_devices=0"),
    ("dm_mod", ""),
    ("dm_delay", ""),
    ("dm_flakey", ""),
    ("dm_log_writes", ""),
    ("libcrc32c", ""),
    ("dm_bufio", ""),
    ("dm_persistent_data", ""),
    ("dm_bio_prison", ""),
    ("dm_thin_pool", ""),
    ("xfs", ""),
    ("virtio", ""),
    ("virtio_ring", ""),
    ("virtio_pci_legacy_dev", ""),
    ("virtio_pci_modern_dev", ""),
    ("virtio_pci", ""),
    ("virtio_blk", ""),
];

/// Loads every module that the tests stand on, and the one that is tested.
///
/// # Errors
///
/// The first that cannot be loaded.
pub fn load_all() -> io::Result<()> {
    for (name, parameters) in STOCK {
        if std::path::Path::new(&path(name)).exists() {
            load(name, parameters)?;
        }
    }
    load("dm_remap_v4", "")
}

/// Loads one module.
///
/// # Errors
///
/// What the kernel says, with the module's name.
pub fn load(name: &str, parameters: &str) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
    let file = File::open(path(name)).map_err(named)?;
    let parameters = CString::new(parameters)?;
    let loaded = finit_module(&file, &parameters, ModuleInitFlags::empty());
    loaded.map_err(|errno| named(errno.into()))
}

/// Unloads one module.
///
/// # Errors
///
/// What the kernel says.
pub fn unload(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    Ok(delete_module(&name, DeleteModuleFlags::O_NONBLOCK)?)
}

fn path(name: &str) -> String {
    format!("/modules/{name}.ko")
}
