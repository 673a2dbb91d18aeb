//! The key map: which key means which command where. Footer and help are made from it,
//! so that the keys shown are the keys that work. An operator's own keys take the place
//! of the usual ones where they break none of the rules that keep a slip of the finger
//! harmless.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::key::Key;

/// What the keyboard is for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// The list of devices.
    List,
    /// The detail of one device.
    Detail,
    /// What a page of the detail draws: bytes, a map, a chart.
    Inside,
    /// Typing what the list is narrowed to.
    Filter,
    /// Answering a question about a page, in one line.
    Ask,
    /// Reading the help.
    Help,
    /// Choosing what to corrupt, and how.
    Corrupt,
    /// Choosing a device in the wizard.
    Choose,
    /// Filling in the wizard's form.
    Form,
    /// A plan that waits for a typed name.
    ConfirmTyped,
    /// A plan that waits for one key.
    ConfirmPlain,
    /// Something runs, or an outcome is shown.
    Notice,
    /// Typing a command.
    Prompt,
    /// The list of what was done.
    Actions,
    /// The settings of this session.
    Settings,
    /// Choosing a scenario.
    Scenarios,
}

impl Context {
    /// What the help calls it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::List => "the list of devices",
            Self::Detail => "the detail of a device",
            Self::Inside => "what a page shows",
            Self::Filter => "the filter",
            Self::Ask => "a question",
            Self::Help => "this help",
            Self::Corrupt => "corruption",
            Self::Choose => "the choice of a device",
            Self::Form => "the options",
            Self::ConfirmTyped | Self::ConfirmPlain => "a plan",
            Self::Notice => "an outcome",
            Self::Prompt => "the command line",
            Self::Actions => "what was done",
            Self::Settings => "the settings",
            Self::Scenarios => "the scenarios",
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// End the application at once.
    Quit,
    /// Stop the process until the shell lets it go on.
    Suspend,
    /// Draw everything anew, and look at every device again.
    Refresh,
    /// Leave: the detail for the list, the list for the shell.
    Back,
    /// One up.
    Up,
    /// One down.
    Down,
    /// One to the left.
    Left,
    /// One to the right.
    Right,
    /// Half a page up.
    HalfPageUp,
    /// Half a page down.
    HalfPageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
    /// Go into what is chosen.
    Open,
    /// The next tab.
    NextTab,
    /// The tab before.
    PreviousTab,
    /// The tab of this number, from 0 on.
    Tab(u8),
    /// Narrow the list.
    Filter,
    /// Show the keys.
    Help,
    /// Create a mapped device.
    Create,
    /// Write the copies anew.
    WriteMetadata,
    /// Scrub now.
    Scrub,
    /// Repair now.
    Repair,
    /// Damage copies.
    Corrupt,
    /// Bring a device up again.
    Reassemble,
    /// Take a mapped device down.
    TakeApart,
    /// Take an action back.
    Undo,
    /// Give plain copies a checksum.
    Migrate,
    /// Show the bytes of a copy, or its fields.
    TurnView,
    /// Go into what the page draws.
    LookInside,
    /// To the next thing that stands out.
    NextMark,
    /// To the one before.
    PreviousMark,
    /// Look closer.
    ZoomIn,
    /// Look from further away.
    ZoomOut,
    /// To a block of main by its number.
    GoTo,
    /// Sort by something else.
    Order,
    /// Show only what is more urgent.
    Tighten,
    /// Choose a copy, or unchoose it.
    Toggle,
    /// Choose the copy of this number, or unchoose it.
    ToggleCopy(u8),
    /// Type a command.
    Prompt,
    /// The next word that would fit.
    Complete,
    /// The word before it.
    CompleteBack,
    /// Another order of the list.
    Sort,
    /// The order the other way round.
    Reverse,
    /// Stop changing what is shown, or go on.
    Freeze,
    /// Copy the command line that does the same.
    Copy,
    /// Keep what is on the screen in a file.
    Export,
    /// What was done, with the commands that do the same.
    Log,
    /// What can be taken back.
    UndoList,
    /// Give the mouse to the terminal, or take it.
    Mouse,
    /// The settings of this session.
    Settings,
    /// Drills to go through.
    Scenarios,
    /// Begin the next step of a scenario.
    Step,
    /// Leave a scenario.
    LeaveScenario,
    /// Go on.
    Accept,
    /// Leave everything as it is.
    Cancel,
    /// Erase one character.
    Erase,
    /// Erase what was typed.
    EraseAll,
}

/// Some keys, where they work, and what they mean there.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What a settings file calls it.
    pub action: &'static str,
    /// Where.
    pub contexts: &'static [Context],
    /// The usual keys; the first is the one shown in the footer.
    pub keys: &'static [Key],
    /// What they mean.
    pub command: Command,
    /// A word for the footer; empty where the footer is silent.
    pub hint: &'static str,
    /// A line for the help.
    pub help: &'static str,
}

const BROWSE: &[Context] = &[Context::List, Context::Detail];
const LIST: &[Context] = &[Context::List];
const DETAIL: &[Context] = &[Context::Detail];
const INSIDE: &[Context] = &[Context::Inside];
const PAGE: &[Context] = &[Context::Detail, Context::Inside];
/// Where one looks at devices and may act on them; inside of a page some letters mean
/// a way through it.
const WATCH: &[Context] = &[Context::List, Context::Detail, Context::Inside];
const SCROLLED: &[Context] = &[
    Context::List,
    Context::Detail,
    Context::Inside,
    Context::Help,
    Context::Choose,
    Context::Actions,
    Context::Settings,
    Context::Scenarios,
];
const SCENARIOS: &[Context] = &[Context::Scenarios];
const PROMPT: &[Context] = &[Context::Prompt];
const ACTIONS: &[Context] = &[Context::Actions];
const SETTINGS: &[Context] = &[Context::Settings];
const CORRUPT: &[Context] = &[Context::Corrupt];
const ARROWED: &[Context] = &[Context::Form, Context::ConfirmTyped, Context::ConfirmPlain];
const WINDOWS: &[Context] = &[
    Context::Corrupt,
    Context::Choose,
    Context::Form,
    Context::ConfirmTyped,
    Context::ConfirmPlain,
];
/// Where text is typed: no character is a command there.
const TYPED: &[Context] = &[
    Context::Filter,
    Context::Ask,
    Context::Form,
    Context::ConfirmTyped,
    Context::Prompt,
];
const EVERYWHERE: &[Context] = &[
    Context::List,
    Context::Detail,
    Context::Inside,
    Context::Filter,
    Context::Ask,
    Context::Help,
    Context::Corrupt,
    Context::Choose,
    Context::Form,
    Context::ConfirmTyped,
    Context::ConfirmPlain,
    Context::Notice,
    Context::Prompt,
    Context::Actions,
    Context::Settings,
    Context::Scenarios,
];

macro_rules! bind {
    ($action:literal, $contexts:expr, [$($key:expr),+], $command:expr, $hint:literal, $help:literal) => {
        Binding {
            action: $action,
            contexts: $contexts,
            keys: &[$($key),+],
            command: $command,
            hint: $hint,
            help: $help,
        }
    };
}

/// Every binding, in the order in which footer and help show them. One line is one
/// binding, however long.
#[rustfmt::skip]
pub const BINDINGS: &[Binding] = &[
    bind!("open", LIST, [Key::Enter, Key::Right, Key::Char('l')], Command::Open, "open", "to the detail of the chosen device"),
    bind!("inside", DETAIL, [Key::Enter, Key::Right, Key::Char('l')], Command::LookInside, "inside", "into what the page draws: bytes of a copy, map of main"),
    bind!("out", INSIDE, [Key::Esc, Key::Char('q')], Command::Back, "out", "out again, to the page"),
    bind!("next-mark", INSIDE, [Key::Char('n')], Command::NextMark, "next", "to the next bytes that differ, or the next remap"),
    bind!("previous-mark", INSIDE, [Key::Char('N')], Command::PreviousMark, "", "to those before"),
    bind!("zoom-in", PAGE, [Key::Char('+'), Key::Char('=')], Command::ZoomIn, "zoom", "look closer at the map, or back over less time"),
    bind!("zoom-out", PAGE, [Key::Char('-')], Command::ZoomOut, "", "look from further away, or back over more time"),
    bind!("go-to", PAGE, [Key::Char('b')], Command::GoTo, "go to", "to a block of main, by its number or its byte"),
    bind!("urgency", DETAIL, [Key::Char('i')], Command::Tighten, "urgency", "all events, warnings and worse, or errors alone"),
    bind!("order", PAGE, [Key::Char('o')], Command::Order, "order", "sort by something else"),
    bind!("inside-left", INSIDE, [Key::Left, Key::Char('h')], Command::Left, "", "one to the left"),
    bind!("inside-right", INSIDE, [Key::Right, Key::Char('l')], Command::Right, "", "one to the right"),
    bind!("back", DETAIL, [Key::Esc, Key::Left, Key::Char('h'), Key::Char('q')], Command::Back, "list", "back to the list"),
    bind!("up", SCROLLED, [Key::Up, Key::Char('k')], Command::Up, "", "one up"),
    bind!("down", SCROLLED, [Key::Down, Key::Char('j')], Command::Down, "", "one down"),
    bind!("half-page-up", SCROLLED, [Key::Ctrl('u'), Key::PageUp], Command::HalfPageUp, "", "half a page up"),
    bind!("half-page-down", SCROLLED, [Key::Ctrl('d'), Key::PageDown], Command::HalfPageDown, "", "half a page down"),
    bind!("first", SCROLLED, [Key::Char('g'), Key::Home], Command::First, "", "to the first"),
    bind!("last", SCROLLED, [Key::Char('G'), Key::End], Command::Last, "", "to the last"),
    bind!("next-page", WATCH, [Key::Tab, Key::Char(']')], Command::NextTab, "page", "the next page"),
    bind!("previous-page", WATCH, [Key::BackTab, Key::Char('[')], Command::PreviousTab, "", "the page before"),
    bind!("overview", WATCH, [Key::Char('1')], Command::Tab(0), "", "Overview"),
    bind!("copies", WATCH, [Key::Char('2')], Command::Tab(1), "", "Copies"),
    bind!("remaps", WATCH, [Key::Char('3')], Command::Tab(2), "", "Remaps"),
    bind!("events", WATCH, [Key::Char('4')], Command::Tab(3), "", "Events"),
    bind!("journal", WATCH, [Key::Char('5')], Command::Tab(4), "", "Journal"),
    bind!("counters", WATCH, [Key::Char('6')], Command::Tab(5), "", "Counters"),
    bind!("turn-view", WATCH, [Key::Char('v')], Command::TurnView, "", "bytes or fields of the chosen copy"),
    bind!("create", BROWSE, [Key::Char('n')], Command::Create, "new", "create a mapped device, step by step"),
    bind!("assemble", BROWSE, [Key::Char('a')], Command::Reassemble, "assemble", "bring the device up again from its metadata"),
    bind!("scrub", WATCH, [Key::Char('s')], Command::Scrub, "scrub", "check every copy and the remap table now"),
    bind!("repair", WATCH, [Key::Char('r')], Command::Repair, "repair", "rewrite damaged copies from the winner now"),
    bind!("write", BROWSE, [Key::Char('w')], Command::WriteMetadata, "write", "write the five copies anew"),
    bind!("corrupt", WATCH, [Key::Char('x')], Command::Corrupt, "corrupt", "damage copies on purpose and watch them heal"),
    bind!("migrate", BROWSE, [Key::Char('m')], Command::Migrate, "migrate", "give plain v4 copies a checksum"),
    bind!("take-apart", BROWSE, [Key::Char('d')], Command::TakeApart, "take apart", "take the mapped device down; its metadata stays"),
    bind!("undo", WATCH, [Key::Char('u')], Command::Undo, "undo", "take back the last action, or the one chosen in the journal"),
    bind!("filter", WATCH, [Key::Char('/')], Command::Filter, "filter", "narrow the list, or remaps and events on their pages"),
    bind!("command", WATCH, [Key::Char(':')], Command::Prompt, "command", "type a command; tab completes it"),
    bind!("sort", LIST, [Key::Char('o')], Command::Sort, "", "sort the list by name, size, state or part"),
    bind!("reverse", LIST, [Key::Char('O')], Command::Reverse, "", "sort the list the other way round"),
    bind!("freeze", WATCH, [Key::Char('f')], Command::Freeze, "", "stop changing what is shown, or go on"),
    bind!("copy", WATCH, [Key::Char('y')], Command::Copy, "", "copy the command that does or shows the same"),
    bind!("export", WATCH, [Key::Char('e')], Command::Export, "", "keep the screen in a file: text, JSON or SVG"),
    bind!("log", WATCH, [Key::Char('L')], Command::Log, "", "what was done, with the commands that do the same"),
    bind!("undo-list", WATCH, [Key::Char('U')], Command::UndoList, "", "what can be taken back"),
    bind!("mouse", WATCH, [Key::Char('M')], Command::Mouse, "", "release the mouse for selecting text, or take it"),
    bind!("settings", WATCH, [Key::Char(',')], Command::Settings, "", "theme, mouse, read-only, dry run, and more"),
    bind!("scenarios", WATCH, [Key::Char('t')], Command::Scenarios, "", "drills to go through, the first ten minutes among them"),
    bind!("scenario-step", WATCH, [Key::Ctrl('n')], Command::Step, "", "begin the next step of a scenario; a change shows its plan"),
    bind!("scenario-leave", WATCH, [Key::Ctrl('g')], Command::LeaveScenario, "", "leave a scenario; what was done stays"),
    bind!("refresh", WATCH, [Key::Ctrl('l')], Command::Refresh, "", "look at every device again and draw anew"),
    bind!("filter-keep", &[Context::Filter], [Key::Enter, Key::Down, Key::Up], Command::Accept, "keep", "keep the filter and go back to the list"),
    bind!("filter-clear", &[Context::Filter], [Key::Esc], Command::Cancel, "clear", "show every device"),
    bind!("answer", &[Context::Ask], [Key::Enter], Command::Accept, "go", "take what was typed"),
    bind!("answer-not", &[Context::Ask], [Key::Esc], Command::Cancel, "leave", "leave it; a search is cleared"),
    bind!("corrupt-copy-0", CORRUPT, [Key::Char('0')], Command::ToggleCopy(0), "", "copy 0"),
    bind!("corrupt-copy-1", CORRUPT, [Key::Char('1')], Command::ToggleCopy(1), "", "copy 1"),
    bind!("corrupt-copy-2", CORRUPT, [Key::Char('2')], Command::ToggleCopy(2), "", "copy 2"),
    bind!("corrupt-copy-3", CORRUPT, [Key::Char('3')], Command::ToggleCopy(3), "", "copy 3"),
    bind!("corrupt-copy-4", CORRUPT, [Key::Char('4')], Command::ToggleCopy(4), "", "copy 4"),
    bind!("corrupt-choose", CORRUPT, [Key::Char(' ')], Command::Toggle, "choose copy", "choose the copy under the pointer, or unchoose it"),
    bind!("corrupt-left", CORRUPT, [Key::Left, Key::Char('h')], Command::Left, "", "the copy to the left"),
    bind!("corrupt-right", CORRUPT, [Key::Right, Key::Char('l')], Command::Right, "", "the copy to the right"),
    bind!("corrupt-kind-before", CORRUPT, [Key::Up, Key::Char('k')], Command::Up, "kind", "the kind of damage before"),
    bind!("corrupt-kind-next", CORRUPT, [Key::Down, Key::Char('j')], Command::Down, "", "the next kind of damage"),
    bind!("corrupt-plan", CORRUPT, [Key::Enter], Command::Accept, "see the plan", "see the plan"),
    bind!("choose", &[Context::Choose], [Key::Enter], Command::Accept, "choose", "choose this device and go on"),
    bind!("choose-back", &[Context::Choose], [Key::Left, Key::Char('h'), Key::Backspace], Command::Back, "", "one step back"),
    bind!("form-plan", &[Context::Form], [Key::Enter], Command::Accept, "see the plan", "see the plan"),
    bind!("field-above", ARROWED, [Key::Up], Command::Up, "", "the field above, or scroll up"),
    bind!("field-below", ARROWED, [Key::Down], Command::Down, "", "the field below, or scroll down"),
    bind!("field-next", &[Context::Form], [Key::Tab], Command::Down, "next field", "the field below"),
    bind!("field-before", &[Context::Form], [Key::BackTab], Command::Up, "", "the field above"),
    bind!("value-before", &[Context::Form], [Key::Left], Command::Left, "", "the value before"),
    bind!("value-next", &[Context::Form], [Key::Right], Command::Right, "", "the next value"),
    bind!("prompt-leave", PROMPT, [Key::Esc], Command::Cancel, "leave", "back, and do nothing"),
    bind!("prompt-complete", PROMPT, [Key::Tab], Command::Complete, "complete", "the next word that fits"),
    bind!("prompt-complete-back", PROMPT, [Key::BackTab], Command::CompleteBack, "", "the word before it"),
    bind!("prompt-before", PROMPT, [Key::Up], Command::Up, "before", "the command before this one"),
    bind!("prompt-after", PROMPT, [Key::Down], Command::Down, "", "the command after this one"),
    bind!("prompt-run", PROMPT, [Key::Enter], Command::Accept, "run", "run the command; a change shows its plan first"),
    bind!("actions-close", ACTIONS, [Key::Esc, Key::Char('q'), Key::Char('L'), Key::Char('U')], Command::Cancel, "close", "back"),
    bind!("actions-copy", ACTIONS, [Key::Char('y')], Command::Copy, "copy", "copy the command of the chosen action"),
    bind!("actions-undo", ACTIONS, [Key::Char('u'), Key::Enter], Command::Undo, "undo", "plan to take the chosen action back"),
    bind!("scenarios-close", SCENARIOS, [Key::Esc, Key::Char('q'), Key::Char('t')], Command::Cancel, "close", "back, and begin none"),
    bind!("scenarios-begin", SCENARIOS, [Key::Enter], Command::Accept, "begin", "begin the scenario under the pointer"),
    bind!("settings-close", SETTINGS, [Key::Esc, Key::Char('q'), Key::Char(',')], Command::Cancel, "close", "back"),
    bind!("settings-before", SETTINGS, [Key::Left, Key::Char('h')], Command::Left, "", "the value before"),
    bind!("settings-next", SETTINGS, [Key::Right, Key::Char('l'), Key::Char(' '), Key::Enter], Command::Right, "change", "the next value"),
    bind!("settings-copy", SETTINGS, [Key::Char('y')], Command::Copy, "copy", "copy these settings as a settings file"),
    bind!("plan-copy", &[Context::ConfirmTyped, Context::ConfirmPlain], [Key::Ctrl('y')], Command::Copy, "", "copy the command that does the same"),
    // What leaves everything as it is comes before what changes something.
    bind!("leave", WINDOWS, [Key::Esc], Command::Cancel, "leave all as it is", "leave everything as it is"),
    bind!("leave-by-letter", &[Context::Corrupt, Context::Choose, Context::ConfirmPlain], [Key::Char('q')], Command::Cancel, "", "leave everything as it is"),
    bind!("do-it", &[Context::ConfirmTyped, Context::ConfirmPlain], [Key::Enter], Command::Accept, "do it", "do it; where a name is asked for, once it is typed"),
    bind!("close", &[Context::Notice], [Key::Enter, Key::Esc, Key::Char('q')], Command::Cancel, "close", "back to the list"),
    bind!("erase", TYPED, [Key::Backspace, Key::Ctrl('h')], Command::Erase, "", "erase one character"),
    bind!("erase-all", TYPED, [Key::Ctrl('u'), Key::Ctrl('w')], Command::EraseAll, "", "erase what was typed"),
    bind!("help-close", &[Context::Help], [Key::Esc, Key::Char('q'), Key::Char('?'), Key::Enter], Command::Cancel, "close", "close the help"),
    bind!("help", &[Context::List, Context::Detail, Context::Inside, Context::Corrupt, Context::Choose, Context::ConfirmPlain], [Key::Char('?')], Command::Help, "help", "the keys that work here"),
    bind!("quit", LIST, [Key::Char('q')], Command::Back, "quit", "quit"),
    bind!("show-all", LIST, [Key::Esc], Command::Cancel, "", "show every device again"),
    bind!("suspend", WATCH, [Key::Ctrl('z')], Command::Suspend, "", "to the shell; fg comes back"),
    bind!("quit-anywhere", EVERYWHERE, [Key::Ctrl('c')], Command::Quit, "", "quit from anywhere"),
];

/// A binding with the keys that it has for this operator.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    binding: &'static Binding,
    /// The keys; the first is the one shown in the footer.
    pub keys: &'a [Key],
}

impl Deref for Bound<'_> {
    type Target = Binding;

    fn deref(&self) -> &Binding {
        self.binding
    }
}

/// Which keys the bindings have: the usual ones, or the operator's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyMap {
    /// The operator's own, by the place among [`BINDINGS`].
    changed: Vec<(usize, Vec<Key>)>,
}

/// Why keys cannot be what an operator wants them to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyMapError {
    /// There is no such action; the nearest that there is, if one is near.
    UnknownAction(String, Option<&'static str>),
    /// A word that names no key.
    UnknownKey(&'static str, String),
    /// One key for two actions in one place.
    Conflict(Key, &'static str, &'static str, Context),
    /// A letter is a command where letters are typed.
    Typed(Key, &'static str, Context),
    /// Nothing leaves this place, or nothing ends the application.
    NoWayOut(Context),
    /// The key that confirms is one that asks, too.
    ConfirmsWhatItAsked(Key, &'static str),
    /// The key that confirms lies next to one that leaves everything as it is.
    Beside(Key, Key),
}

impl std::fmt::Display for KeyMapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownAction(name, near) => {
                let name = crate::text::escape_str(name);
                write!(f, "there is no action {name:?}")?;
                match near {
                    Some(near) => write!(f, "; did you mean {near}?"),
                    None => f.write_str("; config --template lists them"),
                }
            }
            Self::UnknownKey(action, word) => {
                let word = crate::text::escape_str(word);
                write!(
                    f,
                    "{action}: {word:?} is no key; a character, ctrl- and a letter, or one of \
                     {}",
                    Key::names()
                )
            }
            Self::Conflict(key, one, other, context) => write!(
                f,
                "{key} is for {one} and for {other} in {}",
                context.title()
            ),
            Self::Typed(key, action, context) => write!(
                f,
                "{action}: {key} cannot be a command in {}, where it is typed",
                context.title()
            ),
            Self::NoWayOut(context) => {
                write!(f, "no key is left that leads out of {}", context.title())
            }
            Self::ConfirmsWhatItAsked(key, action) => write!(
                f,
                "{key} asks for {action}; what asks must not confirm as well"
            ),
            Self::Beside(confirms, leaves) => write!(
                f,
                "{confirms} would do it beside {leaves}, which leaves everything as it is"
            ),
        }
    }
}

impl std::error::Error for KeyMapError {}

impl KeyMap {
    /// The usual keys.
    pub const USUAL: Self = Self {
        changed: Vec::new(),
    };

    /// The usual keys, but for those that an operator wants otherwise: key words by
    /// action. No word at all leaves an action without a key.
    ///
    /// # Errors
    ///
    /// `KeyMapError` names the action, and the rule that would be broken.
    pub fn with(wanted: &BTreeMap<String, Vec<String>>) -> Result<Self, KeyMapError> {
        let mut changed = Vec::new();
        for (name, words) in wanted {
            let place = BINDINGS.iter().position(|binding| binding.action == name);
            let Some(place) = place else {
                return Err(KeyMapError::UnknownAction(name.clone(), nearest(name)));
            };
            let action = BINDINGS[place].action;
            let keys = words.iter().map(|word| {
                let key = word.parse();
                key.map_err(|_| KeyMapError::UnknownKey(action, word.clone()))
            });
            changed.push((place, keys.collect::<Result<Vec<Key>, _>>()?));
        }
        let map = Self { changed };
        map.check()?;
        Ok(map)
    }

    fn check(&self) -> Result<(), KeyMapError> {
        for context in EVERYWHERE {
            self.check_context(*context)?;
        }
        let confirming = || {
            self.bindings(Context::ConfirmPlain)
                .filter(|bound| bound.command == Command::Accept)
                .flat_map(|bound| bound.keys)
        };
        for bound in self.bindings(Context::List) {
            let asks = bound.command != Command::Open;
            if let Some(key) = bound
                .keys
                .iter()
                .find(|key| asks && confirming().any(|it| it == *key))
            {
                return Err(KeyMapError::ConfirmsWhatItAsked(*key, bound.action));
            }
        }
        for leaving in self.bindings(Context::ConfirmPlain) {
            if leaving.command != Command::Cancel {
                continue;
            }
            for key in leaving.keys {
                if let Some(beside) = confirming().find(|it| it.is_beside(*key)) {
                    return Err(KeyMapError::Beside(*beside, *key));
                }
            }
        }
        Ok(())
    }

    fn check_context(&self, context: Context) -> Result<(), KeyMapError> {
        let mut seen: Vec<(Key, &'static str)> = Vec::new();
        let (mut leaves, mut quits) = (false, false);
        for bound in self.bindings(context) {
            leaves |=
                matches!(bound.command, Command::Back | Command::Cancel) && !bound.keys.is_empty();
            quits |= bound.command == Command::Quit && !bound.keys.is_empty();
            for key in bound.keys {
                if let Some((_, other)) = seen.iter().find(|(taken, _)| taken == key) {
                    return Err(KeyMapError::Conflict(*key, other, bound.action, context));
                }
                if matches!(key, Key::Char(_)) && TYPED.contains(&context) {
                    return Err(KeyMapError::Typed(*key, bound.action, context));
                }
                seen.push((*key, bound.action));
            }
        }
        if leaves && quits {
            Ok(())
        } else {
            Err(KeyMapError::NoWayOut(context))
        }
    }

    /// What `key` means in `context`.
    pub fn command(&self, context: Context, key: Key) -> Option<Command> {
        self.bindings(context)
            .find(|bound| bound.keys.contains(&key))
            .map(|bound| bound.command)
    }

    /// The key to show for `command` in `context`, if any key means it there.
    pub fn first_key(&self, context: Context, command: Command) -> Option<Key> {
        self.bindings(context)
            .filter(|bound| bound.command == command)
            .find_map(|bound| bound.keys.first().copied())
    }

    /// What a sentence calls the way to `command` in `context`: its key, or the words to
    /// type where it has none.
    pub fn named(&self, context: Context, command: Command) -> String {
        if let Some(key) = self.first_key(context, command) {
            return key.to_string();
        }
        let words = match command {
            Command::Reassemble => "reassemble",
            Command::TakeApart => "remove",
            Command::WriteMetadata => "write-metadata",
            _ => BINDINGS
                .iter()
                .find(|binding| binding.command == command)
                .map_or("", |binding| binding.action),
        };
        format!(":{words}")
    }

    /// The bindings of one context.
    pub fn bindings(&self, context: Context) -> impl Iterator<Item = Bound<'_>> {
        let bindings = BINDINGS.iter().enumerate();
        bindings
            .filter(move |(_, binding)| binding.contexts.contains(&context))
            .map(|(place, binding)| Bound {
                binding,
                keys: self.keys(place),
            })
    }

    fn keys(&self, place: usize) -> &[Key] {
        let changed = self.changed.iter().find(|(at, _)| *at == place);
        changed.map_or(BINDINGS[place].keys, |(_, keys)| keys)
    }

    /// How many actions have other keys than the usual ones.
    pub fn changes(&self) -> usize {
        self.changed.len()
    }
}

/// The action whose name is most like `name`, if any is much like it.
fn nearest(name: &str) -> Option<&'static str> {
    let actions = BINDINGS.iter().map(|binding| binding.action);
    crate::text::nearest(name, actions)
}

/// Every action that a settings file can name: its usual keys, and what it does.
pub fn usual_keys() -> impl Iterator<Item = (&'static str, Vec<String>, &'static str)> {
    BINDINGS.iter().map(|binding| {
        let keys = binding.keys.iter().map(ToString::to_string);
        (binding.action, keys.collect(), binding.help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &[&str])]) -> Result<KeyMap, KeyMapError> {
        let wanted = pairs.iter().map(|(action, words)| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            ((*action).to_owned(), words)
        });
        KeyMap::with(&wanted.collect())
    }

    #[test]
    fn the_usual_keys_keep_the_rules() {
        assert_eq!(KeyMap::USUAL.check(), Ok(()));
        let mut actions: Vec<&str> = BINDINGS.iter().map(|binding| binding.action).collect();
        actions.sort_unstable();
        actions.dedup();
        assert_eq!(actions.len(), BINDINGS.len(), "an action has two bindings");
    }

    #[test]
    fn a_key_of_ones_own_takes_the_place_of_the_usual_one() {
        let keys = with(&[("scrub", &["S", "f5"]), ("migrate", &[])]).unwrap();
        let command = |key| keys.command(Context::List, key);
        assert_eq!(command(Key::Char('S')), Some(Command::Scrub));
        assert_eq!(command(Key::F(5)), Some(Command::Scrub));
        assert_eq!(command(Key::Char('s')), None);
        assert_eq!(command(Key::Char('m')), None);
        assert_eq!(command(Key::Char('r')), Some(Command::Repair));
    }

    #[test]
    fn what_breaks_a_rule_is_refused_and_said() {
        for (pairs, said) in [
            (
                &[("scrubb", &["s"][..])][..],
                "there is no action \"scrubb\"; did you mean scrub?",
            ),
            (&[("dance", &["s"])], "config --template lists them"),
            (&[("scrub", &["retrun"])], "scrub: \"retrun\" is no key"),
            (
                &[("scrub", &["x"])],
                "x is for scrub and for corrupt in the list of devices",
            ),
            (
                &[("erase", &["e"])],
                "erase: e cannot be a command in the filter, where it is typed",
            ),
            (
                &[("help-close", &[])],
                "no key is left that leads out of this help",
            ),
            (
                &[("quit-anywhere", &[])],
                "no key is left that leads out of the list of devices",
            ),
            (
                &[("do-it", &["ctrl-l"])],
                "ctrl-l asks for refresh; what asks must not confirm as well",
            ),
            (
                &[("do-it", &["ctrl-a"])],
                "ctrl-a would do it beside q, which leaves everything as it is",
            ),
        ] {
            let error = with(pairs).unwrap_err().to_string();
            assert!(error.contains(said), "{error}\nis not\n{said}");
        }
    }

    #[test]
    fn what_leaves_everything_as_it_is_comes_before_what_confirms() {
        for context in [Context::ConfirmPlain, Context::ConfirmTyped] {
            let bindings = BINDINGS.iter();
            let here = bindings.filter(|binding| binding.contexts.contains(&context));
            let hinted: Vec<Command> = here
                .filter(|binding| !binding.hint.is_empty())
                .map(|binding| binding.command)
                .collect();
            assert_eq!(hinted.first(), Some(&Command::Cancel), "{context:?}");
        }
    }
}
