//! Links libblkid from its archive where the system has one.
//!
//! To load the shared library takes a tenth of the instructions of a whole `inspect`, which
//! needs nothing of it. Where there is no archive the shared library serves.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const ARCHIVE: &str = "libblkid.a";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BLKID").is_none() {
        return Ok(());
    }
    let variable = |name| env::var(name).map_err(io::Error::other);
    let target = variable("TARGET")?;
    let mut places = vec![PathBuf::from(format!(
        "/usr/lib/{}-linux-gnu",
        variable("CARGO_CFG_TARGET_ARCH")?
    ))];
    // Without the architecture in its name a directory holds the machine's own.
    if variable("HOST")? == target {
        places.extend(["/usr/lib64", "/usr/lib"].map(PathBuf::from));
    }
    let Some(archive) = places
        .iter()
        .map(|place| place.join(ARCHIVE))
        .find(|path| path.exists())
    else {
        return Ok(());
    };
    println!("cargo:rerun-if-changed={}", archive.display());
    // The linker takes what it finds first, and looks into this directory before the
    // system's, where the shared library lies beside the archive.
    let out = variable("OUT_DIR")?;
    fs::copy(&archive, Path::new(&out).join(ARCHIVE))?;
    println!("cargo:rustc-link-search=native={out}");
    Ok(())
}
