//! Somebody who presses anything at all: keys, the mouse, pastes, at screens of every size.

use ratatui::layout::Size;

use super::screens::Seat;
use super::tests::{drawn, ASCII, MONO};
use crate::tui::dialog::{Dialog, Stage};
use crate::tui::event::{Event, Mouse, MouseKind};
use crate::tui::key::{Key, NAMED};
use crate::tui::sample::{happen, COLOUR};
use crate::tui::state::{Mode, State};
use crate::tui::update::{Effect, Request};

/// The names that destructive actions ask for here, typed now and then.
const NAMES: [&str; 6] = ["cellar", "vault", "attic", "disk-e", "disk-f", "store"];

/// What one does here on purpose: ways to what asks for a name.
const HABITS: [&str; 4] = [
    "\u{1b}\u{1b}/disk-h",
    "\u{1b}\u{1b}:repair disk-h",
    "\u{1b}\u{1b}:corrupt disk-h --copy 1 --kind zero",
    "\u{1b}\u{1b}:undo",
];

/// A generator of numbers that repeats itself from run to run (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or(0) % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Letters most of all: most of what can be done has one.
    fn key(&mut self) -> Key {
        let printable = |at: usize| char::from(b' ' + u8::try_from(at).unwrap_or(0));
        match self.below(10) {
            0..5 => Key::Char(printable(self.below(95))),
            5 => Key::Ctrl(self.one_of(&['u', 'd', 'n', 'l', 'p', 'a', 'e'])),
            6 => self.one_of(&[Key::Enter, Key::Esc]),
            _ => self.one_of(&NAMED),
        }
    }

    fn events(&mut self) -> Vec<Event> {
        match self.below(40) {
            0 => {
                let sizes = [
                    (80, 24),
                    (120, 40),
                    (60, 20),
                    (60, 60),
                    (200, 50),
                    (20, 5),
                    (1, 1),
                ];
                let (width, height) = self.one_of(&sizes);
                vec![Event::Resized(Size::new(width, height))]
            }
            1 => typing(self.one_of(&NAMES)),
            2 => vec![Event::Pasted(self.one_of(&NAMES).to_owned())],
            3 => vec![Event::Pasted(
                "\u{1b}[31m\u{202e}\n:remove vault\n".to_owned(),
            )],
            4 => {
                let kinds = [MouseKind::Press, MouseKind::ScrollUp, MouseKind::ScrollDown];
                vec![Event::Mouse(Mouse {
                    kind: self.one_of(&kinds),
                    column: u16::try_from(self.below(130)).unwrap_or(0),
                    row: u16::try_from(self.below(45)).unwrap_or(0),
                })]
            }
            5 => vec![Event::Tick],
            6 | 7 => typing(self.one_of(&HABITS)),
            _ => vec![Event::Key(self.key())],
        }
    }
}

/// What was typed since the last key that is no letter.
fn take_typed(typed: &mut String, event: &Event) {
    match event {
        Event::Key(Key::Char(letter)) => typed.push(*letter),
        Event::Key(Key::Backspace) => drop(typed.pop()),
        Event::Pasted(text) => typed.push_str(text),
        // It confirms what was typed before.
        Event::Key(Key::Enter) | Event::Resized(_) | Event::Tick | Event::Mouse(_) => {}
        _ => typed.clear(),
    }
}

/// Nothing that asks for a name is done without that name having been typed right before,
/// whatever else is pressed, and whatever is pressed can be drawn.
#[test]
fn no_way_leads_past_the_typed_name() {
    let (mut asked, mut done) = (0, 0);
    for (seed, options) in [
        (0x9e37_79b9, COLOUR),
        (0x85eb_ca6b, MONO),
        (0xc2b2_ae35, ASCII),
    ] {
        let mut dice = Dice(seed);
        let mut seat = Seat::new(options.clone(), Size::new(80, 24));
        let mut typed = String::new();
        for step in 0..4_000 {
            let events = match asked_name(&seat.state) {
                Some(name) if dice.below(8) == 0 => typing(&name),
                _ => dice.events(),
            };
            for event in events {
                take_typed(&mut typed, &event);
                let is_enter = matches!(event, Event::Key(Key::Enter));
                let now = seat.state.now.get() + 7;
                let effects = happen(&mut seat.state, now, event);
                for effect in &effects {
                    match effect {
                        Effect::Ask(Request::Plan { .. }) => asked += 1,
                        Effect::Ask(Request::Execute { confirmed, .. }) => {
                            let plan = confirmed.plan();
                            done += usize::from(plan.token.is_some());
                            let tokens = plan.token.iter().chain(&plan.token_aliases);
                            let mut tokens = tokens.peekable();
                            assert!(
                                tokens.peek().is_none()
                                    || is_enter && tokens.any(|token| typed.ends_with(token)),
                                "seed {seed:x}, step {step}: {} after {typed:?}",
                                plan.title
                            );
                        }
                        _ => {}
                    }
                }
                let is_over = effects
                    .iter()
                    .any(|effect| matches!(effect, Effect::End(_)));
                seat.answer(effects);
                if is_over {
                    seat = Seat::new(options.clone(), seat.state.screen);
                }
            }
            if step % 3 == 0 {
                draw(&seat.state);
            }
        }
    }
    // Else nothing was shown.
    assert!(asked > 100 && done > 20, "{asked} asked, {done} done");
}

/// The name that is asked for, if one is.
fn asked_name(state: &State) -> Option<String> {
    match &state.mode {
        Mode::Plan(Dialog {
            stage: Stage::Prompting(prompt),
            ..
        }) => prompt.token().map(ToOwned::to_owned),
        _ => None,
    }
}

fn typing(text: &str) -> Vec<Event> {
    let key = |letter| match letter {
        '\u{1b}' => Key::Esc,
        letter => Key::Char(letter),
    };
    let keys = text.chars().map(key).chain([Key::Enter]);
    keys.map(Event::Key).collect()
}

fn draw(state: &State) {
    let buffer = drawn(state);
    assert_eq!(buffer.area.width, state.size.width);
}
