//! A file system on a block device, made and checked by its own programs, and a tree of
//! files whose content tells whose it is.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{mount, umount, MsFlags};

use crate::block::{Buffer, SECTOR};
use crate::random::Random;
use crate::sys;

/// Where the programs lie, with libraries of their own age.
const PROGRAMS: &str = "/distribution";

/// Where a file system is mounted.
const AT: &str = "/mnt";

/// A kind of file system.
#[derive(Clone, Copy)]
pub struct Kind {
    /// As `mount` names it.
    pub name: &'static str,
    /// The program that makes one, and its words.
    pub make: &'static str,
    /// The program that finds everything wrong with one and changes nothing.
    pub check: &'static str,
}

impl Kind {
    /// Makes a file system on a device.
    pub fn make(&self, device: &Path) {
        run(self.make, device);
    }

    /// Checks the one on a device, which is not mounted.
    pub fn check(&self, device: &Path) {
        run(self.check, device);
    }

    /// Mounts it.
    pub fn mount(&self, device: &Path) {
        fs::create_dir_all(AT).expect("a place to mount at");
        let mounted = mount(
            Some(device),
            AT,
            Some(self.name),
            MsFlags::empty(),
            None::<&str>,
        );
        mounted.unwrap_or_else(|error| panic!("mounting {}: {error}", self.name));
    }

    /// Unmounts it, which writes what is still in memory alone.
    pub fn unmount(&self) {
        umount(AT).unwrap_or_else(|error| panic!("unmounting {}: {error}", self.name));
    }
}

/// Runs a program on a device; it must end well.
fn run(words: &str, device: &Path) {
    let mut words = words.split(' ');
    let name = words.next().unwrap_or_default();
    let output = Command::new(format!("{PROGRAMS}/lib64/ld-linux-x86-64.so.2"))
        .args([
            "--library-path",
            &format!("{PROGRAMS}/lib/x86_64-linux-gnu"),
        ])
        .arg(format!("{PROGRAMS}/usr/sbin/{name}"))
        .args(words)
        .arg(device)
        .env_clear()
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        panic!("{name} on {}: {}: {said}", device.display(), output.status);
    }
}

/// What a file must hold.
#[derive(Clone, Copy)]
struct Content {
    version: u64,
    length: usize,
}

impl Content {
    fn bytes(self, file: u64) -> Vec<u8> {
        let sectors = self.length.div_ceil(SECTOR) as u64;
        let mut buffer = Buffer::sectors(sectors);
        buffer.fill(file << 20, self.version);
        buffer.bytes()[..self.length].to_vec()
    }
}

/// The files of a mounted file system, and what each must hold.
#[derive(Default)]
pub struct Tree {
    files: BTreeMap<u64, Content>,
    next: u64,
    version: u64,
}

/// Folders that the files are spread over.
const FOLDERS: u64 = 8;

/// The longest file, in bytes.
const LONGEST: u64 = 96 * 1024;

impl Tree {
    /// Makes the folders of an empty file system.
    pub fn plant() -> Self {
        for folder in 0..FOLDERS {
            fs::create_dir(Path::new(AT).join(folder.to_string())).expect("a folder is made");
        }
        Self::default()
    }

    /// Creates, rewrites, shortens, syncs and deletes files at random, so many times.
    pub fn exercise(&mut self, random: &mut Random, times: u64) {
        for _ in 0..times {
            match random.below(10) {
                0..=3 => {
                    self.next += 1;
                    let length = 1 + random.below(LONGEST) as usize;
                    self.write(self.next, length, random.below(2) == 0);
                }
                4..=6 => {
                    if let Some((file, content)) = self.some_file(random) {
                        self.write(file, content.length, random.below(2) == 0);
                    }
                }
                7 => {
                    if let Some((file, content)) = self.some_file(random) {
                        let length = content.length / 2;
                        let opened = OpenOptions::new().write(true).open(path_of(file));
                        let cut = opened.and_then(|opened| opened.set_len(length as u64));
                        cut.expect("a file is shortened");
                        self.files.insert(file, Content { length, ..content });
                    }
                }
                _ => {
                    if let Some((file, _)) = self.some_file(random) {
                        fs::remove_file(path_of(file)).expect("a file is deleted");
                        self.files.remove(&file);
                    }
                }
            }
        }
    }

    fn some_file(&self, random: &mut Random) -> Option<(u64, Content)> {
        let count = self.files.len() as u64;
        let nth = (count > 0).then(|| random.below(count))?;
        self.files
            .iter()
            .nth(nth as usize)
            .map(|(file, content)| (*file, *content))
    }

    /// Writes all of a file anew, over what it held.
    fn write(&mut self, file: u64, length: usize, sync: bool) {
        self.version += 1;
        let content = Content {
            version: self.version,
            length,
        };
        let written = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            let opened = options
                .create(true)
                .write(true)
                .truncate(false)
                .open(path_of(file))?;
            (&opened).write_all(&content.bytes(file))?;
            if sync {
                opened.sync_all()?;
            }
            Ok(())
        };
        written().unwrap_or_else(|error| panic!("writing file {file}: {error}"));
        self.files.insert(file, content);
    }

    /// Writes a file anew as it is long, and makes it durable.
    pub fn rewrite(&mut self, file: u64) {
        let length = self.files[&file].length;
        self.write(file, length, true);
    }

    /// Reads a file and checks it.
    ///
    /// # Errors
    ///
    /// What reading it gives.
    pub fn check(&self, file: u64) -> io::Result<()> {
        let holds = fs::read(path_of(file))?;
        let content = self.files[&file];
        assert!(
            holds == content.bytes(file),
            "file {file} does not hold version {} of {} bytes",
            content.version,
            content.length
        );
        Ok(())
    }

    /// Checks that every file is there and holds what it must, and that no other is there.
    pub fn check_all(&self) {
        let mut found: Vec<u64> = Vec::new();
        for folder in 0..FOLDERS {
            let folder = Path::new(AT).join(folder.to_string());
            for entry in fs::read_dir(folder).expect("a folder is listed") {
                let name = entry.expect("a folder is listed").file_name();
                let name = name.to_str().and_then(|name| name.parse().ok());
                found.push(name.expect("a file has a number for its name"));
            }
        }
        found.sort_unstable();
        let should: Vec<u64> = self.files.keys().copied().collect();
        assert_eq!(found, should, "the files that are there");
        for file in should {
            self.check(file)
                .unwrap_or_else(|error| panic!("reading file {file}: {error}"));
        }
    }

    /// Where on its device the first blocks of up to `count` files lie: the file, and a
    /// sector. Only files are taken of which that block is not the last.
    pub fn places(&self, random: &mut Random, count: usize) -> Vec<(u64, u64)> {
        let mut places = BTreeMap::new();
        for _ in 0..count * 4 {
            let Some((file, content)) = self.some_file(random) else {
                break;
            };
            if content.length > 2 * 4096 && places.len() < count {
                let opened = File::open(path_of(file)).expect("a file opens");
                let sector = sys::first_sector_of(&opened).expect("it lies somewhere");
                places.insert(file, sector);
            }
        }
        places.into_iter().collect()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }
}

fn path_of(file: u64) -> PathBuf {
    Path::new(AT)
        .join((file % FOLDERS).to_string())
        .join(file.to_string())
}
