//! `module!`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::ffi::CString;
use syn::{
    bracketed,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    Error, Ident, LitCStr, LitStr, Result, Token, Type,
};

/// In the order in which Linux wants them written.
const KEYS: [&str; 8] = [
    "type",
    "name",
    "authors",
    "description",
    "license",
    "alias",
    "firmware",
    "imports_ns",
];

pub(crate) struct Module {
    ty: Type,
    name: LitCStr,
}

impl Parse for Module {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut ty, mut name, mut license) = (None, None, None);
        let mut last: Option<usize> = None;
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            let text = key.to_string();
            let Some(place) = KEYS.iter().position(|known| **known == text) else {
                let message = format!("unknown key `{text}`; there are {}", KEYS.join(", "));
                return Err(Error::new_spanned(key, message));
            };
            if let Some(before) = last.filter(|last| *last >= place) {
                let message = format!(
                    "`{text}` must come once, and before `{}`; the order is {}",
                    KEYS[before],
                    KEYS.join(", ")
                );
                return Err(Error::new_spanned(key, message));
            }
            last = Some(place);
            input.parse::<Token![:]>()?;
            match text.as_str() {
                "type" => ty = Some(input.parse()?),
                "name" => name = Some(ascii(input.parse()?)?),
                "license" => license = Some(input.parse::<LitStr>()?),
                "description" => drop(input.parse::<LitStr>()?),
                _ => {
                    let list;
                    bracketed!(list in input);
                    Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
                }
            }
            input.parse::<Token![,]>()?;
        }
        let missing = |key| Error::new(Span::call_site(), format!("`module!` needs `{key}`"));
        license.ok_or_else(|| missing("license"))?;
        Ok(Module {
            ty: ty.ok_or_else(|| missing("type"))?,
            name: name.ok_or_else(|| missing("name"))?,
        })
    }
}

fn ascii(text: LitStr) -> Result<LitCStr> {
    let value = text.value();
    match CString::new(value.clone()) {
        Ok(value) if value.to_bytes().is_ascii() => Ok(LitCStr::new(&value, text.span())),
        _ => Err(Error::new_spanned(
            text,
            format!("`{value:?}` is not a name of ASCII characters"),
        )),
    }
}

pub(crate) fn expand(module: &Module) -> TokenStream {
    let Module { ty, name } = module;
    let text = name.value().into_string().unwrap_or_default();
    quote! {
        #[allow(dead_code)]
        type LocalModule = #ty;

        impl ::kernel::ModuleMetadata for #ty {
            const NAME: &'static ::kernel::str::CStr = #name;
            const THIS_MODULE: ::kernel::ThisModule = {
                // Only its address is used; what the machine knows about a module, it keeps itself.
                static THIS: ::kernel::module::ModuleStatic = ::kernel::module::ModuleStatic::new();
                // SAFETY: This is the one `struct module` of this module.
                unsafe { ::kernel::ThisModule::from_ptr(THIS.get()) }
            };
        }

        /// What `Machine::load()` takes.
        pub static MODULE: ::kernel::hosted::ModuleInfo = {
            static PLACE: ::kernel::module::ModulePlace<#ty> = ::kernel::module::ModulePlace::new();

            unsafe extern "C" fn init() -> ::kernel::ffi::c_int {
                PLACE.init(::core::module_path!())
            }

            unsafe extern "C" fn exit() {
                // SAFETY: Called once after `init` succeeded, as `ModuleInfo::new` is told.
                unsafe { PLACE.exit() }
            }

            // SAFETY: `init` makes the module, as often as wanted, and `exit` drops it.
            unsafe {
                ::kernel::hosted::ModuleInfo::new(
                    #text,
                    <#ty as ::kernel::ModuleMetadata>::THIS_MODULE.as_ptr(),
                    init,
                    exit,
                )
            }
        };
    }
}
