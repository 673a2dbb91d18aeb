//! Numbers and text as they are shown: every number with its unit, every column at its
//! width.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::remap_core::units::Sectors;
use crate::text::guard;

pub use crate::text::count;

/// A size in binary units, `4.0 TiB`; at most ten columns.
pub fn size(sectors: Sectors) -> String {
    match sectors.bytes() {
        Some(count) => bytes(count),
        None => format!("{sectors} sectors"),
    }
}

/// A number of bytes in binary units: `512 B`, `4.0 KiB`. Rounded down, so that a
/// device is never shown larger than it is.
pub fn bytes(count: u64) -> String {
    in_tenths(count, |tenths, unit| tenths / unit)
}

/// A size that is needed at least: rounded up, so that a device shown with as much will
/// do.
pub fn least_size(sectors: Sectors) -> String {
    let count = sectors.bytes().unwrap_or(u64::MAX);
    in_tenths(count, u128::div_ceil)
}

/// A number of bytes in tenths of its unit, rounded as `divide` does.
fn in_tenths(count: u64, divide: impl Fn(u128, u128) -> u128) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let power = (count.ilog2() / 10) as usize;
    let tenths = divide(u128::from(count) * 10, 1 << (10 * power));
    let unit = UNITS.get(power - 1).copied().unwrap_or_default();
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A size for a narrow column, `64.0 G`: the same units, told by their first letter.
pub fn short_size(sectors: Sectors) -> String {
    let long = size(sectors);
    long.strip_suffix("iB")
        .map_or_else(|| long.clone(), str::to_owned)
}

/// A count for a narrow column, at most four characters: `120`, `9999`, `12K`, `4M`.
pub fn short_count(number: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
        (1_000, "K"),
    ];
    let mut units = UNITS.iter().filter(|_| number > 9_999);
    match units.find(|(unit, _)| number >= *unit) {
        Some((unit, letter)) => format!("{}{letter}", number / unit),
        None => number.to_string(),
    }
}

/// A count and what is counted, which takes an `s` unless it is one: `3 blocks`.
pub fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

/// A span of time in its two largest units at most: `41 s`, `59 min`, `2 h 10 min`, `3 d`.
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3599 => format!("{minutes} min"),
        3600..=86_399 if minutes % 60 == 0 => format!("{hours} h"),
        3600..=86_399 => format!("{hours} h {} min", minutes % 60),
        _ if hours % 24 == 0 => format!("{days} d"),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// How long until something that is due in so many milliseconds: `in 2 s`, `now`.
pub fn until(millis: u64) -> String {
    match millis.div_ceil(1000) {
        0 => "now".to_owned(),
        seconds => format!("in {}", span(seconds)),
    }
}

/// A share in percent with one decimal; `< 0.1 %` where there is something at all.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "none".to_owned();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    match (part, tenths) {
        (0, _) => "0 %".to_owned(),
        (_, 0) => "< 0.1 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

/// On which side of its column text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Text at exactly `width` columns: padded, or cut off with `ellipsis` at its end.
/// What would not show is spelled out first, so that the columns are those it takes.
pub fn fit(text: &str, width: usize, side: Side, ellipsis: &str) -> String {
    let text = &*guard(text);
    let needs = text.width();
    if needs > width {
        return cut(text, width, ellipsis);
    }
    let padding = " ".repeat(width - needs);
    match side {
        Side::Left => format!("{text}{padding}"),
        Side::Right => format!("{padding}{text}"),
    }
}

/// The end of a text in at most `width` columns, behind an `ellipsis` where it is longer:
/// what a path ends in tells more than what it begins with.
pub fn end_of(text: &str, width: usize, ellipsis: &str) -> String {
    let text = &*guard(text);
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(ellipsis.width());
    let mut end = text;
    while end.width() > room {
        let mut rest = end.chars();
        rest.next();
        end = rest.as_str();
    }
    format!("{ellipsis}{end}")
}

fn cut(text: &str, width: usize, ellipsis: &str) -> String {
    let room = width.saturating_sub(ellipsis.width());
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars() {
        let wide = character.width().unwrap_or(0);
        if used + wide > room {
            break;
        }
        out.push(character);
        used += wide;
    }
    if ellipsis.width() <= width {
        out.push_str(ellipsis);
        used += ellipsis.width();
    }
    // A wide character may have left one column free.
    out.push_str(&" ".repeat(width.saturating_sub(used)));
    out
}

/// Text in lines of at most `width` columns, broken between words; a word that is
/// longer than that is broken where the line ends. What would not show is spelled out.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let text = &*guard(text);
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.width());
        if line > 0 && line + 1 + word.width() > width {
            lines.push(String::new());
        }
        let Some(line) = lines.last_mut() else {
            continue;
        };
        if !line.is_empty() {
            line.push(' ');
        }
        push_word(&mut lines, word, width);
    }
    lines
}

fn push_word(lines: &mut Vec<String>, word: &str, width: usize) {
    for character in word.chars() {
        let wide = character.width().unwrap_or(0);
        let full = lines.last().is_some_and(|line| line.width() + wide > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_one_sees_its_end() {
        assert_eq!(end_of("/disks/disk-a", 13, "…"), "/disks/disk-a");
        assert_eq!(end_of("/disks/disk-a", 7, "…"), "…disk-a");
        assert_eq!(end_of("/disks/漢漢", 4, "…"), "…漢");
        assert_eq!(end_of("/disks", 0, "…"), "…");
        assert_eq!(end_of("a\u{1b}b", 4, "~"), "~1bb");
    }

    #[test]
    fn sizes_are_never_rounded_up() {
        for (count, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (1024 * 1024, "1.0 MiB"),
            (4 << 40, "4.0 TiB"),
            ((4 << 40) - 1, "3.9 TiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
        assert_eq!(least_size(Sectors::new(8296)), "4.1 MiB");
        assert_eq!(least_size(Sectors::new(1)), "512 B");
        assert_eq!(least_size(Sectors::new(8192)), "4.0 MiB");
        assert_eq!(
            size(Sectors::new(u64::MAX)),
            format!("{} sectors", u64::MAX)
        );
    }

    #[test]
    fn counts_have_their_thousands_apart() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (132_104_192, "132,104,192"),
        ] {
            assert_eq!(count(number), shown);
        }
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(counted(0, "block"), "0 blocks");
    }

    #[test]
    fn short_counts_have_four_characters_at_most() {
        for (number, shown) in [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10K"),
            (999_999, "999K"),
            (1_000_000, "1M"),
            (u64::MAX, "18E"),
        ] {
            assert_eq!(short_count(number), shown);
        }
    }

    #[test]
    fn spans_have_two_units_at_most() {
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3599, "59 min"),
            (3600, "1 h"),
            (7800, "2 h 10 min"),
            (86_400, "1 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), shown);
        }
    }

    #[test]
    fn shares_tell_nothing_from_little() {
        assert_eq!(percent(0, 10), "0 %");
        assert_eq!(percent(1, 100_000), "< 0.1 %");
        assert_eq!(percent(9, 1000), "0.9 %");
        assert_eq!(percent(10, 10), "100.0 %");
        assert_eq!(percent(0, 0), "none");
    }

    #[test]
    fn text_fills_its_column_exactly() {
        for (text, width, side, shown) in [
            ("ab", 4, Side::Left, "ab  "),
            ("ab", 4, Side::Right, "  ab"),
            ("abcdef", 4, Side::Left, "abc…"),
            ("ディスク", 4, Side::Left, "デ… "),
            ("abc", 0, Side::Left, ""),
        ] {
            assert_eq!(fit(text, width, side, "…"), shown);
            assert_eq!(fit(text, width, side, "…").width(), width);
        }
    }

    #[test]
    fn lines_break_between_words_and_never_overflow() {
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh", "ij"]);
        assert_eq!(wrap("", 3), [""]);
        for width in 1..20 {
            for line in wrap("the quick brown ディスク fox", width.max(2)) {
                assert!(line.width() <= width.max(2), "{line:?} at {width}");
            }
        }
    }
}
