//! Journeys of an operator: real keys on a real terminal, then a look at the screen and
//! at the bytes of the disks.
#![cfg(test)]

mod counts;
mod drills;
mod ends;
mod hardships;
mod interrupt;
mod manners;
mod maps;
mod seat;
mod settings;
mod sights;
