//! The thread that owns the host: it alone looks at devices, plans and carries out.

use std::collections::{HashMap, VecDeque};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::event::{Answer, Event};
use super::recorder::Recorder;
use super::remaps::RemapList;
use super::state::Examined;
use super::update::{Interest, Request};
use crate::inspect::{self, Depth};
use crate::ops;
use crate::port::journal::{ActionRecord, UnreadLines};
use crate::port::{Access, DeviceInfo, Host, HostError, Mapped, RemapRow, Reply, Watcher};
use crate::remap_core::message::Message;
use crate::remap_core::units::MainBlock;
use crate::signals::Underway;
use crate::stop::Stop;

/// Changes made by others are looked at no more often than this: one that writes
/// without end must not keep a core busy.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// What was found is told in groups, so that a thousand devices are not a thousand frames.
const GROUP: usize = 64;
const GROUP_TIME: Duration = Duration::from_millis(50);

/// Remaps that are kept for the screen; the table holds the others.
const REMAPS_KEPT: usize = 1 << 18;

/// What the worker is told.
enum Order {
    /// Do this.
    Ask(Request),
    /// Something about the host may have changed.
    Changed,
    /// Nobody listens any more.
    End,
}

/// The way to the worker.
pub struct Handle {
    orders: Sender<Order>,
    ended: Receiver<()>,
}

impl Handle {
    /// Asks the worker for something. One that panicked is told by an event of its own.
    pub fn ask(&self, request: Request) {
        let _ = self.orders.send(Order::Ask(request));
    }

    /// Lets the worker end, and waits for that no longer than `patience`.
    pub fn end(self, patience: Duration) {
        let _ = self.orders.send(Order::End);
        // Nothing is ever sent: the channel closes when the thread is over.
        let _ = self.ended.recv_timeout(patience);
    }
}

/// Starts the worker. It looks at every device at once, and tells what it finds.
///
/// # Errors
///
/// If there can be no such thread.
pub fn start(
    host: Box<dyn Host>,
    context: ops::Context,
    events: Sender<Event>,
    underway: Underway,
) -> io::Result<Handle> {
    let (orders, received) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    let changes = orders.clone();
    thread::Builder::new()
        .name("worker".to_owned())
        .spawn(move || {
            let _alive: Sender<()> = alive;
            let _farewell = Farewell(events.clone());
            let mut worker = Worker::new(host, context, events, underway);
            worker.watch(changes);
            worker.run(&received);
        })?;
    Ok(Handle { orders, ended })
}

/// Tells of the thread's end if that is a panic.
struct Farewell(Sender<Event>);

impl Drop for Farewell {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = self.0.send(Event::WorkerGone);
        }
    }
}

struct Worker {
    host: Box<dyn Host>,
    context: ops::Context,
    events: Sender<Event>,
    underway: Underway,
    interest: Interest,
    /// The devices and mapped devices that were told last.
    devices: Vec<DeviceInfo>,
    mapped: Vec<Mapped>,
    /// Whether the time zone was told.
    zone_told: bool,
    /// The number of the last event that was told.
    logged: u64,
    /// The journal that was told last.
    journal: (Vec<ActionRecord>, UnreadLines),
    /// Devices still to be looked at.
    waiting: VecDeque<PathBuf>,
    /// What was found and not told yet.
    found: Vec<(PathBuf, Examined)>,
    found_since: Instant,
    /// Whether those are looked over for signatures of others, too: that takes longer
    /// than the rest, and nobody waits for it while something else changes.
    thorough: bool,
    /// Whether something changed since the last look, and when that was.
    stale: bool,
    looked: Instant,
    /// When the host's own targets have something to do.
    due: Option<Instant>,
    /// The counters over time.
    recorder: Recorder,
    /// Whether the last order was given.
    over: bool,
}

impl Worker {
    fn new(
        host: Box<dyn Host>,
        context: ops::Context,
        events: Sender<Event>,
        underway: Underway,
    ) -> Self {
        let now = Instant::now();
        // Who only looks leaves no trace.
        let directory = host.lab_directory().map(Path::to_owned);
        let directory = directory.or_else(crate::config::state_directory);
        let kept = directory
            .filter(|_| !context.read_only)
            .and_then(|directory| context.platform.history(&directory.join("history")));
        let recorder = Recorder::new(kept);
        Self {
            host,
            context,
            events,
            underway,
            interest: Interest::default(),
            devices: Vec::new(),
            mapped: Vec::new(),
            zone_told: false,
            logged: 0,
            journal: Default::default(),
            waiting: VecDeque::new(),
            found: Vec::new(),
            found_since: now,
            thorough: false,
            stale: false,
            looked: now,
            due: None,
            recorder,
            over: false,
        }
    }

    /// Starts the thread that waits for changes by others.
    fn watch(&mut self, changes: Sender<Order>) {
        let watcher = match self.host.watcher() {
            Ok(watcher) => watcher,
            Err(error) => return self.trouble("changes cannot be watched", &error),
        };
        let started = thread::Builder::new()
            .name("watcher".to_owned())
            .spawn(move || wait_for_changes(watcher, &changes));
        if let Err(error) = started {
            self.trouble("changes cannot be watched", &error);
        }
    }

    fn run(&mut self, orders: &Receiver<Order>) {
        self.run_due();
        self.look(true);
        while !self.over {
            match self.next(orders) {
                Some(order) => self.obey(order, orders),
                None => self.go_on(),
            }
        }
        self.recorder.save();
    }

    /// The next order; `None` when it is time for something else.
    fn next(&self, orders: &Receiver<Order>) -> Option<Order> {
        if !self.waiting.is_empty() {
            return match orders.try_recv() {
                Ok(order) => Some(order),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Order::End),
            };
        }
        let look = self.stale.then(|| self.looked + BETWEEN_LOOKS);
        let save = self.recorder.due();
        let Some(until) = look.into_iter().chain(self.due).chain(save).min() else {
            return Some(orders.recv().unwrap_or(Order::End));
        };
        let wait = until.saturating_duration_since(Instant::now());
        match orders.recv_timeout(wait) {
            Ok(order) => Some(order),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Order::End),
        }
    }

    /// Does what is to be done without an order: what is due, then looking.
    fn go_on(&mut self) {
        if self.due.is_some_and(|due| due <= Instant::now()) {
            self.run_due();
            self.stale = true;
        }
        if self.recorder.due().is_some_and(|due| due <= Instant::now()) {
            self.recorder.save();
        }
        if self.stale && self.looked.elapsed() >= BETWEEN_LOOKS {
            self.look(false);
        } else if let Some(path) = self.waiting.pop_front() {
            self.examine(path, Depth::Scan);
            self.tell_found_if_enough();
        }
    }

    fn obey(&mut self, order: Order, orders: &Receiver<Order>) {
        match order {
            Order::End => self.over = true,
            Order::Changed => self.stale = true,
            Order::Ask(Request::Follow(interest)) => self.follow(interest, orders),
            Order::Ask(request) => self.answer(request),
        }
    }

    /// Follows the operator's eye; where it went on meanwhile, only to its last place.
    fn follow(&mut self, interest: Interest, orders: &Receiver<Order>) {
        self.interest = interest;
        let mut next = None;
        while next.is_none() {
            match orders.try_recv() {
                Ok(Order::Ask(Request::Follow(later))) => self.interest = later,
                Ok(order) => next = Some(order),
                Err(_) => break,
            }
        }
        self.examine_interest();
        if let Some(order) = next {
            self.obey(order, orders);
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Follow(interest) => {
                self.interest = interest;
                self.examine_interest();
            }
            Request::Save { path, text } => {
                let saved = save(&path, &text).map(|()| path_text(&path));
                let saved = saved.map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => format!(
                        "{} exists and stays as it is. Choose another name.",
                        path_text(&path)
                    ),
                    _ => format!("{}: {error}", path_text(&path)),
                });
                self.tell(Answer::Saved(saved));
            }
            Request::KeepSettings { path, values } => {
                self.tell(Answer::SettingsKept(crate::config::keep(&path, &values)));
            }
            Request::LookAgain => {
                self.run_due();
                self.look(true);
            }
            Request::Plan { ticket, operation } => {
                self.tell_progress_of(ticket, Stop::default());
                let plan = ops::plan(self.host.as_mut(), &mut self.context, &operation);
                let plan = plan.map(Box::new);
                self.tell(Answer::Planned { ticket, plan });
            }
            Request::Execute { ticket, confirmed } => {
                let stop = Stop::default();
                let _piece = self.underway.begin(&stop);
                self.tell_progress_of(ticket, stop);
                let outcome = ops::execute(self.host.as_mut(), &mut self.context, *confirmed);
                // What is shown behind the outcome is to agree with it.
                self.run_due();
                self.look(false);
                self.tell(Answer::Executed { ticket, outcome });
            }
        }
    }

    /// Has told from now on how far the answer to this question came.
    fn tell_progress_of(&mut self, ticket: u64, stop: Stop) {
        let events = self.events.clone();
        self.context.progress = ops::Progress::told_to(move |share| {
            // Without anybody there nobody needs to know.
            let _ = events.send(Event::Told(Answer::Progress { ticket, share }));
        })
        .until(stop);
    }

    /// Lets the host's own targets do what is due: that changes devices, so not where
    /// nothing may be changed.
    fn run_due(&mut self) {
        if self.context.read_only {
            self.due = None;
            return;
        }
        self.due = match self.host.run_due() {
            Ok(wait) => wait.map(|millis| Instant::now() + Duration::from_millis(millis)),
            Err(error) => {
                self.trouble("what was due could not be done", &error);
                None
            }
        };
    }

    /// Looks at what there is: lists at once, what the operator looks at next, then the
    /// rest one by one. On a real machine a change is no reason to wake every disk:
    /// only `everything` looks at those that nothing is known to have happened to.
    fn look(&mut self, everything: bool) {
        // On a real machine only what changed is looked at, each time as closely as can be.
        self.thorough |= everything || self.host.lab_directory().is_none();
        self.stale = false;
        self.looked = Instant::now();
        let before = std::mem::take(&mut self.devices);
        if let Err(error) = self.list() {
            self.devices = before;
            return self.trouble("devices cannot be listed", &error);
        }
        self.tell_zone();
        self.tell_history();
        self.tell_logged();
        self.tell_journal();
        self.examine_interest();
        let everything = everything || self.host.lab_directory().is_some();
        let spares = self.mapped.iter().map(|mapped| &mapped.spare);
        let known: HashMap<&Path, &DeviceInfo> = before
            .iter()
            .map(|device| (device.path.as_path(), device))
            .collect();
        let is_known = |device: &DeviceInfo| known.get(device.path.as_path()) == Some(&device);
        let listed = self
            .devices
            .iter()
            .filter(|device| everything || !is_known(device))
            .map(|device| &device.path);
        let mut waiting: Vec<PathBuf> = spares.chain(listed).cloned().collect();
        waiting.retain(|path| *path != self.interest.store);
        waiting.dedup();
        self.waiting = waiting.into();
        if self.waiting.is_empty() {
            self.tell_found();
        }
    }

    fn list(&mut self) -> Result<(), HostError> {
        self.devices = self.host.devices()?;
        self.mapped = self.host.mapped()?;
        self.tell(Answer::Listed {
            devices: self.devices.clone(),
            mapped: self.mapped.clone(),
        });
        Ok(())
    }

    /// Loads the time zone, once, before the first time is told.
    fn tell_zone(&mut self) {
        if !std::mem::replace(&mut self.zone_told, true) {
            self.tell(Answer::Zone(self.context.platform.zone()));
        }
    }

    fn tell_history(&mut self) {
        let now = self.context.platform.now();
        let histories = self.recorder.note(&self.mapped, now);
        if !histories.is_empty() {
            self.tell(Answer::History { now, histories });
        }
    }

    fn tell_logged(&mut self) {
        match self.host.events(self.logged) {
            Ok(events) => {
                let Some(last) = events.last() else {
                    return;
                };
                self.logged = last.id;
                self.tell(Answer::Logged(events));
            }
            Err(error) => self.trouble("the events cannot be read", &error),
        }
    }

    fn tell_journal(&mut self) {
        let journal = &mut self.context.journal;
        let told = journal.actions();
        match told.and_then(|actions| Ok((actions, journal.unread()?))) {
            Ok(told) if told != self.journal => {
                self.journal.clone_from(&told);
                self.tell(Answer::Journal(told.0, told.1));
            }
            Ok(_) => {}
            Err(error) => self.trouble("the journal cannot be read", &error),
        }
    }

    fn examine_interest(&mut self) {
        if self.interest.store.as_os_str().is_empty() {
            return;
        }
        let store = self.interest.store.clone();
        self.waiting.retain(|path| *path != store);
        self.examine(store, Depth::Full);
        self.tell_found();
        if self.interest.remaps {
            self.tell_remaps();
        }
    }

    fn examine(&mut self, path: PathBuf, depth: Depth) {
        let examined = self.open_and_look(&path, depth);
        if self.found.is_empty() {
            self.found_since = Instant::now();
        }
        self.found.push((path, examined));
    }

    fn open_and_look(&mut self, path: &Path, depth: Depth) -> Examined {
        match self.host.open(path, Access::Read) {
            Ok(store) => {
                let mut seen = inspect::look(store.as_ref(), path, depth);
                if self.thorough || depth == Depth::Full {
                    seen.look_for_signatures(store.as_ref());
                }
                Ok(Arc::new(seen))
            }
            Err(error) => Err(crate::text::guard(&error.to_string()).into_owned()),
        }
    }

    fn tell_found_if_enough(&mut self) {
        let enough = self.found.len() >= GROUP
            || self.waiting.is_empty()
            || self.found_since.elapsed() >= GROUP_TIME;
        if enough {
            self.tell_found();
        }
    }

    fn tell_found(&mut self) {
        if !self.found.is_empty() {
            let found = std::mem::take(&mut self.found);
            self.tell(Answer::Examined(found));
        }
        self.thorough &= !self.waiting.is_empty();
    }

    fn tell_remaps(&mut self) {
        let list = match self.interest.active.clone() {
            Some(name) => self.remaps_of_target(&name),
            None => Ok(self.remaps_on_disk()),
        };
        match list {
            Ok(Some(mut rows)) => {
                let more = rows.len() > REMAPS_KEPT;
                rows.truncate(REMAPS_KEPT);
                let spare = self.interest.store.clone();
                self.tell(Answer::Remaps(RemapList::new(spare, rows, more)));
            }
            Ok(None) => {}
            Err(error) => self.trouble("the remaps cannot be read", &error),
        }
    }

    /// Asks a target for its remaps, from one block to the next.
    fn remaps_of_target(&mut self, name: &str) -> Result<Option<Vec<RemapRow>>, HostError> {
        let mut rows: Vec<RemapRow> = Vec::new();
        let mut from = MainBlock::new(0);
        while rows.len() <= REMAPS_KEPT {
            let Reply::Remaps(page) = self.host.message(name, &Message::Remaps(from))? else {
                break;
            };
            let Some(next) = page.last().and_then(|last| last.block.get().checked_add(1)) else {
                break;
            };
            from = MainBlock::new(next);
            rows.extend(page);
        }
        Ok(Some(rows))
    }

    /// Reads the remap table of a device that is not up; `None` where there is none.
    fn remaps_on_disk(&mut self) -> Option<Vec<RemapRow>> {
        let store = self.host.open(&self.interest.store, Access::Read).ok()?;
        let seen = inspect::look(store.as_ref(), &self.interest.store, Depth::Scan);
        Some(seen.table?.remaps)
    }

    /// Sends an answer. Where nobody listens any more, the orders end as well.
    fn tell(&self, answer: Answer) {
        let _ = self.events.send(Event::Told(answer));
    }

    fn trouble(&self, what: &str, error: &dyn std::error::Error) {
        let text = format!("{what}: {error}");
        let text = crate::text::guard(&text).into_owned();
        self.tell(Answer::Trouble(text));
    }
}

fn path_text(path: &Path) -> String {
    crate::text::escape_path(path).into_owned()
}

/// Writes a new file; one that is there already is left alone, whatever it is.
fn save(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn wait_for_changes(mut watcher: Box<dyn Watcher>, changes: &Sender<Order>) {
    while watcher.wait().is_ok() {
        if changes.send(Order::Changed).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
