//! Everything the application knows and shows. `update` changes it, `view` draws it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ratatui::layout::Size;

use super::changes::Changes;
use super::corruption::Corruption;
use super::dialog::Dialog;
use super::frozen::Held;
use super::guide::Guide;
use super::history::USUAL_WINDOW;
use super::keymap::{Command, Context};
use super::listing::{Active, Listing};
use super::options::Options;
use super::prompt::Prompt;
use super::question::Question;
use super::remaps::{MapView, RemapList, Table};
use super::rows::{self, Row, RowKey};
use super::session::Actions;
use super::subject::{disk_of, Subject};
use super::theme::Theme;
use super::underway::Underway;
use super::wizard::Wizard;
use crate::error::Error;
use crate::inspect::{standing, HeldMain, Inspection, Matter, Scan, Scanned};
use crate::policy::Policy;
use crate::port::history::Sample;
use crate::port::journal::{ActionRecord, UnreadLines};
use crate::port::{DeviceInfo, LoggedEvent};
use crate::remap_core::event::Severity;
use crate::remap_core::units::{IdentityDigest, Millis, Timestamp};
use crate::scenario::Scenario;
use crate::zone::Zone;

/// How many logged events are kept; older ones are still in the host's log.
pub const EVENTS_KEPT: usize = 10_000;

/// Which pane has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focus {
    /// The list of devices.
    List,
    /// The detail of the chosen one.
    Detail,
    /// What a page of the detail draws: the bytes of a copy, a map, a chart.
    Inside,
}

/// A page of the detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    /// Verdict, counters, findings.
    Overview,
    /// The five copies, and their bytes.
    Copies,
    /// Remapped and pending blocks.
    Remaps,
    /// What happened.
    Events,
    /// What was done.
    Journal,
    /// What a target counts, over time.
    Counters,
}

impl Tab {
    /// Every tab, in order.
    pub const ALL: [Self; 6] = [
        Self::Overview,
        Self::Copies,
        Self::Remaps,
        Self::Events,
        Self::Journal,
        Self::Counters,
    ];

    /// Its title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Copies => "Copies",
            Self::Remaps => "Remaps",
            Self::Events => "Events",
            Self::Journal => "Journal",
            Self::Counters => "Counters",
        }
    }
}

/// Which form the lower half of the copies tab has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyView {
    /// Bytes beside the winner's.
    Bytes,
    /// Fields beside the winner's.
    Fields,
}

/// What the keyboard is for.
#[derive(Debug)]
pub enum Mode {
    /// Moving about.
    Browse,
    /// Typing a filter.
    Filter,
    /// Answering a question about the page, in one line.
    Ask(Question),
    /// Reading the keys of a context.
    Help {
        /// Of which.
        of: Context,
        /// Lines scrolled away.
        scroll: usize,
        /// What it lies over.
        under: Box<Mode>,
    },
    /// Choosing what to corrupt.
    Corrupt(Corruption),
    /// Creating a device.
    Wizard(Wizard),
    /// A plan, from being made to its outcome.
    Plan(Dialog),
    /// Typing a command.
    Prompt(Prompt),
    /// Reading what was done.
    Actions(Actions),
    /// Looking at the settings of the session; the one under the pointer, from 0 on.
    Settings(usize),
    /// Being asked what is to become of the work that is under way.
    Underway {
        /// What it lies over.
        under: Box<Mode>,
    },
    /// Choosing a scenario; the one under the pointer, from 0 on.
    Scenarios(usize, Vec<Scenario>),
}

/// What looking at one device gave; the text says why it could not be read at all.
pub type Examined = Result<Arc<Inspection>, String>;

/// Which of the events are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only those that ask at least this much of the operator.
    pub least: Option<Severity>,
    /// Only those that say this; everything where it is empty.
    pub text: String,
}

impl EventFilter {
    /// Asks for more urgent events, and after the most urgent for all.
    pub fn tighten(&mut self) {
        self.least = match self.least {
            None => Some(Severity::Warning),
            Some(Severity::Info | Severity::Warning) => Some(Severity::Error),
            Some(Severity::Error) => None,
        };
    }

    /// Whether an event passes.
    pub fn passes(&self, logged: &LoggedEvent) -> bool {
        let urgent = self
            .least
            .is_none_or(|least| logged.event.severity() >= least);
        let text = self.text.to_lowercase();
        urgent && (text.is_empty() || logged.event.to_string().to_lowercase().contains(&text))
    }
}

/// A line for the operator that goes away with the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How bad it is.
    pub health: super::theme::Health,
    /// The text, fit to be shown.
    pub text: String,
}

/// Everything the application knows and shows.
#[derive(Debug)]
pub struct State {
    /// How to behave.
    pub options: Options,
    /// The lab's directory, to be shown; `None` on a real machine.
    pub lab: Option<String>,
    /// The terminal's size.
    pub screen: Size,
    /// As much of it as is there for all but the line of what is under way.
    pub size: Size,
    /// What time it is on the application's own clock.
    pub now: Millis,
    /// Every device, and every mapped device that is up. `None` until the host told them.
    pub listing: Option<Listing>,
    /// What was found on each device looked at so far.
    pub examined: HashMap<PathBuf, Examined>,
    /// The names of mapped devices that are not up, by what their metadata says of main.
    pub idle_mains: HashMap<IdentityDigest, String>,
    /// What may be assembled without a person on this machine.
    pub policy: Policy,
    /// Mains that are in use past their mapped devices, by their paths.
    pub held: HashMap<PathBuf, HeldMain>,
    /// Devices of ours that are not part of anything that is up.
    pub idle: Idle,
    /// The rows of the list, under the filter.
    pub rows: Vec<Row>,
    /// The chosen row; it survives changes of the list.
    pub chosen: Option<RowKey>,
    /// Where that row was last: it is asked for many times in every frame.
    chosen_at: usize,
    /// What the list is narrowed to; empty for everything.
    pub filter: String,
    /// Which pane has the keyboard.
    pub focus: Focus,
    /// Which page of the detail is shown.
    pub tab: Tab,
    /// Where in each page: the chosen row of it, or lines scrolled away. By [`Tab`].
    pub cursors: [usize; Tab::ALL.len()],
    /// What the lower half of the copies tab shows.
    pub copy_view: CopyView,
    /// The byte of the chosen copy under the cursor; `None` for the first that differs.
    pub copy_byte: Option<usize>,
    /// What copies were until lately, by their device.
    pub changes: HashMap<PathBuf, Changes>,
    /// What the keyboard is for.
    pub mode: Mode,
    /// The remaps of the device that is shown.
    pub remaps: Option<RemapList>,
    /// Which of them the table shows, and in which order.
    pub remap_table: Table,
    /// Where the cursor of their map is.
    pub remap_map: MapView,
    /// The counters of mapped devices over time, by name.
    pub histories: HashMap<String, Arc<[Sample]>>,
    /// How far one looks back, by its place among the windows.
    pub window: usize,
    /// What time it was, and when on the application's own clock: for what is shown.
    pub clock: Option<(Timestamp, Millis)>,
    /// What happened, newest last.
    pub events: VecDeque<LoggedEvent>,
    /// Which events are shown.
    pub event_filter: EventFilter,
    /// What was done, newest last.
    pub journal: Vec<ActionRecord>,
    /// Lines of it that tell of other actions.
    pub journal_unread: UnreadLines,
    /// The last thing to say.
    pub notice: Option<Notice>,
    /// Numbers the questions to the worker, so that late answers are known as such.
    pub ticket: u64,
    /// The zone in which times are shown.
    pub zone: Zone,
    /// The zone that the operator lives in.
    pub local_zone: Zone,
    /// What was told since the screen stands still, if it does.
    pub frozen: Option<Held>,
    /// The scenario that is gone through.
    pub guide: Option<Guide>,
    /// Whether the operator had the process stop.
    pub stopped: bool,
    /// The commands that were typed, newest last.
    pub said: Vec<String>,
    /// The question whose plan is carried out without a window, if it is a plan.
    pub unattended: Option<u64>,
    /// The work that is under way.
    pub underway: Underway,
}

/// Devices that are not part of anything that is active. It is kept, for the line on top
/// asks for it in every frame, and looking through a thousand devices takes longer than
/// drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idle {
    /// Healthy spares of ours.
    pub healthy: usize,
    /// Spares of ours with which something is amiss, and mains that others hold, in the order of
    /// the list.
    pub troubled: Vec<Troubled>,
    /// Devices that could not be read.
    pub unread: usize,
    /// Whether any of those could not be read for want of permission.
    pub denied: bool,
    /// Devices that nobody looked at yet.
    pub unseen: usize,
}

/// A device that is part of no active one, and what is amiss with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Troubled {
    /// Where it is.
    pub path: PathBuf,
    /// Everything that is amiss, the worst first.
    pub matters: Vec<Matter>,
}

impl State {
    /// A state that knows nothing yet.
    pub fn new(options: Options, lab: Option<String>, size: Size) -> Self {
        Self {
            options,
            lab,
            screen: size,
            size,
            now: Millis::new(0),
            listing: None,
            examined: HashMap::new(),
            idle_mains: HashMap::new(),
            policy: Policy::default(),
            held: HashMap::new(),
            idle: Idle::default(),
            rows: Vec::new(),
            chosen: None,
            chosen_at: 0,
            filter: String::new(),
            focus: Focus::List,
            tab: Tab::Overview,
            cursors: [0; Tab::ALL.len()],
            copy_view: CopyView::Bytes,
            copy_byte: None,
            changes: HashMap::new(),
            mode: Mode::Browse,
            remaps: None,
            remap_table: Table::default(),
            remap_map: MapView::default(),
            histories: HashMap::new(),
            window: USUAL_WINDOW,
            clock: None,
            events: VecDeque::new(),
            event_filter: EventFilter::default(),
            journal: Vec::new(),
            journal_unread: UnreadLines::default(),
            notice: None,
            ticket: 0,
            zone: Zone::UNKNOWN,
            local_zone: Zone::UNKNOWN,
            frozen: None,
            guide: None,
            stopped: false,
            said: Vec::new(),
            unattended: None,
            underway: Underway::default(),
        }
    }

    /// How things look.
    pub const fn theme(&self) -> Theme {
        self.options.theme
    }

    /// What the keyboard is for.
    pub fn context(&self) -> Context {
        match &self.mode {
            Mode::Browse => match self.focus {
                Focus::List => Context::List,
                Focus::Detail => Context::Detail,
                Focus::Inside => Context::Inside,
            },
            Mode::Filter => Context::Filter,
            Mode::Ask(_) => Context::Ask,
            Mode::Help { .. } => Context::Help,
            Mode::Corrupt(_) => Context::Corrupt,
            Mode::Wizard(wizard) => wizard.context(),
            Mode::Plan(dialog) => dialog.context(),
            Mode::Prompt(_) => Context::Prompt,
            Mode::Actions(_) => Context::Actions,
            Mode::Settings(_) => Context::Settings,
            Mode::Scenarios(..) => Context::Scenarios,
            Mode::Underway { .. } => Context::Underway,
        }
    }

    /// What a sentence calls the way to `command` where one looks at devices.
    pub fn key(&self, command: Command) -> String {
        self.options.keys.named(Context::List, command)
    }

    /// Every device the host told.
    pub fn devices(&self) -> &[DeviceInfo] {
        self.listing.as_ref().map_or(&[], Listing::devices)
    }

    /// The device at `path`, if the host lists it.
    pub fn device(&self, path: &Path) -> Option<&DeviceInfo> {
        self.listing.as_ref()?.device(path)
    }

    /// Every mapped device that is up, by name.
    pub fn up(&self) -> &[Active] {
        self.listing.as_ref().map_or(&[], Listing::active)
    }

    /// What to call the device at `path`, escaped.
    pub fn name_of(&self, path: &Path) -> String {
        match self.device(path) {
            Some(device) => crate::text::guard(&device.name).into_owned(),
            None => crate::inspect::last_component(path),
        }
    }

    /// The place among those that are up of the mapped device of this name.
    pub fn place_of_active(&self, name: &str) -> Option<usize> {
        self.listing.as_ref()?.place_of(name)
    }

    /// The mapped device of this name, if it is up.
    pub fn active(&self, name: &str) -> Option<&Active> {
        self.up().get(self.place_of_active(name)?)
    }

    /// What was found on the device at `path`.
    pub fn inspection(&self, path: &Path) -> Option<&Inspection> {
        self.examined.get(path)?.as_deref().ok()
    }

    /// The place of the chosen row among the rows.
    pub fn chosen_index(&self) -> Option<usize> {
        let chosen = self.chosen.as_ref()?;
        let is_it = |row: &Row| row.key == *chosen;
        match self.rows.get(self.chosen_at) {
            Some(row) if is_it(row) => Some(self.chosen_at),
            _ => self.rows.iter().position(is_it),
        }
    }

    /// Chooses a row, if it is in the list.
    pub fn choose(&mut self, key: &RowKey) -> bool {
        let place = self.rows.iter().position(|row| row.key == *key);
        place.is_some_and(|place| self.choose_row(place))
    }

    /// Chooses the row at this place, if there is one.
    pub fn choose_row(&mut self, place: usize) -> bool {
        let Some(row) = self.rows.get(place) else {
            return false;
        };
        self.chosen = Some(row.key.clone());
        self.chosen_at = place;
        true
    }

    /// The name of the mapped device, not up, whose metadata says that the device at
    /// `path` is its main.
    pub fn idle_main_of(&self, path: &Path) -> Option<&str> {
        let identity = self.inspection(path)?.identity_as_main();
        let name = self.idle_mains.get(&identity)?;
        self.active(name).is_none().then_some(name)
    }

    /// Takes in what the host lists; what is known of devices that are gone is forgotten.
    pub fn list(&mut self, listing: Listing) {
        let spares: HashSet<&Path> = listing
            .active()
            .iter()
            .map(|active| active.mapped.spare.as_path())
            .collect();
        self.examined
            .retain(|path, _| listing.device(path).is_some() || spares.contains(path.as_path()));
        // What lay on a spare before its device became active says nothing of it now.
        for active in listing.active() {
            if self.active(&active.mapped.name).is_none() {
                self.examined.remove(&active.mapped.spare);
            }
        }
        let examined = &self.examined;
        self.changes.retain(|path, _| examined.contains_key(path));
        self.listing = Some(listing);
        self.note_mains();
        self.note_idle();
        self.arrange();
    }

    /// Takes in what was found on some devices.
    pub fn take_examined(&mut self, found: Vec<(PathBuf, Examined)>) {
        for (path, mut examined) in found {
            let before = self.examined.get(&path);
            if let (Some(Ok(before)), Ok(after)) = (before, &mut examined) {
                keep_signatures(after, before);
                self.note_change(&Arc::clone(before), after);
            }
            self.examined.insert(path, examined);
        }
        self.note_mains();
        self.idle_mains = self
            .examined
            .values()
            .filter_map(|examined| {
                let inspection = examined.as_deref().ok()?;
                let identity = inspection.main_identity();
                let name = inspection.name.clone()?;
                (!identity.is_none()).then_some((identity, name))
            })
            .collect();
        self.note_idle();
    }

    /// Takes in what may be assembled without a person.
    pub fn take_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.note_mains();
        self.note_idle();
    }

    /// Everything that is amiss with the device at `path`, which is part of nothing that is
    /// active, the worst first.
    pub fn standing_of(&self, path: &Path) -> Vec<Matter> {
        let disk = disk_of(self.examined.get(path));
        standing(None, disk, self.held.contains_key(path))
    }

    /// Has every spare judged with its main, as far as that is known, and finds the mains that
    /// others hold.
    fn note_mains(&mut self) {
        let scanned = self.devices().iter().map(|info| {
            let seen = match self.examined.get(&info.path) {
                Some(Ok(seen)) => Ok(Arc::clone(seen)),
                Some(Err(_)) | None => Err(Error::failed("unseen", "not looked at")),
            };
            let info = info.clone();
            Scanned { info, seen }
        });
        let scan = Scan::of(scanned.collect());
        let held = scan.held_mains(&self.policy.known_mains()).into_iter();
        self.held = held.map(|held| (held.path.clone(), held)).collect();
        for Scanned { info, seen } in scan.devices {
            if let Ok(seen) = seen {
                self.examined.insert(info.path, Ok(seen));
            }
        }
    }

    fn note_idle(&mut self) {
        let mut idle = Idle::default();
        for device in self.devices() {
            let examined = self.examined.get(&device.path);
            idle.unseen += usize::from(examined.is_none());
            if rows::mapped_name(device).is_some_and(|name| self.active(name).is_some()) {
                continue;
            }
            if let Some(Err(why)) = examined {
                idle.unread += 1;
                idle.denied |= why.contains("permission denied");
            }
            let matters = self.standing_of(&device.path);
            match matters.first() {
                None => {
                    let seen = examined.and_then(|examined| examined.as_ref().ok());
                    idle.healthy += usize::from(seen.is_some_and(|seen| seen.is_ours()));
                }
                // Those that cannot be read are counted.
                Some(Matter::Unreadable) => {}
                Some(_) => idle.troubled.push(Troubled {
                    path: device.path.clone(),
                    matters,
                }),
            }
        }
        self.idle = idle;
    }

    fn note_change(&mut self, before: &Inspection, after: &Inspection) {
        if before.survey == after.survey {
            return;
        }
        let changes = self.changes.entry(after.path.clone()).or_default();
        changes.note(before, after, self.now);
    }

    /// What time it is, as far as the worker told; shown, and nothing is decided by it.
    pub fn wall_clock(&self) -> Timestamp {
        self.clock.map_or(Timestamp::new(0), |(told, seen)| {
            let passed = self.now.get().saturating_sub(seen.get()) / 1000;
            Timestamp::new(told.get().saturating_add(passed))
        })
    }

    /// What the detail is about.
    pub fn subject(&self) -> Option<Subject<'_>> {
        let row = self.rows.get(self.chosen_index()?)?;
        Subject::of(self, &row.key)
    }

    /// Makes the rows anew, and keeps to the chosen one as well as can be.
    pub fn arrange(&mut self) {
        let before = self.chosen_index();
        self.rows = rows::arrange(self);
        match self.chosen_index() {
            Some(place) => self.chosen_at = place,
            None => {
                let nearest = before.unwrap_or(0).min(self.rows.len().saturating_sub(1));
                if !self.choose_row(nearest) {
                    self.chosen = None;
                }
            }
        }
    }

    /// A number for the next question to the worker.
    pub fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }
}

/// A quick look does not look for what others wrote on a device: what was found before
/// still counts while its slots read the same.
fn keep_signatures(new: &mut Arc<Inspection>, known: &Inspection) {
    let same = new.survey == known.survey && new.superblock.is_none();
    if same && new.signatures.is_none() && known.signatures.is_some() {
        Arc::make_mut(new).signatures.clone_from(&known.signatures);
    }
}
