//! What is checked of each public item: a few lines of Rust that compile only against a crate that
//! has it.
//!
//! The lines are written from the hosted crate. They compile against it as well, or they are wrong.

mod implementations;
mod traits;

use super::render::{angle, argument_names, qualifiers, Declared, Position, Renderer, Unnamed};
use super::surface::{name_of, Name, Surface};
use anyhow::{bail, Context, Result};
use rustdoc_types::{
    Abi, Function, GenericParamDef, GenericParamDefKind, Generics, Id, ItemEnum, ItemKind,
    StructKind, Type, VariantKind, Visibility,
};
use std::collections::BTreeMap;

/// The crate that a text is compiled against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    Hosted,
    Linux,
}

impl World {
    /// Names that the texts use and the worlds give differently.
    pub fn header(self) -> &'static str {
        match self {
            World::Hosted => "extern crate pinned_init as pin_init;\n",
            World::Linux => "extern crate pin_init;\n",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Names,
    Types,
    Fields,
    Functions,
    Bindings,
    Constants,
    Traits,
    Implementations,
    Macros,
    Helpers,
}

impl Kind {
    /// The kinds of what rustdoc finds.
    pub const OF_THE_CRATE: [Kind; 9] = [
        Kind::Names,
        Kind::Types,
        Kind::Fields,
        Kind::Functions,
        Kind::Bindings,
        Kind::Constants,
        Kind::Traits,
        Kind::Implementations,
        Kind::Macros,
    ];

    /// Its case's name, which is a file's name as well.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Names => "names",
            Kind::Types => "types",
            Kind::Fields => "fields",
            Kind::Functions => "functions",
            Kind::Bindings => "bindings",
            Kind::Constants => "constants",
            Kind::Traits => "traits",
            Kind::Implementations => "implementations",
            Kind::Macros => "macros",
            Kind::Helpers => "helpers",
        }
    }

    /// What is counted in it.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Names => "modules and re-exports",
            Kind::Types => "types: parameters, variants, targets",
            Kind::Fields => "fields with their types",
            Kind::Functions => "functions and methods with their signatures",
            Kind::Bindings => "C functions with their signatures",
            Kind::Constants => "constants and variables with their types",
            Kind::Traits => "traits, their items, and what implementing them takes",
            Kind::Implementations => "implementations of traits",
            Kind::Macros => "macros by name",
            Kind::Helpers => "declarations and definitions of helpers",
        }
    }
}

/// One name, and the lines that need it.
#[derive(Clone, Debug)]
pub struct Check {
    pub kind: Kind,
    pub name: String,
    pub text: String,
    /// An expression of type `i128` that has the same value in both worlds.
    pub value: Option<String>,
}

/// Everything that is checked, and what is not because no driver can name it.
#[derive(Default)]
pub struct Checks {
    pub checks: Vec<Check>,
    pub unnamed: Vec<String>,
}

pub fn checks(surface: &Surface, world: World) -> Result<Checks> {
    let mut writer = Writer {
        surface,
        world,
        checks: BTreeMap::new(),
        unnamed: Vec::new(),
    };
    for name in &surface.names {
        writer
            .name(name)
            .with_context(|| format!("checking {}", name.path))?;
    }
    writer.implementations()?;
    Ok(Checks {
        checks: writer.checks.into_values().collect(),
        unnamed: writer.unnamed,
    })
}

/// Primitive types that turn into any integer with `as`.
const NUMBERS: [&str; 13] = [
    "bool", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
];

/// Types of constants that are a number and nothing else.
const AROUND_A_NUMBER: [(&str, &str); 8] = [
    ("::kernel::error::Error", "i32"),
    ("::kernel::alloc::Flags", "u32"),
    ("::kernel::irq::Flags", "usize"),
    ("::kernel::pci::Class", "u32"),
    ("::kernel::pci::Vendor", "u16"),
    ("::kernel::ptr::Alignment", "usize"),
    ("::kernel::time::Delta", "i64"),
    ("::kernel::bindings::irqreturn", "u32"),
];

struct Writer<'s> {
    surface: &'s Surface,
    world: World,
    checks: BTreeMap<(Kind, String), Check>,
    unnamed: Vec<String>,
}

impl Writer<'_> {
    fn add(&mut self, kind: Kind, name: &str, text: Result<String>) -> Result<()> {
        self.add_with_value(kind, name, text, None)
    }

    /// Adds a check, unless the text would have to say what cannot be said.
    fn add_with_value(
        &mut self,
        kind: Kind,
        name: &str,
        text: Result<String>,
        value: Option<String>,
    ) -> Result<()> {
        let plain = name
            .replace("::kernel::", "kernel::")
            .replace("::core::", "core::");
        let text = match text {
            Ok(text) => text,
            Err(error) if error.is::<Unnamed>() => {
                self.unnamed.push(format!("{plain}: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error.context(format!("writing the check of {plain}"))),
        };
        let mut name = plain.clone();
        for again in 2.. {
            match self.checks.get(&(kind, name.clone())) {
                None => break,
                Some(same) if same.text == text => return Ok(()),
                Some(_) => name = format!("{plain} #{again}"),
            }
        }
        let check = Check {
            kind,
            name: name.clone(),
            text,
            value,
        };
        self.checks.insert((kind, name), check);
        Ok(())
    }

    fn name(&mut self, name: &Name) -> Result<()> {
        let path = &name.path;
        match name.kind {
            ItemKind::Macro | ItemKind::ProcAttribute => {
                // It is neither a type nor a function: those names are still free. A trait may share its
                // name (`ForLt`), and has a check of its own.
                let shares = |other: &Name| other.path == *path && other.kind != name.kind;
                let text = match self.surface.names.iter().any(shares) {
                    true => format!("use {path} as it;\nfn it() {{}}"),
                    false => format!("use {path} as it;\nenum it {{}}\nfn it() {{}}"),
                };
                return self.add(Kind::Macros, path, Ok(text));
            }
            ItemKind::ProcDerive => {
                return self.add(Kind::Macros, path, Ok(format!("use {path} as it;")));
            }
            _ => {}
        }
        if !self.surface.is_home(name) {
            let text = self.another_name(name);
            return self.add(Kind::Names, path, text);
        }
        let item = self.surface.item(name.id)?.clone();
        match &item.inner {
            ItemEnum::Module(_) => self.add(
                Kind::Names,
                path,
                Ok(format!("use {path} as it;\nfn it() {{}}")),
            ),
            ItemEnum::Struct(of) => {
                self.add(Kind::Types, path, self.ty(path, &of.generics, ""))?;
                let fields = match &of.kind {
                    StructKind::Unit => {
                        let text = format!("pub fn it() -> {path} {{ {path} }}");
                        self.add(Kind::Types, &format!("{path} (unit)"), Ok(text))?;
                        Vec::new()
                    }
                    StructKind::Tuple(fields) => fields.iter().flatten().copied().collect(),
                    StructKind::Plain { fields, .. } => fields.clone(),
                };
                self.fields(path, &of.generics, &fields)
            }
            ItemEnum::Union(of) => {
                self.add(Kind::Types, path, self.ty(path, &of.generics, ""))?;
                self.fields(path, &of.generics, &of.fields)
            }
            ItemEnum::Enum(of) => {
                let arms = self.arms(path, &of.variants)?;
                self.add(Kind::Types, path, self.ty(path, &of.generics, &arms))?;
                if arms.contains("(..)") || arms.contains("{ ..") || !of.generics.params.is_empty()
                {
                    return Ok(());
                }
                for &id in &of.variants {
                    let variant = format!("{path}::{}", name_of(self.surface.item(id)?)?);
                    let text = Ok(format!("pub const IT: {path} = {variant};"));
                    let value = Some(format!("{variant} as i128"));
                    self.add_with_value(Kind::Constants, &variant, text, value)?;
                }
                Ok(())
            }
            ItemEnum::TypeAlias(of) => {
                let text = self.alias(path, &of.generics, &of.type_);
                self.add(Kind::Types, path, text)
            }
            ItemEnum::Constant { type_, .. } => {
                let text = Renderer::new(self.surface)
                    .ty(type_, Position::Elsewhere)
                    .map(|ty| format!("pub const IT: {ty} = {path};"));
                let value = self.value(path, type_, None);
                self.add_with_value(Kind::Constants, path, text, value)
            }
            ItemEnum::Static(of) => {
                let text = Renderer::new(self.surface)
                    .ty(&of.type_, Position::Elsewhere)
                    .map(|ty| format!("pub fn it() -> *const {ty} {{ &raw const {path} }}"));
                self.add(Kind::Constants, path, text)
            }
            ItemEnum::Function(of) => {
                let is_binding = path.starts_with("::kernel::bindings::");
                let kind = match is_binding {
                    true => Kind::Bindings,
                    false => Kind::Functions,
                };
                let mut renderer = Renderer::new(self.surface);
                let text = self.function(
                    &mut renderer,
                    Declared::default(),
                    of,
                    path,
                    is_binding,
                    false,
                );
                self.add(kind, path, text)
            }
            ItemEnum::Trait(of) => self.a_trait(path, of),
            other => bail!("an item of a kind that is not checked yet: {other:?}"),
        }
    }

    /// A second road to an item, or the only one to an item of another crate.
    fn another_name(&self, name: &Name) -> Result<String> {
        let path = &name.path;
        let home = self.surface.path(name.id);
        let item = self.surface.krate.index.get(&name.id);
        let generics = item.and_then(|item| match &item.inner {
            ItemEnum::Struct(of) => Some(&of.generics),
            ItemEnum::Union(of) => Some(&of.generics),
            ItemEnum::Enum(of) => Some(&of.generics),
            ItemEnum::TypeAlias(of) => Some(&of.generics),
            _ => None,
        });
        match (generics, home) {
            (Some(generics), Some(home)) => {
                let mut declared = Declared::default();
                Renderer::new(self.surface).generics(generics, &mut declared)?;
                let args = angle(&argument_names(generics, true));
                Ok(format!(
                    "pub fn it{}(it: *const {path}{args}) -> *const {home}{args}{} {{ it }}",
                    declared.params(),
                    declared.conditions()
                ))
            }
            _ => Ok(format!("use {path} as it;")),
        }
    }

    fn ty(&self, path: &str, generics: &Generics, arms: &str) -> Result<String> {
        let mut renderer = Renderer::new(self.surface);
        let mut declared = Declared::default();
        renderer.generics(generics, &mut declared)?;
        let (params, conditions) = (declared.params(), declared.conditions());
        let args = angle(&argument_names(generics, true));
        let mut text = format!("pub fn it{params}(_: *const {path}{args}){conditions} {{}}");
        if !arms.is_empty() {
            text += &format!(
                "\npub fn all{params}(it: {path}{args}){conditions} {{ match it {{ {arms} }} }}"
            );
        }
        text += &self.defaults(path, generics, &declared)?;
        Ok(text)
    }

    /// What a parameter is that is left out.
    fn defaults(&self, path: &str, generics: &Generics, declared: &Declared) -> Result<String> {
        let mut renderer = Renderer::new(self.surface);
        let (mut short, mut full, mut any) = (Vec::new(), Vec::new(), false);
        for GenericParamDef { name, kind } in &generics.params {
            let default = match kind {
                GenericParamDefKind::Lifetime { .. } => None,
                GenericParamDefKind::Type { default, .. } => match default {
                    Some(ty) => Some(renderer.ty(ty, Position::Elsewhere)?),
                    None => None,
                },
                GenericParamDefKind::Const { default, .. } => default.clone(),
            };
            match default {
                Some(default) => {
                    any = true;
                    full.push(default);
                }
                None => {
                    short.push(name.clone());
                    full.push(name.clone());
                }
            }
        }
        if !any {
            return Ok(String::new());
        }
        Ok(format!(
            "\npub fn short{}(it: *const {path}{}) -> *const {path}{}{} {{ it }}",
            declared.params(),
            angle(&short),
            angle(&full),
            declared.conditions()
        ))
    }

    fn arms(&self, path: &str, variants: &[Id]) -> Result<String> {
        let mut arms = Vec::new();
        for &id in variants {
            let item = self.surface.item(id)?;
            let ItemEnum::Variant(variant) = &item.inner else {
                bail!("a variant that is none: {item:?}");
            };
            let pattern = match variant.kind {
                VariantKind::Plain => "",
                VariantKind::Tuple(_) => "(..)",
                VariantKind::Struct { .. } => " { .. }",
            };
            arms.push(format!("{path}::{}{pattern} => {{}}", name_of(item)?));
        }
        Ok(arms.join(", "))
    }

    fn alias(&self, path: &str, generics: &Generics, target: &Type) -> Result<String> {
        let mut renderer = Renderer::new(self.surface);
        let mut declared = Declared::default();
        renderer.generics(generics, &mut declared)?;
        let target = renderer.ty(target, Position::Elsewhere)?;
        let args = angle(&argument_names(generics, true));
        let mut text = format!(
            "pub fn it{}(it: *const {path}{args}) -> *const {target}{} {{ it }}",
            declared.params(),
            declared.conditions()
        );
        text += &self.defaults(path, generics, &declared)?;
        Ok(text)
    }

    fn fields(&mut self, path: &str, generics: &Generics, fields: &[Id]) -> Result<()> {
        for &id in fields {
            let item = self.surface.item(id)?;
            let ItemEnum::StructField(ty) = &item.inner else {
                bail!("a field that is none: {item:?}");
            };
            if item.visibility != Visibility::Public {
                continue;
            }
            let field = name_of(item)?.to_owned();
            let text = self.field(path, generics, &field, ty);
            self.add(Kind::Fields, &format!("{path}.{field}"), text)?;
        }
        Ok(())
    }

    fn field(&self, path: &str, generics: &Generics, field: &str, ty: &Type) -> Result<String> {
        let mut renderer = Renderer::new(self.surface);
        let mut declared = Declared::default();
        renderer.generics(generics, &mut declared)?;
        let ty = renderer.ty(ty, Position::Elsewhere)?;
        Ok(format!(
            "pub unsafe fn it{}(it: *const {path}{}) -> *const {ty}{} {{ unsafe {{ &raw const (*it).{field} }} }}",
            declared.params(),
            angle(&argument_names(generics, true)),
            declared.conditions()
        ))
    }

    /// A function is taken as a pointer, which has to have this very type, and called, which shows
    /// whether it is `const` and whether it is `unsafe`.
    fn function(
        &self,
        renderer: &mut Renderer<'_>,
        mut declared: Declared,
        function: &Function,
        callee: &str,
        is_binding: bool,
        captures: bool,
    ) -> Result<String> {
        renderer.generics(&function.generics, &mut declared)?;
        let signature = renderer.signature(&function.sig)?;
        declared.params.append(&mut renderer.take_made());
        let callee = match argument_names(&function.generics, false) {
            names if names.is_empty() => callee.to_owned(),
            names => format!("{callee}::{}", angle(&names)),
        };
        let (params, conditions) = (declared.params(), declared.conditions());
        let arguments = &signature.arguments;
        let mut arrow = signature.arrow();
        if captures && signature.is_opaque {
            arrow += &format!(" + use<{}>", declared.names().join(", "));
        }

        let mut text = String::new();
        if !signature.is_opaque {
            let mut header = function.header.clone();
            if is_binding && self.world == World::Linux {
                header.abi = Abi::C { unwind: false };
            }
            let unnamed: Vec<_> = arguments.iter().map(|ty| format!("_: {ty}")).collect();
            text += &format!(
                "pub fn pointer{params}({}){arrow}{conditions} {{ let _: {}fn({}){arrow} = {callee}; loop {{}} }}\n",
                unnamed.join(", "),
                qualifiers(&header)?,
                arguments.join(", "),
            );
        }
        let arguments = arguments.iter().enumerate();
        let named: Vec<_> = arguments.map(|(i, ty)| format!("a{i}: {ty}")).collect();
        let passed: Vec<_> = (0..named.len()).map(|i| format!("a{i}")).collect();
        let call = format!("{callee}({})", passed.join(", "));
        let call = match function.header.is_unsafe {
            true => format!("unsafe {{ {call} }}"),
            false => call,
        };
        let is_const = match function.header.is_const {
            true => "const ",
            false => "",
        };
        text += &format!(
            "pub {is_const}fn call{params}({}){arrow}{conditions} {{ {call} }}",
            named.join(", ")
        );
        Ok(text)
    }

    /// A constant as a number, if it is one, or a type around one, or a few bytes.
    fn value(&self, constant: &str, ty: &Type, self_type: Option<&Type>) -> Option<String> {
        match ty {
            Type::Primitive(name) if NUMBERS.contains(&name.as_str()) => {
                Some(format!("{constant} as i128"))
            }
            Type::BorrowedRef { type_, .. } if matches!(**type_, Type::Array { .. }) => {
                Some(format!(
                    "{{ let (all, mut i, mut n) = ({constant}, 0, 0); \
                     while i < all.len() {{ n = n << 8 | all[i] as i128; i += 1; }} n }}"
                ))
            }
            Type::Generic(name) if name == "Self" => self.value(constant, self_type?, None),
            Type::ResolvedPath(path) => {
                if let ItemEnum::TypeAlias(of) = &self.surface.krate.index.get(&path.id)?.inner {
                    return self.value(constant, &of.type_, self_type);
                }
                let path = self.surface.path(path.id)?;
                let (_, number) = AROUND_A_NUMBER.iter().find(|(ty, _)| *ty == path)?;
                Some(format!(
                    "unsafe {{ ::core::mem::transmute::<{path}, {number}>({constant}) }} as i128"
                ))
            }
            _ => None,
        }
    }
}

fn without_lifetimes(names: Vec<String>) -> Vec<String> {
    let types = names.into_iter().filter(|name| !name.starts_with('\''));
    types.collect()
}
