// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel module: registers the target, and nothing else.

use kernel::prelude::*;

pub mod dm;
pub mod faults;
pub mod ground;
pub mod index;
pub mod load;
pub mod log;
pub mod maintenance;
pub mod map;
pub mod message;
pub mod remap_core;
pub mod state;
pub mod target;
pub mod worker;

module! {
    type: Module,
    name: "dm_remap_v4",
    authors: ["dmremap"],
    description: "device-mapper target that serves bad blocks of a disk from a spare",
    license: "GPL",
    alias: ["dm-dm-remap-v4"],
}

/// Keeps the target registered for as long as the module is loaded.
#[pin_data]
struct Module {
    #[pin]
    registration: dm::target::Registration<target::Remap>,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            registration <- dm::target::Registration::new(module),
        })
    }
}
