// SPDX-License-Identifier: GPL-2.0-or-later
//! A safe wrapper over device-mapper targets and bios.
//!
//! All `unsafe` of the module is here. A target is a type that implements
//! [`target::Target`]; it is handed devices it cannot outlive and bios it can only
//! send on, fail or keep until it completes them.
//!
//! C header: `include/linux/device-mapper.h`

pub mod bio;
pub mod clock;
pub mod device;
pub mod ffi;
pub mod gate;
mod memory;
pub mod published;
pub mod target;
mod text;
pub mod worker;
