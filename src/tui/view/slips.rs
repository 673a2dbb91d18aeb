//! What a slip of the finger can do: nothing that a whole typed name was not asked for.

use ratatui::layout::Size;

use super::screens::{Seat, SCENES};
use super::tests::{drawn, text};
use crate::tui::dialog::{Dialog, Stage};
use crate::tui::event::{Answer, Event};
use crate::tui::key::Key;
use crate::tui::keymap::{Command, Context, KeyMap};
use crate::tui::prompt;
use crate::tui::sample::{self, happen, COLOUR};
use crate::tui::state::Mode;
use crate::tui::update::{Effect, Request};

/// The commands that change what lies on a disk, or take a device down.
const AT_STAKE: [Command; 7] = [
    Command::Create,
    Command::WriteMetadata,
    Command::Repair,
    Command::Corrupt,
    Command::TakeApart,
    Command::Undo,
    Command::Migrate,
];

/// Whether a plan is carried out by one of these effects.
fn carries_out(effects: &[Effect]) -> bool {
    let mut effects = effects.iter();
    effects.any(|effect| matches!(effect, Effect::Ask(Request::Execute { .. })))
}

/// A slip of the finger presses one key that was not meant, wherever one is: so no single key
/// of the usual map may change anything, except in the window that asks for just that key and
/// where a whole name was typed before.
#[test]
fn no_single_key_changes_anything_but_the_one_that_confirms() {
    let usual = Size::new(80, 24);
    for one in SCENES {
        let seat = || {
            let mut seat = Seat::new(COLOUR, usual);
            one.1(&mut seat);
            seat
        };
        let context = seat().state.context();
        for bound in KeyMap::USUAL.bindings(context) {
            for key in bound.keys {
                let mut seat = seat();
                let confirms = context == Context::ConfirmPlain && *key == Key::Enter;
                let now = seat.state.now.get();
                let mut effects = happen(&mut seat.state, now, Event::Key(*key));
                let asked = effects.iter().find_map(|effect| match effect {
                    Effect::Ask(Request::Plan { ticket, operation }) => Some((*ticket, operation)),
                    _ => None,
                });
                // What the plan comes to, if one was asked for and is carried out unasked.
                if let Some((ticket, operation)) = asked {
                    let plan = seat.host.plan(operation);
                    let is_scrub = operation.command_name() == "scrub";
                    let more = seat.tell(Answer::Planned { ticket, plan });
                    assert!(is_scrub || !carries_out(&more), "{}: {key}", one.0);
                }
                effects.retain(|effect| matches!(effect, Effect::Ask(Request::Execute { .. })));
                assert_eq!(!effects.is_empty(), confirms, "{}: {key}", one.0);
            }
        }
    }
}

/// What is at stake takes a typed name, in a window where nothing is typed yet and the key
/// that goes on does nothing until it is.
#[test]
fn what_is_at_stake_takes_a_typed_name_and_nothing_is_typed_beforehand() {
    let ways: [(Command, &str); 7] = [
        (Command::Create, "n\n\nattic-2\n"),
        (Command::WriteMetadata, "w"),
        (Command::Repair, "r"),
        (Command::Corrupt, "/disk-h\nx1\n"),
        (Command::TakeApart, "d"),
        (Command::Undo, "/disk-h\nu"),
        (Command::Migrate, "/usb-e\nm"),
    ];
    assert_eq!(ways.map(|(command, _)| command), AT_STAKE);
    for (command, keys) in ways {
        let mut seat = Seat::new(COLOUR, Size::new(80, 24));
        if command == Command::Undo {
            seat.press("/disk-h\nx1\n");
            seat.press("cellar\n");
            seat.press("\n\x1b");
        }
        seat.press(keys);
        assert_eq!(
            seat.state.context(),
            Context::ConfirmTyped,
            "{command:?}:\n{}",
            text(&drawn(&seat.state))
        );
        let Mode::Plan(Dialog {
            stage: Stage::Prompting(prompt),
            ..
        }) = &seat.state.mode
        else {
            panic!("{command:?}: {:?}", seat.state.mode);
        };
        assert_eq!(prompt.typed, "", "{command:?}");
        let token = prompt.token().unwrap().to_owned();
        for typed in ["\n", "x\n"] {
            assert!(!carries_out(&seat.press_only(typed)), "{command:?}");
        }
        seat.press_only("\x7f");
        assert!(
            carries_out(&seat.press_only(&format!("{token}\n"))),
            "{command:?}"
        );
    }
}

/// In every list of choices the first, which is the one under the pointer, changes nothing.
#[test]
fn the_first_choice_of_every_list_is_harmless() {
    for (keys, title) in [
        ("n", "choose a device"),
        ("n\n", "choose a spare"),
        ("/disk-h\nx", "corrupt"),
        ("L", "what was done"),
        ("U", "what can be undone"),
        (",", "settings"),
        ("t", "scenarios"),
        (":", "commands"),
        (":\t", "commands"),
    ] {
        let mut seat = Seat::new(COLOUR, Size::new(80, 24));
        seat.press(keys);
        let effects = seat.press_only("\n");
        assert!(!carries_out(&effects), "{title}");
        let plans = effects.iter().find_map(|effect| match effect {
            Effect::Ask(Request::Plan { operation, .. }) => Some(operation.command_name()),
            _ => None,
        });
        assert_eq!(plans, None, "{title}");
    }
    let state = sample::state(COLOUR, 80, 24);
    for stem in 'a'..='z' {
        let words = prompt::candidates(&state, &stem.to_string());
        let harmful = |it: &prompt::Candidate| prompt::AT_STAKE.contains(&it.word.as_str());
        let first = words.first().is_some_and(harmful);
        assert!(!first || words.iter().all(harmful), "{stem}");
    }
    let of_all = prompt::candidates(&state, "");
    let harmful = of_all.iter().position(|it| it.word == "create").unwrap();
    assert!(harmful > of_all.len() / 2, "it comes last");
    // No command that puts something at stake is the first in any footer.
    for context in [Context::List, Context::Detail, Context::Inside] {
        let first = KeyMap::USUAL.bindings(context).next().map(|it| it.command);
        assert!(
            first.is_some_and(|it| !AT_STAKE.contains(&it)),
            "{context:?}"
        );
    }
}
