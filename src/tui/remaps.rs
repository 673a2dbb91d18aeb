//! The remaps of one device: counted over ranges of main for a map of it, and sorted and
//! searched for a table. Both stay quick with a hundred thousand of them.

use std::path::PathBuf;

use super::keymap::Command;
use crate::port::RemapRow;
use crate::remap_core::units::{Blocks, MainBlock};

/// How many times more blocks a mark of the map stands for, one step further out.
const ZOOM_STEP: u64 = 4;

/// The remaps of one device, by block of main.
#[derive(Clone, Debug, Default)]
pub struct RemapList {
    /// Of which spare.
    pub spare: PathBuf,
    /// The rows, by block of main.
    rows: Vec<RemapRow>,
    /// Whether there are more than are kept here.
    pub more: bool,
    /// How many of the rows before each are pending; one more than there are rows.
    pending_before: Vec<u32>,
}

/// Remaps of one range of main.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Blocks served from the spare.
    pub active: usize,
    /// Blocks that cannot be read until they are written.
    pub pending: usize,
}

impl RemapList {
    /// The remaps of the device with this spare. `rows` are sorted by block of main.
    pub fn new(spare: PathBuf, rows: Vec<RemapRow>, more: bool) -> Self {
        let mut pending_before = Vec::with_capacity(rows.len() + 1);
        let mut pending = 0;
        pending_before.push(pending);
        for row in &rows {
            pending += u32::from(!row.active);
            pending_before.push(pending);
        }
        Self {
            spare,
            rows,
            more,
            pending_before,
        }
    }

    /// Every row, by block of main.
    pub fn rows(&self) -> &[RemapRow] {
        &self.rows
    }

    /// All of them.
    pub fn count(&self) -> Count {
        self.count_rows(0, self.rows.len())
    }

    fn count_rows(&self, from: usize, to: usize) -> Count {
        let pending = |at: usize| self.pending_before.get(at).copied().unwrap_or(0);
        let pending = (pending(to) - pending(from)) as usize;
        Count {
            active: to - from - pending,
            pending,
        }
    }

    /// The first row at `block` or behind it; as many as there are rows where there is
    /// none.
    pub fn first_from(&self, block: MainBlock) -> usize {
        self.rows.partition_point(|row| row.block < block)
    }

    /// How many remaps lie in each of `cells` ranges of `each` blocks, from `start` on.
    pub fn counts(&self, start: MainBlock, each: Blocks, cells: usize) -> Vec<Count> {
        let mut from = self.first_from(start);
        (1..=cells as u64)
            .map(|number| {
                let end = start
                    .get()
                    .saturating_add(each.get().saturating_mul(number));
                let rest = self.rows.get(from..).unwrap_or_default();
                let to = from + rest.partition_point(|row| row.block.get() < end);
                let count = self.count_rows(from, to);
                from = to;
                count
            })
            .collect()
    }
}

/// What the table is sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The block of main, lowest first.
    #[default]
    Block,
    /// The replacement, lowest first: the order in which they were taken.
    Replacement,
    /// How often the block was moved, most often first.
    Moves,
    /// What cannot be read first.
    State,
}

impl Order {
    /// The order after this one.
    pub const fn next(self) -> Self {
        match self {
            Self::Block => Self::Replacement,
            Self::Replacement => Self::Moves,
            Self::Moves => Self::State,
            Self::State => Self::Block,
        }
    }
}

/// The rows of the table: which, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What they are sorted by.
    pub order: Order,
    /// What they are narrowed to; empty for all.
    pub search: String,
    /// The rows to show, by their place in the list; `None` for all as they are.
    shown: Option<Vec<u32>>,
}

impl Table {
    /// Sorts and narrows the rows of `list` anew.
    pub fn arrange(&mut self, list: &RemapList) {
        if self.order == Order::Block && self.search.is_empty() {
            self.shown = None;
            return;
        }
        let wanted = Wanted::of(&self.search);
        let found = (0u32..).zip(&list.rows).filter(|(_, row)| wanted.is(row));
        if self.order == Order::Block {
            // The rows come in this order.
            self.shown = Some(found.map(|(place, _)| place).collect());
            return;
        }
        // One number for each row sorts fastest: what to sort by above, the place below.
        let mut keyed: Vec<u128> = found
            .map(|(place, row)| (u128::from(self.key(row)) << 32) | u128::from(place))
            .collect();
        keyed.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the place is in the low bits"
        )]
        let places = keyed.into_iter().map(|key| key as u32);
        self.shown = Some(places.collect());
    }

    fn key(&self, row: &RemapRow) -> u64 {
        match self.order {
            Order::Block => row.block.get(),
            Order::Replacement => row.replacement.get(),
            Order::Moves => u64::from(u16::MAX - row.moves),
            Order::State => u64::from(row.active),
        }
    }

    /// How many rows are shown.
    pub fn len(&self, list: &RemapList) -> usize {
        self.shown.as_ref().map_or(list.rows.len(), Vec::len)
    }

    /// The row at `place` of the table.
    pub fn row<'a>(&self, list: &'a RemapList, place: usize) -> Option<&'a RemapRow> {
        let index = match &self.shown {
            None => place,
            Some(shown) => *shown.get(place)? as usize,
        };
        list.rows.get(index)
    }

    /// The place in the table of the first row at `block` or behind it; the last place
    /// where there is none.
    pub fn place_of(&self, list: &RemapList, block: MainBlock) -> usize {
        let last = list.rows.len().saturating_sub(1);
        let index = list.first_from(block).min(last);
        match &self.shown {
            None => index,
            Some(shown) => shown
                .iter()
                .position(|place| *place as usize == index)
                .unwrap_or(0),
        }
    }
}

/// What a search asks for.
enum Wanted<'a> {
    /// Blocks or replacements with these digits in a row.
    Digits(String),
    /// Rows whose state has these letters.
    Word(&'a str),
}

impl<'a> Wanted<'a> {
    fn of(search: &'a str) -> Self {
        let digits: String = search.chars().filter(char::is_ascii_digit).collect();
        let is_number = search
            .chars()
            .all(|character| character.is_ascii_digit() || matches!(character, ',' | ' '));
        if is_number {
            Self::Digits(digits)
        } else {
            Self::Word(search.trim())
        }
    }

    fn is(&self, row: &RemapRow) -> bool {
        match self {
            Self::Digits(digits) => {
                has_digits(row.block.get(), digits.as_bytes())
                    || has_digits(row.replacement.get(), digits.as_bytes())
            }
            Self::Word(word) => state_text(row).contains(&word.to_lowercase()),
        }
    }
}

/// Whether these digits stand in a row somewhere in `number`.
fn has_digits(number: u64, digits: &[u8]) -> bool {
    // The longest number has twenty digits.
    let mut text = [b'0'; 20];
    let mut start = text.len();
    let mut rest = number;
    loop {
        start -= 1;
        let digit = (rest % 10) as u8;
        text[start] = b'0' + digit;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    let text = &text[start..];
    digits.is_empty() || text.windows(digits.len()).any(|found| found == digits)
}

/// What becomes of reads and writes of a block, in words.
pub const fn state_text(row: &RemapRow) -> &'static str {
    if row.active {
        "served from the spare"
    } else {
        "unreadable until written"
    }
}

/// Where on the map the cursor is, and how closely one looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapView {
    /// The block of main under the cursor.
    pub at: MainBlock,
    /// Steps closer than all of main at once.
    pub zoom: u32,
}

/// A map of main on so many columns and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks of main in all.
    pub main: Blocks,
    /// Blocks that one mark stands for.
    pub each: Blocks,
    /// Marks in one line.
    pub columns: u64,
    /// Lines that all of main would take.
    pub lines: u64,
    /// The first line that is in sight.
    pub first_line: u64,
    /// How many are.
    pub lines_in_sight: u64,
}

impl Grid {
    /// The map of a main of so many blocks, for a room of columns and lines. `None` where
    /// there is no room, or no main.
    pub fn new(main: Blocks, view: MapView, columns: usize, lines: usize) -> Option<Self> {
        let (columns, lines) = (columns as u64, lines as u64);
        let marks = columns.checked_mul(lines).filter(|marks| *marks > 0)?;
        if main == Blocks::new(0) {
            return None;
        }
        let widest = main.get().div_ceil(marks);
        let closer = ZOOM_STEP.saturating_pow(view.zoom);
        let each = widest.div_ceil(closer).max(1);
        let all_lines = main.get().div_ceil(each).div_ceil(columns);
        let at = view.at.get().min(main.get() - 1) / each / columns;
        let first_line = at
            .saturating_sub(lines / 2)
            .min(all_lines.saturating_sub(lines));
        Some(Self {
            main,
            each: Blocks::new(each),
            columns,
            lines: all_lines,
            first_line,
            lines_in_sight: all_lines.min(lines),
        })
    }

    /// The first block of the mark that `block` belongs to.
    pub const fn mark_of(&self, block: MainBlock) -> MainBlock {
        MainBlock::new(block.get() / self.each.get() * self.each.get())
    }

    /// The block behind the last one of the mark that begins at `mark`.
    pub fn end_of(&self, mark: MainBlock) -> MainBlock {
        let end = mark.get().saturating_add(self.each.get());
        MainBlock::new(end.min(self.main.get()))
    }

    /// The first block of the first mark in sight.
    pub const fn start(&self) -> MainBlock {
        MainBlock::new(self.first_line * self.columns * self.each.get())
    }

    /// How many marks are in sight; the last line may be short.
    pub fn marks_in_sight(&self) -> usize {
        let all = self.main.get().div_ceil(self.each.get());
        let before = self.first_line * self.columns;
        let room = self.lines_in_sight * self.columns;
        usize::try_from(all.saturating_sub(before).min(room)).unwrap_or(0)
    }

    /// Whether each mark is a single block: one cannot look closer.
    pub const fn is_closest(&self) -> bool {
        self.each.get() == 1
    }

    /// Where the cursor is after a command that moves it.
    pub fn moved(&self, at: MainBlock, command: Command, list: &RemapList) -> MainBlock {
        let mark = self.mark_of(at).get();
        let each = self.each.get();
        let line = each.saturating_mul(self.columns);
        let page = line.saturating_mul((self.lines_in_sight / 2).max(1));
        let last = self.mark_of(MainBlock::new(self.main.get() - 1)).get();
        let back = |by: u64| mark.checked_sub(by).unwrap_or(mark);
        let on = |by: u64| Some(mark.saturating_add(by)).filter(|to| *to <= last);
        let to = match command {
            Command::Left => back(each),
            Command::Right => on(each).unwrap_or(mark),
            Command::Up => back(line),
            Command::Down => on(line).unwrap_or(mark),
            Command::HalfPageUp => mark.saturating_sub(page),
            Command::HalfPageDown => on(page).unwrap_or(last),
            Command::First => 0,
            Command::Last => last,
            Command::NextMark => {
                let next = list.rows.get(list.first_from(MainBlock::new(mark + each)));
                next.map_or(mark, |row| row.block.get())
            }
            Command::PreviousMark => {
                let before = list.first_from(MainBlock::new(mark)).checked_sub(1);
                let before = before.and_then(|at| list.rows.get(at));
                before.map_or(mark, |row| row.block.get())
            }
            _ => mark,
        };
        self.mark_of(MainBlock::new(to))
    }
}

/// The block that an operator means: its number, thousands apart or not, or the byte of
/// main that it holds, `12.5 GiB`. `unit` is the size of a block in bytes.
///
/// # Errors
///
/// What to type in its place.
pub fn parse_block(text: &str, unit: u64, main: Blocks) -> Result<MainBlock, String> {
    let plain: String = text
        .chars()
        .filter(|character| !matches!(character, ',' | ' ' | '_'))
        .collect();
    let end = plain
        .find(|character: char| !(character.is_ascii_digit() || character == '.'))
        .unwrap_or(plain.len());
    let (number, suffix) = plain.split_at(end);
    let block = match suffix
        .to_lowercase()
        .trim_end_matches("ib")
        .trim_end_matches('b')
    {
        "" if suffix.is_empty() => number.parse().ok(),
        letter => ["", "k", "m", "g", "t", "p"]
            .iter()
            .position(|known| *known == letter)
            .and_then(|power| byte_offset(number, power))
            .map(|byte| byte / unit.max(1)),
    };
    match block {
        None => {
            Err("A block is a number, or a byte of main with its unit, as 12.5 GiB.".to_owned())
        }
        Some(block) if block >= main.get() => Err(format!(
            "Main ends at block {}.",
            super::show::count(main.get().saturating_sub(1))
        )),
        Some(block) => Ok(MainBlock::new(block)),
    }
}

/// `12.5` of the unit that is 1024 to this power, in bytes.
fn byte_offset(number: &str, power: usize) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let shift = 10 * u32::try_from(power).ok()?;
    let whole: u64 = whole.parse().ok()?;
    let bytes = whole.checked_mul(1u64.checked_shl(shift)?)?;
    if part.is_empty() {
        return Some(bytes);
    }
    let digits = u32::try_from(part.len())
        .ok()
        .filter(|digits| *digits <= 9)?;
    let part: u128 = part.parse().ok()?;
    let part = (part << shift) / 10u128.pow(digits);
    bytes.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap_core::units::Replacement;
    use crate::tui::sample;
    use proptest::prelude::*;

    fn row(block: u64, replacement: u64, active: bool, moves: u16) -> RemapRow {
        RemapRow {
            block: MainBlock::new(block),
            replacement: Replacement::new(replacement),
            active,
            moves,
        }
    }

    fn list(rows: Vec<RemapRow>) -> RemapList {
        RemapList::new(sample::path("disk-b"), rows, false)
    }

    fn blocks(table: &Table, list: &RemapList) -> Vec<u64> {
        (0..table.len(list))
            .map(|place| table.row(list, place).unwrap().block.get())
            .collect()
    }

    #[test]
    fn the_table_is_sorted_and_searched() {
        let list = list(vec![
            row(5, 3, true, 1),
            row(120, 0, false, 7),
            row(1205, 2, true, 7),
            row(99_000, 1, true, 2),
        ]);
        let mut table = Table::default();
        let mut sorted = |order, search: &str| {
            table.order = order;
            search.clone_into(&mut table.search);
            table.arrange(&list);
            blocks(&table, &list)
        };
        assert_eq!(sorted(Order::Block, ""), [5, 120, 1205, 99_000]);
        assert_eq!(sorted(Order::Replacement, ""), [120, 99_000, 1205, 5]);
        assert_eq!(sorted(Order::Moves, ""), [120, 1205, 99_000, 5]);
        assert_eq!(sorted(Order::State, ""), [120, 5, 1205, 99_000]);
        assert_eq!(sorted(Order::Block, "120"), [120, 1205]);
        assert_eq!(sorted(Order::Block, "99,0"), [99_000]);
        assert_eq!(sorted(Order::Moves, "Unread"), [120]);
        assert_eq!(sorted(Order::Moves, "nothing of this kind"), [0; 0]);
        assert_eq!(
            sorted(Order::Block, "3"),
            [5],
            "a replacement is found, too"
        );
        table.search.clear();
        table.order = Order::Moves;
        table.arrange(&list);
        assert_eq!(table.place_of(&list, MainBlock::new(1000)), 1);
        assert_eq!(table.place_of(&list, MainBlock::new(u64::MAX)), 2);
    }

    #[test]
    fn an_operator_names_a_block_by_number_or_by_byte() {
        let main = Blocks::new(1 << 30);
        let named = |text| parse_block(text, 512, main).map(MainBlock::get);
        assert_eq!(named("1,234"), Ok(1234));
        assert_eq!(named("4 KiB"), Ok(8));
        assert_eq!(named("1.5m"), Ok(3072));
        assert_eq!(named("12.5 GiB"), Ok(26_214_400));
        assert_eq!(named("512b"), Ok(1));
        for wrong in [
            "",
            "x",
            "1x",
            "1.5",
            "-1",
            "1e9",
            "1.1234567890g",
            "99999999999999999999",
        ] {
            assert!(
                named(wrong).unwrap_err().starts_with("A block is"),
                "{wrong}"
            );
        }
        assert_eq!(
            named("1 TiB"),
            Err("Main ends at block 1,073,741,823.".to_owned())
        );
    }

    #[test]
    fn the_cursor_goes_over_the_map_and_to_what_is_marked() {
        let list = list(vec![
            row(7, 0, true, 1),
            row(400, 1, false, 1),
            row(999, 2, true, 1),
        ]);
        let grid = |view| Grid::new(Blocks::new(1000), view, 10, 5).unwrap();
        let far = grid(MapView::default());
        assert_eq!(
            (far.each, far.lines, far.marks_in_sight()),
            (Blocks::new(20), 5, 50)
        );
        let mut at = MainBlock::new(0);
        for (command, to) in [
            (Command::Left, 0),
            (Command::Right, 20),
            (Command::NextMark, 400),
            (Command::NextMark, 980),
            (Command::NextMark, 980),
            (Command::Right, 980),
            (Command::Down, 980),
            (Command::Up, 780),
            (Command::PreviousMark, 400),
            (Command::PreviousMark, 0),
            (Command::PreviousMark, 0),
            (Command::Last, 980),
            (Command::HalfPageUp, 580),
            (Command::First, 0),
        ] {
            at = far.moved(at, command, &list);
            assert_eq!(at.get(), to, "{command:?}");
        }
        let near = grid(MapView {
            at: MainBlock::new(999),
            zoom: 3,
        });
        assert!(near.is_closest());
        assert_eq!((near.lines, near.first_line), (100, 95));
        assert_eq!(near.start(), MainBlock::new(950));
    }

    proptest! {
        #[test]
        fn what_the_map_counts_is_what_is_there(
            mut places in proptest::collection::btree_map(0u64..5000, any::<bool>(), 0..200),
            main in 5000u64..100_000,
            zoom in 0u32..8,
            at in 0u64..100_000,
            columns in 1usize..90,
            lines in 1usize..40,
        ) {
            places.retain(|block, _| *block < main);
            let rows = places.iter().map(|(block, active)| row(*block, *block, *active, 1));
            let list = list(rows.collect());
            let view = MapView { at: MainBlock::new(at.min(main - 1)), zoom };
            let grid = Grid::new(Blocks::new(main), view, columns, lines).unwrap();
            // The cursor is in sight.
            let start = grid.start().get();
            let marks = grid.marks_in_sight() as u64;
            prop_assert!((start..start + marks * grid.each.get()).contains(&view.at.get()));
            prop_assert!(grid.lines_in_sight <= lines as u64);
            let counts = list.counts(grid.start(), grid.each, grid.marks_in_sight());
            for (number, count) in (0..).zip(&counts) {
                let from = start + number * grid.each.get();
                let within = places.range(from..from + grid.each.get());
                let active = within.clone().filter(|(_, active)| **active).count();
                prop_assert_eq!(count.active, active);
                prop_assert_eq!(count.pending, within.count() - active);
            }
        }
    }
}
