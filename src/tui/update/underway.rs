//! What is asked of work that is under way, and leaving while there is any.

use super::{say, Effect, Ended, Request};
use crate::tui::actions;
use crate::tui::keymap::Command;
use crate::tui::state::{Mode, State};
use crate::tui::theme::Health;

/// Leaves the application; while work is under way only after it was asked what is to
/// become of it. Where the work is done before there is an answer, nothing is left to ask.
pub fn leave(state: &mut State) -> Vec<Effect> {
    if state.underway.tasks.is_empty() {
        return vec![Effect::End(Ended::Quit)];
    }
    state.underway.leaves = true;
    open(state);
    Vec::new()
}

/// Opens the window of what is under way.
pub fn open(state: &mut State) {
    if !matches!(state.mode, Mode::Underway { .. }) {
        let under = std::mem::replace(&mut state.mode, Mode::Browse);
        state.mode = Mode::Underway {
            under: Box::new(under),
        };
    }
}

/// Does what `command` asks for in that window.
pub fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    if let Err(why) = actions::available(state, command) {
        say(state, Health::Warning, why);
        return Vec::new();
    }
    let ends = match command {
        Command::Cancel => {
            state.underway.leaves = false;
            false
        }
        Command::LeaveWhenDone => {
            state.underway.leaves = true;
            false
        }
        Command::EndWork => {
            state.underway.leaves = false;
            true
        }
        Command::EndAndLeave => {
            state.underway.leaves = true;
            true
        }
        _ => return Vec::new(),
    };
    close(state);
    if !ends {
        return Vec::new();
    }
    let mut effects = Vec::new();
    for task in &mut state.underway.tasks {
        if task.can_end_early {
            task.is_ending = true;
            effects.push(Effect::Ask(Request::Stop(task.ticket)));
        }
    }
    effects
}

/// Goes back to what the window lies over.
pub fn close(state: &mut State) {
    if let Mode::Underway { under } = &mut state.mode {
        state.mode = std::mem::replace(under, Mode::Browse);
    }
}

/// Closes the window as soon as there is no work any more, and ends the application where
/// that was wanted.
pub fn settle(state: &mut State) -> Vec<Effect> {
    if !state.underway.tasks.is_empty() {
        return Vec::new();
    }
    close(state);
    match state.underway.leaves {
        true => vec![Effect::End(Ended::Quit)],
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::lab::ram::RamDisk;
    use crate::ops::{Operation, Outcome, Plan, Share, Target, Work, INTERRUPTED};
    use crate::port::Usage;
    use crate::remap_core::units::{Sectors, Slot};
    use crate::signals::Caught;
    use crate::tui::dialog::Stage;
    use crate::tui::event::{Answer, Event};
    use crate::tui::fake::FakeHost;
    use crate::tui::key::Key;
    use crate::tui::sample::{self, happen, path, press, COLOUR};

    fn creation() -> Plan {
        let size = Sectors::new(1 << 17);
        let disk = |name| (sample::device(name, size, Usage::Free), RamDisk::new(size));
        let mut host = FakeHost::new(vec![disk("disk-f"), disk("disk-z")]);
        let plan = host.plan(&Operation::Create {
            name: "late".to_owned(),
            main: path("disk-f"),
            spare: path("disk-z"),
            options: Default::default(),
            replace: false,
            form: Default::default(),
        });
        *plan.unwrap()
    }

    fn repair() -> Plan {
        let spare = sample::device("disk-h", Sectors::new(1 << 17), Usage::Free);
        let mut disk = sample::spare(sample::superblock(9, "disk-x", "disk-h"), "cellar");
        sample::damage(&mut disk, Slot::S3, 100, b"damage");
        let plan = FakeHost::new(vec![(spare, disk)]).plan(&Operation::Repair {
            target: Target::Path(path("disk-h")),
            from: None,
            rebuild: false,
            array: None,
        });
        *plan.unwrap()
    }

    /// A screen on which this plan is being carried out, and the number of the question.
    fn at_work(plan: Plan) -> (State, u64) {
        let mut state = sample::state(COLOUR, 80, 24);
        press(&mut state, "u");
        let Mode::Plan(dialog) = &state.mode else {
            panic!("{:?}", state.mode);
        };
        let (ticket, token) = (dialog.ticket, plan.token.clone());
        let plan = Ok(Box::new(plan));
        happen(&mut state, 0, Event::Told(Answer::Planned { ticket, plan }));
        let effects = press(&mut state, &format!("{}\n", token.unwrap()));
        let ticket = effects.iter().find_map(|effect| match effect {
            Effect::Ask(Request::Execute { ticket, .. }) => Some(*ticket),
            _ => None,
        });
        (state, ticket.expect("it is carried out"))
    }

    fn progress(ticket: u64, percent: u64) -> Event {
        let share = Share {
            work: Work::Writing,
            done: Sectors::new(percent << 11),
            of: Sectors::new(100 << 11),
            done_in_all: Sectors::new(percent << 11),
            in_all: Sectors::new(100 << 11),
        };
        Event::Told(Answer::Progress { ticket, share })
    }

    fn executed(ticket: u64, outcome: Result<Outcome, Error>) -> Event {
        Event::Told(Answer::Executed { ticket, outcome })
    }

    fn done() -> Result<Outcome, Error> {
        Ok(Outcome {
            action: None,
            summary: "late is created.".to_owned(),
            details: Vec::new(),
            name: None,
            verdict: None,
            changed: true,
        })
    }

    fn quits(effects: &[Effect]) -> bool {
        let mut effects = effects.iter();
        effects.any(|effect| matches!(effect, Effect::End(Ended::Quit)))
    }

    fn stops(effects: &[Effect]) -> Vec<u64> {
        let stop = |effect: &Effect| match effect {
            Effect::Ask(Request::Stop(ticket)) => Some(*ticket),
            _ => None,
        };
        effects.iter().filter_map(stop).collect()
    }

    #[test]
    fn a_closed_window_leaves_a_line_until_the_work_is_done() {
        let (mut state, ticket) = at_work(creation());
        press(&mut state, "\x1b");
        happen(&mut state, 1000, progress(ticket, 10));
        assert_eq!(state.size.height, 23);
        happen(&mut state, 3000, progress(ticket, 30));
        let task = &state.underway.tasks[0];
        assert_eq!(task.rate(), Some(10 << 20));
        assert_eq!(task.seconds_left(), Some(7));
        happen(&mut state, 4000, executed(ticket, done()));
        assert_eq!(state.size.height, 24);
        assert_eq!(state.notice.as_ref().unwrap().text, "late is created.");
    }

    #[test]
    fn leaving_asks_while_work_is_under_way_and_only_then() {
        for ways in ["\x1bq", "\x1b:quit\n"] {
            let (mut state, ticket) = at_work(creation());
            assert!(!quits(&press(&mut state, ways)), "{ways:?}");
            assert!(matches!(state.mode, Mode::Underway { .. }), "{ways:?}");
            // The same key again stays; so does everything that is no answer.
            assert!(!quits(&press(&mut state, "\nq")), "{ways:?}");
            assert!(matches!(state.mode, Mode::Browse), "{ways:?}");
            happen(&mut state, 4000, executed(ticket, done()));
            assert!(quits(&press(&mut state, "q")), "{ways:?}");
        }
        let (mut state, _) = at_work(creation());
        for _ in 0..3 {
            let effects = happen(&mut state, 10, Event::Key(Key::Ctrl('c')));
            assert!(!quits(&effects), "not even if it is pressed again");
            assert!(matches!(state.mode, Mode::Underway { .. }));
        }
        // What lies below is there again, and takes the outcome.
        press(&mut state, "\x1b");
        assert!(matches!(state.mode, Mode::Plan(_)));
    }

    #[test]
    fn an_outcome_finds_its_window_below_the_question() {
        let (mut state, ticket) = at_work(creation());
        press(&mut state, "c");
        assert!(matches!(state.mode, Mode::Underway { .. }));
        let effects = happen(&mut state, 10, executed(ticket, done()));
        assert!(!quits(&effects));
        let Mode::Plan(dialog) = &state.mode else {
            panic!("{:?}", state.mode);
        };
        assert!(matches!(dialog.stage, Stage::Done(_)));
    }

    #[test]
    fn whoever_wants_to_leave_when_it_is_done_leaves_then_with_the_outcome() {
        let (mut state, ticket) = at_work(creation());
        assert!(!quits(&press(&mut state, "\x1bqw")));
        assert!(stops(&press(&mut state, "j")).is_empty());
        let effects = happen(&mut state, 10, executed(ticket, done()));
        assert!(quits(&effects));
        assert_eq!(state.underway.parting, [done()]);
        // The same where it was asked and is done before there is an answer.
        let (mut state, ticket) = at_work(creation());
        press(&mut state, "\x1bq");
        assert!(quits(&happen(&mut state, 10, executed(ticket, done()))));
        assert_eq!(state.underway.parting, [done()]);
        // Another word before that takes it back.
        let (mut state, ticket) = at_work(creation());
        press(&mut state, "\x1bqwq\x1b");
        assert!(!quits(&happen(&mut state, 10, executed(ticket, done()))));
    }

    #[test]
    fn a_creation_ends_early_on_request_and_the_rest_of_the_screen_goes_on() {
        for (key, leaves) in [("e", false), ("x", true)] {
            let (mut state, ticket) = at_work(creation());
            let effects = press(&mut state, &format!("\x1bq{key}"));
            assert_eq!(stops(&effects), [ticket], "{key}");
            assert!(!quits(&effects), "{key}: not before it has ended");
            assert!(state.underway.tasks[0].is_ending);
            let interrupted = Err(Error::failed(INTERRUPTED, "Interrupted."));
            let effects = happen(&mut state, 10, executed(ticket, interrupted));
            assert_eq!(quits(&effects), leaves, "{key}");
            assert_eq!(state.underway.parting.len(), usize::from(leaves));
        }
    }

    #[test]
    fn what_cannot_end_in_its_middle_says_so_and_goes_on() {
        for key in ["e", "x"] {
            let (mut state, ticket) = at_work(repair());
            let effects = press(&mut state, &format!("\x1bq{key}"));
            assert!(stops(&effects).is_empty() && !quits(&effects), "{key}");
            let said = &state.notice.as_ref().unwrap().text;
            assert!(said.contains("cannot end in its middle"), "{said}");
            // The question stands, and falls away with the work.
            assert!(quits(&happen(&mut state, 10, executed(ticket, done()))));
        }
    }

    #[test]
    fn a_signal_ends_the_application_whatever_is_asked() {
        let (mut state, _) = at_work(creation());
        press(&mut state, "\x1bq");
        let effects = happen(&mut state, 10, Event::Signal(Caught::HANG_UP));
        assert!(matches!(effects[..], [Effect::End(Ended::Signal(_))]));
    }

    #[test]
    fn a_plan_that_nobody_waits_for_any_more_is_given_up() {
        let mut state = sample::state(COLOUR, 80, 24);
        press(&mut state, "u");
        let Mode::Plan(dialog) = &state.mode else {
            panic!("{:?}", state.mode);
        };
        let ticket = dialog.ticket;
        assert_eq!(stops(&press(&mut state, "\x1b")), [ticket]);
        // Each choice of what to corrupt takes the place of the one before.
        let first = press(&mut state, "x1");
        assert!(stops(&first).is_empty());
        assert_eq!(stops(&press(&mut state, "2")).len(), 1);
        assert_eq!(stops(&press(&mut state, "\x1b")).len(), 1);
    }
}
