//! The journal as files: one line of JSON for each beginning and each end, and two
//! backup files for each action that writes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{access, AccessFlags};
use serde::{Deserialize, Serialize};

use super::{clock, host_error};
use crate::format::backup::MAX_FILE_BYTES;
use crate::own_file;
use crate::port::journal::{
    ActionId, ActionRecord, BackupFiles, BackupSide, Begun, Ended, Journal, UnreadLines,
};
use crate::port::HostError;
use crate::remap_core::units::Timestamp;
use crate::text::escape_path;

/// The version of the lines.
const VERSION: u32 = 1;

/// The file of the lines.
const LINES: &str = "journal.jsonl";

/// The file whose lock whoever writes holds.
const LOCK: &str = "lock";

/// A journal in a directory, which is made when something is first logged.
#[derive(Clone, Debug)]
pub struct FileJournal {
    directory: PathBuf,
}

/// One line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    version: u32,
    id: ActionId,
    time_seconds: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Begin {
        #[serde(flatten)]
        begun: Begun,
        has_backup: bool,
    },
    End(Ended),
}

/// What the file of the lines holds.
#[derive(Debug, Default)]
struct Lines {
    /// Those that can be read.
    read: Vec<Line>,
    /// The others.
    unread: UnreadLines,
    /// The highest number in any of them.
    last: Option<u64>,
}

/// What a line of any version has.
#[derive(Debug, Deserialize)]
struct AnyLine {
    version: u32,
    #[serde(default)]
    id: Option<u64>,
}

impl Lines {
    fn take(&mut self, line: &[u8]) {
        if line.is_empty() {
            return;
        }
        let any: Option<AnyLine> = serde_json::from_slice(line).ok();
        self.last = self.last.max(any.as_ref().and_then(|any| any.id));
        match (any, serde_json::from_slice(line)) {
            (Some(any), _) if any.version > VERSION => self.unread.newer += 1,
            (Some(any), Ok(line)) if any.version == VERSION => self.read.push(line),
            _ => self.unread.damaged += 1,
        }
    }
}

impl FileJournal {
    /// The journal in `directory`, which need not exist yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn backup_path(&self, id: ActionId, side: BackupSide) -> PathBuf {
        self.path(&match side {
            BackupSide::Before => format!("{id}.bin"),
            BackupSide::After => format!("{id}.after.bin"),
        })
    }

    /// Waits until nobody else writes. The lock ends with the returned file.
    fn lock(&self) -> Result<File, HostError> {
        let failed = |source| host_error(&self.directory, source);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(failed)?;
        let path = self.path(LOCK);
        let failed = |source| host_error(&path, source);
        let mut options = private();
        let file = own_file::open(options.create(true).truncate(false), &path);
        let file = file.map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    /// Every line. One that a crash cut short cannot be read.
    fn lines(&self) -> Result<Lines, HostError> {
        let path = self.path(LINES);
        let text = match own_file::read(&path) {
            Ok(text) => text,
            Err(error) if own_file::is_absent(&error) => return Ok(Lines::default()),
            Err(error) => return Err(host_error(&path, error)),
        };
        let mut lines = Lines::default();
        for line in text.split(|byte| *byte == b'\n') {
            lines.take(line);
        }
        Ok(lines)
    }

    /// The number of the next action: above every line's and every backup's, for a
    /// crash can leave backups without a line.
    fn next_id(&self) -> Result<ActionId, HostError> {
        let failed = |source| host_error(&self.directory, source);
        let mut last = self.lines()?.last;
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let name = name.to_string_lossy();
            let number = name.strip_suffix(".bin").and_then(|name| {
                let name = name.strip_suffix(".after").unwrap_or(name);
                name.parse().ok()
            });
            last = last.max(number);
        }
        let next = last.unwrap_or(0).checked_add(1);
        next.map(ActionId::new).ok_or_else(|| {
            HostError::Refused(format!(
                "the journal in {} has an action of the highest number there is, so none can \
                 follow: move the directory away to begin anew",
                escape_path(&self.directory)
            ))
        })
    }

    /// Appends one line and returns when it is durable.
    fn append(&self, line: &Line) -> Result<(), HostError> {
        let path = self.path(LINES);
        let append = || -> io::Result<()> {
            let mut options = private();
            let mut file = own_file::open(options.create(true).read(true).append(true), &path)?;
            let mut text = serde_json::to_vec(line)?;
            text.push(b'\n');
            if !ends_with_newline(&mut file)? {
                // What a crash cut short must not spoil this line.
                text.insert(0, b'\n');
            }
            file.write_all(&text)?;
            file.sync_all()
        };
        append().map_err(|source| host_error(&path, source))?;
        self.sync_directory()
    }

    fn write_backup(&self, id: ActionId, side: BackupSide, bytes: &[u8]) -> Result<(), HostError> {
        let path = self.backup_path(id, side);
        let write = || -> io::Result<()> {
            let mut file = private().create_new(true).open(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| host_error(&path, source))
    }

    fn sync_directory(&self) -> Result<(), HostError> {
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| host_error(&self.directory, source))
    }

    fn line(id: ActionId, what: What) -> Line {
        Line {
            version: VERSION,
            id,
            time_seconds: clock::now().get(),
            what,
        }
    }
}

/// How every file of the journal is opened: it holds bytes of disks.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    use std::io::{Seek as _, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == [b'\n'])
}

/// The nearest directory above `path` that is there.
fn nearest(path: &Path) -> &Path {
    let mut above = path.ancestors();
    let found = above.find(|path| path.symlink_metadata().is_ok());
    // The directory in which a relative path begins has no name in it.
    found.unwrap_or(Path::new("."))
}

impl Journal for FileJournal {
    fn unread(&mut self) -> Result<UnreadLines, HostError> {
        Ok(self.lines()?.unread)
    }

    fn ready(&self) -> Result<(), HostError> {
        let place = nearest(&self.directory);
        let failed = |source| host_error(place, source);
        if !fs::metadata(place).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let to_make = AccessFlags::W_OK | AccessFlags::X_OK;
        access(place, to_make).map_err(|errno| failed(errno.into()))?;
        for name in [LOCK, LINES] {
            let path = self.path(name);
            match own_file::open(&mut private(), &path) {
                Err(error) if !own_file::is_absent(&error) => return Err(host_error(&path, error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn beside(&self) -> Box<dyn Journal> {
        Box::new(self.clone())
    }

    fn actions(&mut self) -> Result<Vec<ActionRecord>, HostError> {
        let mut actions: Vec<ActionRecord> = Vec::new();
        for line in self.lines()?.read {
            match line.what {
                What::Begin { begun, has_backup } => actions.push(ActionRecord {
                    id: line.id,
                    time: Timestamp::new(line.time_seconds),
                    begun,
                    has_backup,
                    ended: None,
                    undone_by: None,
                }),
                What::End(ended) => {
                    let action = actions.iter_mut().rfind(|action| action.id == line.id);
                    if let Some(action) = action {
                        action.ended = Some(ended);
                    }
                }
            }
        }
        mark_undone(&mut actions);
        Ok(actions)
    }

    fn begin(
        &mut self,
        begun: &Begun,
        backup: Option<BackupFiles<'_>>,
    ) -> Result<ActionId, HostError> {
        let _lock = self.lock()?;
        let id = self.next_id()?;
        if let Some(files) = &backup {
            self.write_backup(id, BackupSide::Before, files.before)?;
            self.write_backup(id, BackupSide::After, files.after)?;
            self.sync_directory()?;
        }
        self.append(&Self::line(
            id,
            What::Begin {
                begun: begun.clone(),
                has_backup: backup.is_some(),
            },
        ))?;
        Ok(id)
    }

    fn end(&mut self, id: ActionId, ended: &Ended) -> Result<(), HostError> {
        let _lock = self.lock()?;
        self.append(&Self::line(id, What::End(ended.clone())))
    }

    fn backup(&mut self, id: ActionId, side: BackupSide) -> Result<Vec<u8>, HostError> {
        let path = self.backup_path(id, side);
        let failed = |source| host_error(&path, source);
        let file = own_file::open(OpenOptions::new().read(true), &path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > MAX_FILE_BYTES as u64 {
            let path = escape_path(&path);
            return Err(HostError::Refused(format!(
                "{path} is larger than any backup"
            )));
        }
        let mut bytes = Vec::new();
        let mut limited = file.take(MAX_FILE_BYTES as u64);
        limited.read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }
}

/// An action counts as taken back by the last completed one that undid it, unless that
/// one was taken back in turn.
fn mark_undone(actions: &mut [ActionRecord]) {
    for index in (0..actions.len()).rev() {
        let undoing = &actions[index];
        let counts =
            undoing.undone_by.is_none() && undoing.ended.as_ref().is_some_and(|ended| ended.done);
        let (true, Some(undone), by) = (counts, undoing.begun.undoes, undoing.id) else {
            continue;
        };
        let target = actions.iter_mut().find(|action| action.id == undone);
        if let Some(action) = target {
            action.undone_by.get_or_insert(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn begun(undoes: Option<u64>) -> Begun {
        Begun {
            operation: "corrupt".to_owned(),
            title: "Corrupt copy 1".to_owned(),
            command: "dmremap-tui corrupt x".to_owned(),
            name: None,
            device: Some("/x".to_owned()),
            undoes: undoes.map(ActionId::new),
            activates: None,
            with: None,
        }
    }

    fn done() -> Ended {
        Ended {
            done: true,
            summary: "done".to_owned(),
            rolled_back: false,
        }
    }

    const FILES: BackupFiles<'_> = BackupFiles {
        before: b"was",
        after: b"is",
    };

    #[test]
    fn what_was_logged_is_told_and_kept_from_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/journal");
        let mut journal = FileJournal::new(&path);
        assert_eq!(journal.actions().unwrap(), []);
        assert!(!path.exists(), "reading makes nothing");
        let first = journal.begin(&begun(None), Some(FILES)).unwrap();
        let second = journal.begin(&begun(None), None).unwrap();
        journal.end(first, &done()).unwrap();
        let actions = FileJournal::new(&path).actions().unwrap();
        assert_eq!(actions.len(), 2);
        assert_eq!((first.get(), second.get()), (1, 2));
        assert_eq!(actions[0].ended, Some(done()));
        assert_eq!(
            (actions[0].has_backup, actions[1].has_backup),
            (true, false)
        );
        assert_eq!(actions[1].ended, None, "cut off");
        assert_eq!(journal.backup(first, BackupSide::Before).unwrap(), b"was");
        assert_eq!(journal.backup(first, BackupSide::After).unwrap(), b"is");
        assert!(journal.backup(second, BackupSide::Before).is_err());
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        }
    }

    #[test]
    fn a_line_cut_short_spoils_neither_itself_nor_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::new(directory.path());
        let first = journal.begin(&begun(None), None).unwrap();
        journal.end(first, &done()).unwrap();
        let lines = directory.path().join(LINES);
        let whole = fs::read(&lines).unwrap();
        let begin = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in begin..whole.len() {
            fs::write(&lines, &whole[..cut]).unwrap();
            let actions = journal.actions().unwrap();
            assert_eq!(actions.len(), 1);
            let complete = cut == whole.len() - 1;
            assert_eq!(actions[0].ended.is_some(), complete, "cut at {cut}");
            let next = journal.begin(&begun(None), None).unwrap();
            assert_eq!(next.get(), 2);
            assert_eq!(journal.actions().unwrap().len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_counted_and_their_numbers_not_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::new(directory.path());
        journal.begin(&begun(None), None).unwrap();
        let lines = directory.path().join(LINES);
        let mut text = fs::read(&lines).unwrap();
        text.extend(b"{\"version\":2,\"id\":7,\"kind\":\"of its own\"}\n");
        text.extend(
            b"{\"version\":3}\n\n{\"version\":1,\"id\":9}\n\xff\x1b[2J\n{}\n{\"version\":0}\n[",
        );
        fs::write(&lines, &text).unwrap();
        let unread = UnreadLines {
            newer: 2,
            damaged: 5,
        };
        assert_eq!(journal.unread().unwrap(), unread);
        assert_eq!(journal.actions().unwrap().len(), 1);
        let next = journal.begin(&begun(None), None).unwrap();
        assert_eq!(next.get(), 10);
        assert_eq!(journal.unread().unwrap(), unread);
        assert_eq!(journal.actions().unwrap().len(), 2);
    }

    #[test]
    fn no_action_follows_the_highest_number_there_is() {
        for (name, text) in [
            (LINES, "{\"version\":2,\"id\":18446744073709551615}\n"),
            ("18446744073709551615.bin", ""),
            ("18446744073709551615.after.bin", ""),
        ] {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join(name), text).unwrap();
            let mut journal = FileJournal::new(directory.path());
            let refused = journal.begin(&begun(None), Some(FILES)).unwrap_err();
            assert!(
                matches!(refused, HostError::Refused(_)),
                "{name}: {refused}"
            );
            let files = fs::read_dir(directory.path()).unwrap().count();
            assert!(files <= 2, "{name}: nothing but a lock was made");
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("18446744073709551616.bin"), "").unwrap();
        let mut journal = FileJournal::new(directory.path());
        assert_eq!(journal.begin(&begun(None), None).unwrap().get(), 1);
    }

    #[test]
    fn a_backup_that_a_crash_left_alone_is_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::new(directory.path());
        fs::write(directory.path().join("7.after.bin"), b"orphan").unwrap();
        let id = journal.begin(&begun(None), Some(FILES)).unwrap();
        assert_eq!(id.get(), 8);
        assert_eq!(
            fs::read(directory.path().join("7.after.bin")).unwrap(),
            b"orphan"
        );
    }

    #[test]
    fn an_undo_that_was_taken_back_undoes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = FileJournal::new(directory.path());
        let undone = |journal: &mut FileJournal| -> Vec<Option<u64>> {
            let actions = journal.actions().unwrap();
            let by = actions.iter().map(|action| action.undone_by);
            by.map(|by| by.map(ActionId::get)).collect()
        };
        for undoes in [None, Some(1), Some(2)] {
            let id = journal.begin(&begun(undoes), Some(FILES)).unwrap();
            if undoes == Some(1) {
                assert_eq!(undone(&mut journal), [None, None], "not yet completed");
            }
            journal.end(id, &done()).unwrap();
            if undoes == Some(1) {
                assert_eq!(undone(&mut journal), [Some(2), None]);
            }
        }
        assert_eq!(undone(&mut journal), [None, Some(3), None]);
    }
}
