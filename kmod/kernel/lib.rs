// SPDX-License-Identifier: GPL-2.0-or-later
//! The part of the kernel's own `kernel` crate that the module uses, over the glue: for kernels
//! built without Rust, or with another Rust.
//!
//! Names and signatures are those of the kernel's crate, so that the same sources also compile
//! against that.
#![no_std]

pub mod alloc;
pub mod error;
pub mod print;
pub mod str;
pub mod sync;

/// The types of C, as the kernel's crate has them: its `char` is unsigned.
#[allow(non_camel_case_types, reason = "C names them so")]
pub mod ffi {
    pub use core::ffi::{c_int, c_uint, c_void};
    /// A byte of a string.
    pub type c_char = u8;
}

/// Functions of the glue that this crate is made of; `glue/runtime.c` has them.
mod glue {
    use crate::ffi::{c_int, c_uint, c_void};

    extern "C" {
        pub(crate) fn dm_remap_alloc(bytes: usize, how: c_uint) -> *mut c_void;
        pub(crate) fn dm_remap_free(memory: *mut c_void);
        pub(crate) fn dm_remap_rcu_read_lock();
        pub(crate) fn dm_remap_rcu_read_unlock();
        pub(crate) fn dm_remap_synchronize_rcu();
        pub(crate) fn dm_remap_log(level: c_int, text: *const u8, length: c_uint);
    }
}

/// The module itself, which only the glue has a handle of.
pub struct ThisModule(());

impl ThisModule {
    /// The only one.
    #[doc(hidden)]
    pub const ONE: Self = Self(());
}

/// The work of a module when it is loaded; dropping it is that of unloading it.
pub trait Module: Sized {
    /// Begins.
    ///
    /// # Errors
    ///
    /// The module is not loaded then.
    fn init(module: &'static ThisModule) -> error::Result<Self>;
}

/// Makes a type the module: exports the two functions that the glue's `module_init` and
/// `module_exit` call. Name, licence and alias are in the glue.
#[macro_export]
macro_rules! module {
    (type: $type:ident, $($rest:tt)*) => {
        static mut THE_MODULE: ::core::mem::MaybeUninit<$type> = ::core::mem::MaybeUninit::uninit();

        #[no_mangle]
        extern "C" fn dm_remap_rs_init() -> $crate::ffi::c_int {
            match <$type as $crate::Module>::init(&$crate::ThisModule::ONE) {
                Ok(module) => {
                    // SAFETY: the kernel calls this once, before anything else.
                    unsafe { (&raw mut THE_MODULE).cast::<$type>().write(module) };
                    0
                }
                Err(error) => error.to_errno(),
            }
        }

        #[no_mangle]
        extern "C" fn dm_remap_rs_exit() {
            // SAFETY: the kernel calls this once, after a successful beginning.
            unsafe { ::core::ptr::drop_in_place((&raw mut THE_MODULE).cast::<$type>()) }
        }
    };
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    print::log(print::EMERGENCY, format_args!("{info}\n"));
    // As BUG() does: the kernel ends the task, or itself, as it is configured to.
    // SAFETY: does not return.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}

/// Names that every file takes.
pub mod prelude {
    pub use core::ffi::CStr;

    pub use crate::alloc::flags::GFP_KERNEL;
    pub use crate::alloc::{KBox, KVVec, KVec};
    pub use crate::error::code::*;
    pub use crate::error::{Error, Result};
    pub use crate::str::CStrExt;
    pub use crate::{fmt, module, pr_err, pr_info, pr_warn, ThisModule};
}
