//! Keys in, state and effects out; plans are those of real operations on disks in memory.

use super::{Effect, Ended, Request};
use crate::ops::{Confirmed, Operation, Outcome, Refusal, Target};
use crate::remap_core::message::Message;
use crate::remap_core::quorum::Verdict;
use crate::remap_core::units::{Sectors, Slot};
use crate::tui::actions;
use crate::tui::dialog::Stage;
use crate::tui::event::{Answer, Event};
use crate::tui::fake::FakeHost;
use crate::tui::key::Key;
use crate::tui::keymap::{Binding, Bound, Command, Context, KeyMap, BINDINGS};
use crate::tui::rows::RowKey;
use crate::tui::sample::{self, happen, path, press, state, COLOUR};
use crate::tui::state::{Focus, Mode, State, Tab};
use crate::tui::wizard::{Form, Wizard};

fn bindings(context: Context) -> impl Iterator<Item = Bound<'static>> {
    static USUAL: KeyMap = KeyMap::USUAL;
    USUAL.bindings(context)
}

fn sample_state() -> State {
    state(COLOUR, 80, 24)
}

/// A host on which the spare of the idle device `cellar` has two copies left, and its
/// five copies.
fn idle_host() -> (FakeHost, Vec<[u8; 512]>) {
    let device = sample::device("disk-h", Sectors::new(1 << 17), crate::port::Usage::Free);
    let mut disk = sample::spare(sample::superblock(9, "disk-x", "disk-h"), "cellar");
    sample::damage(&mut disk, Slot::S0, 0, &[0; 512]);
    let host = FakeHost::new(vec![(device, disk)]);
    let copies = host.copies(&path("disk-h"));
    (host, copies)
}

fn plan_asked(effects: &[Effect]) -> (u64, Operation) {
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Ask(Request::Plan { ticket, operation }) => Some((*ticket, *operation.clone())),
        _ => None,
    });
    asked.expect("a question for a plan")
}

fn execution_asked(effects: Vec<Effect>) -> Option<(u64, Confirmed)> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Ask(Request::Execute { ticket, confirmed }) => Some((ticket, *confirmed)),
        _ => None,
    })
}

/// Chooses the idle spare and asks for a repair; the plan is on the screen then.
fn repair_prompted() -> (State, FakeHost, Vec<[u8; 512]>) {
    let (mut host, copies) = idle_host();
    let mut state = sample_state();
    press(&mut state, "/disk-h\n");
    let (ticket, operation) = plan_asked(&press(&mut state, "r"));
    assert!(
        matches!(&operation, Operation::Repair { target: Target::Path(at), .. } if *at == path("disk-h"))
    );
    let plan = host.plan(&operation);
    assert!(plan.as_ref().unwrap().token.as_deref() == Some("cellar"));
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Planned { ticket, plan }),
    );
    (state, host, copies)
}

#[test]
fn no_key_means_two_things_in_one_place() {
    let contexts = BINDINGS.iter().flat_map(|binding| binding.contexts);
    for context in contexts {
        let mut seen: Vec<Key> = Vec::new();
        for binding in bindings(*context) {
            for key in binding.keys {
                assert!(!seen.contains(key), "{key} twice in {context:?}");
                seen.push(*key);
            }
        }
    }
}

#[test]
fn where_text_is_typed_no_character_is_a_command() {
    for context in [
        Context::Filter,
        Context::Ask,
        Context::Form,
        Context::ConfirmTyped,
    ] {
        for binding in bindings(context) {
            let typed = binding.keys.iter().any(|key| matches!(key, Key::Char(_)));
            assert!(!typed, "{binding:?}");
        }
    }
}

#[test]
fn the_key_that_confirms_is_never_a_key_that_asks() {
    let keys_of = |wanted: fn(&Binding) -> bool| -> Vec<Key> {
        let found = BINDINGS.iter().filter(|binding| wanted(binding));
        found.flat_map(|binding| binding.keys).copied().collect()
    };
    let asking = keys_of(|binding| {
        binding.contexts.contains(&Context::List) && binding.command != Command::Open
    });
    let confirming = keys_of(|binding| {
        let confirms = [Context::ConfirmPlain, Context::ConfirmTyped];
        binding.command == Command::Accept
            && confirms
                .iter()
                .any(|context| binding.contexts.contains(context))
    });
    assert!(!confirming.is_empty());
    assert!(confirming.iter().all(|key| !asking.contains(key)));
}

#[test]
fn every_context_can_be_left_and_quit() {
    let contexts = BINDINGS.iter().flat_map(|binding| binding.contexts);
    for context in contexts {
        let commands: Vec<Command> = bindings(*context).map(|binding| binding.command).collect();
        assert!(commands.contains(&Command::Quit), "{context:?}");
        let leaves = [Command::Back, Command::Cancel];
        assert!(
            leaves.iter().any(|leave| commands.contains(leave)),
            "{context:?}"
        );
    }
}

#[test]
fn arrows_and_letters_move_alike_and_stop_at_the_ends() {
    let mut state = sample_state();
    for (keys, place) in [
        ("g", 0),
        ("k", 0),
        ("jj", 2),
        ("↓", 3),
        ("↑", 2),
        ("G", 11),
        ("j", 11),
    ] {
        press(&mut state, keys);
        assert_eq!(state.chosen_index(), Some(place), "after {keys}");
    }
}

#[test]
fn the_chosen_row_stays_chosen_while_the_list_changes() {
    let mut state = sample_state();
    press(&mut state, "/usb\n");
    assert_eq!(state.chosen, Some(RowKey::Device(path("usb-e"))));
    press(&mut state, "\x1b");
    assert_eq!(state.chosen, Some(RowKey::Device(path("usb-e"))));
    let mut devices = sample::devices();
    devices.insert(
        0,
        sample::device("aaa", Sectors::new(8), crate::port::Usage::Free),
    );
    let mapped = Vec::new();
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Listed { devices, mapped }),
    );
    assert_eq!(state.chosen, Some(RowKey::Device(path("usb-e"))));
    // What it stood for goes away: the nearest row takes its place.
    let mut devices = sample::devices();
    devices.retain(|device| device.name != "usb-e");
    let mapped = Vec::new();
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Listed { devices, mapped }),
    );
    assert_eq!(state.chosen, Some(RowKey::Device(path("sda"))));
}

#[test]
fn another_device_under_the_eye_is_told_to_the_worker_once() {
    let mut state = sample_state();
    let effects = press(&mut state, "j");
    assert!(effects.is_empty(), "the same spare: {effects:?}");
    let effects = press(&mut state, "j");
    let [Effect::Ask(Request::Follow(interest))] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(interest.store, path("disk-d"));
    assert_eq!(interest.active.as_deref(), Some("attic"));
    assert!(state.remaps.is_none());
}

#[test]
fn quitting_takes_one_key_in_the_list_and_two_in_the_detail() {
    let mut state = sample_state();
    assert!(press(&mut state, "\nq").is_empty());
    assert_eq!(state.focus, Focus::List);
    assert!(matches!(
        press(&mut state, "q")[..],
        [Effect::End(Ended::Quit)]
    ));
}

#[test]
fn ctrl_c_quits_from_everywhere() {
    for keys in ["", "\n", "/x", "?", "x1", "n", "n\n\n", "r"] {
        let mut state = sample_state();
        press(&mut state, keys);
        let effects = happen(&mut state, 1000, Event::Key(Key::Ctrl('c')));
        assert!(matches!(effects[..], [Effect::End(Ended::Quit)]), "{keys}");
    }
}

#[test]
fn only_the_right_name_is_a_confirmation() {
    let (mut state, host, copies) = repair_prompted();
    for wrong in ["\n", "cella\n", "r\n", "Cellar\n", "y\n"] {
        assert!(
            execution_asked(press(&mut state, wrong)).is_none(),
            "{wrong:?}"
        );
        let Mode::Plan(dialog) = &state.mode else {
            panic!("the plan is gone after {wrong:?}");
        };
        let Stage::Prompting(prompt) = &dialog.stage else {
            panic!("no prompt after {wrong:?}");
        };
        assert!(prompt
            .complaint
            .as_ref()
            .unwrap()
            .contains("nothing was changed"));
        happen(&mut state, 1000, Event::Key(Key::Ctrl('u')));
    }
    let (_, confirmed) = execution_asked(press(&mut state, "cellar\n")).unwrap();
    assert_eq!(confirmed.plan().name.as_deref(), Some("cellar"));
    assert_eq!(host.copies(&path("disk-h")), copies);
}

#[test]
fn escape_leaves_everything_as_it_is() {
    let (mut state, ..) = repair_prompted();
    assert!(press(&mut state, "cellar\x1b").is_empty());
    assert!(matches!(state.mode, Mode::Browse));
}

#[test]
fn an_outcome_is_shown_until_it_is_closed() {
    let (mut state, ..) = repair_prompted();
    let (ticket, _) = execution_asked(press(&mut state, "cellar\n")).unwrap();
    let outcome = Ok(Outcome {
        action: None,
        summary: "1 copy was rewritten.".to_owned(),
        details: Vec::new(),
        name: Some("cellar".to_owned()),
        verdict: Some(Verdict::Healthy),
        changed: true,
    });
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Executed { ticket, outcome }),
    );
    assert!(matches!(&state.mode, Mode::Plan(dialog) if matches!(dialog.stage, Stage::Done(_))));
    press(&mut state, "\n");
    assert!(matches!(state.mode, Mode::Browse));
}

#[test]
fn an_answer_that_comes_late_changes_nothing() {
    let (mut host, _) = idle_host();
    let mut state = sample_state();
    press(&mut state, "/disk-h\n");
    let (ticket, operation) = plan_asked(&press(&mut state, "r"));
    press(&mut state, "\x1b");
    let plan = host.plan(&operation);
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Planned { ticket, plan }),
    );
    assert!(matches!(state.mode, Mode::Browse));
}

#[test]
fn a_scrub_asks_for_no_word() {
    let mut state = sample_state();
    let (_, operation) = plan_asked(&press(&mut state, "s"));
    assert!(matches!(state.mode, Mode::Browse));
    let scrub = Operation::Message {
        name: "vault".to_owned(),
        message: Message::Scrub,
    };
    assert_eq!(operation, scrub);
}

#[test]
fn corruption_is_foretold_before_its_plan_is_shown() {
    let (mut host, copies) = idle_host();
    let mut state = sample_state();
    press(&mut state, "/disk-h\n");
    press(&mut state, "x");
    let effects = press(&mut state, "13↓");
    let (ticket, operation) = plan_asked(&effects[effects.len() - 1..]);
    let Operation::Corrupt { slots, kind, .. } = &operation else {
        panic!("{operation:?}");
    };
    assert_eq!(
        (slots.as_slice(), kind.name()),
        (&[Slot::S1, Slot::S3][..], "random")
    );
    // Enter before the forecast is there: the plan comes as soon as it is.
    press(&mut state, "\n");
    assert!(matches!(state.mode, Mode::Corrupt(_)));
    let plan = host.plan(&operation);
    assert_eq!(plan.as_ref().unwrap().predicted, Some(Verdict::Weak));
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Planned { ticket, plan }),
    );
    assert!(
        matches!(&state.mode, Mode::Plan(dialog) if matches!(dialog.stage, Stage::Prompting(_)))
    );
    assert_eq!(host.copies(&path("disk-h")), copies);
}

#[test]
fn a_forecast_for_another_choice_is_not_believed() {
    let (mut host, _) = idle_host();
    let mut state = sample_state();
    press(&mut state, "/disk-h\n");
    let (ticket, operation) = plan_asked(&press(&mut state, "x1"));
    press(&mut state, "2\n");
    let plan = host.plan(&operation);
    happen(
        &mut state,
        1000,
        Event::Told(Answer::Planned { ticket, plan }),
    );
    assert!(matches!(state.mode, Mode::Corrupt(_)));
}

#[test]
fn the_wizard_refuses_the_unfit_and_says_why() {
    let mut state = sample_state();
    press(&mut state, "nG\n");
    let Mode::Wizard(Wizard::Main { complaint, .. }) = &state.mode else {
        panic!("{:?}", state.mode);
    };
    assert!(
        complaint.as_ref().unwrap().contains("usb-e"),
        "{complaint:?}"
    );
    press(&mut state, "g\n");
    let Mode::Wizard(wizard @ Wizard::Spare { main, .. }) = &state.mode else {
        panic!("{:?}", state.mode);
    };
    assert_eq!(*main, path("disk-e"));
    let names = wizard.candidates(&state);
    let names: Vec<&str> = names
        .iter()
        .map(|candidate| candidate.name.as_str())
        .collect();
    assert_eq!(names[..3], ["disk-f", "disk-h", "usb-e"]);
}

/// The form on the screen.
fn form(state: &State) -> &Form {
    match &state.mode {
        Mode::Wizard(Wizard::Form(form)) => form,
        other => panic!("{other:?}"),
    }
}

/// The device under the pointer of the wizard.
fn pointed(state: &State) -> String {
    let Mode::Wizard(wizard @ (Wizard::Main { pointer, .. } | Wizard::Spare { pointer, .. })) =
        &state.mode
    else {
        panic!("{:?}", state.mode);
    };
    let candidates = wizard.candidates(state);
    candidates[pointer.row(&candidates).unwrap()].name.clone()
}

#[test]
fn a_step_back_in_the_wizard_finds_everything_as_it_was() {
    let mut state = sample_state();
    let back = |state: &mut State| {
        assert!(actions::available(state, Command::Back).is_ok());
        happen(state, 1000, Event::Key(Key::Ctrl('p')));
    };
    let refuse = |state: &mut State, ticket| {
        let plan = Err(Refusal::new("busy", "it is in use", "Stop that."));
        happen(state, 1000, Event::Told(Answer::Planned { ticket, plan }));
    };
    // The second spare; it holds something, and that it may be overwritten is said.
    press(&mut state, "n\n↓\nstore\t→\t\x7f\x7f\t ");
    let (chosen, filled_in) = (form(&state).spare.clone(), form(&state).clone());
    assert!(filled_in.replace && filled_in.holds.is_some());
    assert!(filled_in.block_size > filled_in.smallest_unit);
    let (ticket, operation) = plan_asked(&press(&mut state, "\n"));
    assert_eq!(state.context(), Context::Notice, "the plan is being made");
    back(&mut state);
    assert_eq!(form(&state).operation(&state), Some(operation.clone()));
    // The answer to the question that was left changes nothing.
    refuse(&mut state, ticket);
    assert_eq!(form(&state).operation(&state), Some(operation.clone()));
    // Nor is a refusal the end.
    let (ticket, _) = plan_asked(&press(&mut state, "\n"));
    refuse(&mut state, ticket);
    back(&mut state);
    assert_eq!(form(&state).operation(&state), Some(operation.clone()));
    // Back to the first step, and forth again.
    back(&mut state);
    assert_eq!(state.name_of(&chosen), pointed(&state));
    press(&mut state, "←");
    assert_eq!(pointed(&state), "disk-e");
    assert!(
        actions::available(&state, Command::Back).is_err(),
        "the first step has none before it"
    );
    press(&mut state, "\n\n");
    assert_eq!(form(&state).operation(&state), Some(operation));
    // For another spare only what has nothing to do with the spare stays.
    back(&mut state);
    press(&mut state, "g\n");
    let other = form(&state);
    assert_ne!(other.spare, chosen);
    assert_eq!(
        (&other.name, &other.scrub_interval),
        (&filled_in.name, &filled_in.scrub_interval)
    );
    assert!(!other.replace);
    assert_eq!(other.block_size, other.smallest_unit);
}

#[test]
fn the_wizard_chooses_the_device_that_was_pointed_at() {
    let mut state = sample_state();
    press(&mut state, "n↓");
    let Mode::Wizard(wizard @ Wizard::Main { pointer, .. }) = &state.mode else {
        panic!("the wizard");
    };
    let candidates = wizard.candidates(&state);
    let chosen = candidates[pointer.row(&candidates).unwrap()].path.clone();
    // Others come that are shown in front of it.
    let mut devices = sample::devices();
    for name in ["disk-0", "disk-1"] {
        devices.push(sample::device(name, sample::MAIN, crate::port::Usage::Free));
    }
    let listed = |devices| {
        Event::Told(Answer::Listed {
            devices,
            mapped: Vec::new(),
        })
    };
    happen(&mut state, 100, listed(devices.clone()));
    press(&mut state, "\n");
    let Mode::Wizard(Wizard::Spare { main, .. }) = &state.mode else {
        panic!("the next step");
    };
    assert_eq!(*main, chosen);
    // One that is gone is not exchanged for whatever took its place.
    let mut state = sample_state();
    press(&mut state, "n↓");
    devices.retain(|device| device.path != chosen);
    happen(&mut state, 100, listed(devices));
    press(&mut state, "\n");
    let Mode::Wizard(Wizard::Main { complaint, .. }) = &state.mode else {
        panic!("the same step");
    };
    assert!(complaint
        .as_ref()
        .is_some_and(|why| why.contains("not here")));
}

#[test]
fn the_wizard_asks_for_what_was_filled_in() {
    let mut state = sample_state();
    press(&mut state, "n\n\n");
    assert!(press(&mut state, "\n").is_empty(), "a name is missing");
    press(&mut state, "store?");
    assert!(press(&mut state, "\n").is_empty(), "a name that cannot be");
    press(&mut state, "\x7f");
    press(&mut state, "\t\t\x7f\x7f");
    let (_, operation) = plan_asked(&press(&mut state, "\n"));
    let Operation::Create {
        name,
        main,
        spare,
        options,
        replace,
        form: _,
    } = operation
    else {
        panic!("{operation:?}");
    };
    assert_eq!((name.as_str(), replace), ("store", false));
    assert_eq!((main, spare), (path("disk-e"), path("disk-f")));
    assert_eq!(options.scrub_interval, 36);
    // Main has blocks of 512 bytes, the spare of 4096: that is the least unit of both.
    assert_eq!(options.block_size.map(|unit| unit.bytes()), Some(4096));
}

#[test]
fn read_only_refuses_every_change_and_says_so() {
    let mut options = COLOUR;
    options.read_only = true;
    let mut state = state(options, 80, 24);
    for key in ["n", "w", "s", "r", "x", "a", "d", "u", "m"] {
        assert!(press(&mut state, key).is_empty(), "{key}");
        assert!(matches!(state.mode, Mode::Browse), "{key}");
        let notice = state.notice.as_ref().unwrap();
        assert!(notice.text.contains("--read-only"), "{key}: {notice:?}");
    }
}

#[test]
fn an_action_that_makes_no_sense_here_says_why() {
    let mut state = sample_state();
    for (device, key, word) in [
        ("disk-e", "s", "up"),
        ("disk-e", "r", "no metadata"),
        ("disk-e", "x", "no metadata"),
        ("disk-h", "d", "up"),
        ("disk-h", "m", "plain"),
        ("disk-b", "a", "up already"),
    ] {
        press(&mut state, &format!("/{device}\n"));
        assert!(press(&mut state, key).is_empty(), "{device} {key}");
        let notice = state.notice.as_ref().unwrap();
        assert!(notice.text.contains(word), "{device} {key}: {notice:?}");
        press(&mut state, "\x1b");
    }
}

#[test]
fn undo_in_the_journal_takes_back_the_chosen_action() {
    let mut state = sample_state();
    let (_, operation) = plan_asked(&press(&mut state, "u"));
    assert_eq!(operation, Operation::Undo { id: None });
    press(&mut state, "\x1b5\nj");
    let (_, operation) = plan_asked(&press(&mut state, "u"));
    let Operation::Undo { id: Some(id) } = operation else {
        panic!("{operation:?}");
    };
    assert_eq!(id.get(), 2);
}

#[test]
fn pasted_text_is_never_a_command() {
    let mut state = sample_state();
    let effects = happen(&mut state, 1000, Event::Pasted("qxr\nu".to_owned()));
    assert!(effects.is_empty() && matches!(state.mode, Mode::Browse));
    let (mut state, ..) = repair_prompted();
    let pasted = Event::Pasted("cell\x1b\nar\u{202e}".to_owned());
    assert!(happen(&mut state, 1000, pasted).is_empty());
    let Mode::Plan(dialog) = &state.mode else {
        panic!("{:?}", state.mode);
    };
    assert!(matches!(&dialog.stage, Stage::Prompting(prompt) if prompt.typed == "cellar"));
}

#[test]
fn help_is_of_the_place_where_it_was_asked_for() {
    let mut state = sample_state();
    press(&mut state, "x1?");
    assert!(matches!(
        state.mode,
        Mode::Help {
            of: Context::Corrupt,
            ..
        }
    ));
    press(&mut state, "\x1b");
    assert!(matches!(state.mode, Mode::Corrupt(_)));
}

#[test]
fn the_help_scrolls_to_its_end_and_no_further() {
    let mut state = sample_state();
    press(&mut state, "\n?G");
    let Mode::Help { scroll: end, .. } = state.mode else {
        panic!("{:?}", state.mode);
    };
    assert!(end > 10, "there is more than fits: {end}");
    press(&mut state, "j");
    assert!(matches!(state.mode, Mode::Help { scroll, .. } if scroll == end));
    press(&mut state, "k");
    assert!(matches!(state.mode, Mode::Help { scroll, .. } if scroll == end - 1));
}

#[test]
fn the_pages_turn_around() {
    let mut state = sample_state();
    let mut seen = Vec::new();
    for _ in Tab::ALL {
        press(&mut state, "\t");
        seen.push(state.tab);
    }
    assert_eq!(seen.last(), Some(&Tab::Overview));
    press(&mut state, "[");
    assert_eq!(state.tab, Tab::Counters);
}

#[test]
fn inside_of_a_copy_the_cursor_goes_from_byte_to_byte_and_out_again() {
    let mut state = sample_state();
    press(&mut state, "2\njjj");
    assert_eq!(state.focus, Focus::Detail);
    press(&mut state, "\n");
    assert_eq!((state.focus, state.copy_byte), (Focus::Inside, None));
    // The first byte that differs is 114, and there are four.
    for (keys, byte) in [
        ("→", 115),
        ("↓", 123),
        ("↑↑", 107),
        ("n", 114),
        ("n", 114),
        ("G", 511),
        ("↓→", 511),
        ("N", 114),
        ("g", 0),
        ("↑←", 0),
        // As fields: checksums, then the sectors of main.
        ("v↓", 4),
        ("n", 114),
        ("G", 504),
        ("N", 114),
    ] {
        press(&mut state, keys);
        assert_eq!(state.copy_byte, Some(byte), "{keys}");
    }
    press(&mut state, "\x1b");
    assert_eq!(state.focus, Focus::Detail);
    press(&mut state, "k");
    assert_eq!(
        state.copy_byte, None,
        "another copy begins at its beginning"
    );
    press(&mut state, "\n1");
    assert_eq!((state.focus, state.tab), (Focus::Detail, Tab::Overview));
    press(&mut state, "\n");
    assert_eq!(state.focus, Focus::Detail, "there is nothing to look into");
}

#[test]
fn map_and_table_of_the_remaps_keep_to_the_same_block() {
    let mut state = sample_state();
    press(&mut state, "3\nj");
    let row_of = |state: &State| {
        let at = state.cursors[Tab::Remaps as usize];
        let list = state.remaps.as_ref().unwrap();
        state.remap_table.row(list, at).unwrap().block.get()
    };
    assert_eq!((row_of(&state), state.remap_map.at.get()), (982, 982));
    // The second cluster of fifty begins here.
    let second = 50 * 977 + 1_300_000 + 5;
    press(&mut state, "b1,300,000\n");
    assert_eq!(
        (row_of(&state), state.remap_map.at.get()),
        (second, 1_300_000)
    );
    press(&mut state, "\n+++n");
    assert_eq!(state.focus, Focus::Inside);
    let at = state.remap_map.at.get();
    assert!((1_300_000..=second).contains(&at) && row_of(&state) == second);
    press(&mut state, "\x1b");
    // Sorted by replacement it is the fifty-first row, by moves another one.
    press(&mut state, "o");
    assert_eq!(
        (row_of(&state), state.cursors[Tab::Remaps as usize]),
        (second, 50)
    );
    press(&mut state, "o");
    assert_eq!(row_of(&state), second);
    assert_ne!(state.cursors[Tab::Remaps as usize], 50);
}

#[test]
fn remaps_are_searched_as_one_types() {
    let mut state = sample_state();
    press(&mut state, "3\n");
    let rows = |state: &State| state.remap_table.len(state.remaps.as_ref().unwrap());
    assert_eq!(rows(&state), 300);
    press(&mut state, "/unr");
    assert_eq!(rows(&state), 100);
    press(&mut state, "x");
    assert_eq!(rows(&state), 0);
    press(&mut state, "\x7f\n");
    assert!(matches!(state.mode, Mode::Browse));
    assert_eq!(rows(&state), 100);
    press(&mut state, "/\x1b");
    assert_eq!(rows(&state), 300);
    // A question that cannot be answered stays, and says why.
    press(&mut state, "bnowhere\n");
    let Mode::Ask(question) = &state.mode else {
        panic!("{:?}", state.mode);
    };
    assert!(question.complaint.as_ref().unwrap().contains("12.5 GiB"));
    press(&mut state, "\x1b");
    assert!(matches!(state.mode, Mode::Browse) && state.remap_map.at.get() == 0);
}
