//! The threads that do what the screen asks for. This one looks at devices, and waits for no
//! other: one makes plans, one carries them out. Each has a handle to the host of its own.

mod hands;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
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
use crate::policy::Policy;
use crate::port::journal::{ActionRecord, UnreadLines};
use crate::port::{Access, DeviceInfo, Host, HostError, Mapped, RemapRow, Reply, Watcher};
use crate::remap_core::message::Message;
use crate::remap_core::units::MainBlock;
use crate::signals::Underway;
use crate::stop::Stop;
use hands::{Asked, Hand, Job};

/// Changes made by others are looked at no more often than this: one that writes
/// without end must not keep a core busy.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// As long as others keep a host to themselves, it is looked at no more often than this.
const WHILE_BEHIND: Duration = Duration::from_millis(250);

/// What was found is told in groups, so that a thousand devices are not a thousand frames.
const GROUP: usize = 64;
const GROUP_TIME: Duration = Duration::from_millis(50);

/// Remaps that are kept for the screen; the table holds the others.
const REMAPS_KEPT: usize = 1 << 18;

/// What the thread that looks is told.
enum Order {
    /// Do this.
    Ask(Request),
    /// Look at this from now on, until that is not wanted any more.
    Follow(Interest, Stop),
    /// Something about the host may have changed.
    Changed,
    /// Look at once; what is sent along is dropped when that is done.
    LookNow(Sender<()>),
    /// Nobody listens any more.
    End,
}

/// The way to the threads.
pub struct Handle {
    orders: Sender<Order>,
    jobs: Sender<Job>,
    plans: Sender<Asked>,
    /// The wish of those who look elsewhere by now.
    following: RefCell<Stop>,
    underway: Underway,
    /// The wish for the early end of each question that is not answered yet.
    stops: RefCell<Vec<(u64, Stop)>>,
    ended: Receiver<()>,
}

impl Handle {
    /// Asks for something. A thread that panicked is told by an event of its own.
    pub fn ask(&self, request: Request) {
        match request {
            Request::Plan { ticket, operation } => {
                let stop = self.stop_of(ticket);
                let asked = Asked {
                    ticket,
                    operation,
                    stop,
                };
                let _ = self.plans.send(asked);
            }
            Request::Execute { ticket, confirmed } => {
                let stop = self.stop_of(ticket);
                let piece = self.underway.begin(&stop);
                let job = Job::Execute {
                    ticket,
                    confirmed,
                    stop,
                    piece,
                };
                let _ = self.jobs.send(job);
            }
            Request::Stop(ticket) => {
                let stops = self.stops.borrow();
                let meant = stops.iter().filter(|(of, _)| *of == ticket);
                meant.for_each(|(_, stop)| stop.ask());
            }
            Request::Follow(interest) => {
                let stop = Stop::default();
                self.following.replace(stop.clone()).ask();
                let _ = self.orders.send(Order::Follow(interest, stop));
            }
            Request::LookAgain => {
                let _ = self.jobs.send(Job::RunDue);
                let _ = self.orders.send(Order::Ask(Request::LookAgain));
            }
            request => {
                let _ = self.orders.send(Order::Ask(request));
            }
        }
    }

    fn stop_of(&self, ticket: u64) -> Stop {
        let stop = Stop::default();
        let mut stops = self.stops.borrow_mut();
        stops.retain(|(_, stop)| stop.is_shared());
        stops.push((ticket, stop.clone()));
        stop
    }

    /// Lets the thread that looks end, and waits for that no longer than `patience`.
    pub fn end(self, patience: Duration) {
        let _ = self.orders.send(Order::End);
        // Nothing is ever sent: the channel closes when the thread is over.
        let _ = self.ended.recv_timeout(patience);
    }
}

/// Starts the threads. Every device is looked at at once, and what is found is told.
///
/// # Errors
///
/// If there can be no such threads, or the host gives no further handle.
pub fn start(
    (host, context): (Box<dyn Host>, ops::Context),
    policy: Option<PathBuf>,
    events: Sender<Event>,
    underway: Underway,
) -> io::Result<Handle> {
    let (orders, received) = mpsc::channel();
    let (alive, ended) = mpsc::channel();
    let changes = orders.clone();
    let beside = || -> io::Result<Hand> {
        Ok(Hand {
            host: host.beside().map_err(io::Error::other)?,
            context: context.beside(),
            events: events.clone(),
        })
    };
    let looking: Hand = beside()?;
    let plans = hands::start_planning(beside()?)?;
    let hand = Hand {
        host,
        context,
        events: events.clone(),
    };
    let jobs = hands::start_working(hand, orders.clone())?;
    thread::Builder::new()
        .name("looking".to_owned())
        .spawn(move || {
            let _alive: Sender<()> = alive;
            let _farewell = Farewell(events);
            let mut worker = Worker::new(looking, policy);
            worker.watch(changes);
            worker.run(&received);
        })?;
    Ok(Handle {
        orders,
        jobs,
        plans,
        following: RefCell::default(),
        underway,
        stops: RefCell::default(),
        ended,
    })
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
    interest: Interest,
    /// The wish of those who look elsewhere by now.
    stop: Stop,
    /// The devices and mapped devices that were told last.
    devices: Vec<DeviceInfo>,
    mapped: Vec<Mapped>,
    /// The list of what may be assembled without a person, where one is named.
    policy_file: Option<PathBuf>,
    /// What it said last.
    policy: Policy,
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
    /// Whether it was told that devices are being looked at.
    is_looking: bool,
    /// The counters over time.
    recorder: Recorder,
    /// Whether the last order was given.
    over: bool,
}

impl Worker {
    fn new(hand: Hand, policy_file: Option<PathBuf>) -> Self {
        let Hand {
            host,
            context,
            events,
        } = hand;
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
            interest: Interest::default(),
            stop: Stop::default(),
            devices: Vec::new(),
            mapped: Vec::new(),
            policy_file,
            policy: Policy::default(),
            zone_told: false,
            logged: 0,
            journal: Default::default(),
            waiting: VecDeque::new(),
            found: Vec::new(),
            found_since: now,
            thorough: false,
            stale: false,
            looked: now,
            is_looking: false,
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
        let look = self.stale.then(|| self.looked + self.between_looks());
        let save = self.recorder.due();
        let Some(until) = look.into_iter().chain(save).min() else {
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
        if self.recorder.due().is_some_and(|due| due <= Instant::now()) {
            self.recorder.save();
        }
        if self.stale && self.looked.elapsed() >= self.between_looks() {
            self.look(false);
        } else if let Some(path) = self.waiting.pop_front() {
            self.examine(path, Depth::Scan);
            self.tell_found_if_enough();
        }
    }

    fn between_looks(&self) -> Duration {
        match self.host.is_behind() {
            true => WHILE_BEHIND,
            false => BETWEEN_LOOKS,
        }
    }

    fn obey(&mut self, order: Order, orders: &Receiver<Order>) {
        match order {
            Order::End => self.over = true,
            Order::Changed => self.stale = true,
            Order::LookNow(_looked) => self.look(false),
            Order::Follow(interest, stop) => self.follow((interest, stop), orders),
            Order::Ask(request) => self.answer(request),
        }
    }

    /// Follows the operator's eye; where it went on meanwhile, only to its last place.
    fn follow(&mut self, eye: (Interest, Stop), orders: &Receiver<Order>) {
        (self.interest, self.stop) = eye;
        let mut next = None;
        while next.is_none() {
            match orders.try_recv() {
                Ok(Order::Follow(later, stop)) => (self.interest, self.stop) = (later, stop),
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
            Request::LookAgain => self.look(true),
            // Others do these.
            Request::Follow(_)
            | Request::Plan { .. }
            | Request::Execute { .. }
            | Request::Stop(_) => {}
        }
    }

    /// Looks at what there is: lists at once, what the operator looks at next, then the
    /// rest one by one. On a real machine a change is no reason to wake every disk:
    /// only `everything` looks at those that nothing is known to have happened to.
    fn look(&mut self, everything: bool) {
        // On a real machine only what changed is looked at, each time as closely as can be.
        self.thorough |= everything || self.host.lab_directory().is_none();
        self.stale = false;
        self.note_looking(true);
        let before = std::mem::take(&mut self.devices);
        let listed = self.list();
        self.looked = Instant::now();
        if let Err(error) = listed {
            self.devices = before;
            self.stale = self.host.is_behind();
            if !self.stale {
                self.trouble("devices cannot be listed", &error);
            }
            return self.note_looking(false);
        }
        self.tell_zone();
        self.tell_policy();
        self.tell_history();
        self.tell_logged();
        self.tell_journal();
        self.examine_interest();
        let everything = everything || self.host.lab_directory().is_some();
        // Devices that the look before did not come to: known as they are, and not seen yet.
        let unseen: HashSet<PathBuf> = self.waiting.drain(..).collect();
        let spares = self.mapped.iter().map(|mapped| &mapped.spare);
        let known: HashMap<&Path, &DeviceInfo> = before
            .iter()
            .map(|device| (device.path.as_path(), device))
            .collect();
        let is_known = |device: &DeviceInfo| known.get(device.path.as_path()) == Some(&device);
        let listed = self
            .devices
            .iter()
            .filter(|device| everything || unseen.contains(&device.path) || !is_known(device))
            .map(|device| &device.path);
        let mut waiting: Vec<PathBuf> = spares.chain(listed).cloned().collect();
        let is_seen = |path: &PathBuf| *path == self.interest.store && !self.stop.is_asked();
        waiting.retain(|path| !is_seen(path));
        waiting.dedup();
        self.waiting = waiting.into();
        self.stale |= self.host.is_behind();
        if self.waiting.is_empty() {
            self.tell_found();
        } else {
            self.note_looking(true);
        }
    }

    /// Tells whether devices are being looked at, where that is new.
    fn note_looking(&mut self, is_looking: bool) {
        if std::mem::replace(&mut self.is_looking, is_looking) != is_looking {
            self.tell(Answer::Looking(is_looking));
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

    /// A list that cannot be read knows nothing; `doctor` says so.
    fn tell_policy(&mut self) {
        let lab = self.host.lab_directory();
        let policy = Policy::in_force(self.policy_file.as_deref(), lab).unwrap_or_default();
        if policy != self.policy {
            self.policy.clone_from(&policy);
            self.tell(Answer::Policy(policy));
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
        let (store, stop) = (self.interest.store.clone(), self.stop.clone());
        self.waiting.retain(|path| *path != store);
        self.note_looking(true);
        let examined = self.open_and_look(&store, Depth::Full, &stop);
        if stop.is_asked() {
            // The next order says what is looked at by now.
            self.waiting.push_back(store);
            return;
        }
        let seen = examined.as_ref().ok();
        let table = seen.and_then(|seen| seen.table.as_ref());
        let remaps = table.filter(|_| self.interest.remaps && self.interest.active.is_none());
        let remaps = remaps.map(|table| table.remaps.clone());
        self.note_found(store, examined);
        self.tell_found();
        if self.interest.remaps {
            self.tell_remaps(remaps);
        }
    }

    fn examine(&mut self, path: PathBuf, depth: Depth) {
        let examined = self.open_and_look(&path, depth, &Stop::default());
        self.note_found(path, examined);
    }

    fn note_found(&mut self, path: PathBuf, examined: Examined) {
        if self.found.is_empty() {
            self.found_since = Instant::now();
        }
        self.found.push((path, examined));
    }

    fn open_and_look(&mut self, path: &Path, depth: Depth, stop: &Stop) -> Examined {
        match self.host.open(path, Access::Read) {
            Ok(store) => {
                let mut seen = inspect::look_until(store.as_ref(), path, depth, stop);
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
        if self.waiting.is_empty() {
            self.note_looking(false);
        }
    }

    /// Tells the remaps of what is shown: those of its target, or else those `on_disk`.
    fn tell_remaps(&mut self, on_disk: Option<Vec<RemapRow>>) {
        let rows = match self.interest.active.clone() {
            Some(name) => self.remaps_of_target(&name).map(Some),
            None => Ok(on_disk),
        };
        match rows {
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
    fn remaps_of_target(&mut self, name: &str) -> Result<Vec<RemapRow>, HostError> {
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
        Ok(rows)
    }

    /// Sends an answer. Where nobody listens any more, the orders end as well.
    fn tell(&self, answer: Answer) {
        let _ = self.events.send(Event::Told(answer));
    }

    fn trouble(&self, what: &str, error: &dyn std::error::Error) {
        trouble(&self.events, what, error);
    }
}

fn trouble(events: &Sender<Event>, what: &str, error: &dyn std::error::Error) {
    let text = format!("{what}: {error}");
    let text = crate::text::guard(&text).into_owned();
    let _ = events.send(Event::Told(Answer::Trouble(text)));
}

/// Has told how far the answer to a question came, until `stop` is asked for.
fn tell_progress(events: &Sender<Event>, ticket: u64, stop: Stop) -> ops::Progress {
    let events = events.clone();
    let tell = move |share| {
        // Without anybody there nobody needs to know.
        let _ = events.send(Event::Told(Answer::Progress { ticket, share }));
    };
    ops::Progress::told_to(tell).until(stop)
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
