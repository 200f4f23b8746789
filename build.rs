//! Sets `CONFIG_DEVSCOPE_KUNIT_TEST`, as a kernel's configuration would: the crate has its own tests.
//!
//! They are compiled for `cargo test` only, since the hosted `#[kunit_tests]` says `#[cfg(test)]`, as
//! Linux's says `#[cfg(CONFIG_KUNIT = "y")]`.

fn main() {
    println!("cargo:rustc-cfg=CONFIG_DEVSCOPE_KUNIT_TEST");
    println!("cargo:rerun-if-changed=build.rs");
}
