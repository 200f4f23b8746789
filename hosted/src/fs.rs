//! Files.
//!
//! C header: `include/linux/fs.h`; mirrors `rust/kernel/fs.rs`.

pub mod file;
mod kiocb;

pub use self::file::{File, LocalFile};
pub use self::kiocb::Kiocb;
