//! `fmt!`.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use std::collections::BTreeSet;

/// Wraps each argument, and each name captured by the format string, in `kernel::fmt::Adapter`.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut input = input.into_iter();
    let Some(first) = input.next() else {
        return quote!(::core::format_args!());
    };
    let Some(text) = string(&first) else {
        // `concat!(..)` and the like: nothing can be seen inside, so nothing is wrapped.
        let rest: TokenStream = input.collect();
        return quote!(::core::format_args!(#first #rest));
    };
    let span = first.span();
    let mut captured = captures(&text);
    let mut args = TokenStream::new();
    for arg in split(input) {
        let (name, value) = named(arg);
        if let Some(name) = &name {
            captured.remove(&name.to_string());
        }
        let name = name.map(|name| quote!(#name =));
        args.extend(quote_spanned!(span => , #name ::kernel::fmt::Adapter(&(#value))));
    }
    for name in captured {
        let name = ident(&name, span);
        args.extend(quote_spanned!(span => , #name = ::kernel::fmt::Adapter(&#name)));
    }
    quote_spanned!(span => ::core::format_args!(#first #args))
}

/// The text of a string literal, escapes left as they are written.
fn string(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else {
        return None;
    };
    let text = literal.to_string();
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.to_string())
}

/// The identifiers in `{name}` and `{name:..}`.
fn captures(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        if let Some(after) = after.strip_prefix('{') {
            rest = after;
            continue;
        }
        let Some((inside, after)) = after.split_once('}') else {
            break;
        };
        rest = after;
        let name = inside.split(':').next().unwrap_or_default();
        if !name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_digit()) {
            names.insert(name.to_string());
        }
    }
    names
}

/// The arguments after the format string, split at the commas between them.
fn split(tokens: impl Iterator<Item = TokenTree>) -> Vec<TokenStream> {
    let mut args = Vec::new();
    let mut current = TokenStream::new();
    for token in tokens {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
            if !current.is_empty() {
                args.push(std::mem::take(&mut current));
            }
        } else {
            current.extend([token]);
        }
    }
    if !current.is_empty() {
        args.push(current);
    }
    args
}

/// Takes `name = value` apart; anything else is a value.
fn named(arg: TokenStream) -> (Option<Ident>, TokenStream) {
    let mut tokens = arg.clone().into_iter();
    match (tokens.next(), tokens.next(), tokens.clone().next()) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(eq)), next)
            if eq.as_char() == '='
                && !matches!(&next, Some(TokenTree::Punct(p)) if p.as_char() == '=') =>
        {
            (Some(name), tokens.collect())
        }
        _ => (None, arg),
    }
}

fn ident(name: &str, span: Span) -> Ident {
    match name.strip_prefix("r#") {
        Some(raw) => Ident::new_raw(raw, span),
        None => Ident::new(name, span),
    }
}
