//! `ForLt!` and `CovariantForLt!`.

use proc_macro2::{Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Lifetime, Result, Token, Type};

/// A type with a lifetime left open: `for<'a> T<'a>`, or `T<'_>`.
pub struct HigherRanked {
    lifetime: Option<Lifetime>,
    ty: TokenStream,
}

impl Parse for HigherRanked {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut lifetime = None;
        if input.peek(Token![for]) {
            input.parse::<Token![for]>()?;
            input.parse::<Token![<]>()?;
            lifetime = Some(input.parse()?);
            input.parse::<Token![>]>()?;
        }
        let ty: Type = input.parse()?;
        Ok(Self {
            lifetime,
            ty: quote!(#ty),
        })
    }
}

impl HigherRanked {
    /// The type with `name` for the lifetime: for its own name, or for those that are elided.
    fn with(&self, name: &str) -> TokenStream {
        let from = match &self.lifetime {
            Some(lifetime) => lifetime.ident.to_string(),
            None => "_".into(),
        };
        replace(self.ty.clone(), &from, name, self.lifetime.is_none())
    }
}

fn lifetime(name: &str) -> [TokenTree; 2] {
    [
        Punct::new('\'', Spacing::Joint).into(),
        Ident::new(name, Span::mixed_site()).into(),
    ]
}

fn replace(tokens: TokenStream, from: &str, to: &str, elided: bool) -> TokenStream {
    let mut out = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => {
                let inner = replace(group.stream(), from, to, elided);
                out.extend([TokenTree::from(Group::new(group.delimiter(), inner))]);
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                let same = matches!(tokens.peek(), Some(TokenTree::Ident(name)) if name == from);
                out.extend([token.clone()]);
                if same {
                    tokens.next();
                    out.extend([TokenTree::from(Ident::new(to, Span::mixed_site()))]);
                }
            }
            TokenTree::Punct(punct) if elided && punct.as_char() == '&' => {
                out.extend([token.clone()]);
                let named =
                    matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'');
                if !named {
                    out.extend(lifetime(to));
                }
            }
            _ => out.extend([token]),
        }
    }
    out
}

pub fn expand(ty: &HigherRanked, covariant: bool) -> TokenStream {
    let [bound, fixed] = [ty.with("__lt"), ty.with("static")];
    let proof = covariant.then(|| {
        let [long, short] = [ty.with("__long"), ty.with("__short")];
        quote! {
            fn prove<'__short, '__long: '__short>(long: &'__short #long) -> &'__short #short {
                long
            }
        }
    });
    let n = usize::from(covariant);
    quote! {
        ::kernel::types::for_lt::UnsafeForLtImpl::<
            dyn for<'__lt> ::kernel::types::for_lt::WithLt<'__lt, Of = #bound>,
            #fixed,
            { #proof #n }
        >
    }
}
