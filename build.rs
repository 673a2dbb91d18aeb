//! Links what a short command would otherwise wait for from archives, where the system has
//! them: libblkid, and the compiler's own libgcc.
//!
//! To load libblkid takes a tenth of the instructions of a whole `inspect`, which needs
//! nothing of it; to load and bind libgcc takes longer than `inspect` takes to read its disk.
//! Where there is no archive the shared libraries serve.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const ARCHIVE: &str = "libblkid.a";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    // The linker takes what it finds first, and looks into this directory before the
    // system's, where the shared libraries lie.
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo:rustc-link-search=native={}", out.display());
    link_libgcc(&out)?;
    if env::var_os("CARGO_FEATURE_BLKID").is_some() {
        link_libblkid(&out)?;
    }
    Ok(())
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

/// Has `-lgcc_s` stand for the archives, which come with every compiler of GNU's.
fn link_libgcc(out: &Path) -> io::Result<()> {
    if variable("CARGO_CFG_TARGET_ENV")? == "gnu" {
        fs::write(out.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc )\n")?;
    }
    Ok(())
}

fn link_libblkid(out: &Path) -> io::Result<()> {
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
    fs::copy(&archive, out.join(ARCHIVE))?;
    Ok(())
}
