//! Screens of a machine on which every text means harm: what a disk, a file's name, the
//! journal or a host says is drawn as something to be seen, and does nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::tests::drawn;
use crate::format::superblock::SuperblockCopy;
use crate::inspect;
use crate::port::journal::ActionRecord;
use crate::port::{BlockStore as _, DeviceInfo, HostError, LoggedEvent, Mapped, Part, Usage};
use crate::remap_core::bytes::Text;
use crate::remap_core::layout::Region;
use crate::remap_core::remap_table::RegionHeader;
use crate::remap_core::superblock::Superblock;
use crate::remap_core::units::Slot;
use crate::text;
use crate::tui::event::{Answer, Event};
use crate::tui::sample::{
    damaged, device, devices, events, happen, journal, mapped, press, spare, superblock, COLOUR,
};
use crate::tui::state::State;
use ratatui::layout::Size;

/// Texts that do something to a terminal, or to whoever reads it.
const ATTACKS: [&str; 9] = [
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[1;1H",
    "\u{9b}31m",
    "ok\r\nvault: healthy",
    "\x08\x08\x08\x7f",
    "a\u{202e}bds\u{202c}",
    "\u{2066}\u{2067}x\u{2069}\u{200e}\u{200f}\u{61c}",
    "a\u{200b}b\u{200d}c\u{feff}d\u{ad}e",
    "\u{2028}\u{2029}\u{e0041}\u{fff9}",
];

/// Keys that lead to every page and window.
const PAGES: [&str; 16] = [
    "", "G", "1\nG", "2\n", "2\nv", "2\nvG", "3\n", "4\n", "5\n", "5\nj", "?", "x14", "n", "n\n",
    "n\n\n", "/x",
];

/// A superblock whose every text is `attack`, or what of it a field has room for.
fn hostile(attack: &str) -> Superblock {
    let mut superblock = superblock(7, "disk-a", "disk-b");
    superblock.main_uuid = Text::new(attack.as_bytes()).unwrap();
    superblock.spare_uuid = superblock.main_uuid;
    superblock.main_path = Text::new(attack.as_bytes()).unwrap();
    superblock.spare_path = superblock.main_path;
    superblock
}

fn hostile_path(attack: &str) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(
        &[b"/lab/\xff", attack.as_bytes()].concat(),
    ))
}

/// A device as a host lists it, whose name and path are not what one would wish.
fn listed(attack: &str, usage: Usage) -> DeviceInfo {
    DeviceInfo {
        path: hostile_path(attack),
        ..device(attack, spare_size(), usage)
    }
}

fn spare_size() -> crate::remap_core::units::Sectors {
    superblock(7, "a", "b").spare_sectors
}

/// A state that was told all of it, with the hostile device first in the list.
fn state(attack: &str, width: u16, height: u16) -> State {
    let superblock = hostile(attack);
    let mut disk = spare(superblock, "");
    let mut raw = [0; 4096];
    let header = RegionHeader {
        region: Region::A,
        name: Text::new(attack.as_bytes()).unwrap(),
        superblock,
    };
    header.write(&mut raw);
    let at = superblock.layout().unwrap().region_start(Region::A);
    disk.write_at(at, &raw).unwrap();
    // One copy says otherwise, so that pages that compare have something to show.
    let mut other = SuperblockCopy::fields_of(&superblock.encode(Slot::S4));
    other.common.sequence -= 1;
    disk.write_at(Slot::S4.sector(), &other.sealed().encode())
        .unwrap();
    let path = hostile_path(attack);
    let inspection = inspect::inspect(&disk, &path);
    assert_eq!(inspection.superblock, Some(superblock), "{attack:?}");

    let active = Mapped {
        main: hostile_path("main"),
        spare: path.clone(),
        ..mapped(attack, "disk-a", "disk-b", damaged())
    };
    let part = Usage::Mapped {
        name: attack.to_owned(),
        part: Part::Spare,
    };
    let mut all = devices();
    all.insert(0, listed(attack, part));
    all.push(listed(
        &format!("z{attack}"),
        Usage::InUse(attack.to_owned()),
    ));
    let event = |logged: LoggedEvent| LoggedEvent {
        device: attack.to_owned(),
        ..logged
    };
    let action = |mut record: ActionRecord| {
        record.begun.title = attack.to_owned();
        record.begun.command = attack.to_owned();
        record.begun.name = Some(attack.to_owned());
        record.begun.device = Some(attack.to_owned());
        if let Some(ended) = &mut record.ended {
            ended.summary = attack.to_owned();
        }
        record
    };
    let unreadable = HostError::NotFound(attack.to_owned()).to_string();
    let answers = [
        Answer::Listed {
            devices: all,
            mapped: vec![active],
        },
        Answer::Examined(vec![
            (path, Ok(Arc::new(inspection))),
            (hostile_path(&format!("z{attack}")), Err(unreadable)),
        ]),
        Answer::Logged(events().into_iter().map(event).collect()),
        Answer::Journal(
            journal().into_iter().map(action).collect(),
            Default::default(),
        ),
    ];
    let mut state = State::new(COLOUR, Some("~/lab".to_owned()), Size::new(width, height));
    for answer in answers {
        happen(&mut state, 1000, Event::Told(answer));
    }
    state
}

#[test]
fn no_page_draws_anything_but_what_can_be_seen() {
    for attack in ATTACKS {
        let mut seen = false;
        for keys in PAGES {
            for (width, height) in [(80, 24), (160, 60)] {
                let mut state = state(attack, width, height);
                press(&mut state, keys);
                happen(&mut state, 1000, Event::Pasted(attack.to_owned()));
                let buffer = drawn(&state);
                let mut screen = String::new();
                for cell in buffer.content() {
                    let symbol = cell.symbol();
                    assert!(text::shows_as_is(symbol), "{keys:?}: {symbol:?}");
                    screen.push_str(symbol);
                }
                let start: String = text::escape_str(attack).chars().take(4).collect();
                seen |= screen.contains(&start);
            }
        }
        assert!(seen, "{attack:?} was nowhere to be seen");
    }
}

/// What comes from outside is told as it is: a mark that was left out would hide that
/// two names differ.
#[test]
fn hostile_text_is_drawn_escaped_and_not_left_out() {
    for (keys, what) in [
        ("", "the list"),
        ("1", "the overview"),
        ("2\nv", "the fields of a copy"),
        ("4\n", "the events"),
        ("5\n", "the journal"),
        ("n", "the wizard"),
    ] {
        let mut state = state("evil\u{202e}live", 200, 60);
        press(&mut state, keys);
        let symbols = drawn(&state);
        let screen: String = symbols.content().iter().map(|cell| cell.symbol()).collect();
        assert!(!screen.contains("evillive"), "{what} leaves a mark out");
        assert!(screen.contains("evil\\u{202e}live"), "{what}");
    }
}
