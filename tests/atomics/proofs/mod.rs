//! What is proved.

mod gate;
mod held;
mod index;
mod published;
