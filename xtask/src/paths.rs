//! Where things are.

use std::env;
use std::path::PathBuf;

/// The checkout this command belongs to.
pub fn repository() -> PathBuf {
    let xtask =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut path = PathBuf::from(xtask);
    path.pop();
    path
}

/// Cargo's target directory: generated and thrown away at will.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(&dir).unwrap_or_else(|_| dir.into()),
        None => repository().join("target"),
    }
}

/// The Cargo that runs us.
pub fn cargo() -> PathBuf {
    env::var_os("CARGO")
        .unwrap_or_else(|| "cargo".into())
        .into()
}

/// The first directory of `PATH` that holds `program`.
pub fn find_program(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}
