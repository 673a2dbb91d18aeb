//! Screens as they are drawn, against accepted ones under `tests/snapshots`.

use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::style::{Color, Modifier};
use ratatui::Terminal;

use super::draw;
use crate::tui::event::{Answer, Event};
use crate::tui::options::Options;
use crate::tui::sample::{
    devices, happen, look, mapped, press, spare, state, superblock, well, COLOUR,
};
use crate::tui::state::State;
use crate::tui::theme::Theme;

const ASCII: Options = Options::with_theme(Theme {
    ascii: true,
    ..Theme::COLOURLESS
});

const MONO: Options = Options::with_theme(Theme::COLOURLESS);

pub(super) fn drawn(state: &State) -> Buffer {
    let backend = TestBackend::new(state.size.width, state.size.height);
    let mut terminal = Terminal::new(backend).unwrap();
    terminal.draw(|frame| draw(frame, state)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let lines = buffer.content().chunks(usize::from(buffer.area.width));
    let lines = lines.map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn check(name: &str, state: &State) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text(&drawn(state))));
}

fn at(width: u16, height: u16, keys: &str) -> State {
    let mut state = state(COLOUR, width, height);
    press(&mut state, keys);
    state
}

#[test]
fn the_overview_at_the_usual_sizes() {
    check("overview_80x24", &at(80, 24, ""));
    check("overview_120x40", &at(120, 40, ""));
    check("overview_60x20", &at(60, 20, "\n"));
    check("overview_200x50", &at(200, 50, ""));
}

#[test]
fn the_copies_as_bytes_and_as_fields() {
    check("copies_80x24", &at(80, 24, "2\njjj"));
    check("copies_120x40", &at(120, 40, "2\njjj"));
    check("copies_60x20", &at(60, 20, "2\njjj"));
    check("copies_fields_120x40", &at(120, 40, "2\njjjv"));
}

#[test]
fn inside_of_a_copy_the_byte_under_the_cursor_is_named() {
    check("copies_inside_80x24", &at(80, 24, "2\njjj\nll"));
    check("copies_inside_60x20", &at(60, 20, "2\njjj\n"));
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
    check("remaps_80x24", &at(80, 24, "3\nG"));
    check("remaps_120x40", &at(120, 40, "3\nG"));
    check("remaps_60x20", &at(60, 20, "3\nooj"));
    check("remaps_inside_80x24", &at(80, 24, "3\n\nnn"));
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
    check("events_80x24", &at(80, 24, "4\nj"));
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
    check("journal_120x40", &at(120, 40, "5\nj"));
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
    check("help_80x24", &at(80, 24, "?"));
    check("filter_80x24", &at(80, 24, "/vau"));
    check("corrupt_80x24", &at(80, 24, "x14↓"));
    check("wizard_main_120x40", &at(120, 40, "n"));
    check("wizard_spare_120x40", &at(120, 40, "n\n"));
    check("wizard_spare_60x20", &at(60, 20, "n\n"));
    check("wizard_form_80x24", &at(80, 24, "n\n\ncel lar\n"));
}

#[test]
fn without_colour_and_without_glyphs() {
    for keys in [
        "", "2\njjj", "2\njjj\n", "3\n", "3\n\n", "4\n", "6\n", "?", "x14↓", "n\n", "5\n",
    ] {
        for options in [MONO, ASCII] {
            let ascii = options.theme.ascii;
            let mut state = state(options, 80, 24);
            press(&mut state, keys);
            let buffer = drawn(&state);
            for cell in buffer.content() {
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
                assert!(!ascii || cell.symbol().is_ascii(), "{cell:?}");
            }
        }
    }
    let mut ascii = state(ASCII, 80, 24);
    check("ascii_overview_80x24", &ascii);
    press(&mut ascii, "2\njjj");
    check("ascii_copies_80x24", &ascii);
}

#[test]
fn before_anything_is_known() {
    let state = State::new(COLOUR, None, Size::new(80, 24));
    check("first_frame_80x24", &state);
}

#[test]
fn no_size_is_too_small_to_draw() {
    let keys = [
        "", "2\njjj", "2\nv", "3\n", "4\n", "5\n", "?", "x1", "n", "n\n", "n\n\n",
    ];
    for keys in keys {
        let mut state = state(COLOUR, 80, 24);
        press(&mut state, keys);
        for width in (1..140).step_by(7) {
            for height in (1..44).step_by(3) {
                happen(&mut state, 1000, Event::Resized(Size::new(width, height)));
                drawn(&state);
            }
        }
    }
    check("too_small_50x10", &at(50, 10, ""));
}

#[test]
fn a_countdown_goes_on_by_itself() {
    let mut state = state(COLOUR, 120, 40);
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
    check("prompt_80x24", &at(80, 24, ":corrupt vault --kind t"));
    check("prompt_refused_80x24", &at(80, 24, ":scrubb\n"));
    check("done_120x40", &at(120, 40, "L"));
    check("undo_list_60x20", &at(60, 20, "U"));
    check("settings_80x24", &at(80, 24, ","));
    let mut still = at(80, 24, "of");
    still.options.read_only = true;
    still.options.dry_run = true;
    check("badges_80x24", &still);
    check("portrait_60x50", &at(60, 50, "2\n"));
    check("scenarios_80x24", &at(80, 24, "t"));
    check("guide_80x24", &at(80, 24, "t\n"));
}
