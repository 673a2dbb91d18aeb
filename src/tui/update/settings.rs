//! Turning settings, and writing them into their file.

use super::{moved, say, windows, Effect, Request};
use crate::config::SettingsFile;
use crate::error::Error;
use crate::text::escape_path;
use crate::tui::frozen::Held;
use crate::tui::keymap::{Command, Context};
use crate::tui::settings::{as_file, is_any_unsaved, next_order, to_keep, Setting};
use crate::tui::sort::Sort;
use crate::tui::state::{Mode, State};
use crate::tui::theme::Health;
use crate::zone::Zone;

/// Does what `command` asks for in the settings.
pub fn on_command(state: &mut State, command: Command) -> Vec<Effect> {
    let Mode::Settings(pointer) = state.mode else {
        return Vec::new();
    };
    match command {
        Command::Cancel => {
            state.mode = Mode::Browse;
            if is_any_unsaved(state) {
                let save = state.options.keys.named(Context::Settings, Command::Save);
                let text = format!("Changed until the end; {save} in the settings saves it.");
                say(state, Health::Neutral, text);
            }
        }
        Command::Copy => {
            let text = as_file(state);
            say(state, Health::Neutral, "copied as a settings file");
            return vec![Effect::Copy(text)];
        }
        Command::Save => return save(state),
        Command::Left | Command::Right => {
            if let Some(setting) = Setting::ALL.get(pointer) {
                return turn(state, *setting, command == Command::Left);
            }
        }
        _ => {
            let pointer = moved(pointer, command, 4, Setting::ALL.len());
            state.mode = Mode::Settings(pointer);
        }
    }
    Vec::new()
}

fn save(state: &mut State) -> Vec<Effect> {
    let Some(file) = &state.options.file else {
        let lack = state.options.lack.clone();
        let text = lack.unwrap_or_else(|| {
            "There is no place for a settings file: set HOME, or name one with --config.".to_owned()
        });
        say(state, Health::Warning, text);
        return Vec::new();
    };
    let path = file.path.clone();
    let values = to_keep(state);
    vec![Effect::Ask(Request::KeepSettings { path, values })]
}

/// Takes in what came of writing the settings.
pub fn kept(state: &mut State, kept: Result<(SettingsFile, bool), Error>) {
    match kept {
        Ok((file, changed)) => {
            let path = escape_path(&file.path).into_owned();
            let text = match changed {
                true => format!("Saved in {path}."),
                false => format!("{path} says so already."),
            };
            state.options.file = Some(file);
            say(state, Health::Good, text);
        }
        Err(error) => say(
            state,
            Health::Bad,
            format!("Not saved, and nothing changed. {}", error.message),
        ),
    }
}

/// Gives a setting its next value, or the one before.
pub fn turn(state: &mut State, setting: Setting, back: bool) -> Vec<Effect> {
    let options = &mut state.options;
    match setting {
        Setting::Theme => turn_theme(state, back),
        Setting::Colour => turn_colour(state),
        Setting::Sort => {
            let by = next_order(options.sort.by, back);
            let reversed = options.sort.reversed;
            windows::sort(state, Sort { by, reversed });
        }
        Setting::Ascii => options.theme.ascii = !options.theme.ascii,
        Setting::Utc => {
            options.utc = !options.utc;
            choose_zone(state);
        }
        Setting::Mouse => {
            options.mouse = !options.mouse;
            let mouse = options.mouse;
            let text = if mouse {
                "The mouse is ours: click, wheel."
            } else {
                "The mouse is the terminal's: select text with it."
            };
            say(state, Health::Neutral, text);
            return vec![Effect::Mouse(mouse)];
        }
        Setting::Freeze => match state.frozen {
            None => {
                state.frozen = Some(Held::default());
                say(state, Health::Neutral, "What is shown stands still.");
            }
            Some(_) => {
                let now = state.now;
                return windows::thaw(state, now);
            }
        },
        Setting::ReadOnly => turn_read_only(state),
        Setting::DryRun => turn_dry_run(state),
    }
    Vec::new()
}

/// Read-only can be turned on at once, and off for the next start alone.
fn turn_read_only(state: &mut State) {
    let options = &mut state.options;
    if !options.read_only {
        options.read_only = true;
        options.wanted.read_only = true;
        let text = "Read-only: nothing is changed from here on.";
        return say(state, Health::Neutral, text);
    }
    options.wanted.read_only = !options.wanted.read_only;
    let text = "Read-only stays until the end; start anew to change something.";
    say(state, Health::Warning, text);
}

fn turn_dry_run(state: &mut State) {
    let options = &mut state.options;
    options.wanted.dry_run = !options.wanted.dry_run;
    if options.started_dry {
        let text = "Dry run stays until the end; start anew to change something.";
        return say(state, Health::Warning, text);
    }
    options.dry_run = options.wanted.dry_run;
}

fn turn_colour(state: &mut State) {
    if let Some(by) = Setting::Colour.overridden(state) {
        let text = format!("{by} decides whether there is colour.");
        return say(state, Health::Warning, text);
    }
    state.options.color = !state.options.color;
    state.options.paint();
}

fn turn_theme(state: &mut State, back: bool) {
    if !state.options.color {
        return say(state, Health::Warning, "There is no colour now.");
    }
    let options = &state.options;
    let names: Vec<&str> = options.palettes.names().collect();
    let now = &options.palette;
    let at = names.iter().position(|name| name == now).unwrap_or(0);
    let step = if back { names.len() - 1 } else { 1 };
    let name = names[(at + step) % names.len()].to_owned();
    choose_theme(state, &name);
}

/// Gives the screen another theme, if there is one of this name.
pub fn choose_theme(state: &mut State, name: &str) -> bool {
    if state.options.palettes.get(name).is_none() {
        return false;
    }
    state.options.palette = name.to_owned().into();
    state.options.paint();
    true
}

/// Shows times in the zone that was asked for.
pub fn choose_zone(state: &mut State) {
    state.zone = if state.options.utc {
        Zone::UTC
    } else {
        state.local_zone.clone()
    };
}
