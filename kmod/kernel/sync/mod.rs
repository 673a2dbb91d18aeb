// SPDX-License-Identifier: GPL-2.0-or-later
//! Operations that order memory.

pub mod atomic;
pub mod rcu;
