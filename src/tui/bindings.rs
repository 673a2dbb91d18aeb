//! What a key can ask for, where, and the usual keys for it. Footer and help are made from
//! these lines, so that the keys shown are the keys that work.

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
    /// The settings.
    Settings,
    /// Choosing a scenario.
    Scenarios,
    /// Being asked what is to become of work that is under way.
    Underway,
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
            Self::Underway => "the work under way",
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
    /// Cover main: its ends go to the spare.
    Cover,
    /// Bring the ends of main back.
    Uncover,
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
    /// The settings.
    Settings,
    /// Write the settings into their file.
    Save,
    /// Drills to go through.
    Scenarios,
    /// Begin the next step of a scenario.
    Step,
    /// Leave a scenario.
    LeaveScenario,
    /// Show what is under way.
    Underway,
    /// Leave the application as soon as the work is done.
    LeaveWhenDone,
    /// End the work at its next safe point.
    EndWork,
    /// End it so, and leave the application then.
    EndAndLeave,
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
const UNDERWAY: &[Context] = &[Context::Underway];
const PROMPT: &[Context] = &[Context::Prompt];
const ACTIONS: &[Context] = &[Context::Actions];
const SETTINGS: &[Context] = &[Context::Settings];
const CORRUPT: &[Context] = &[Context::Corrupt];
const PLANS: &[Context] = &[
    Context::ConfirmTyped,
    Context::ConfirmPlain,
    Context::Notice,
];
const ARROWED: &[Context] = &[Context::Form, Context::ConfirmTyped, Context::ConfirmPlain];
const WINDOWS: &[Context] = &[
    Context::Corrupt,
    Context::Choose,
    Context::Form,
    Context::ConfirmTyped,
    Context::ConfirmPlain,
];
/// Where text is typed: no character is a command there.
pub(super) const TYPED: &[Context] = &[
    Context::Filter,
    Context::Ask,
    Context::Form,
    Context::ConfirmTyped,
    Context::Prompt,
];
pub(super) const EVERYWHERE: &[Context] = &[
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
    Context::Underway,
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
    bind!("cover", WATCH, [Key::Char('C')], Command::Cover, "", "show nothing of main but labels: its first and last MiB go to the spare"),
    bind!("uncover", WATCH, [Key::Char('D')], Command::Uncover, "", "bring the first and the last MiB of main back from the spare"),
    bind!("undo", WATCH, [Key::Char('u')], Command::Undo, "undo", "take back the last action, or the one chosen in the journal"),
    bind!("filter", WATCH, [Key::Char('/')], Command::Filter, "filter", "narrow the list, or remaps and events on their pages"),
    bind!("command", WATCH, [Key::Char(':')], Command::Prompt, "command", "type a command, which is completed"),
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
    bind!("underway", &[Context::List, Context::Detail, Context::Inside, Context::Notice], [Key::Char('c')], Command::Underway, "work", "the work under way: end it, or leave when it is done"),
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
    bind!("corrupt-choose", CORRUPT, [Key::Char(' ')], Command::Toggle, "copy", "choose the copy under the pointer, or unchoose it"),
    bind!("corrupt-left", CORRUPT, [Key::Left, Key::Char('h')], Command::Left, "", "the copy to the left"),
    bind!("corrupt-right", CORRUPT, [Key::Right, Key::Char('l')], Command::Right, "", "the copy to the right"),
    bind!("corrupt-kind-before", CORRUPT, [Key::Up, Key::Char('k')], Command::Up, "kind", "the kind of damage before"),
    bind!("corrupt-kind-next", CORRUPT, [Key::Down, Key::Char('j')], Command::Down, "", "the next kind of damage"),
    bind!("corrupt-plan", CORRUPT, [Key::Enter], Command::Accept, "see the plan", "see the plan"),
    bind!("choose", &[Context::Choose], [Key::Enter], Command::Accept, "choose", "choose this device and go on"),
    bind!("choose-back", &[Context::Choose], [Key::Left, Key::Char('h'), Key::Backspace], Command::Back, "back", "one step back"),
    bind!("form-plan", &[Context::Form], [Key::Enter], Command::Accept, "see the plan", "see the plan"),
    bind!("field-above", ARROWED, [Key::Up], Command::Up, "", "the field above, or scroll up"),
    bind!("field-below", ARROWED, [Key::Down], Command::Down, "", "the field below, or scroll down"),
    bind!("field-next", &[Context::Form], [Key::Tab], Command::Down, "next field", "the field below"),
    bind!("field-before", &[Context::Form], [Key::BackTab], Command::Up, "", "the field above"),
    bind!("form-back", &[Context::Form], [Key::Ctrl('p')], Command::Back, "back", "one step back, to the choice of the spare"),
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
    bind!("actions-undo", ACTIONS, [Key::Char('u')], Command::Undo, "undo", "plan to take the chosen action back"),
    bind!("scenarios-close", SCENARIOS, [Key::Esc, Key::Char('q'), Key::Char('t')], Command::Cancel, "close", "back, and begin none"),
    bind!("scenarios-begin", SCENARIOS, [Key::Enter], Command::Accept, "begin", "begin the scenario under the pointer"),
    bind!("underway-close", UNDERWAY, [Key::Esc, Key::Char('q'), Key::Char('c')], Command::Cancel, "stay", "stay; the work goes on"),
    bind!("leave-when-done", UNDERWAY, [Key::Char('w')], Command::LeaveWhenDone, "leave when done", "leave as soon as the work is done"),
    bind!("end-work", UNDERWAY, [Key::Char('e')], Command::EndWork, "end it", "end the work at its next safe point, and stay"),
    bind!("end-and-leave", UNDERWAY, [Key::Char('x')], Command::EndAndLeave, "end it, leave", "end the work at its next safe point, and leave then"),
    bind!("settings-close", SETTINGS, [Key::Esc, Key::Char('q'), Key::Char(',')], Command::Cancel, "close", "back"),
    bind!("settings-before", SETTINGS, [Key::Left, Key::Char('h')], Command::Left, "", "the value before"),
    bind!("settings-next", SETTINGS, [Key::Right, Key::Char('l'), Key::Char(' '), Key::Enter], Command::Right, "change", "the next value"),
    bind!("settings-save", SETTINGS, [Key::Char('w')], Command::Save, "save", "write the settings into their file"),
    bind!("settings-copy", SETTINGS, [Key::Char('y')], Command::Copy, "copy", "copy these settings as a settings file"),
    bind!("plan-copy", &[Context::ConfirmTyped, Context::ConfirmPlain], [Key::Ctrl('y')], Command::Copy, "", "copy the command that does the same"),
    // What leaves everything as it is comes before what changes something.
    bind!("leave", WINDOWS, [Key::Esc], Command::Cancel, "leave all as it is", "leave everything as it is"),
    bind!("leave-by-letter", &[Context::Corrupt, Context::Choose, Context::ConfirmPlain], [Key::Char('q')], Command::Cancel, "", "leave everything as it is"),
    bind!("plan-back", PLANS, [Key::Ctrl('p')], Command::Back, "back", "one step back, to the options of a new device"),
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
