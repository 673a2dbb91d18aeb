//! `dmremap-tui`: the command line on this machine's files, mapped devices, clock and chance.

use std::process::ExitCode;
use std::sync::Arc;

use dmremap::cli::{self, Ports};
use dmremap::sys;

fn main() -> ExitCode {
    // Before anything draws: a panic hook that comes later would not restore the screen.
    if let Err(error) = color_eyre::install() {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "dmremap-tui: {error}");
        return ExitCode::FAILURE;
    }
    let ports = Ports {
        platform: Arc::new(sys::ThisMachine),
        device_mapper: Arc::new(sys::KernelDeviceMapper),
        journal: |directory| Box::new(sys::FileJournal::new(directory)),
    };
    cli::run(std::env::args_os().collect(), &ports)
}
