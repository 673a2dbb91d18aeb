// SPDX-License-Identifier: GPL-2.0-or-later
//! What orders memory.

pub mod atomic;
pub mod rcu;
