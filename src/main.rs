//! `dmremap-tui`: arguments to ports to run.

fn main() {}
