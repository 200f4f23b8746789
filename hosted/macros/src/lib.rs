//! The procedural macros of the hosted `kernel` crate: `module!`, `#[vtable]`, `fmt!`,
//! `#[kunit_tests]`, `ForLt!` and `CovariantForLt!`.
//!
//! Linux has them in `rust/macros`. They are the same to write; what `module!` produces is not an
//! object file's symbols but a `static MODULE` that a test hands to the machine, and everything
//! lands in the module that invokes the macro, so one crate may hold several drivers.
//!
//! Left out: module parameters, `export`, `concat_idents`, `paste`.

mod fmt;
mod for_lt;
mod kunit;
mod module;
mod vtable;

use proc_macro::TokenStream;

/// Declares a kernel module.
///
/// Keys, in this order: `type`, `name`, `authors`, `description`, `license`, `alias`, `firmware`,
/// `imports_ns`; `type`, `name` and `license` are required. In the invoking module this defines
/// `LocalModule`, implements `ModuleMetadata` for the given type, and (in the hosted world only)
/// declares `pub static MODULE: kernel::hosted::ModuleInfo`.
#[proc_macro]
pub fn module(input: TokenStream) -> TokenStream {
    let info = syn::parse_macro_input!(input as module::Module);
    module::expand(&info).into()
}

/// Marks a trait of optional callbacks, or an implementation of one.
///
/// On a trait, each method `fn foo` gains `const HAS_FOO: bool = false`, and the trait an
/// associated `type OwnerModule: ModuleMetadata`. On an implementation, each method that is written
/// down sets its constant, and `OwnerModule` becomes the `LocalModule` in scope.
#[proc_macro_attribute]
pub fn vtable(attr: TokenStream, input: TokenStream) -> TokenStream {
    let _ = syn::parse_macro_input!(attr as syn::parse::Nothing);
    let item = syn::parse_macro_input!(input as syn::Item);
    match vtable::expand(item) {
        Ok(tokens) => tokens.into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// Makes each `#[test]` of an inline module an exploration, where Linux makes a KUnit suite of them.
///
/// The tests are for `cargo test`, which finds them by their paths. Functions without `#[test]` and
/// all other items stay as they are.
#[proc_macro_attribute]
pub fn kunit_tests(attr: TokenStream, input: TokenStream) -> TokenStream {
    let suite = syn::parse_macro_input!(attr as syn::Ident);
    let module = syn::parse_macro_input!(input as syn::ItemMod);
    match kunit::expand(&suite, module) {
        Ok(tokens) => tokens.into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// `format_args!`, with `kernel::fmt::Display` and `kernel::fmt::Pointer` where `core`'s would be
/// asked, so that a `CStr` can be printed with `{}`.
#[proc_macro]
pub fn fmt(input: TokenStream) -> TokenStream {
    fmt::expand(input.into()).into()
}

/// A type that implements `ForLt`: `ForLt!(for<'a> T<'a>)`, or `ForLt!(T<'_>)`.
#[proc_macro]
#[allow(non_snake_case, reason = "it makes a type, as in Linux")]
pub fn ForLt(input: TokenStream) -> TokenStream {
    for_lt::expand(&syn::parse_macro_input!(input), false).into()
}

/// As [`ForLt!`], with a proof that the type is covariant: a function that must compile. Linux leaves
/// the proof out where the type's syntax shows it, so that generic parameters may occur there.
#[proc_macro]
#[allow(non_snake_case, reason = "it makes a type, as in Linux")]
pub fn CovariantForLt(input: TokenStream) -> TokenStream {
    for_lt::expand(&syn::parse_macro_input!(input), true).into()
}
