//! A screen as a picture that documents can show.

use std::fmt::Write as _;
use std::time::Duration;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// The size of one character, in units of the picture.
const CELL_WIDTH: f32 = 8.43;
const CELL_HEIGHT: f32 = 16.5;
const FONT_SIZE: f32 = 14.0;
/// Where a line of text stands in its cell.
const BASELINE: f32 = 12.9;
const MARGIN: f32 = 12.0;

const GROUND: &str = "#16181d";
const TEXT: &str = "#d5d8de";
const FAINT: &str = "#7d828c";

/// How a run of characters looks.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    text: &'static str,
    ground: Option<&'static str>,
    bold: bool,
}

/// The screen in `buffer` as an SVG document with this title. The same screen gives the
/// same document.
pub fn render(buffer: &Buffer, title: &str) -> String {
    let mut out = begin(buffer.area.width, buffer.area.height, title);
    for (row, cells) in (0_u16..).zip(lines(buffer)) {
        write_line(&mut out, row, cells);
    }
    out.push_str("</svg>\n");
    out
}

fn lines(buffer: &Buffer) -> impl Iterator<Item = &[Cell]> {
    buffer
        .content()
        .chunks(usize::from(buffer.area.width.max(1)))
}

/// The beginning of a document for so many columns and lines.
fn begin(columns: u16, lines: u16, title: &str) -> String {
    let width = f32::from(columns) * CELL_WIDTH + 2.0 * MARGIN;
    let height = f32::from(lines) * CELL_HEIGHT + 2.0 * MARGIN;
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" \
         font-size=\"{FONT_SIZE}\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{GROUND}\"/>\n",
        escape(title)
    );
    out
}

/// One screen of a film.
#[derive(Clone, Debug)]
pub struct Shot {
    pub(super) screen: Buffer,
    pub(super) caption: String,
    pub(super) shown: Duration,
}

/// Screens one after the other, over and over, as an SVG document with this title; below
/// each stands its caption. Who wants no motion sees the first. A line that several
/// screens have is drawn once.
pub fn film(shots: &[Shot], title: &str) -> String {
    let size = shots.first().map(|shot| shot.screen.area);
    let (columns, rows) = size.map_or((0, 0), |area| (area.width, area.height));
    let mut out = begin(columns, rows + 2, title);
    let whole: f32 = shots.iter().map(|shot| shot.shown.as_secs_f32()).sum();
    let mut drawn: Vec<String> = Vec::new();
    let mut frames = String::new();
    let mut style = String::from(".f{visibility:hidden}.f0{visibility:visible}");
    style.push_str("@media (prefers-reduced-motion:no-preference){");
    let mut begins = 0.0;
    for (number, shot) in shots.iter().enumerate() {
        let ends = begins + shot.shown.as_secs_f32();
        let [from, to] = [begins, ends].map(|at| at / whole * 100.0);
        begins = ends;
        let _ = write!(
            style,
            "@keyframes k{number}{{0%{{visibility:{}}}{from:.2}%{{visibility:visible}}\
             {to:.2}%{{visibility:{}}}}}.f{number}{{animation:k{number} {whole:.1}s step-end \
             infinite}}",
            if number == 0 { "visible" } else { "hidden" },
            if number + 1 == shots.len() {
                "visible"
            } else {
                "hidden"
            }
        );
        let _ = writeln!(frames, "<g class=\"f f{number}\">");
        for (row, cells) in (0_u16..).zip(lines(&shot.screen)) {
            let mut line = String::new();
            write_line(&mut line, 0, cells);
            if line.is_empty() {
                continue;
            }
            let known = drawn.iter().position(|known| *known == line);
            let at = known.unwrap_or(drawn.len());
            if known.is_none() {
                drawn.push(line);
            }
            let y = f32::from(row) * CELL_HEIGHT;
            let _ = writeln!(frames, "<use href=\"#l{at}\" y=\"{y:.1}\"/>");
        }
        let y = MARGIN + f32::from(rows + 1) * CELL_HEIGHT + BASELINE;
        let _ = writeln!(
            frames,
            "<text x=\"{MARGIN}\" y=\"{y:.1}\" fill=\"#e3bd6c\" font-weight=\"bold\">{}</text>\n</g>",
            escape(&shot.caption)
        );
    }
    style.push('}');
    let _ = writeln!(out, "<style>{style}</style>\n<defs>");
    for (number, line) in drawn.iter().enumerate() {
        let _ = writeln!(out, "<g id=\"l{number}\">\n{line}</g>");
    }
    let _ = write!(out, "</defs>\n{frames}</svg>\n");
    out
}

fn write_line(out: &mut String, row: u16, cells: &[Cell]) {
    let mut start = 0;
    while start < cells.len() {
        let look = look_of(&cells[start]);
        let length = cells[start..]
            .iter()
            .take_while(|cell| look_of(cell) == look)
            .count();
        let text: String = cells[start..start + length]
            .iter()
            .map(Cell::symbol)
            .collect();
        write_run(out, row, start, length, &text, look);
        start += length;
    }
}

fn write_run(out: &mut String, row: u16, column: usize, cells: usize, text: &str, look: Look) {
    let x = MARGIN + column as f32 * CELL_WIDTH;
    let y = MARGIN + f32::from(row) * CELL_HEIGHT;
    let width = cells as f32 * CELL_WIDTH;
    if let Some(ground) = look.ground {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{CELL_HEIGHT:.1}\" fill=\"{ground}\"/>"
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let weight = if look.bold {
        " font-weight=\"bold\""
    } else {
        ""
    };
    // The length is told, so that every font keeps to the columns.
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" \
         lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\" fill=\"{}\"{weight}>{}</text>",
        y + BASELINE,
        look.text,
        escape(text)
    );
}

fn look_of(cell: &Cell) -> Look {
    let modifier = cell.modifier;
    let text = match colour(cell.fg) {
        Some(colour) => colour,
        None if modifier.contains(Modifier::DIM) => FAINT,
        None => TEXT,
    };
    let ground = colour(cell.bg);
    let (text, ground) = if modifier.contains(Modifier::REVERSED) {
        (ground.unwrap_or(GROUND), Some(text))
    } else {
        (text, ground)
    };
    Look {
        text,
        ground,
        bold: modifier.contains(Modifier::BOLD),
    }
}

/// A quiet palette for the colours that the theme uses; `None` for the terminal's own.
const fn colour(colour: Color) -> Option<&'static str> {
    match colour {
        Color::Red => Some("#e8686f"),
        Color::Green => Some("#8fc07a"),
        Color::Yellow => Some("#e3bd6c"),
        Color::Cyan => Some("#62b6cb"),
        _ => None,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn a_film_draws_a_line_once_and_shows_every_screen_in_its_time() {
        let shot = |text: &str, seconds| {
            let mut screen = Buffer::empty(Rect::new(0, 0, 12, 2));
            screen.set_string(0, 0, "same", Style::new());
            screen.set_string(0, 1, text, Style::new());
            Shot {
                screen,
                caption: format!("press {text} & wait"),
                shown: Duration::from_secs(seconds),
            }
        };
        let film = film(&[shot("a", 1), shot("b", 3)], "two");
        assert_eq!(film.matches("xml:space=\"preserve\"").count(), 3, "{film}");
        assert_eq!(film.matches("<use href=\"#l0\"").count(), 2, "{film}");
        assert!(
            film.contains("@keyframes k1{0%{visibility:hidden}25.00%"),
            "{film}"
        );
        assert!(film.contains("press b &amp; wait"), "{film}");
    }

    #[test]
    fn runs_of_one_look_are_one_element_and_text_is_escaped() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 2));
        buffer.set_string(0, 0, "a<b", Style::new().fg(Color::Red));
        buffer.set_string(3, 0, "&", Style::new().add_modifier(Modifier::REVERSED));
        let svg = render(&buffer, "a & b");
        assert!(svg.contains("<title>a &amp; b</title>"));
        assert_eq!(svg.matches("<text").count(), 2, "{svg}");
        assert!(svg.contains("fill=\"#e8686f\">a&lt;b</text>"), "{svg}");
        assert!(
            svg.contains(&format!("fill=\"{GROUND}\">&amp;</text>")),
            "{svg}"
        );
        assert_eq!(svg, render(&buffer, "a & b"));
    }
}
