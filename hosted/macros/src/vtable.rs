//! `#[vtable]`.

use proc_macro2::TokenStream;
use quote::{format_ident, ToTokens};
use syn::{parse_quote, Attribute, Error, Ident, ImplItem, Item, ItemImpl, ItemTrait, TraitItem};

pub(crate) fn expand(item: Item) -> syn::Result<TokenStream> {
    match item {
        Item::Trait(item) => Ok(on_trait(item).into_token_stream()),
        Item::Impl(item) => Ok(on_impl(item).into_token_stream()),
        other => Err(Error::new_spanned(
            other,
            "`#[vtable]` goes on a trait or on an implementation of one",
        )),
    }
}

/// The name of the constant that says whether `method` is implemented.
fn flag(method: &Ident) -> Ident {
    format_ident!(
        "HAS_{}",
        method.to_string().to_uppercase(),
        span = method.span()
    )
}

/// The `#[cfg(..)]` attributes, which the constant has to share with its method.
fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    let is_cfg = |attr: &&Attribute| attr.path().is_ident("cfg");
    attrs.iter().filter(is_cfg).cloned().collect()
}

fn on_trait(mut item: ItemTrait) -> ItemTrait {
    let mut added: Vec<TraitItem> = vec![parse_quote! {
        /// Present in implementations that carry `#[vtable]`, so that none forgets it.
        const USE_VTABLE_ATTR: ();
    }];
    let has_owner = |i: &TraitItem| matches!(i, TraitItem::Type(t) if t.ident == "OwnerModule");
    if !item.items.iter().any(has_owner) {
        added.push(parse_quote! {
            /// The module whose code the callbacks are; filled in by `#[vtable]`.
            type OwnerModule: ::kernel::ModuleMetadata;
        });
    }
    for member in &item.items {
        let TraitItem::Fn(method) = member else {
            continue;
        };
        let name = &method.sig.ident;
        let (flag, cfgs) = (flag(name), cfgs(&method.attrs));
        let doc = format!("Whether the implementor overrides `{name}`.");
        added.push(parse_quote! {
            #(#cfgs)*
            #[doc = #doc]
            const #flag: bool = false;
        });
    }
    item.items.extend(added);
    item
}

fn on_impl(mut item: ItemImpl) -> ItemImpl {
    let written = |name: &Ident| {
        item.items.iter().any(|member| match member {
            ImplItem::Const(item) => item.ident == *name,
            ImplItem::Type(item) => item.ident == *name,
            _ => false,
        })
    };
    let mut added: Vec<ImplItem> = vec![parse_quote! {
        const USE_VTABLE_ATTR: () = ();
    }];
    if !written(&format_ident!("OwnerModule")) {
        // Linux says `crate::LocalModule`; here several modules share a crate.
        added.push(parse_quote! {
            type OwnerModule = LocalModule;
        });
    }
    for member in &item.items {
        let ImplItem::Fn(method) = member else {
            continue;
        };
        let flag = flag(&method.sig.ident);
        if written(&flag) {
            continue;
        }
        let cfgs = cfgs(&method.attrs);
        added.push(parse_quote! {
            #(#cfgs)*
            const #flag: bool = true;
        });
    }
    item.items.extend(added);
    item
}
