//! The wrapper over device-mapper: the files under test, and stand-ins for those that they use.

#[path = "../../../kmod/dm/bio.rs"]
pub mod bio;
#[path = "../../../kmod/dm/gate.rs"]
pub mod gate;
#[path = "../../../kmod/dm/published.rs"]
pub mod published;
#[path = "../../../kmod/dm/worker.rs"]
pub mod worker;

pub mod device;
pub mod ffi;
pub mod machine;
