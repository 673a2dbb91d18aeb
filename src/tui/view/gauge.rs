//! How much of a spare is used, as a bar with the marks at which its target tells.

use ratatui::text::Span;

use crate::remap_core::policy::UsageMark;
use crate::remap_core::units::Blocks;
use crate::tui::theme::{Health, Theme};

/// A bar of exactly `width` columns. The marks below 100 % stand in it; its end is the
/// third.
pub fn bar(used: Blocks, total: Blocks, width: usize, theme: Theme) -> Vec<Span<'static>> {
    let full_cells = cells(used, total, width);
    let (full, free) = theme.gauge();
    let style = theme.health(health(used, total));
    let marks = [UsageMark::Percent75, UsageMark::Percent90]
        .map(|mark| width * usize::from(mark.percent()) / 100);
    (0..width)
        .map(|cell| match cell {
            _ if cell < full_cells => Span::styled(full, style),
            _ if marks.contains(&cell) => Span::styled(theme.mark(), theme.plain()),
            _ => Span::styled(free, theme.faint()),
        })
        .collect()
}

/// How many of `room` columns are full: at least one where anything is used.
pub fn cells(used: Blocks, total: Blocks, room: usize) -> usize {
    if total == Blocks::new(0) {
        return 0;
    }
    let full = (u128::from(used.get()) * room as u128).div_ceil(u128::from(total.get()));
    usize::try_from(full).unwrap_or(room).min(room)
}

/// How well a spare of which so much is used is: by the marks at which its target tells.
pub fn health(used: Blocks, total: Blocks) -> Health {
    match UsageMark::reached(used, total) {
        None => Health::Good,
        Some(UsageMark::Percent75) => Health::Warning,
        Some(UsageMark::Percent90 | UsageMark::Exhausted) => Health::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::sample::COLOUR;

    fn drawn(used: u64) -> String {
        let theme = COLOUR.theme;
        let spans = bar(Blocks::new(used), Blocks::new(1000), 20, theme);
        spans.iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn the_bar_shows_little_and_never_more_than_all() {
        assert_eq!(drawn(0), "░░░░░░░░░░░░░░░┊░░┊░");
        assert_eq!(drawn(1), "█░░░░░░░░░░░░░░┊░░┊░");
        assert_eq!(drawn(750), "███████████████┊░░┊░");
        assert_eq!(drawn(1000), "████████████████████");
        assert_eq!(drawn(2000), "████████████████████");
        let at = |used| health(Blocks::new(used), Blocks::new(1000));
        assert_eq!(at(749), Health::Good);
        assert_eq!(at(750), Health::Warning);
        assert_eq!(at(900), Health::Bad);
    }
}
