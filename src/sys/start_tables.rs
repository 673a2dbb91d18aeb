//! Tables below `/etc` that say which disks are mounted, opened and assembled at start.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No table of this kind is longer; what is behind it is not read.
const LONGEST: u64 = 1 << 20;

/// Reads each table that there is. What is no regular file, or cannot be read, is left out.
pub(super) fn read(etc: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = ["fstab", "crypttab", "mdadm/mdadm.conf", "mdadm.conf"]
        .map(|name| etc.join(name))
        .to_vec();
    for directory in ["mdadm/mdadm.conf.d", "mdadm.conf.d"] {
        let entries = fs::read_dir(etc.join(directory)).into_iter().flatten();
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<PathBuf> = files
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "conf")
            })
            .collect();
        files.sort();
        paths.extend(files);
    }
    let tables = paths.into_iter().filter_map(|path| {
        // Opening a FIFO would wait for a writer.
        let is_file = fs::metadata(&path).ok()?.is_file();
        let file = is_file.then(|| File::open(&path).ok()).flatten()?;
        let mut text = Vec::new();
        file.take(LONGEST).read_to_end(&mut text).ok()?;
        Some((path, text))
    });
    tables.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_and_what_is_none_is_left_out() {
        let etc = tempfile::tempdir().unwrap();
        let path = |name: &str| etc.path().join(name);
        assert_eq!(read(etc.path()), []);
        fs::create_dir_all(path("mdadm/mdadm.conf.d")).unwrap();
        fs::write(path("fstab"), "x").unwrap();
        fs::create_dir(path("crypttab")).unwrap();
        nix::unistd::mkfifo(&path("mdadm/mdadm.conf"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        fs::write(path("mdadm/mdadm.conf.d/b.conf"), vec![b'#'; 3 << 20]).unwrap();
        fs::write(path("mdadm/mdadm.conf.d/a.conf~"), "y").unwrap();
        let found = read(etc.path());
        let names: Vec<_> = found
            .iter()
            .map(|(path, text)| (path.clone(), text.len()))
            .collect();
        let long = usize::try_from(LONGEST).unwrap();
        assert_eq!(
            names,
            [
                (path("fstab"), 1),
                (path("mdadm/mdadm.conf.d/b.conf"), long)
            ]
        );
    }
}
