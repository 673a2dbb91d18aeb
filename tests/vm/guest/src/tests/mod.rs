//! The kernel tests, by name.

mod application;
mod copies;
mod cover;
mod crash;
mod failing;
mod file_systems;
mod flushes;
mod geometry;
mod hostile;
mod labels;
mod lifecycle;
mod many;
mod memory;
mod operator;
mod pass_through;
mod plain;
mod read_only;
mod reassembly;
mod refusals;
mod remapping;
mod resets;
mod schedule;
mod shapes;
mod table_line;
mod two_processors;
mod undo;

use crate::block::Device;
use crate::disk::Disk;
use crate::dm::{Line, Mapped};
use crate::kernel_log::KernelLog;
use crate::remap_core::message::RemapLine;
use crate::remap_core::status::Status;

/// A test: it panics where something is not as it must be.
pub type Test = fn(&mut KernelLog);

/// A test, and the name that it is reported by.
pub type Named = (&'static str, Test);

/// The tests for the guest that this is: its machine's name, empty for the one that most
/// tests take.
pub fn of_machine(machine: &str) -> impl Iterator<Item = &'static Named> {
    let lists: &[&[Named]] = match machine {
        "resets" => &[resets::TESTS],
        "short-of-memory" => &[memory::SHORT],
        "two-processors" => &[two_processors::TESTS],
        _ => MOST,
    };
    lists.iter().copied().flatten()
}

/// The tests that a guest with one processor and no disks can run.
const MOST: &[&[Named]] = &[
    FIRST,
    copies::TESTS,
    failing::TESTS,
    file_systems::TESTS,
    flushes::TESTS,
    geometry::TESTS,
    hostile::TESTS,
    labels::TESTS,
    cover::TESTS,
    lifecycle::TESTS,
    many::TESTS,
    memory::SHORT,
    memory::TESTS,
    read_only::TESTS,
    schedule::TESTS,
    shapes::TESTS,
    operator::TESTS,
    plain::TESTS,
    reassembly::TESTS,
    refusals::TESTS,
    undo::TESTS,
];

/// What a table may say, and the first look at everything else.
const FIRST: &[Named] = &[
    (
        "module-loads-and-unloads",
        table_line::module_loads_and_unloads,
    ),
    ("table-line-prints-as-given", table_line::prints_as_given),
    ("table-line-refusals", table_line::refusals),
    (
        "table-line-logs-do-not-obey-words",
        table_line::logs_do_not_obey_words,
    ),
    (
        "spare-too-small-is-refused-with-its-need",
        table_line::spare_too_small,
    ),
    ("logical-block-is-the-remap-unit", table_line::logical_block),
    ("both-devices-are-held", table_line::both_devices_are_held),
    ("measurement-names-both-devices", table_line::measurement),
    ("messages-are-parsed", table_line::messages),
    (
        "answers-are-whole-or-ask-for-room",
        table_line::answers_are_whole,
    ),
    ("pass-through-says-so", pass_through::says_so),
    ("pass-through-data", pass_through::data),
    (
        "pass-through-errors-are-errors",
        pass_through::errors_are_errors,
    ),
    ("length-is-honoured", pass_through::length),
    ("two-targets-in-one-table", pass_through::two_targets),
    ("partition-as-main", pass_through::partition),
    ("flush-reaches-both-devices", pass_through::flush),
    ("discards-go-to-main", pass_through::discards),
    ("the-kind-of-disk-is-mains", pass_through::kind_of_main),
    (
        "requests-between-blocks-are-errors",
        pass_through::between_blocks,
    ),
    ("read-only-main-is-read-only", pass_through::read_only),
    ("suspend-resume-remove", pass_through::suspend_resume_remove),
    (
        "metadata-is-written-on-request",
        remapping::metadata_is_written_on_request,
    ),
    (
        "writes-to-bad-blocks-succeed",
        remapping::writes_to_bad_blocks_succeed,
    ),
    (
        "lost-blocks-are-errors-until-written",
        remapping::lost_blocks_are_errors_until_written,
    ),
    (
        "damaged-copies-are-healed",
        remapping::damaged_copies_are_healed,
    ),
    (
        "damaged-table-blocks-are-healed",
        remapping::damaged_table_blocks_are_healed,
    ),
    (
        "blocks-are-moved-on-request",
        remapping::blocks_are_moved_on_request,
    ),
    (
        "injected-faults-are-drills",
        remapping::injected_faults_are_drills,
    ),
    (
        "a-dead-main-relocates-nothing",
        remapping::a_dead_main_relocates_nothing,
    ),
    (
        "power-cut-states-are-every-one",
        crash::states_are_every_one,
    ),
    (
        "power-cut-states-show-an-early-promise",
        crash::states_show_an_early_promise,
    ),
    (
        "power-cuts-lose-no-relocated-write",
        crash::relocated_writes_survive,
    ),
    ("power-cuts-lose-no-copies", crash::rewritten_copies_survive),
    (
        "application-knows-what-is-up",
        application::knows_what_is_up,
    ),
    (
        "application-an-open-device-is-busy",
        application::open_device_is_busy,
    ),
    ("application-tells-who-is-not-root", application::not_root),
    ("application-refuses-a-taken-name", application::taken_name),
    (
        "application-refuses-what-makes-no-sense",
        application::malformed,
    ),
    ("application-whole-life", application::whole_life),
    (
        "application-tells-what-happened",
        application::tells_what_happened,
    ),
    (
        "application-tells-of-changes",
        application::tells_of_changes,
    ),
    (
        "application-joins-partitions-of-one-disk",
        application::partitions_of_one_disk,
    ),
    ("application-adapter", application::adapter),
    (
        "application-exchanged-names-change-no-other-device",
        application::exchanged_names,
    ),
    (
        "application-create-leaves-nothing-behind",
        application::create_rolls_back,
    ),
    (
        "application-misses-the-module",
        application::module_is_missed,
    ),
];

/// A table of one target over the first `length` sectors of `main`.
fn table(length: u64, words: String) -> [Line; 1] {
    [Line {
        start: 0,
        length,
        target: "dm-remap-v4",
        words,
    }]
}

/// The words of a table line without options.
fn words(main: &Disk, spare: &Disk) -> String {
    format!("{} {}", main.word(), spare.word())
}

/// Joins the whole of `main` to `spare`.
fn join(main: &Disk, spare: &Disk) -> Mapped {
    join_as("joined", main, spare)
}

/// The same, under a name of its own.
fn join_as(name: &str, main: &Disk, spare: &Disk) -> Mapped {
    let length = Device::open_read_only(main.path()).sectors();
    let joined = Mapped::create(name, &table(length, words(main, spare)));
    joined.unwrap_or_else(|error| panic!("joining {} to {}: {error}", main.word(), spare.word()))
}

/// Every block that is on the spare or waits to be moved, in the order of main.
fn remaps(mapped: &Mapped) -> Vec<RemapLine> {
    let mut all: Vec<RemapLine> = Vec::new();
    loop {
        let from = all.last().map_or(0, |line| line.block.get() + 1);
        let text = mapped.message(0, &format!("remaps {from}")).unwrap();
        let text = text.unwrap_or_default();
        if text.is_empty() {
            return all;
        }
        let parse = |line| RemapLine::parse(line).unwrap_or_else(|| panic!("{line:?}"));
        all.extend(text.lines().map(parse));
    }
}

/// Checks that exactly these blocks are on the spare, and these wait to be moved there.
fn check_remaps(mapped: &Mapped, active: &[u64], pending: &[u64]) {
    let lines = remaps(mapped);
    let of = |wanted: bool| -> Vec<u64> {
        let lines = lines.iter().filter(|line| line.active == wanted);
        lines.map(|line| line.block.get()).collect()
    };
    assert_eq!(of(true), active, "blocks on the spare");
    assert_eq!(of(false), pending, "blocks that wait to be moved");
    let told = status(mapped);
    let counts = (told.active.get(), told.pending.get());
    assert_eq!(counts, (active.len() as u64, pending.len() as u64));
    let mut places: Vec<u64> = lines.iter().map(|line| line.replacement.get()).collect();
    places.sort_unstable();
    let count = places.len();
    places.dedup();
    assert_eq!(places.len(), count, "two blocks share a replacement");
}

/// What the only target of a mapped device says of itself.
fn status(mapped: &Mapped) -> Status {
    let texts = mapped.status().expect("the target tells its status");
    let [text] = texts.as_slice() else {
        panic!("{} targets", texts.len())
    };
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?}: {error}"))
}
