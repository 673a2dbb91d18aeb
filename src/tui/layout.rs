//! Where things are on the screen: a pure function of its size and of the keyboard's
//! place, so that `update` knows how long a page is without asking the terminal.

use ratatui::layout::{Rect, Size};

use super::state::{Focus, Tab};

/// The smallest screen on which everything has its place.
pub const SMALLEST: Size = Size {
    width: 60,
    height: 20,
};

/// As many lines as that has beside the line of what is under way.
const LEAST_LINES: u16 = SMALLEST.height - 1;

/// From this width on the list stands beside the detail.
const SIDE_BY_SIDE: u16 = 110;

/// The list beside the detail, frame included: enough for its columns.
const LIST_WIDTH: u16 = 40;
const LIST_WIDEST: u16 = 56;

/// The list above the detail, frame included: three rows at least.
const LIST_LOWEST: u16 = 5;

/// Lines that are neither list nor detail: the answer on top, the last event, the keys.
const FIXED_LINES: u16 = 3;

/// The places of the panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// The line that says whether the data is safe.
    pub headline: Rect,
    /// The list of devices, with its frame.
    pub list: Rect,
    /// The detail, with its frame.
    pub detail: Rect,
    /// The line of the last event or notice.
    pub ribbon: Rect,
    /// The keys that work here.
    pub footer: Rect,
}

impl Areas {
    /// The places on a screen of this size, or `None` where there is no room.
    pub fn of(size: Size, focus: Focus) -> Option<Self> {
        if size.width < SMALLEST.width || size.height < LEAST_LINES {
            return None;
        }
        let line = |y| Rect::new(0, y, size.width, 1);
        let body = Rect::new(0, 1, size.width, size.height - FIXED_LINES);
        let (list, detail) = if size.width >= SIDE_BY_SIDE {
            let spare = size.width.saturating_sub(LIST_WIDTH + 80);
            let width = (LIST_WIDTH + spare / 3).min(LIST_WIDEST);
            split_at_column(body, width)
        } else {
            // Where the keyboard is, there is the room.
            let share = match focus {
                Focus::List => body.height * 2 / 5,
                Focus::Detail | Focus::Inside => body.height / 5,
            };
            split_at_row(body, share.max(LIST_LOWEST))
        };
        Some(Self {
            headline: line(0),
            list,
            detail,
            ribbon: line(size.height - 2),
            footer: line(size.height - 1),
        })
    }

    /// How many devices the list shows at once.
    pub const fn list_rows(&self) -> usize {
        let inner = self.list.height.saturating_sub(2);
        (inner - if has_heading(inner) { 1 } else { 0 }) as usize
    }

    /// How many lines of a page the detail shows at once, below its tabs.
    pub const fn detail_rows(&self) -> usize {
        self.detail.height.saturating_sub(3) as usize
    }
}

/// The number of the tab that is drawn at this place, if one is: each is its title with a
/// blank on either side, and a blank between two.
pub fn tab_at(areas: &Areas, column: u16, row: u16) -> Option<usize> {
    if row != areas.detail.y + 1 {
        return None;
    }
    let mut start = areas.detail.x + 2;
    for (number, tab) in Tab::ALL.into_iter().enumerate() {
        let width = u16::try_from(tab.title().len() + 2).unwrap_or(u16::MAX);
        if (start..start.saturating_add(width)).contains(&column) {
            return Some(number);
        }
        start = start.saturating_add(width + 1);
    }
    None
}

/// Whether a list of so many lines spends one of them on its columns' names.
pub const fn has_heading(lines: u16) -> bool {
    lines >= 5
}

fn split_at_column(area: Rect, width: u16) -> (Rect, Rect) {
    let left = Rect { width, ..area };
    let right = Rect {
        x: area.x + width,
        width: area.width - width,
        ..area
    };
    (left, right)
}

fn split_at_row(area: Rect, height: u16) -> (Rect, Rect) {
    let above = Rect { height, ..area };
    let below = Rect {
        y: area.y + height,
        height: area.height - height,
        ..area
    };
    (above, below)
}

/// The first row to draw so that `chosen` is in sight, as near to the middle as the
/// ends allow: scrolling needs no memory.
pub fn first_row(chosen: usize, rows: usize, room: usize) -> usize {
    chosen
        .saturating_sub(room / 2)
        .min(rows.saturating_sub(room))
}

/// A place for a window of this size in the middle of the screen, as much of it as fits.
pub fn centred(size: Size, width: u16, height: u16) -> Rect {
    let width = width.min(size.width);
    let height = height.min(size.height);
    Rect {
        x: (size.width - width) / 2,
        y: (size.height - height) / 2,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_filled_without_overlap() {
        for width in 60..240 {
            for height in 20..90 {
                for focus in [Focus::List, Focus::Detail, Focus::Inside] {
                    let size = Size::new(width, height);
                    let areas = Areas::of(size, focus).unwrap();
                    let parts = [
                        areas.headline,
                        areas.list,
                        areas.detail,
                        areas.ribbon,
                        areas.footer,
                    ];
                    let covered: u32 = parts.iter().map(|part| part.area()).sum();
                    assert_eq!(covered, size.width as u32 * size.height as u32);
                    assert!(areas.list_rows() >= 3, "{size}");
                    assert!(areas.detail_rows() >= 6, "{size} {focus:?}");
                    assert!(areas.list.width >= 40 && areas.detail.width >= 60);
                }
            }
        }
        assert_eq!(Areas::of(Size::new(59, 20), Focus::List), None);
        assert_eq!(Areas::of(Size::new(60, 18), Focus::List), None);
    }

    #[test]
    fn the_chosen_row_is_always_in_sight() {
        for rows in 0..40 {
            for room in 1..12 {
                for chosen in 0..rows {
                    let first = first_row(chosen, rows, room);
                    assert!((first..first + room).contains(&chosen));
                    assert!(first + room <= rows || first == 0);
                }
            }
        }
    }
}
