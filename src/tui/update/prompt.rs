//! The command line of the screen.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{browse, say, windows, Effect};
use crate::command_line;
use crate::ops::words;
use crate::tui::export::Form;
use crate::tui::keymap::{Command, Context};
use crate::tui::prompt::{self, OwnVerb, Prompt, Word};
use crate::tui::rows::RowKey;
use crate::tui::sort::parse_sort;
use crate::tui::state::{Mode, State, Tab};
use crate::tui::theme::Health;

/// Commands that are remembered.
const REMEMBERED: usize = 100;

/// Does what `command` asks for while a command is typed.
pub fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    // Taken out for as long as the state around it is looked at.
    let Mode::Prompt(mut prompt) = std::mem::replace(&mut state.mode, Mode::Browse) else {
        return Vec::new();
    };
    prompt.complaint = None;
    match command {
        Command::Cancel => return Vec::new(),
        // As in every editor of lines: nothing left to erase leaves.
        Command::Erase if prompt.text.is_empty() => return Vec::new(),
        Command::Accept => return run_line(state, prompt),
        Command::Complete => prompt::complete(state, &mut prompt, false),
        Command::CompleteBack => prompt::complete(state, &mut prompt, true),
        Command::Up => recall(state, &mut prompt, 1),
        Command::Down => recall(state, &mut prompt, -1),
        Command::Erase => {
            prompt.text.pop();
            prompt.turning = None;
        }
        Command::EraseAll => prompt = Prompt::default(),
        _ => {}
    }
    state.mode = Mode::Prompt(prompt);
    Vec::new()
}

/// Puts what was said before into the line.
fn recall(state: &State, prompt: &mut Prompt, by: isize) {
    let back = prompt.back.saturating_add_signed(by).min(state.said.len());
    let said = state.said.iter().rev();
    let text = back.checked_sub(1).and_then(|at| said.clone().nth(at));
    *prompt = Prompt {
        text: text.cloned().unwrap_or_default(),
        back,
        ..Prompt::default()
    };
}

fn run_line(state: &mut State, mut prompt: Prompt) -> Vec<Effect> {
    let line = prompt.text.trim().to_owned();
    if line.is_empty() {
        return Vec::new();
    }
    match run(state, &line) {
        Ok(effects) => {
            if state.said.last() != Some(&line) {
                state.said.push(line);
                let surplus = state.said.len().saturating_sub(REMEMBERED);
                state.said.drain(..surplus);
            }
            effects
        }
        Err(why) => {
            prompt.complaint = Some(why);
            prompt.turning = None;
            state.mode = Mode::Prompt(prompt);
            Vec::new()
        }
    }
}

/// Does what a line says.
fn run(state: &mut State, line: &str) -> Result<Vec<Effect>, String> {
    let words = command_line::split(line)?;
    let (name, rest) = words.split_first().ok_or("a command is missing")?;
    if let Some(own) = name.to_str().and_then(OwnVerb::named) {
        return run_own(state, own, rest, line);
    }
    let operation = words::parse(&words, &prompt::names(state)).map_err(|why| {
        let own = prompt::OWN.iter().map(|own| own.name);
        let near = crate::text::nearest(&name.to_string_lossy(), own);
        match near {
            Some(near) if why.starts_with("there is no command") && !why.contains("mean") => {
                format!("{why}; did you mean {near}?")
            }
            _ => why,
        }
    })?;
    if let Some(why) = state.options.no_changes() {
        return Err(why);
    }
    Ok(browse::ask_for_plan(state, operation))
}

fn run_own(
    state: &mut State,
    own: OwnVerb,
    rest: &[OsString],
    line: &str,
) -> Result<Vec<Effect>, String> {
    let word = rest.first().map(|word| word.to_string_lossy().into_owned());
    let takes = usize::from(own.word != Word::None);
    if rest.len() > takes && own.word != Word::Text {
        return Err(format!("{} takes no further word", own.name));
    }
    if let Some(setting) = own.switches() {
        let is_on = setting.is_on(state);
        return match word.as_deref() {
            Some("on") if is_on => Ok(Vec::new()),
            Some("off") if !is_on => Ok(Vec::new()),
            None | Some("on" | "off") => Ok(super::settings::turn(state, setting, false)),
            Some(_) => Err(format!("{} takes on or off", own.name)),
        };
    }
    let complete = state.options.keys.named(Context::Prompt, Command::Complete);
    let missing = || format!("{} needs a word more; {complete} shows which", own.name);
    match own.name {
        "select" => select(state, &word.ok_or_else(missing)?)?,
        "page" => {
            let word = word.ok_or_else(missing)?;
            let tab = Tab::ALL
                .into_iter()
                .position(|tab| tab.title().to_lowercase() == word);
            let tab = tab.ok_or_else(|| format!("there is no page {word:?}"))?;
            let number = u8::try_from(tab).unwrap_or(0);
            return Ok(browse::on_command(state, Command::Tab(number)));
        }
        "filter" => {
            let text = line.split_once(' ').map_or("", |(_, text)| text.trim());
            text.clone_into(&mut state.filter);
            state.arrange();
        }
        "sort" => {
            let sort = parse_sort(&word.ok_or_else(missing)?)?;
            windows::sort(state, sort);
        }
        "export" => {
            let path = PathBuf::from(rest.first().ok_or_else(missing)?);
            let form = Form::of(&path);
            return Ok(vec![Effect::Export { path, form }]);
        }
        "theme" => {
            let name = word.ok_or_else(missing)?;
            if !super::settings::choose_theme(state, &name) {
                return Err(format!("there is no theme {name:?}"));
            }
            say(state, Health::Neutral, format!("Theme {name}."));
        }
        "scenario" => match word {
            None => return Ok(browse::on_command(state, Command::Scenarios)),
            Some(_) if state.lab.is_none() => return Err("scenarios are for a lab".to_owned()),
            Some(name) => {
                let mut all = crate::scenario::all().into_iter();
                let found = all.find(|scenario| scenario.name == name);
                let scenario = found.ok_or_else(|| format!("there is no scenario {name:?}"))?;
                super::scenario::begin(state, scenario);
            }
        },
        "copy" => return Ok(windows::on_command(state, Command::Copy)),
        "log" => return Ok(windows::on_command(state, Command::Log)),
        "undo-list" => return Ok(windows::on_command(state, Command::UndoList)),
        "settings" => return Ok(windows::on_command(state, Command::Settings)),
        "help" => {
            let of: Context = state.context();
            super::open_help(state, of);
        }
        _ => return Ok(super::underway::leave(state)),
    }
    Ok(Vec::new())
}

/// Chooses the row of a device or of a mapped device.
fn select(state: &mut State, word: &str) -> Result<(), String> {
    let is_mapped = |key: &RowKey| matches!(key, RowKey::Mapped(name) if name == word);
    let is_device = |key: &RowKey| match key {
        RowKey::Mapped(_) => false,
        RowKey::Device(path) => state
            .device(path)
            .is_some_and(|device| device.name == word || path.as_os_str() == word),
    };
    let place = |is: &dyn Fn(&RowKey) -> bool| state.rows.iter().position(|row| is(&row.key));
    let place = place(&is_mapped).or_else(|| place(&is_device));
    match place.is_some_and(|place| state.choose_row(place)) {
        true => Ok(()),
        false => Err(format!("{word:?} is not in the list")),
    }
}
