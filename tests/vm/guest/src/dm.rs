//! Device-mapper, through its ioctls.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::kernel_log::KernelLog;
use crate::sys;

const HEADER_BYTES: usize = 312;
const ANSWER_BYTES: usize = 64 * 1024;

const DEV_CREATE: u8 = 3;
const DEV_REMOVE: u8 = 4;
const LIST_DEVICES: u8 = 2;
const DEV_SUSPEND: u8 = 6;
const DEV_STATUS: u8 = 7;
const TABLE_LOAD: u8 = 9;
const TABLE_DEPS: u8 = 11;
const TABLE_STATUS: u8 = 12;
const TARGET_MESSAGE: u8 = 14;

const READ_ONLY: u32 = 1;
const SUSPEND: u32 = 1 << 1;
const STATUS_TABLE: u32 = 1 << 4;
const BUFFER_FULL: u32 = 1 << 8;
const DATA_OUT: u32 = 1 << 16;
const MEASUREMENT: u32 = 1 << 19;

/// One line of a table.
pub struct Line {
    /// Where it begins on the mapped device, in sectors.
    pub start: u64,
    /// How long it is, in sectors.
    pub length: u64,
    /// The target's name.
    pub target: &'static str,
    /// The target's words.
    pub words: String,
}

/// The header and what follows it.
struct Request {
    words: Vec<u64>,
}

impl Request {
    fn new(name: &str, flags: u32, payload: &[u8]) -> Self {
        let length = (HEADER_BYTES + payload.len())
            .max(ANSWER_BYTES)
            .next_multiple_of(8);
        let mut bytes = vec![0; length];
        let mut put =
            |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(0, 4);
        put(12, length as u32);
        put(16, HEADER_BYTES as u32);
        put(28, flags);
        bytes[48..48 + name.len()].copy_from_slice(name.as_bytes());
        bytes[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
        let words = bytes
            .chunks_exact(8)
            .map(|word| u64::from_ne_bytes(word.try_into().unwrap()));
        Self {
            words: words.collect(),
        }
    }

    /// Names the lasting name of a device that is to be made.
    fn known_as(mut self, uuid: &str) -> Self {
        const AT: usize = 176 / 8;
        for (word, part) in self.words[AT..].iter_mut().zip(uuid.as_bytes().chunks(8)) {
            let mut raw = [0; 8];
            raw[..part.len()].copy_from_slice(part);
            *word = u64::from_ne_bytes(raw);
        }
        self
    }

    /// Leaves so many bytes behind the header for the answer.
    fn within(mut self, bytes: usize) -> Self {
        // The size lies at 12, in the upper half of a word.
        self.words[1] &= u64::from(u32::MAX);
        self.words[1] |= ((HEADER_BYTES + bytes) as u64) << 32;
        self
    }

    fn lines(mut self, count: u32) -> Self {
        // The count of table lines lies at 20, in the upper half of a word.
        self.words[2] |= u64::from(count) << 32;
        self
    }

    fn send(mut self, command: u8) -> io::Result<Vec<u8>> {
        static CONTROL: OnceLock<File> = OnceLock::new();
        let control = CONTROL.get_or_init(|| {
            let mut options = OpenOptions::new();
            let opened = options.read(true).write(true).open("/dev/mapper/control");
            opened.expect("device-mapper's control node opens")
        });
        sys::dm_ioctl(control, command, &mut self.words)?;
        Ok(self
            .words
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn text_at(bytes: &[u8], at: usize) -> String {
    let text = bytes[at..]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// What a target is asked.
#[derive(Clone, Copy)]
pub enum Asked<'a> {
    /// How it is.
    Status,
    /// Its table line.
    Table,
    /// What a message gives.
    Message(&'a str),
}

/// A mapped device. It stays until it is removed.
pub struct Mapped {
    name: String,
    minor: u64,
}

impl Mapped {
    /// Makes a mapped device and brings it up.
    ///
    /// # Errors
    ///
    /// What the kernel says; nothing is left behind then.
    pub fn create(name: &str, table: &[Line]) -> io::Result<Self> {
        Self::create_with(name, table, 0)
    }

    /// The same, with a lasting name to be told from others by.
    ///
    /// # Errors
    ///
    /// What the kernel says; nothing is left behind then.
    pub fn create_known(name: &str, uuid: &str, table: &[Line]) -> io::Result<Self> {
        let mapped = Self::prepare_known(name, uuid)?;
        mapped.or_remove(mapped.load(table))?;
        mapped.or_remove(mapped.resume())?;
        Ok(mapped)
    }

    /// One that is up already, whoever made it. It is known by its name alone.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            minor: 0,
        }
    }

    /// The same, read-only.
    ///
    /// # Errors
    ///
    /// What the kernel says; nothing is left behind then.
    pub fn create_read_only(name: &str, table: &[Line]) -> io::Result<Self> {
        Self::create_with(name, table, READ_ONLY)
    }

    /// Makes a mapped device and loads its table, which the first resume brings in.
    ///
    /// # Errors
    ///
    /// What the kernel says; nothing is left behind then.
    pub fn loaded(name: &str, table: &[Line]) -> io::Result<Self> {
        Self::loaded_with(name, table, 0)
    }

    /// Makes a mapped device that has no table yet.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn prepare(name: &str) -> io::Result<Self> {
        Self::prepare_known(name, "")
    }

    fn prepare_known(name: &str, uuid: &str) -> io::Result<Self> {
        let answer = Request::new(name, 0, &[]).known_as(uuid).send(DEV_CREATE)?;
        let dev = u64_at(&answer, 40);
        let minor = dev & 0xff | (dev >> 12) & 0xfff00;
        Ok(Self {
            name: name.to_owned(),
            minor,
        })
    }

    fn create_with(name: &str, table: &[Line], flags: u32) -> io::Result<Self> {
        let mapped = Self::loaded_with(name, table, flags)?;
        mapped.or_remove(mapped.resume())?;
        Ok(mapped)
    }

    fn loaded_with(name: &str, table: &[Line], flags: u32) -> io::Result<Self> {
        let mapped = Self::prepare(name)?;
        mapped.or_remove(mapped.load_with(table, flags))?;
        Ok(mapped)
    }

    fn or_remove(&self, result: io::Result<()>) -> io::Result<()> {
        if result.is_err() {
            self.remove()?;
        }
        result
    }

    /// Loads another table, which the next resume brings in.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn load(&self, table: &[Line]) -> io::Result<()> {
        self.load_with(table, 0)
    }

    fn load_with(&self, table: &[Line], flags: u32) -> io::Result<()> {
        let mut payload = Vec::new();
        for line in table {
            let length = (40 + line.words.len() + 1).next_multiple_of(8);
            let mut spec = vec![0; length];
            spec[0..8].copy_from_slice(&line.start.to_le_bytes());
            spec[8..16].copy_from_slice(&line.length.to_le_bytes());
            spec[20..24].copy_from_slice(&(length as u32).to_le_bytes());
            spec[24..24 + line.target.len()].copy_from_slice(line.target.as_bytes());
            spec[40..40 + line.words.len()].copy_from_slice(line.words.as_bytes());
            payload.extend(spec);
        }
        let request = Request::new(&self.name, flags, &payload);
        request.lines(table.len() as u32).send(TABLE_LOAD).map(drop)
    }

    /// Suspends it, after everything in flight has ended.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn suspend(&self) -> io::Result<()> {
        Request::new(&self.name, SUSPEND, &[])
            .send(DEV_SUSPEND)
            .map(drop)
    }

    /// Resumes it, with the table that was loaded last.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn resume(&self) -> io::Result<()> {
        Request::new(&self.name, 0, &[]).send(DEV_SUSPEND).map(drop)
    }

    /// Removes it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn remove(&self) -> io::Result<()> {
        Request::new(&self.name, 0, &[]).send(DEV_REMOVE).map(drop)
    }

    /// Removes the one of that name, if there is one.
    pub fn remove_named(name: &str) {
        // There may be none.
        let _ = Request::new(name, 0, &[]).send(DEV_REMOVE);
    }

    /// What each target of its table says of itself.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn status(&self) -> io::Result<Vec<String>> {
        self.ask(0)
    }

    /// The words of each line of its table.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn table(&self) -> io::Result<Vec<String>> {
        self.ask(STATUS_TABLE)
    }

    /// What is measured of each target.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn measurement(&self) -> io::Result<Vec<String>> {
        self.ask(MEASUREMENT)
    }

    /// The target of each line of its table.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn targets(&self) -> io::Result<Vec<String>> {
        let answer = Request::new(&self.name, STATUS_TABLE, &[]).send(TABLE_STATUS)?;
        let start = u32_at(&answer, 16) as usize;
        let mut targets = Vec::new();
        let mut at = start;
        for _ in 0..u32_at(&answer, 20) {
            targets.push(text_at(&answer, at + 24));
            at = start + u32_at(&answer, at + 20) as usize;
        }
        Ok(targets)
    }

    fn ask(&self, flags: u32) -> io::Result<Vec<String>> {
        let answer = Request::new(&self.name, flags, &[]).send(TABLE_STATUS)?;
        let start = u32_at(&answer, 16) as usize;
        let mut texts = Vec::new();
        let mut at = start;
        for _ in 0..u32_at(&answer, 20) {
            texts.push(text_at(&answer, at + 40));
            // Each says where the next begins, counted from the first.
            at = start + u32_at(&answer, at + 20) as usize;
        }
        Ok(texts)
    }

    /// Sends a message to the target at `sector`; gives what it answered, if anything.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn message(&self, sector: u64, text: &str) -> io::Result<Option<String>> {
        let mut payload = sector.to_le_bytes().to_vec();
        payload.extend(text.as_bytes());
        payload.push(0);
        let answer = Request::new(&self.name, 0, &payload).send(TARGET_MESSAGE)?;
        let there = u32_at(&answer, 28) & DATA_OUT != 0;
        Ok(there.then(|| text_at(&answer, u32_at(&answer, 16) as usize)))
    }

    /// What the only target of its table says where so many bytes of text are left for it;
    /// nothing if it says that it needs more.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ask_within(&self, asked: Asked<'_>, bytes: usize) -> io::Result<Option<String>> {
        const SPEC_BYTES: usize = 40;
        let request = |flags, payload: &[u8]| Request::new(&self.name, flags, payload);
        let (answer, before) = match asked {
            Asked::Status => (
                request(0, &[])
                    .within(SPEC_BYTES + bytes)
                    .send(TABLE_STATUS)?,
                SPEC_BYTES,
            ),
            Asked::Table => (
                request(STATUS_TABLE, &[])
                    .within(SPEC_BYTES + bytes)
                    .send(TABLE_STATUS)?,
                SPEC_BYTES,
            ),
            Asked::Message(text) => {
                let payload = [&0u64.to_le_bytes(), text.as_bytes(), &[0]].concat();
                (request(0, &payload).within(bytes).send(TARGET_MESSAGE)?, 0)
            }
        };
        let start = u32_at(&answer, 16) as usize;
        let full = u32_at(&answer, 28) & BUFFER_FULL != 0;
        Ok((!full).then(|| text_at(&answer, start + before)))
    }

    /// How many events it has raised so far.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn events(&self) -> io::Result<u32> {
        let answer = Request::new(&self.name, 0, &[]).send(DEV_STATUS)?;
        Ok(u32_at(&answer, 32))
    }

    /// The devices that its table holds, as the kernel numbers them.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn dependencies(&self) -> io::Result<Vec<u64>> {
        let answer = Request::new(&self.name, 0, &[]).send(TABLE_DEPS)?;
        let start = u32_at(&answer, 16) as usize;
        let count = u32_at(&answer, start) as usize;
        Ok((0..count)
            .map(|at| u64_at(&answer, start + 8 + at * 8))
            .collect())
    }

    /// The copies that its target found when it last came up, as it says in the kernel's log.
    pub fn came_up_with(&self, log: &mut KernelLog) -> String {
        let said = log.last_after(&format!(":{}: activated, copies ", self.minor));
        said.expect("the target says that it is up").to_owned()
    }

    /// The node to open it by.
    pub fn path(&self) -> PathBuf {
        format!("/dev/dm-{}", self.minor).into()
    }

    /// A file of its queue in sysfs, as a number.
    pub fn queue_limit(&self, name: &str) -> u64 {
        crate::disk::number_in(&format!("/sys/block/dm-{}/queue/{name}", self.minor))
    }
}

/// Removes every mapped device that a test left behind; returns how many there were.
pub fn remove_all() -> usize {
    let names = names();
    for name in &names {
        let mapped = Mapped::named(name);
        // One that failed to come up stays suspended; one in use cannot be removed.
        let _ = mapped.resume();
        if let Err(error) = mapped.remove() {
            println!("vm: log {name} cannot be removed: {error}");
        }
    }
    names.len()
}

/// The name of every mapped device.
pub fn names() -> Vec<String> {
    list().expect("device-mapper lists its devices")
}

fn list() -> io::Result<Vec<String>> {
    let answer = Request::new("", 0, &[]).send(LIST_DEVICES)?;
    let mut names = Vec::new();
    let mut at = u32_at(&answer, 16) as usize;
    // An empty list is one entry without a device.
    while u64_at(&answer, at) != 0 {
        names.push(text_at(&answer, at + 12));
        match u32_at(&answer, at + 8) {
            0 => break,
            next => at += next as usize,
        }
    }
    Ok(names)
}
