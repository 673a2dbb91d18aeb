//! The commands that are operations, each with what may stand behind it.

/// What kind of word an option or an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// None at all.
    Flag,
    /// A mapped device.
    Name,
    /// A name that nothing has yet.
    NewName,
    /// A device, by its path or its short name.
    Device,
    /// A mapped device, or its spare.
    Target,
    /// Copies, `0,3`.
    Slots,
    /// One copy.
    Slot,
    /// The UUID of an array.
    Array,
    /// A kind of damage.
    Kind,
    /// A number.
    Number,
    /// A remap unit in bytes.
    BlockSize,
    /// The number of an action of the journal.
    Action,
    /// `main` or `spare`.
    Part,
    /// `read`, `write` or `both`.
    Direction,
}

/// A command that is an operation.
#[derive(Clone, Copy, Debug)]
pub struct Verb {
    /// Its name, as on the command line.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// What stands behind it, in order.
    pub arguments: &'static [Value],
    /// Its options.
    pub options: &'static [(&'static str, Value)],
}

const NEW: [(&str, Value); 7] = [
    ("--main", Value::Device),
    ("--spare", Value::Device),
    ("--block-size", Value::BlockSize),
    ("--scrub-interval", Value::Number),
    ("--replace", Value::Flag),
    ("--labelled", Value::Flag),
    ("--bare", Value::Flag),
];

/// Every command that is an operation, as the command line has it.
pub const VERBS: [Verb; 12] = [
    Verb {
        name: "create",
        about: "join a main disk and a spare",
        arguments: &[Value::NewName],
        options: &NEW,
    },
    Verb {
        name: "write-metadata",
        about: "write the five copies anew",
        arguments: &[Value::Name],
        options: &[
            NEW[0],
            NEW[1],
            NEW[2],
            NEW[3],
            NEW[4],
            ("--name", Value::NewName),
            ("--adopt", Value::Flag),
        ],
    },
    Verb {
        name: "reassemble",
        about: "bring a device up from its metadata",
        arguments: &[Value::Target],
        options: &[
            ("--main", Value::Device),
            ("--as", Value::NewName),
            ("--read-only", Value::Flag),
        ],
    },
    Verb {
        name: "remove",
        about: "take a mapped device down",
        arguments: &[Value::Name],
        options: &[],
    },
    Verb {
        name: "scrub",
        about: "check every copy and the remap table now",
        arguments: &[Value::Name],
        options: &[],
    },
    Verb {
        name: "repair",
        about: "rewrite damaged copies from the winner",
        arguments: &[Value::Target],
        options: &[
            ("--from", Value::Slot),
            ("--rebuild", Value::Flag),
            ("--array", Value::Array),
        ],
    },
    Verb {
        name: "cover",
        about: "show nothing of main but labels; its ends go to the spare",
        arguments: &[Value::Name],
        options: &[],
    },
    Verb {
        name: "uncover",
        about: "bring the ends of main back from the spare",
        arguments: &[Value::Name],
        options: &[],
    },
    Verb {
        name: "corrupt",
        about: "damage copies on purpose",
        arguments: &[Value::Target],
        options: &[
            ("--copy", Value::Slots),
            ("--kind", Value::Kind),
            ("--seed", Value::Number),
        ],
    },
    Verb {
        name: "migrate",
        about: "give plain v4 copies a checksum",
        arguments: &[Value::Device],
        options: &[
            ("--name", Value::NewName),
            ("--block-size", Value::BlockSize),
            ("--main", Value::Device),
        ],
    },
    Verb {
        name: "undo",
        about: "take an action back, byte for byte",
        arguments: &[Value::Action],
        options: &[],
    },
    Verb {
        name: "fault",
        about: "let blocks fail, in a lab",
        arguments: &[Value::Name, Value::Part],
        options: &[
            ("--on", Value::Direction),
            ("--from", Value::Number),
            ("--count", Value::Number),
            ("--clear", Value::Flag),
        ],
    },
];
