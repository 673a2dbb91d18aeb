//! The session's own behaviour: commands that are typed, freezing, settings, the mouse.

use std::path::Path;

use super::{Effect, Ended, Request};
use crate::config::{Settings, SettingsFile, Values};
use crate::error::Error;
use crate::ops::{Operation, Target};
use crate::remap_core::message::Message;
use crate::tui::actions;
use crate::tui::event::{Answer, Event, Mouse, MouseKind};
use crate::tui::export::Form;
use crate::tui::key::Key;
use crate::tui::keymap::{Command, KeyMap};
use crate::tui::layout::Areas;
use crate::tui::rows::RowKey;
use crate::tui::sample::{self, happen, path, press, state, COLOUR};
use crate::tui::settings::Setting;
use crate::tui::sort::{Sort, SortBy};
use crate::tui::state::{Focus, Mode, State, Tab};
use crate::tui::theme::Palette;

fn sample_state() -> State {
    state(COLOUR, 80, 24)
}

/// Types a command and runs it.
fn type_command(state: &mut State, line: &str) -> Vec<Effect> {
    press(state, &format!(":{line}\n"))
}

fn planned(effects: &[Effect]) -> Option<&Operation> {
    effects.iter().find_map(|effect| match effect {
        Effect::Ask(Request::Plan { operation, .. }) => Some(&**operation),
        _ => None,
    })
}

fn complaint(state: &State) -> &str {
    match &state.mode {
        Mode::Prompt(prompt) => prompt.complaint.as_deref().unwrap_or_default(),
        _ => "",
    }
}

#[test]
fn a_typed_command_asks_for_the_plan_that_its_key_asks_for() {
    for (line, key) in [
        ("scrub", "s"),
        ("repair", "r"),
        ("write-metadata", "w"),
        ("remove", "d"),
        ("undo", "u"),
    ] {
        let (mut typed, mut pressed) = (sample_state(), sample_state());
        let by_line = type_command(&mut typed, line);
        let by_key = press(&mut pressed, key);
        assert!(planned(&by_line).is_some(), "{line}: {}", complaint(&typed));
        assert_eq!(planned(&by_line), planned(&by_key), "{line}");
    }
}

#[test]
fn a_typed_command_may_name_another_device_than_the_one_shown() {
    let mut state = sample_state();
    let effects = type_command(&mut state, "corrupt attic --copy 1,3 --kind torn --seed 9");
    let Some(Operation::Corrupt { path: at, seed, .. }) = planned(&effects) else {
        panic!("{}", complaint(&state));
    };
    assert_eq!((at.as_path(), *seed), (&*path("disk-d"), 9));
    let effects = type_command(&mut state, "repair disk-h --rebuild");
    assert!(
        planned(&effects).is_none(),
        "a plan is open: what is typed goes to it"
    );
    press(&mut state, "\x1b");
    let effects = type_command(&mut state, "repair disk-h --rebuild");
    let rebuild = Operation::Repair {
        target: Target::Path(path("disk-h")),
        from: None,
        rebuild: true,
        array: None,
    };
    assert_eq!(planned(&effects), Some(&rebuild));
}

#[test]
fn what_makes_no_sense_stays_on_the_line_and_says_why() {
    for (line, said) in [
        ("scrubb", "did you mean scrub?"),
        ("freez", "did you mean freeze?"),
        ("corrupt vault", "corrupt needs --copy"),
        ("sort colour", "there is no order"),
        ("theme dusk", "there is no theme"),
        ("page two", "there is no page"),
        ("mouse up", "on or off"),
        ("quit now", "no further word"),
        ("select nothing", "not in the list"),
        ("filter", ""),
        ("export 'a", "a quote is not closed"),
    ] {
        let mut state = sample_state();
        let effects = type_command(&mut state, line);
        assert!(effects.is_empty(), "{line}: {effects:?}");
        assert!(
            complaint(&state).contains(said),
            "{line}: {}",
            complaint(&state)
        );
        let is_open = matches!(state.mode, Mode::Prompt(_));
        assert_eq!(is_open, !said.is_empty(), "{line}");
    }
}

#[test]
fn commands_of_the_screen_do_what_they_say() {
    let mut state = sample_state();
    type_command(&mut state, "select usb-e");
    assert_eq!(state.chosen, Some(RowKey::Device(path("usb-e"))));
    type_command(&mut state, "page copies");
    assert_eq!(state.tab, Tab::Copies);
    type_command(&mut state, "filter disk-h");
    assert_eq!((state.filter.as_str(), state.rows.len()), ("disk-h", 1));
    type_command(&mut state, "filter");
    assert!(state.rows.len() > 5);
    type_command(&mut state, "sort -size");
    let sort = Sort {
        by: SortBy::Size,
        reversed: true,
    };
    assert_eq!(state.options.sort, sort);
    type_command(&mut state, "theme light");
    assert_eq!(state.theme().palette, Palette::LIGHT);
    let effects = type_command(&mut state, "export /tmp/a.svg");
    assert!(matches!(
        &effects[..],
        [Effect::Export { path, form: Form::Svg }] if path == Path::new("/tmp/a.svg")
    ));
    let effects = type_command(&mut state, "mouse off");
    assert!(matches!(effects[..], [Effect::Mouse(false)]));
    assert!(type_command(&mut state, "mouse off").is_empty());
    let effects = type_command(&mut state, "quit");
    assert!(matches!(effects[..], [Effect::End(Ended::Quit)]));
}

#[test]
fn what_was_said_before_comes_back() {
    let mut state = sample_state();
    for line in ["sort size", "sort name"] {
        type_command(&mut state, line);
    }
    for (keys, text) in [
        (":↑", "sort name"),
        ("↑", "sort size"),
        ("↑", "sort size"),
        ("↓", "sort name"),
    ] {
        press(&mut state, keys);
        assert!(
            matches!(&state.mode, Mode::Prompt(prompt) if prompt.text == text),
            "{keys}"
        );
    }
}

#[test]
fn the_list_is_sorted_and_what_is_mapped_stays_below_its_main() {
    let mut state = sample_state();
    for (by, keys) in [
        (SortBy::Size, "o"),
        (SortBy::Health, "o"),
        (SortBy::Part, "o"),
    ] {
        let chosen = state.chosen.clone();
        press(&mut state, keys);
        assert_eq!(state.options.sort.by, by);
        assert_eq!(state.chosen, chosen, "the chosen row stays chosen");
        let child = state.rows.iter().position(|row| row.child).unwrap();
        let above = &state.devices()[state.rows[child - 1].index];
        let below = &state.up()[state.rows[child].index].mapped;
        assert_eq!(above.path, below.main);
    }
    press(&mut state, "ooo");
    let sizes = |state: &State| -> Vec<u64> {
        let rows = state
            .rows
            .iter()
            .filter(|row| matches!(row.key, RowKey::Device(_)));
        rows.map(|row| state.devices()[row.index].size.get())
            .collect()
    };
    type_command(&mut state, "sort size");
    assert!(
        sizes(&state).is_sorted_by(|a, b| a >= b),
        "{:?}",
        sizes(&state)
    );
    press(&mut state, "O");
    assert!(sizes(&state).is_sorted(), "{:?}", sizes(&state));
}

#[test]
fn a_frozen_screen_stands_still_and_then_has_everything() {
    let mut state = sample_state();
    press(&mut state, "f");
    let before = (state.rows.len(), state.events.len(), state.now);
    let mut devices = sample::devices();
    devices.truncate(2);
    let mapped = Vec::new();
    happen(
        &mut state,
        5000,
        Event::Told(Answer::Listed { devices, mapped }),
    );
    for _ in 0..3 {
        let events = sample::events();
        happen(&mut state, 6000, Event::Told(Answer::Logged(events)));
    }
    happen(&mut state, 7000, Event::Tick);
    assert_eq!((state.rows.len(), state.events.len(), state.now), before);
    assert_eq!(crate::tui::pulse::next_change(&state), None);
    let at = happen(&mut state, 8000, Event::Key(Key::Char('f')));
    assert!(planned(&at).is_none());
    assert!(state.frozen.is_none());
    assert_eq!(state.rows.len(), 2);
    assert_eq!(state.events.len(), before.1 + 3 * sample::events().len());
}

#[test]
fn an_action_lets_a_frozen_screen_go_on() {
    let mut state = sample_state();
    press(&mut state, "f");
    press(&mut state, "r");
    assert!(state.frozen.is_none());
}

#[test]
fn a_dry_run_carries_nothing_out() {
    let mut state = sample_state();
    type_command(&mut state, "dry-run on");
    let effects = press(&mut state, "s");
    let Some(Effect::Ask(Request::Plan { ticket, operation })) = effects.into_iter().next() else {
        panic!("no plan was asked for");
    };
    assert!(matches!(
        &*operation,
        Operation::Message {
            message: Message::Scrub,
            ..
        }
    ));
    let refusal = crate::ops::Refusal::new("stale", "no", "");
    let told = happen(
        &mut state,
        1000,
        Event::Told(Answer::Planned {
            ticket,
            plan: Err(refusal),
        }),
    );
    assert!(told.is_empty());
}

#[test]
fn read_only_can_be_turned_on_and_not_off() {
    let mut state = sample_state();
    type_command(&mut state, "read-only on");
    assert!(state.options.read_only);
    type_command(&mut state, "read-only off");
    assert!(state.options.read_only);
    assert!(planned(&type_command(&mut state, "repair")).is_none());
    assert!(complaint(&state).contains("nothing is changed"));
}

#[test]
fn settings_are_turned_with_arrows() {
    let mut state = sample_state();
    press(&mut state, ",→");
    assert_eq!(state.theme().palette, Palette::DARK);
    press(&mut state, "←");
    assert_eq!(state.theme().palette, Palette::TERMINAL);
    // Without colour there is none to turn, and the theme is not forgotten.
    press(&mut state, "→↓→");
    assert_eq!(state.theme().palette, Palette::MONOCHROME);
    press(&mut state, "↑→");
    assert!(notice(&state).contains("no colour"));
    press(&mut state, "↓→");
    assert_eq!(state.theme().palette, Palette::DARK);
    press(&mut state, "↓→");
    assert!(state.theme().ascii);
    press(&mut state, "\x1b");
    assert!(matches!(state.mode, Mode::Browse));
}

fn notice(state: &State) -> &str {
    let notice = state.notice.as_ref();
    notice.map_or("", |notice| notice.text.as_str())
}

fn with_file(state: &mut State) {
    state.options.file = Some(SettingsFile {
        path: "/home/me/config.toml".into(),
        exists: true,
        keys_line: Some(52),
        values: Settings::default().kept(),
    });
}

fn kept(effects: &[Effect]) -> Values {
    let [Effect::Ask(Request::KeepSettings { path, values })] = effects else {
        panic!("{effects:?}");
    };
    assert_eq!(path, Path::new("/home/me/config.toml"));
    values.clone()
}

#[test]
fn settings_are_saved_as_far_as_nothing_else_decides_them() {
    let mut state = sample_state();
    with_file(&mut state);
    state.options.overridden.insert("utc", "--utc".to_owned());
    press(&mut state, ",");
    assert!(Setting::ALL.iter().all(|it| !it.is_unsaved(&state)));
    // The next theme, and the times, which an option decides.
    press(&mut state, "→↓↓↓↓↓→");
    assert!(Setting::Theme.is_unsaved(&state));
    assert!(!Setting::Utc.is_unsaved(&state));
    let values = kept(&press(&mut state, "w"));
    let mut expected = Settings::default().kept();
    expected.insert("theme", "\"dark\"".to_owned());
    expected.remove("utc");
    assert_eq!(values, expected);
    let mut file = state.options.file.clone().unwrap();
    file.values.extend(values);
    let saved = Answer::SettingsKept(Ok((file, true)));
    happen(&mut state, 1000, Event::Told(saved));
    assert_eq!(notice(&state), "Saved in /home/me/config.toml.");
    assert!(!Setting::Theme.is_unsaved(&state));
    press(&mut state, "↑↑↑\x1b,↑");
    let refused = Error::failed("io", "/home/me/config.toml: permission denied");
    happen(
        &mut state,
        1000,
        Event::Told(Answer::SettingsKept(Err(refused))),
    );
    assert!(notice(&state).starts_with("Not saved, and nothing changed."));
}

#[test]
fn sentences_name_the_operators_own_keys_and_the_wheel_needs_none() {
    let mut state = sample_state();
    let own = [
        ("prompt-complete", "f2"),
        ("events", "f4"),
        ("up", "f5"),
        ("down", "f6"),
    ];
    let own = own.map(|(action, key)| (action.to_owned(), vec![key.to_owned()]));
    state.options.keys = KeyMap::with(&own.into()).unwrap();
    type_command(&mut state, "select");
    assert!(complaint(&state).ends_with("f2 shows which"));
    let why = actions::available(&state, Command::Tighten).unwrap_err();
    assert_eq!(why, "This is for the page of events: f4.");
    press(&mut state, "\x1b,");
    let wheel = Mouse {
        kind: MouseKind::ScrollDown,
        column: 1,
        row: 1,
    };
    happen(&mut state, 1000, Event::Mouse(wheel));
    assert!(matches!(state.mode, Mode::Settings(1..)));
}

#[test]
fn what_is_pasted_is_as_long_as_what_is_typed_may_be() {
    let mut state = sample_state();
    press(&mut state, "/a");
    happen(&mut state, 1000, Event::Pasted("é".repeat(1 << 20)));
    assert!((4090..=4096).contains(&state.filter.len()));
    press(&mut state, "zz");
    assert!(state.filter.len() <= 4096 && state.filter.starts_with("aé"));
    press(&mut state, "\x1b:");
    happen(&mut state, 1000, Event::Pasted("x\n".repeat(1 << 20)));
    let Mode::Prompt(prompt) = &state.mode else {
        panic!("{:?}", state.mode);
    };
    assert_eq!(prompt.text, "x".repeat(4096));
}

#[test]
fn read_only_is_turned_off_for_the_next_start_alone() {
    let mut state = sample_state();
    with_file(&mut state);
    type_command(&mut state, "read-only on");
    press(&mut state, ",↓↓↓↓↓↓");
    assert_eq!(kept(&press(&mut state, "w"))["read_only"], "true");
    press(&mut state, "→");
    assert!(state.options.read_only, "it stays until the end");
    assert_eq!(Setting::ReadOnly.value(&state), "on, then off");
    assert_eq!(kept(&press(&mut state, "w"))["read_only"], "false");
}

#[test]
fn what_is_left_unsaved_is_said() {
    let mut state = sample_state();
    with_file(&mut state);
    press(&mut state, ",→\x1b");
    assert!(notice(&state).contains("w in the settings saves it"));
    press(&mut state, ",←\x1b");
    assert_eq!(notice(&state), "");
}

#[test]
fn the_command_of_an_action_is_copied_and_the_action_taken_back() {
    let mut state = sample_state();
    let effects = press(&mut state, "Ly");
    let [Effect::Copy(line)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(*line, state.journal.last().unwrap().begun.command);
    press(&mut state, "\x1bU");
    let Mode::Actions(actions) = &state.mode else {
        panic!("no window");
    };
    let first = actions.chosen(&state).unwrap().id;
    let effects = press(&mut state, "u");
    assert_eq!(
        planned(&effects),
        Some(&Operation::Undo { id: Some(first) })
    );
}

#[test]
fn y_copies_the_command_that_shows_what_is_shown() {
    let mut state = sample_state();
    let effects = press(&mut state, "y");
    let [Effect::Copy(line)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(line, "dmremap-tui inspect /lab/devices/disk-b");
}

fn at(kind: MouseKind, column: u16, row: u16) -> Event {
    Event::Mouse(Mouse { kind, column, row })
}

#[test]
fn the_mouse_chooses_rows_and_tabs_and_scrolls() {
    for (width, height) in [(80, 24), (120, 40), (60, 20)] {
        let mut state = state(COLOUR, width, height);
        let areas = Areas::of(state.size, state.focus).unwrap();
        press(&mut state, "g");
        let first = state.rows[0].key.clone();
        let second = state.rows[1].key.clone();
        let heading = u16::from(areas.list.height >= 7);
        let row = areas.list.y + 1 + heading;
        happen(
            &mut state,
            1000,
            at(MouseKind::Press, areas.list.x + 3, row + 1),
        );
        assert_eq!(state.chosen, Some(second), "{width}x{height}");
        happen(
            &mut state,
            1000,
            at(MouseKind::Press, areas.list.x + 3, row),
        );
        assert_eq!(state.chosen, Some(first));
        happen(
            &mut state,
            1000,
            at(MouseKind::ScrollDown, areas.list.x + 3, row),
        );
        assert_eq!(state.chosen_index(), Some(3));
        happen(
            &mut state,
            1000,
            at(MouseKind::ScrollUp, areas.list.x + 3, row),
        );
        assert_eq!(state.chosen_index(), Some(0));
        // The second tab begins behind " " + " Overview " + " ".
        let areas = Areas::of(state.size, state.focus).unwrap();
        let column = areas.detail.x + 2 + 11;
        happen(
            &mut state,
            1000,
            at(MouseKind::Press, column, areas.detail.y + 1),
        );
        assert_eq!(state.tab, Tab::Copies);
        assert_eq!(state.focus, Focus::List, "a tab takes no keyboard");
    }
}

#[test]
fn the_mouse_confirms_nothing() {
    let mut state = sample_state();
    press(&mut state, "r");
    for row in 0..24 {
        for column in (0..80).step_by(4) {
            let effects = happen(&mut state, 1000, at(MouseKind::Press, column, row));
            assert!(effects.is_empty());
        }
    }
    assert!(matches!(state.mode, Mode::Plan(_)));
}

#[test]
fn only_a_stop_that_was_not_ours_takes_the_terminal_again() {
    let mut state = sample_state();
    let effects = happen(&mut state, 1000, Event::Key(Key::Ctrl('z')));
    assert!(matches!(effects[..], [Effect::Suspend]));
    assert!(happen(&mut state, 1000, Event::Continued).is_empty());
    let effects = happen(&mut state, 1000, Event::Continued);
    assert!(matches!(effects[..], [Effect::TakeAgain]));
    let effects = happen(&mut state, 1000, Event::AskedToStop);
    assert!(matches!(effects[..], [Effect::Suspend]));
}

#[test]
fn a_scenario_goes_on_once_its_step_is_done_and_came_true() {
    let text = "title = 'Drill'\nabout = 'x'\ndevice = 'vault'\n\
                [[step]]\nsay = 'look'\nthen = 'degraded'\n\
                [[step]]\nsay = 'break'\nrun = 'corrupt vault --copy 1'\nthen = 'degraded'\n";
    let scenario = crate::scenario::read("drill", text).unwrap();
    let mut state = sample_state();
    super::scenario::begin(&mut state, scenario);
    let at = |state: &State| state.guide.as_ref().map(|guide| guide.at);
    happen(&mut state, 1000, Event::Tick);
    assert_eq!(at(&state), Some(0), "nobody read it yet");
    happen(&mut state, 1000, Event::Key(Key::Ctrl('n')));
    assert_eq!(at(&state), Some(1));
    let effects = happen(&mut state, 1000, Event::Key(Key::Ctrl('n')));
    assert!(matches!(planned(&effects), Some(Operation::Corrupt { .. })));
    assert_eq!(at(&state), Some(1), "a plan is not done yet");
    press(&mut state, "\x1b");
    let mut journal = sample::journal();
    let mut done = journal[0].clone();
    done.id = crate::port::journal::ActionId::new(9);
    journal.push(done);
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Journal(journal, Default::default())),
    );
    assert_eq!(at(&state), None);
    assert!(state.notice.as_ref().unwrap().text.contains("Done: Drill"));
}

#[test]
fn scenarios_are_for_a_lab() {
    let mut state = sample_state();
    press(&mut state, "t");
    assert!(matches!(state.mode, Mode::Scenarios(..)));
    let mut state = sample_state();
    state.lab = None;
    press(&mut state, "t");
    assert!(matches!(state.mode, Mode::Browse));
    type_command(&mut state, "scenario torn-write");
    assert!(complaint(&state).contains("for a lab"));
}
