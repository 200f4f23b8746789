//! `cargo xtask`: the project's chores.

fn main() {
    println!("usage: cargo xtask <vm | asan | bless | ci>");
}
