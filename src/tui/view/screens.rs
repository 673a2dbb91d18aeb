//! Every screen there is, at every size: each kind of screen has a scene that leads to it,
//! and an accepted picture of it under `tests/snapshots`.

use std::collections::BTreeSet;
use std::path::Path;

use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::style::Modifier;

use super::tests::{check_text, drawn, text, ASCII, MONO};
use crate::config::{Settings, SettingsFile};
use crate::error::Error;
use crate::ops::{self, Share, Work};
use crate::port::Usage;
use crate::remap_core::units::{Sectors, Slot};
use crate::tui::corruption::{Corruption, Forecast};
use crate::tui::dialog::{Dialog, Stage};
use crate::tui::event::{Answer, Event};
use crate::tui::fake::{context, FakeHost};
use crate::tui::key::Key;
use crate::tui::keymap::{Context, KeyMap};
use crate::tui::options::Options;
use crate::tui::question::{Asked, Question};
use crate::tui::sample::{self, happen, path, COLOUR};
use crate::tui::session::Actions;
use crate::tui::state::{Focus, Mode, State, Tab};
use crate::tui::update::{Effect, Request};
use crate::tui::wizard::Wizard;

/// Names the kinds of screens and tells of a state which it is: a new mode, page or stage
/// does not compile before it has a name here, and is not tested before it has a scene.
macro_rules! kinds {
    ($($name:literal: $pattern:pat),+ $(,)?) => {
        const KINDS: &[&str] = &[$($name),+];

        fn kind_of(state: &State) -> &'static str {
            match (&state.mode, state.focus, state.tab, state.context()) {
                $($pattern => $name),+
            }
        }
    };
}

kinds! {
    "list": (Mode::Browse, Focus::List, _, _),
    "overview": (Mode::Browse, Focus::Detail, Tab::Overview, _),
    "copies": (Mode::Browse, Focus::Detail, Tab::Copies, _),
    "remaps": (Mode::Browse, Focus::Detail, Tab::Remaps, _),
    "events": (Mode::Browse, Focus::Detail, Tab::Events, _),
    "journal": (Mode::Browse, Focus::Detail, Tab::Journal, _),
    "counters": (Mode::Browse, Focus::Detail, Tab::Counters, _),
    "copies_inside": (Mode::Browse, Focus::Inside, Tab::Copies, _),
    "remaps_inside": (Mode::Browse, Focus::Inside, _, _),
    "filter": (Mode::Filter, _, _, _),
    "ask_block": (Mode::Ask(Question { what: Asked::Block, .. }), _, _, _),
    "ask_remaps": (Mode::Ask(Question { what: Asked::Remaps, .. }), _, _, _),
    "ask_events": (Mode::Ask(Question { what: Asked::Events, .. }), _, _, _),
    "help": (Mode::Help { .. }, _, _, _),
    "corrupt": (Mode::Corrupt(Corruption { forecast: Forecast::Nothing, .. }), _, _, _),
    "corrupt_asked": (Mode::Corrupt(Corruption { forecast: Forecast::Asked(_), .. }), _, _, _),
    "corrupt_foretold": (Mode::Corrupt(Corruption { forecast: Forecast::Plan(_), .. }), _, _, _),
    "corrupt_refused": (Mode::Corrupt(Corruption { forecast: Forecast::Refused(_), .. }), _, _, _),
    "wizard_main": (Mode::Wizard(Wizard::Main { .. }), _, _, _),
    "wizard_spare": (Mode::Wizard(Wizard::Spare { .. }), _, _, _),
    "wizard_form": (Mode::Wizard(Wizard::Form(_)), _, _, _),
    "plan_made": (Mode::Plan(Dialog { stage: Stage::Planning, .. }), _, _, _),
    "plan_typed": (Mode::Plan(Dialog { stage: Stage::Prompting(_), .. }), _, _, Context::ConfirmTyped),
    "plan_plain": (Mode::Plan(Dialog { stage: Stage::Prompting(_), .. }), _, _, Context::ConfirmPlain),
    "plan_idle": (Mode::Plan(Dialog { stage: Stage::Prompting(_), .. }), _, _, _),
    "plan_running": (Mode::Plan(Dialog { stage: Stage::Running, .. }), _, _, _),
    "plan_done": (Mode::Plan(Dialog { stage: Stage::Done(_), .. }), _, _, _),
    "plan_refused": (Mode::Plan(Dialog { stage: Stage::Refused(_), .. }), _, _, _),
    "plan_failed": (Mode::Plan(Dialog { stage: Stage::Failed(_), .. }), _, _, _),
    "prompt": (Mode::Prompt(_), _, _, _),
    "done": (Mode::Actions(Actions { undoable: false, .. }), _, _, _),
    "undo_list": (Mode::Actions(Actions { undoable: true, .. }), _, _, _),
    "settings": (Mode::Settings(_), _, _, _),
    "scenarios": (Mode::Scenarios(..), _, _, _),
    "underway": (Mode::Underway { .. }, _, _, _),
}

/// The made-up machine with somebody at it, and a host that makes plans.
pub(super) struct Seat {
    pub(super) state: State,
    pub(super) host: FakeHost,
    context: ops::Context,
}

impl Seat {
    pub(super) fn new(options: Options, size: Size) -> Self {
        let mut cellar = sample::spare(sample::superblock(9, "disk-x", "disk-h"), "cellar");
        for slot in [Slot::S0, Slot::S2, Slot::S3] {
            sample::damage(&mut cellar, slot, 0, &[0; 512]);
        }
        let blank = |name: &str| {
            let device = sample::devices();
            let device = device.into_iter().find(|it| it.name == name).unwrap();
            let disk = crate::lab::ram::RamDisk::new(device.size);
            (device, disk)
        };
        let (device, _) = blank("disk-h");
        let (usb, _) = blank("usb-e");
        let host = FakeHost::new(vec![
            (device, cellar),
            (usb, sample::plain_spare()),
            blank("disk-e"),
            blank("disk-f"),
        ]);
        let vault = sample::mapped("vault", "disk-a", "disk-b", sample::damaged());
        host.0.lock().unwrap().mapped = vec![vault];
        Self {
            state: sample::state(options, size.width, size.height),
            host,
            context: context(),
        }
    }

    /// Presses keys, the usual ones or those that the operator has instead; nobody answers
    /// what they ask for.
    pub(super) fn press_only(&mut self, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for usual in sample::keys(keys) {
            let now = self.state.now.get();
            let key = self.own_key(usual);
            effects.extend(happen(&mut self.state, now, Event::Key(key)));
        }
        effects
    }

    /// The operator's key for what a usual one means here.
    fn own_key(&self, usual: Key) -> Key {
        let here = self.state.context();
        let usual_bindings = KeyMap::USUAL;
        let mut both = usual_bindings
            .bindings(here)
            .zip(self.state.options.keys.bindings(here));
        let meant = both.find(|(theirs, _)| theirs.keys.contains(&usual));
        match meant {
            Some((_, own)) if !own.keys.contains(&usual) => *own.keys.first().unwrap_or(&usual),
            _ => usual,
        }
    }

    /// Presses keys, and answers what they ask for.
    pub(super) fn press(&mut self, keys: &str) {
        let effects = self.press_only(keys);
        self.answer(effects);
    }

    /// Answers what is asked for, and what is asked for then.
    pub(super) fn answer(&mut self, mut effects: Vec<Effect>) {
        while let Some(effect) = effects.pop() {
            let answer = match effect {
                Effect::Ask(Request::Plan { ticket, operation }) => Answer::Planned {
                    ticket,
                    plan: ops::plan(&mut self.host, &mut self.context, &operation).map(Box::new),
                },
                Effect::Ask(Request::Execute { ticket, confirmed }) => Answer::Executed {
                    ticket,
                    outcome: ops::execute(&mut self.host, &mut self.context, *confirmed),
                },
                _ => continue,
            };
            effects.extend(self.tell(answer));
        }
    }

    pub(super) fn tell(&mut self, answer: Answer) -> Vec<Effect> {
        let now = self.state.now.get();
        happen(&mut self.state, now, Event::Told(answer))
    }

    /// Asks for a repair of the device that is not up, whose plan is on the screen then.
    fn ask_for_repair(&mut self) {
        self.press("/disk-h\nr");
    }
}

/// A name and the way to a screen.
pub(super) type Scene = (&'static str, fn(&mut Seat));

/// The way to each kind of screen, and to some that are none of their own.
pub(super) const SCENES: &[Scene] = &[
    ("list", |_| {}),
    ("overview", |seat| seat.press("\n")),
    ("copies", |seat| seat.press("2\njjj")),
    ("remaps", |seat| seat.press("3\nG")),
    ("events", |seat| seat.press("4\nj")),
    ("journal", |seat| seat.press("5\nj")),
    ("counters", |seat| seat.press("6\njjjj--")),
    ("copies_inside", |seat| seat.press("2\njjj\n")),
    ("remaps_inside", |seat| seat.press("3\n\nnn")),
    ("filter", |seat| seat.press("/vau")),
    ("ask_block", |seat| seat.press("3\nb12.5 GiB")),
    ("ask_remaps", |seat| seat.press("3\n/unread")),
    ("ask_events", |seat| seat.press("4\n/damage")),
    ("help", |seat| seat.press("?")),
    ("corrupt", |seat| seat.press("/disk-h\nx")),
    ("corrupt_asked", |seat| {
        seat.press_only("/disk-h\nx14");
    }),
    ("corrupt_foretold", |seat| seat.press("/disk-h\nx14↓")),
    ("corrupt_refused", |seat| seat.press("x14")),
    ("wizard_main", |seat| seat.press("n")),
    ("wizard_spare", |seat| seat.press("n\n")),
    ("wizard_form", |seat| seat.press("n\n\nattic-2")),
    ("plan_made", |seat| {
        seat.press_only("/disk-h\nr");
    }),
    ("plan_typed", |seat| {
        seat.ask_for_repair();
        seat.press("cel");
    }),
    ("plan_plain", |seat| seat.press(":fault vault main\n")),
    ("plan_idle", |seat| {
        seat.ask_for_repair();
        for keys in ["cellar\n", "\n", "r"] {
            seat.press(keys);
        }
    }),
    ("plan_running", |seat| {
        seat.ask_for_repair();
        seat.press_only("cellar\n");
        let Mode::Plan(Dialog { ticket, .. }) = seat.state.mode else {
            panic!("a plan is carried out");
        };
        let share = Share {
            work: Work::Writing,
            done: Sectors::new(3 << 20),
            of: Sectors::new(8 << 20),
            done_in_all: Sectors::new(3 << 20),
            in_all: Sectors::new(8 << 20),
        };
        let told = Answer::Progress { ticket, share };
        happen(&mut seat.state, 100, Event::Told(told));
    }),
    ("underway", |seat| {
        seat.ask_for_repair();
        seat.press_only("cellar\n");
        let ticket = seat.state.underway.tasks[0].ticket;
        for (at, done) in [(1000, 0), (3000, 3 << 20)] {
            let share = Share {
                work: Work::Writing,
                done: Sectors::new(done),
                of: Sectors::new(8 << 20),
                done_in_all: Sectors::new(done),
                in_all: Sectors::new(8 << 20),
            };
            let told = Answer::Progress { ticket, share };
            happen(&mut seat.state, at, Event::Told(told));
        }
        seat.press_only("c");
    }),
    ("plan_done", |seat| {
        seat.ask_for_repair();
        seat.press("cellar\n");
    }),
    ("plan_refused", |seat| {
        seat.host.0.lock().unwrap().disks.clear();
        seat.ask_for_repair();
    }),
    ("plan_failed", |seat| {
        seat.ask_for_repair();
        seat.press_only("cellar\n");
        let Mode::Plan(dialog) = &seat.state.mode else {
            panic!("{:?}", seat.state.mode);
        };
        let ticket = dialog.ticket;
        let error = Error::failed("io", "disk-h: sector 1024: input/output error")
            .advise("Two copies were written before. Run the repair again.");
        let outcome = Err(error);
        seat.tell(Answer::Executed { ticket, outcome });
    }),
    ("prompt", |seat| seat.press(":corrupt vault --kind t")),
    ("done", |seat| seat.press("L")),
    ("undo_list", |seat| seat.press("U")),
    ("settings", |seat| {
        seat.state.options.file = Some(SettingsFile {
            path: "/home/me/.config/dmremap/config.toml".into(),
            exists: true,
            keys_line: Some(52),
            values: Settings::default().kept(),
        });
        let overridden = &mut seat.state.options.overridden;
        overridden.insert("utc", "DMREMAP_UTC".to_owned());
        seat.press(",↓↓↓→");
    }),
    ("scenarios", |seat| seat.press("t")),
    ("scenario_step", |seat| seat.press("t\n")),
    ("first_frame", |seat| {
        seat.state = State::new(seat.state.options.clone(), None, seat.state.screen);
    }),
    ("empty_machine", |seat| {
        seat.state = State::new(seat.state.options.clone(), None, seat.state.screen);
        seat.tell(Answer::Listed {
            devices: Vec::new(),
            mapped: Vec::new(),
        });
    }),
    ("without_root", |seat| {
        seat.state = State::new(seat.state.options.clone(), None, seat.state.screen);
        let devices: Vec<_> = ["sda", "sdb"]
            .map(|name| {
                sample::device(
                    name,
                    sample::superblock(1, "a", "b").main_sectors,
                    Usage::Free,
                )
            })
            .into();
        let denied = |name: &str| (path(name), Err("permission denied".to_owned()));
        let examined = vec![denied("sda"), denied("sdb")];
        seat.tell(Answer::Listed {
            devices,
            mapped: Vec::new(),
        });
        seat.tell(Answer::Examined(examined));
    }),
];

fn scene(scene: &Scene, options: Options, size: Size) -> State {
    let mut seat = Seat::new(options, size);
    scene.1(&mut seat);
    seat.state
}

/// Where what is drawn is bold, dim, underlined or inverted: all that is left without
/// colour to tell things apart, besides the glyphs.
fn weights(buffer: &Buffer) -> String {
    let mark = |modifier: Modifier| match modifier {
        modifier if modifier.contains(Modifier::REVERSED) => 'r',
        modifier if modifier.contains(Modifier::BOLD) => 'b',
        modifier if modifier.contains(Modifier::UNDERLINED) => 'u',
        modifier if modifier.contains(Modifier::DIM) => 'd',
        _ => ' ',
    };
    let lines = buffer.content().chunks(usize::from(buffer.area.width));
    let lines = lines.map(|cells| {
        let line: String = cells.iter().map(|cell| mark(cell.modifier)).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_screen_is_as_it_was_accepted() {
    const USUAL: Size = Size::new(80, 24);
    for one in SCENES {
        let at = |options, size| drawn(&scene(one, options, size));
        let sections = [
            ("80x24", text(&at(COLOUR, USUAL))),
            ("120x40", text(&at(COLOUR, Size::new(120, 40)))),
            ("60x20", text(&at(COLOUR, Size::new(60, 20)))),
            (
                "monochrome, 80x24: bold, dim, underlined, reversed",
                weights(&at(MONO, USUAL)),
            ),
            ("ascii, 80x24", text(&at(ASCII, USUAL))),
        ];
        let whole: Vec<String> = sections
            .iter()
            .map(|(title, text)| format!("## {title}\n{text}"))
            .collect();
        check_text(&format!("screen_{}", one.0), &whole.join("\n"));
    }
}

#[test]
fn every_kind_of_screen_has_a_scene_and_every_scene_a_snapshot() {
    let mut seen = BTreeSet::new();
    for one in SCENES {
        let state = scene(one, COLOUR, Size::new(80, 24));
        let kind = kind_of(&state);
        if KINDS.contains(&one.0) {
            assert_eq!(kind, one.0, "the scene leads elsewhere");
        }
        seen.insert(kind);
    }
    let all: BTreeSet<&str> = KINDS.iter().copied().collect();
    let missing: Vec<&&str> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "no scene leads to {missing:?}");
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for entry in std::fs::read_dir(snapshots).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let scene = name
            .strip_prefix("screen_")
            .and_then(|it| it.strip_suffix(".snap"));
        let is_known = |scene: &str| SCENES.iter().any(|(known, _)| *known == scene);
        assert!(scene.is_none_or(is_known), "{name} is of no scene");
    }
}

#[test]
fn no_screen_of_any_size_panics_or_hides_the_answer() {
    for one in SCENES {
        let mut state = scene(one, COLOUR, Size::new(80, 24));
        for width in [1, 2, 5, 13, 20, 40, 59, 60, 79, 109, 110, 140, 200] {
            for height in [1, 2, 3, 5, 11, 19, 20, 33, 80] {
                let size = Size::new(width, height);
                happen(&mut state, 1000, Event::Resized(size));
                let buffer = drawn(&state);
                if width >= 20 {
                    let first = text(&buffer);
                    let first = first.lines().next().unwrap_or_default();
                    assert!(!first.trim().is_empty(), "{} at {size}", one.0);
                }
            }
        }
    }
}

#[test]
fn monochrome_and_ascii_keep_to_themselves_on_every_screen() {
    for one in SCENES {
        for options in [MONO, ASCII] {
            let ascii = options.theme.ascii;
            let buffer = drawn(&scene(one, options, Size::new(80, 24)));
            for cell in buffer.content() {
                let (fg, bg) = (cell.fg, cell.bg);
                let reset = ratatui::style::Color::Reset;
                assert_eq!((fg, bg), (reset, reset), "{}", one.0);
                assert!(!ascii || cell.symbol().is_ascii(), "{}: {cell:?}", one.0);
            }
        }
    }
}

#[test]
fn what_cannot_be_seen_cannot_be_confirmed() {
    for (keys, size) in [("cellar", Size::new(59, 24)), ("cellar", Size::new(80, 18))] {
        let mut seat = Seat::new(COLOUR, Size::new(80, 24));
        seat.ask_for_repair();
        seat.press(keys);
        happen(&mut seat.state, 1000, Event::Resized(size));
        assert!(
            seat.press_only("\n").is_empty(),
            "confirmed unseen at {size}"
        );
        let shown = text(&drawn(&seat.state));
        assert!(shown.contains("a window is open, esc leaves it"), "{shown}");
        happen(&mut seat.state, 1000, Event::Resized(Size::new(80, 24)));
        assert!(!seat.press_only("\n").is_empty(), "the plan is lost");
    }
    // Nor begun: there are letters that act at once.
    let mut seat = Seat::new(COLOUR, Size::new(40, 10));
    assert!(seat.press_only("srdwxanu").is_empty());
}

#[test]
fn what_is_typed_under_a_plan_is_seen_on_the_smallest_screen() {
    let mut seat = Seat::new(COLOUR, Size::new(60, 20));
    seat.press("r");
    seat.press("vau");
    let shown = text(&drawn(&seat.state));
    assert!(shown.contains("Type vault to go on: vau"), "{shown}");
    assert!(
        shown.contains("This changes a device that is up."),
        "{shown}"
    );
}

#[test]
fn small_screens_say_whether_the_data_is_safe() {
    for (name, width, height) in [
        ("reduced_40x10", 40, 10),
        ("reduced_20x5", 20, 5),
        ("reduced_100x8", 100, 8),
    ] {
        let state = scene(&SCENES[0], COLOUR, Size::new(width, height));
        check_text(name, &text(&drawn(&state)));
    }
}
