//! Files of our own: regular ones, read without waiting for anybody, replaced as a whole or
//! not at all.

use std::fs::{self, File, FileType, Metadata, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    fchown, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;

/// How long somebody else may change a file before that is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before the lock is tried again.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Opens the regular file at `path`; through anything else nothing is read or written. A FIFO
/// would be waited for without end, and to open a device can have consequences.
///
/// # Errors
///
/// What the operating system says, or what is there in place of a file.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    if let Ok(found) = fs::metadata(path) {
        require_regular(found.file_type())?;
    }
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = options.custom_flags(flags.bits()).open(path)?;
    // It may have come to be something else meanwhile.
    require_regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// Reads the regular file at `path`.
///
/// # Errors
///
/// As those of [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(OpenOptions::new().read(true), path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the text in the regular file at `path`. The null device has none: to name it is the
/// way to say that there is no file.
///
/// # Errors
///
/// As those of [`open`], and that it is no text.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    if fs::metadata(path).is_ok_and(|found| is_null(&found)) {
        return Ok(String::new());
    }
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

fn is_null(found: &Metadata) -> bool {
    found.file_type().is_char_device() && found.rdev() == nix::sys::stat::makedev(1, 3)
}

/// Whether this error says that there is no such file, nor any place for one.
pub fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

fn require_regular(kind: FileType) -> io::Result<()> {
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() => "a character device",
        kind if kind.is_block_device() => "a block device",
        _ => "something else",
    };
    let why = format!("it is {what}, not a regular file");
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// A file that nobody else of ours changes meanwhile: what is read is what is replaced.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    /// The directory, whose lock lasts as long as this is open.
    directory: File,
}

impl Held {
    /// Waits until nobody else changes the file at `path`, which need not be there. Where the
    /// path is a symbolic link, what it leads to is meant: files that are kept elsewhere stay
    /// there.
    ///
    /// # Errors
    ///
    /// What the operating system says, or what is there in place of a file.
    pub fn take(path: &Path) -> io::Result<Self> {
        let path = match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => fs::canonicalize(path)?,
            _ => path.to_owned(),
        };
        if let Ok(found) = fs::metadata(&path) {
            require_regular(found.file_type())?;
        }
        let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
        let directory = File::open(directory.unwrap_or(Path::new(".")))?;
        let mut waited = Duration::ZERO;
        loop {
            match directory.try_lock() {
                Ok(()) => return Ok(Self { path, directory }),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if waited >= PATIENCE => {
                    let why = "somebody else is changing what is in its directory";
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
            }
            waited += BETWEEN_TRIES;
        }
    }

    /// Puts `bytes` in the place of the file, with the permissions and the owner that it has;
    /// a file that is not there yet gets the permissions `mode`.
    ///
    /// # Errors
    ///
    /// What the operating system says; the old file is there still then.
    pub fn replace(&self, bytes: &[u8], mode: u32) -> io::Result<()> {
        let old = match fs::symlink_metadata(&self.path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(old) = &old {
            require_regular(old.file_type())?;
        }
        let (new, mut file) = create_beside(&self.path, mode)?;
        let written = old
            .map_or(Ok(()), |old| keep_owner(&file, &old))
            .and_then(|()| file.write_all(bytes))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&new, &self.path));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        self.directory.sync_all()
    }
}

/// Puts `bytes` in the place of the file at `path`, as [`Held::replace`] does.
///
/// # Errors
///
/// As those of [`Held::take`] and [`Held::replace`].
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    Held::take(path)?.replace(bytes, mode)
}

/// A file of somebody else's stays theirs, also where root writes it.
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    let mode = old.permissions().mode() & 0o7777;
    file.set_permissions(fs::Permissions::from_mode(mode))
}

/// Creates a file beside `path`, under a name that nobody has and nobody can know before.
fn create_beside(path: &Path, mode: u32) -> io::Result<(PathBuf, File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    loop {
        let number = RandomState::new().hash_one(std::process::id());
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{number:016x}"));
        let new = path.with_file_name(name);
        match options.open(&new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return Ok((new, created?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    #[test]
    fn permissions_and_links_stay_and_nothing_is_left_beside() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        replace(&file, b"one", 0o600).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        // More than a new file would be given.
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("file", &link).unwrap();
        replace(&link, b"two", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(mode(&file), 0o666);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_stands_beside_a_file_is_nobody_s_to_remove() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let others = ["file.new", "file.tmp", "file~", ".file.swp", ".file"];
        for other in others {
            fs::write(directory.path().join(other), other).unwrap();
        }
        replace(&file, b"one", 0o600).unwrap();
        replace(&file, b"two", 0o600).unwrap();
        for other in others {
            let kept = fs::read_to_string(directory.path().join(other)).unwrap();
            assert_eq!(kept, other);
        }
        let files = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(files, others.len() + 1);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_no_place_for_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let error = replace(&link, b"text", 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_regular_files_are_read_written_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let folder = directory.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for (path, what) in [
            (&fifo, "a FIFO"),
            (&socket, "a socket"),
            (&folder, "a directory"),
            (&link, "a character device"),
        ] {
            let before = fs::symlink_metadata(path).unwrap();
            for error in [
                read(path).unwrap_err(),
                read_to_string(path).unwrap_err(),
                open(OpenOptions::new().append(true).create(true), path).unwrap_err(),
                replace(path, b"text", 0o600).unwrap_err(),
            ] {
                assert!(error.to_string().contains(what), "{error}");
            }
            let after = fs::symlink_metadata(path).unwrap();
            assert_eq!(before.ino(), after.ino(), "{what}");
        }
        let null = Path::new("/dev/null");
        assert_eq!(read_to_string(null).unwrap(), "");
        assert!(replace(null, b"text", 0o600).is_err());
        assert!(fs::metadata(null).unwrap().file_type().is_char_device());
    }

    #[test]
    fn of_many_changes_at_once_none_is_lost() {
        const EACH: usize = 20;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let append = |who: char| {
            for _ in 0..EACH {
                let held = Held::take(&file).unwrap();
                let mut text = fs::read_to_string(&file).unwrap_or_default();
                text.push(who);
                held.replace(text.as_bytes(), 0o600).unwrap();
            }
        };
        thread::scope(|scope| {
            for who in ['a', 'b', 'c'] {
                scope.spawn(move || append(who));
            }
        });
        let text = fs::read_to_string(&file).unwrap();
        for who in ['a', 'b', 'c'] {
            assert_eq!(text.matches(who).count(), EACH, "{text}");
        }
    }
}
