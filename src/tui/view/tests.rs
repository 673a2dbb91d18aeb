//! Screens as they are drawn, against accepted ones under `tests/snapshots`.

use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Modifier;
use ratatui::Terminal;

use super::draw;
use crate::tui::event::{Answer, Event};
use crate::tui::options::Options;
use crate::tui::sample::{
    devices, devices_but_the_weak, happen, look, mapped, press, spare, state, superblock, well,
    COLOUR,
};
use crate::tui::state::State;
use crate::tui::theme::Theme;

pub(super) const ASCII: Options = Options::with_theme(Theme {
    ascii: true,
    ..Theme::COLOURLESS
});

pub(super) const MONO: Options = Options::with_theme(Theme::COLOURLESS);

pub(super) fn drawn(state: &State) -> Buffer {
    let backend = TestBackend::new(state.screen.width, state.screen.height);
    let mut terminal = Terminal::new(backend).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().buffer().clone()
}

pub(super) fn text(buffer: &Buffer) -> String {
    let lines = buffer.content().chunks(usize::from(buffer.area.width));
    let lines = lines.map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn check(name: &str, state: &State) {
    check_text(name, &text(&drawn(state)));
}

pub(super) fn check_text(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn at(width: u16, height: u16, keys: &str) -> State {
    let mut state = state(COLOUR, width, height);
    press(&mut state, keys);
    state
}

#[test]
fn the_overview_on_a_large_screen() {
    check("overview_200x50", &at(200, 50, ""));
}

#[test]
fn the_copies_as_bytes_and_as_fields() {
    check("copies_fields_120x40", &at(120, 40, "2\njjjv"));
}

#[test]
fn inside_of_a_copy_the_byte_under_the_cursor_is_named() {
    check("copies_inside_80x24", &at(80, 24, "2\njjj\nll"));
    check("copies_inside_200x50", &at(200, 50, "2\njjj\nn"));
    check("copies_winner_80x24", &at(80, 24, "2\n\nG"));
    let mut mono = state(MONO, 80, 24);
    press(&mut mono, "2\njjj\n");
    let buffer = drawn(&mono);
    let inverted: Vec<&str> = cells_with(&buffer, Modifier::REVERSED);
    assert_eq!(
        inverted,
        ["9", "e", "0", "0"],
        "the byte here and in the winner"
    );
    check("ascii_copies_inside_120x40", &{
        let mut state = state(ASCII, 120, 40);
        press(&mut state, "2\njjj\n");
        state
    });
}

fn cells_with(buffer: &Buffer, modifier: Modifier) -> Vec<&str> {
    let cells = buffer.content().iter();
    cells
        .filter(|cell| cell.modifier.contains(modifier))
        .map(|cell| cell.symbol())
        .collect()
}

#[test]
fn a_copy_that_was_repaired_is_pointed_at() {
    let mut state = at(120, 40, "2\njjj");
    let answers = [
        Answer::Examined(vec![look(
            &spare(superblock(7, "disk-a", "disk-b"), "vault"),
            "disk-b",
        )]),
        Answer::Listed {
            devices: devices(),
            mapped: vec![mapped("vault", "disk-a", "disk-b", well())],
        },
    ];
    for answer in answers {
        happen(&mut state, 5000, Event::Told(answer));
    }
    happen(&mut state, 8000, Event::Tick);
    check("copies_healed_120x40", &state);
    happen(&mut state, 16_000, Event::Tick);
    let text = text(&drawn(&state));
    assert!(!text.contains("was corrupt") && !text.contains("whole again"));
}

#[test]
fn remaps_events_and_journal() {
    check("remaps_60x20", &at(60, 20, "3\nooj"));
    check("remaps_inside_60x20", &at(60, 20, "3\n\n+++n"));
    check(
        "remaps_zoomed_120x40",
        &at(120, 40, "3\nb1,305,000\n\n+++++"),
    );
    check("remaps_go_to_80x24", &at(80, 24, "3\nb1 PiB\n"));
    check("remaps_search_80x24", &at(80, 24, "3\n/unread\noo"));
    check("ascii_remaps_80x24", &{
        let mut state = state(ASCII, 80, 24);
        press(&mut state, "3\n\n");
        state
    });
    check("events_60x20", &at(60, 20, "4\n"));
    check("events_filtered_120x40", &at(120, 40, "4\ni/damage\n"));
    check("counters_80x24", &at(80, 24, "6\nj"));
    check("counters_120x40", &at(120, 40, "6\njjjj---"));
    check("counters_60x20", &at(60, 20, "6\n"));
    check("counters_idle_80x24", &at(80, 24, "gjjjjjjjjj6"));
    check("ascii_counters_120x40", &{
        let mut state = state(ASCII, 120, 40);
        press(&mut state, "6\n--");
        state
    });
}

#[test]
fn devices_that_are_not_up() {
    check("idle_weak_120x40", &at(120, 40, "gjjjjjjjjj"));
    check("idle_plain_120x40", &at(120, 40, "G"));
    check("idle_unreadable_80x24", &at(80, 24, "Gk"));
    check("idle_blank_80x24", &at(80, 24, "G/disk-e\n"));
}

#[test]
fn windows_lie_over_the_rest() {
    check("corrupt_80x24", &at(80, 24, "x14↓"));
    check("wizard_form_80x24", &at(80, 24, "n\n\ncel lar\n"));
}

#[test]
fn a_countdown_goes_on_by_itself() {
    let mut state = state(COLOUR, 120, 40);
    let mapped = state.up().iter().map(|active| active.mapped.clone());
    let listed = Answer::Listed {
        mapped: mapped.collect(),
        devices: devices_but_the_weak(),
    };
    happen(&mut state, 1000, Event::Told(listed));
    let before = text(&drawn(&state));
    assert!(before.contains("repair in 2 s."), "{before}");
    let wait = crate::tui::pulse::next_change(&state).unwrap();
    let at = 1000 + u64::try_from(wait.as_millis()).unwrap();
    happen(&mut state, at, Event::Tick);
    let after = text(&drawn(&state));
    assert!(after.contains("repair in 1 s."), "{after}");
}

#[test]
fn the_sessions_own_windows() {
    check("prompt_refused_80x24", &at(80, 24, ":scrubb\n"));
    let mut still = at(80, 24, "of");
    still.options.read_only = true;
    still.options.dry_run = true;
    check("badges_80x24", &still);
    check("portrait_60x50", &at(60, 50, "2\n"));
}
