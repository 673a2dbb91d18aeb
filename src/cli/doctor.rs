//! What this machine can and cannot do, and why.

use std::path::Path;

use serde_json::json;

use super::args::Global;
use super::session::{print_bytes, wants_color};
use crate::config::Settings;
use crate::error::{Error, Exit};
use crate::remap_core::event::Severity;
use crate::report::{self, style::Style};

/// One thing that was looked at.
struct Check {
    id: &'static str,
    ok: bool,
    summary: String,
    advice: &'static str,
}

pub(super) fn run(global: &Global) -> Result<Exit, Error> {
    let settings = Settings::load(global.config.as_deref())?;
    let style = Style {
        ascii: global.ascii || settings.ascii,
        color: wants_color(global, settings.color),
    };
    let checks = [
        check_kernel(),
        check_control(),
        check_module(),
        check_lab(),
        check_terminal(),
    ];
    let rows = checks.iter().map(|check| {
        json!({
            "id": check.id,
            "ok": check.ok,
            "summary": check.summary,
            "advice": if check.ok { "" } else { check.advice },
        })
    });
    let json = report::object("doctor", json!({ "checks": rows.collect::<Vec<_>>() }));
    let mut text = String::new();
    for check in &checks {
        let severity = if check.ok {
            Severity::Info
        } else {
            Severity::Warning
        };
        text += &format!(
            "{} {:<15} {}\n",
            style.severity(severity),
            check.id,
            check.summary
        );
        if !check.ok {
            text += &format!("  {:<15} {}\n", "", check.advice);
        }
    }
    let out = if global.json {
        format!("{json}\n")
    } else {
        text
    };
    print_bytes(out.as_bytes())
}

fn check_kernel() -> Check {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease");
    Check {
        id: "kernel",
        ok: release.is_ok(),
        summary: match &release {
            Ok(release) => format!("Linux {}", crate::text::escape_str(release.trim())),
            Err(error) => format!("the kernel's release cannot be read: {error}"),
        },
        advice: "Mount /proc.",
    }
}

fn check_control() -> Check {
    let path = Path::new("/dev/mapper/control");
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path);
    Check {
        id: "device-mapper",
        ok: opened.is_ok(),
        summary: match opened {
            Ok(_) => "device-mapper can be asked".to_owned(),
            Err(error) => format!("/dev/mapper/control: {error}"),
        },
        advice: "Mapped devices need root and the kernel's device-mapper; the lab needs neither.",
    }
}

fn check_module() -> Check {
    let ok = Path::new("/sys/module/dm_remap_v4").exists();
    Check {
        id: "target",
        ok,
        summary: if ok {
            "the dm-remap-v4 target is loaded".to_owned()
        } else {
            "the dm-remap-v4 target is not loaded".to_owned()
        },
        advice: "Without it devices can be inspected, not brought up; the lab needs no module.",
    }
}

fn check_lab() -> Check {
    let directory = crate::config::usual_lab();
    Check {
        id: "lab",
        ok: directory.is_some(),
        summary: match &directory {
            Some(path) if path.exists() => format!("the lab is in {}", report::path_text(path)),
            Some(path) => format!("the lab will be made in {}", report::path_text(path)),
            None => "there is no place for a lab".to_owned(),
        },
        advice: "Set HOME, or name a directory: dmremap-tui lab DIR.",
    }
}

fn check_terminal() -> Check {
    let terminal = std::env::var("TERM").unwrap_or_default();
    let ok = !matches!(terminal.as_str(), "" | "dumb");
    Check {
        id: "terminal",
        ok,
        summary: if ok {
            format!("TERM is {}", crate::text::escape_str(&terminal))
        } else {
            "TERM names no terminal that can be drawn on".to_owned()
        },
        advice: "The commands work without one; the terminal application does not.",
    }
}
