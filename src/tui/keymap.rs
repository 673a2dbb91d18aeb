//! The key map: which key means which command where. Footer and help are made from it,
//! so that the keys shown are the keys that work.

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
}

impl Context {
    /// What the help calls it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::List => "the list of devices",
            Self::Detail => "the detail of a device",
            Self::Inside => "what a page shows",
            Self::Filter => "the filter",
            Self::Help => "this help",
            Self::Corrupt => "corruption",
            Self::Choose => "the choice of a device",
            Self::Form => "the options",
            Self::ConfirmTyped | Self::ConfirmPlain => "a plan",
            Self::Notice => "an outcome",
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
    /// Choose a copy, or unchoose it.
    Toggle,
    /// Choose the copy of this number, or unchoose it.
    ToggleCopy(u8),
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
    /// Where.
    pub contexts: &'static [Context],
    /// Which; the first is the one shown in the footer.
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
/// Where one looks at devices and may act on them; inside of a page some letters mean
/// a way through it.
const WATCH: &[Context] = &[Context::List, Context::Detail, Context::Inside];
const SCROLLED: &[Context] = &[
    Context::List,
    Context::Detail,
    Context::Inside,
    Context::Help,
    Context::Choose,
];
const CORRUPT: &[Context] = &[Context::Corrupt];
const ARROWED: &[Context] = &[Context::Form, Context::ConfirmTyped, Context::ConfirmPlain];
const TYPED: &[Context] = &[Context::Filter, Context::Form, Context::ConfirmTyped];
const EVERYWHERE: &[Context] = &[
    Context::List,
    Context::Detail,
    Context::Inside,
    Context::Filter,
    Context::Help,
    Context::Corrupt,
    Context::Choose,
    Context::Form,
    Context::ConfirmTyped,
    Context::ConfirmPlain,
    Context::Notice,
];

macro_rules! bind {
    ($contexts:expr, [$($key:expr),+], $command:expr, $hint:literal, $help:literal) => {
        Binding {
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
    bind!(LIST, [Key::Enter, Key::Right, Key::Char('l')], Command::Open, "open", "to the detail of the chosen device"),
    bind!(DETAIL, [Key::Enter, Key::Right, Key::Char('l')], Command::LookInside, "inside", "into what the page draws: the bytes of the chosen copy"),
    bind!(INSIDE, [Key::Esc, Key::Char('q')], Command::Back, "out", "out again, to the page"),
    bind!(INSIDE, [Key::Char('n')], Command::NextMark, "next", "the next bytes that differ"),
    bind!(INSIDE, [Key::Char('N')], Command::PreviousMark, "", "the bytes before that differ"),
    bind!(INSIDE, [Key::Left, Key::Char('h')], Command::Left, "", "one to the left"),
    bind!(INSIDE, [Key::Right, Key::Char('l')], Command::Right, "", "one to the right"),
    bind!(DETAIL, [Key::Esc, Key::Left, Key::Char('h'), Key::Char('q')], Command::Back, "list", "back to the list"),
    bind!(SCROLLED, [Key::Up, Key::Char('k')], Command::Up, "", "one up"),
    bind!(SCROLLED, [Key::Down, Key::Char('j')], Command::Down, "", "one down"),
    bind!(SCROLLED, [Key::Ctrl('u'), Key::PageUp], Command::HalfPageUp, "", "half a page up"),
    bind!(SCROLLED, [Key::Ctrl('d'), Key::PageDown], Command::HalfPageDown, "", "half a page down"),
    bind!(SCROLLED, [Key::Char('g'), Key::Home], Command::First, "", "to the first"),
    bind!(SCROLLED, [Key::Char('G'), Key::End], Command::Last, "", "to the last"),
    bind!(WATCH, [Key::Tab, Key::Char(']')], Command::NextTab, "page", "the next page"),
    bind!(WATCH, [Key::BackTab, Key::Char('[')], Command::PreviousTab, "", "the page before"),
    bind!(WATCH, [Key::Char('1')], Command::Tab(0), "", "Overview"),
    bind!(WATCH, [Key::Char('2')], Command::Tab(1), "", "Copies"),
    bind!(WATCH, [Key::Char('3')], Command::Tab(2), "", "Remaps"),
    bind!(WATCH, [Key::Char('4')], Command::Tab(3), "", "Events"),
    bind!(WATCH, [Key::Char('5')], Command::Tab(4), "", "Journal"),
    bind!(WATCH, [Key::Char('v')], Command::TurnView, "", "bytes or fields of the chosen copy"),
    bind!(BROWSE, [Key::Char('n')], Command::Create, "new", "create a mapped device, step by step"),
    bind!(BROWSE, [Key::Char('a')], Command::Reassemble, "assemble", "bring the device up again from its metadata"),
    bind!(WATCH, [Key::Char('s')], Command::Scrub, "scrub", "check every copy and the remap table now"),
    bind!(WATCH, [Key::Char('r')], Command::Repair, "repair", "rewrite damaged copies from the winner now"),
    bind!(BROWSE, [Key::Char('w')], Command::WriteMetadata, "write", "write the five copies anew"),
    bind!(WATCH, [Key::Char('x')], Command::Corrupt, "corrupt", "damage copies on purpose and watch them heal"),
    bind!(BROWSE, [Key::Char('m')], Command::Migrate, "migrate", "give plain v4 copies a checksum"),
    bind!(BROWSE, [Key::Char('d')], Command::TakeApart, "take apart", "take the mapped device down; its metadata stays"),
    bind!(WATCH, [Key::Char('u')], Command::Undo, "undo", "take back the last action, or the one chosen in the journal"),
    bind!(BROWSE, [Key::Char('/')], Command::Filter, "filter", "narrow the list"),
    bind!(WATCH, [Key::Ctrl('l')], Command::Refresh, "", "look at every device again and draw anew"),
    bind!(&[Context::Filter], [Key::Enter, Key::Down, Key::Up], Command::Accept, "keep", "keep the filter and go back to the list"),
    bind!(&[Context::Filter], [Key::Esc], Command::Cancel, "clear", "show every device"),
    bind!(CORRUPT, [Key::Char('0')], Command::ToggleCopy(0), "", "copy 0"),
    bind!(CORRUPT, [Key::Char('1')], Command::ToggleCopy(1), "", "copy 1"),
    bind!(CORRUPT, [Key::Char('2')], Command::ToggleCopy(2), "", "copy 2"),
    bind!(CORRUPT, [Key::Char('3')], Command::ToggleCopy(3), "", "copy 3"),
    bind!(CORRUPT, [Key::Char('4')], Command::ToggleCopy(4), "", "copy 4"),
    bind!(CORRUPT, [Key::Char(' ')], Command::Toggle, "choose copy", "choose the copy under the pointer, or unchoose it"),
    bind!(CORRUPT, [Key::Left, Key::Char('h')], Command::Left, "", "the copy to the left"),
    bind!(CORRUPT, [Key::Right, Key::Char('l')], Command::Right, "", "the copy to the right"),
    bind!(CORRUPT, [Key::Up, Key::Char('k')], Command::Up, "kind", "the kind of damage before"),
    bind!(CORRUPT, [Key::Down, Key::Char('j')], Command::Down, "", "the next kind of damage"),
    bind!(CORRUPT, [Key::Enter], Command::Accept, "see the plan", "see the plan"),
    bind!(&[Context::Choose], [Key::Enter], Command::Accept, "choose", "choose this device and go on"),
    bind!(&[Context::Choose], [Key::Left, Key::Char('h'), Key::Backspace], Command::Back, "", "one step back"),
    bind!(&[Context::Form], [Key::Enter], Command::Accept, "see the plan", "see the plan"),
    bind!(ARROWED, [Key::Up], Command::Up, "", "the field above, or scroll up"),
    bind!(ARROWED, [Key::Down], Command::Down, "", "the field below, or scroll down"),
    bind!(&[Context::Form], [Key::Tab], Command::Down, "next field", "the field below"),
    bind!(&[Context::Form], [Key::BackTab], Command::Up, "", "the field above"),
    bind!(&[Context::Form], [Key::Left], Command::Left, "", "the value before"),
    bind!(&[Context::Form], [Key::Right], Command::Right, "", "the next value"),
    bind!(&[Context::ConfirmTyped], [Key::Enter], Command::Accept, "do it", "do it, if the name is typed"),
    bind!(&[Context::ConfirmPlain], [Key::Enter], Command::Accept, "do it", "do it"),
    bind!(&[Context::Notice], [Key::Enter, Key::Esc, Key::Char('q')], Command::Cancel, "close", "back to the list"),
    bind!(TYPED, [Key::Backspace, Key::Ctrl('h')], Command::Erase, "", "erase one character"),
    bind!(TYPED, [Key::Ctrl('u'), Key::Ctrl('w')], Command::EraseAll, "", "erase what was typed"),
    bind!(&[Context::Corrupt, Context::Choose, Context::Form, Context::ConfirmTyped, Context::ConfirmPlain], [Key::Esc], Command::Cancel, "leave all as it is", "leave everything as it is"),
    bind!(&[Context::Corrupt, Context::Choose, Context::ConfirmPlain], [Key::Char('q')], Command::Cancel, "", "leave everything as it is"),
    bind!(&[Context::Help], [Key::Esc, Key::Char('q'), Key::Char('?'), Key::Enter], Command::Cancel, "close", "close the help"),
    bind!(&[Context::List, Context::Detail, Context::Inside, Context::Corrupt, Context::Choose, Context::ConfirmPlain], [Key::Char('?')], Command::Help, "help", "the keys that work here"),
    bind!(LIST, [Key::Char('q')], Command::Back, "quit", "quit"),
    bind!(LIST, [Key::Esc], Command::Cancel, "", "show every device again"),
    bind!(WATCH, [Key::Ctrl('z')], Command::Suspend, "", "to the shell; fg comes back"),
    bind!(EVERYWHERE, [Key::Ctrl('c')], Command::Quit, "", "quit from anywhere"),
];

/// What `key` means in `context`.
pub fn command(context: Context, key: Key) -> Option<Command> {
    bindings(context)
        .find(|binding| binding.keys.contains(&key))
        .map(|binding| binding.command)
}

/// The bindings of one context.
pub fn bindings(context: Context) -> impl Iterator<Item = &'static Binding> {
    BINDINGS
        .iter()
        .filter(move |binding| binding.contexts.contains(&context))
}
