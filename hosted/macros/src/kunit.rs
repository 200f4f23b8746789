//! `#[kunit_tests]`.

use proc_macro2::TokenStream;
use quote::{quote, ToTokens};
use syn::{parse_quote, parse_quote_spanned, Error, Ident, Item, ItemFn, ItemMod};

pub(crate) fn expand(suite: &Ident, mut module: ItemMod) -> syn::Result<TokenStream> {
    let Some((brace, items)) = module.content.take() else {
        return Err(Error::new_spanned(
            module,
            "`#[kunit_tests(suite)]` goes on a module with its items: `mod tests { .. }`",
        ));
    };
    // Where Linux asks whether there is KUnit.
    module.attrs.insert(0, parse_quote!(#[cfg(test)]));
    let mut expanded = Vec::new();
    for item in items {
        match item {
            Item::Fn(test) if test.attrs.iter().any(|attr| attr.path().is_ident("test")) => {
                expanded.extend(assertions());
                expanded.push(explored(suite, test));
            }
            other => expanded.push(other),
        }
    }
    module.content = Some((brace, expanded));
    Ok(module.into_token_stream())
}

/// `assert!` and `assert_eq!` as KUnit's are: without a message. In Linux too, they are defined in
/// front of each test, so what stands before the first test has those of `core`.
fn assertions() -> [Item; 2] {
    [
        parse_quote! {
            #[allow(unused)]
            macro_rules! assert {
                ($cond:expr $(,)?) => { ::core::assert!($cond) };
            }
        },
        parse_quote! {
            #[allow(unused)]
            macro_rules! assert_eq {
                ($left:expr, $right:expr $(,)?) => { ::core::assert_eq!($left, $right) };
            }
        },
    ]
}

/// A test for Cargo's harness, of the same name, around the test.
fn explored(suite: &Ident, mut test: ItemFn) -> Item {
    let name = test.sig.ident.clone();
    test.attrs.retain(|attr| !attr.path().is_ident("test"));
    let cfgs = test.attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    let cfgs = quote!(#(#cfgs)*);
    // The span is where a failure says that it was found.
    parse_quote_spanned! {name.span()=>
        #[test]
        #cfgs
        fn #name() {
            #test
            ::kernel::hosted::kunit_case(
                ::core::concat!(::core::stringify!(#suite), "::", ::core::stringify!(#name)),
                #name,
            );
        }
    }
}
