//! Compiles this package's copy of the crate with its mutants.

fn main() {
    println!("cargo:rustc-cfg=devscope_mutants");
    println!("cargo:rerun-if-changed=build.rs");
}
