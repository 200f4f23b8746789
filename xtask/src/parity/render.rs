//! Types, bounds and generics as Rust, out of what rustdoc knows of them.
//!
//! Everything is named by a path from its crate's root, so that the text means the same wherever it
//! stands. Lifetimes that a signature leaves out get names: a pointer to a function needs them, where
//! a method has rules for leaving them out.

use super::surface::Surface;
use anyhow::{bail, Result};
use rustdoc_types::{
    Abi, AssocItemConstraintKind, FunctionHeader, FunctionPointer, GenericArg, GenericArgs,
    GenericBound, GenericParamDef, GenericParamDefKind, Generics, Id, ItemEnum, Path,
    PreciseCapturingArg, Term, TraitBoundModifier, Type, WherePredicate,
};
use std::collections::HashMap;
use std::fmt;

/// A type or trait that a driver has no name for.
#[derive(Debug)]
pub struct Unnamed(pub String);

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no driver can name `{}`", self.0)
    }
}

impl std::error::Error for Unnamed {}

/// Where a type stands, which decides what a lifetime that is left out means.
#[derive(Clone, Copy, PartialEq)]
pub enum Position {
    /// An argument: each is a new one.
    Argument,
    /// A return type: that of `self`, or the only one.
    Return,
    /// Wherever leaving it out is as good here as where it was.
    Elsewhere,
}

/// Renders the types of one item.
pub struct Renderer<'s> {
    surface: &'s Surface,
    /// What `Self` is called.
    self_type: Option<String>,
    /// What associated types of `Self` are called, instead of `<Self as Trait>::Name`.
    associated: HashMap<String, String>,
    /// Lifetimes and types that got a name.
    made: Vec<String>,
    count: usize,
    /// Whether an argument stays an `impl Trait`, instead of becoming a parameter.
    keeps_impl: bool,
    /// The lifetime that a return type means when it leaves it out.
    returned: Option<String>,
    seen: Vec<String>,
}

impl<'s> Renderer<'s> {
    pub fn new(surface: &'s Surface) -> Self {
        Self {
            surface,
            self_type: None,
            associated: HashMap::new(),
            made: Vec::new(),
            count: 0,
            keeps_impl: false,
            returned: None,
            seen: Vec::new(),
        }
    }

    pub fn with_self(surface: &'s Surface, self_type: String) -> Self {
        let mut new = Self::new(surface);
        new.self_type = Some(self_type);
        new
    }

    /// For what is inside of an implementation: `Self` is what this one has rendered.
    pub fn inside(mut self, self_type: String) -> Self {
        self.self_type = Some(self_type);
        self.take_made();
        self
    }

    /// As methods of an implementation are written.
    pub fn keep_impl(mut self) -> Self {
        self.keeps_impl = true;
        self
    }

    /// The names that were made, and none for what comes next.
    pub fn take_made(&mut self) -> Vec<String> {
        self.returned = None;
        self.seen.clear();
        std::mem::take(&mut self.made)
    }

    /// Calls `Self::name` something else from here on; `None` ends that.
    pub fn associate(&mut self, names: Option<&HashMap<String, String>>) {
        self.associated = names.cloned().unwrap_or_default();
    }

    pub fn path_of(&self, id: Id, written: &str) -> Result<String> {
        self.surface
            .path(id)
            .ok_or_else(|| Unnamed(written.to_owned()).into())
    }

    pub fn ty(&mut self, ty: &Type, position: Position) -> Result<String> {
        Ok(match ty {
            Type::ResolvedPath(path) => self.path(path, position)?,
            Type::Generic(name) if name == "Self" => match &self.self_type {
                Some(name) => name.clone(),
                None => bail!("devscope bug: `Self` outside of an implementation"),
            },
            Type::Generic(name) => name.clone(),
            Type::Primitive(name) if name == "never" => "!".to_owned(),
            Type::Primitive(name) => name.clone(),
            Type::FunctionPointer(pointer) => self.function_pointer(pointer)?,
            Type::Tuple(types) => {
                let types = self.tys(types, position)?;
                match types.as_slice() {
                    [only] => format!("({only},)"),
                    _ => format!("({})", types.join(", ")),
                }
            }
            Type::Slice(of) => format!("[{}]", self.ty(of, position)?),
            Type::Array { type_, len } => format!("[{}; {len}]", self.ty(type_, position)?),
            Type::ImplTrait(bounds) if position == Position::Argument && !self.keeps_impl => {
                let bounds = self.bounds(bounds)?;
                let name = self.new_name("Impl");
                self.made.push(format!("{name}: {bounds}"));
                name
            }
            Type::ImplTrait(bounds) => format!("impl {}", self.bounds(bounds)?),
            Type::Infer => "_".to_owned(),
            Type::RawPointer { is_mutable, type_ } => {
                let kind = if *is_mutable { "mut" } else { "const" };
                format!("*{kind} {}", self.ty(type_, position)?)
            }
            Type::BorrowedRef {
                lifetime,
                is_mutable,
                type_,
            } => {
                let lifetime = self.lifetime(lifetime.as_deref(), position)?;
                let kind = if *is_mutable { "mut " } else { "" };
                format!("&{lifetime} {kind}{}", self.ty(type_, position)?)
            }
            Type::DynTrait(object) => {
                let mut parts = Vec::new();
                for poly in &object.traits {
                    let binder = self.binder(&poly.generic_params)?;
                    parts.push(binder + &self.path(&poly.trait_, Position::Elsewhere)?);
                }
                parts.extend(object.lifetime.clone());
                format!("(dyn {})", parts.join(" + "))
            }
            Type::QualifiedPath {
                name,
                args,
                self_type,
                trait_,
            } => {
                if matches!(&**self_type, Type::Generic(own) if own == "Self") {
                    if let Some(known) = self.associated.get(name) {
                        return Ok(known.clone());
                    }
                }
                let args = match args {
                    Some(args) => self.arguments(args, None, position)?,
                    None => String::new(),
                };
                // rustdoc leaves out the trait's arguments where the bound in scope says them.
                let as_bound = matches!(**self_type, Type::Generic(_))
                    && trait_
                        .as_ref()
                        .is_some_and(|path| self.lacks_arguments(path));
                let self_type = self.ty(self_type, position)?;
                match trait_ {
                    Some(_) if as_bound => format!("{self_type}::{name}{args}"),
                    Some(path) => {
                        let path = self.path(path, position)?;
                        format!("<{self_type} as {path}>::{name}{args}")
                    }
                    None => format!("<{self_type}>::{name}{args}"),
                }
            }
            Type::Pat { .. } => bail!("a pattern type, which no driver can write: {ty:?}"),
        })
    }

    fn tys(&mut self, types: &[Type], position: Position) -> Result<Vec<String>> {
        types.iter().map(|ty| self.ty(ty, position)).collect()
    }

    pub fn path(&mut self, path: &Path, position: Position) -> Result<String> {
        let name = self.path_of(path.id, &path.path)?;
        let hidden = self.hidden_lifetimes(path);
        match &path.args {
            Some(args) => Ok(name + &self.arguments(args, Some(hidden), position)?),
            None if hidden > 0 && position != Position::Elsewhere => {
                let none = GenericArgs::AngleBracketed {
                    args: Vec::new(),
                    constraints: Vec::new(),
                };
                Ok(name + &self.arguments(&none, Some(hidden), position)?)
            }
            None => Ok(name),
        }
    }

    /// A trait with its arguments, and those of them that are types.
    pub fn applied(&mut self, path: &Path) -> Result<(String, Vec<String>)> {
        let mut types = Vec::new();
        if let Some(GenericArgs::AngleBracketed { args, constraints }) = path.args.as_deref() {
            if constraints.is_empty() {
                let mut all = Vec::new();
                for arg in args {
                    let one = GenericArgs::AngleBracketed {
                        args: vec![arg.clone()],
                        constraints: Vec::new(),
                    };
                    let one = self.arguments(&one, None, Position::Argument)?;
                    let one = one[1..one.len() - 1].to_owned();
                    if let GenericArg::Type(_) = arg {
                        types.push(one.clone());
                    }
                    all.push(one);
                }
                let name = self.path_of(path.id, &path.path)?;
                return Ok((name + &angle(&all), types));
            }
        }
        Ok((self.path(path, Position::Argument)?, types))
    }

    fn new_name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    fn lacks_arguments(&self, path: &Path) -> bool {
        let item = self.surface.krate.index.get(&path.id);
        let has_some = item.is_some_and(|item| match &item.inner {
            ItemEnum::Trait(of) => !of.generics.params.is_empty(),
            _ => false,
        });
        has_some && path.args.is_none()
    }

    /// How many lifetimes the type has that the path does not mention.
    fn hidden_lifetimes(&self, path: &Path) -> usize {
        let mentioned = match path.args.as_deref() {
            Some(GenericArgs::AngleBracketed { args, .. }) => args
                .iter()
                .any(|arg| matches!(arg, GenericArg::Lifetime(_))),
            Some(_) => true,
            None => false,
        };
        let item = self.surface.krate.index.get(&path.id);
        let generics = item.and_then(|item| match &item.inner {
            ItemEnum::Struct(of) => Some(&of.generics),
            ItemEnum::Enum(of) => Some(&of.generics),
            ItemEnum::Union(of) => Some(&of.generics),
            ItemEnum::TypeAlias(of) => Some(&of.generics),
            _ => None,
        });
        match generics {
            Some(generics) if !mentioned => {
                let is_lifetime = |param: &&GenericParamDef| {
                    matches!(param.kind, GenericParamDefKind::Lifetime { .. })
                };
                generics.params.iter().filter(is_lifetime).count()
            }
            _ => 0,
        }
    }

    fn arguments(
        &mut self,
        args: &GenericArgs,
        hidden: Option<usize>,
        position: Position,
    ) -> Result<String> {
        match args {
            GenericArgs::AngleBracketed { args, constraints } => {
                let mut parts = Vec::new();
                if position != Position::Elsewhere {
                    for _ in 0..hidden.unwrap_or(0) {
                        parts.push(self.lifetime(None, position)?);
                    }
                }
                for arg in args {
                    parts.push(match arg {
                        GenericArg::Lifetime(name) => self.lifetime(Some(name), position)?,
                        GenericArg::Type(ty) => self.ty(ty, position)?,
                        GenericArg::Const(constant) => format!("{{ {} }}", constant.expr),
                        GenericArg::Infer => "_".to_owned(),
                    });
                }
                for constraint in constraints {
                    let args = match &constraint.args {
                        Some(args) => self.arguments(args, None, position)?,
                        None => String::new(),
                    };
                    let name = &constraint.name;
                    parts.push(match &constraint.binding {
                        AssocItemConstraintKind::Equality(Term::Type(ty)) => {
                            format!("{name}{args} = {}", self.ty(ty, position)?)
                        }
                        AssocItemConstraintKind::Equality(Term::Constant(constant)) => {
                            format!("{name}{args} = {{ {} }}", constant.expr)
                        }
                        AssocItemConstraintKind::Constraint(bounds) => {
                            format!("{name}{args}: {}", self.bounds(bounds)?)
                        }
                    });
                }
                Ok(match parts.is_empty() {
                    true => String::new(),
                    false => format!("<{}>", parts.join(", ")),
                })
            }
            GenericArgs::Parenthesized { inputs, output } => {
                let inputs = self.tys(inputs, Position::Elsewhere)?.join(", ");
                Ok(match output {
                    Some(output) => {
                        format!("({inputs}) -> {}", self.ty(output, Position::Elsewhere)?)
                    }
                    None => format!("({inputs})"),
                })
            }
            GenericArgs::ReturnTypeNotation => bail!("return type notation is not stable Rust"),
        }
    }

    fn lifetime(&mut self, name: Option<&str>, position: Position) -> Result<String> {
        match (name, position) {
            (Some(name), _) if name != "'_" => {
                if position == Position::Argument && !self.seen.iter().any(|seen| seen == name) {
                    self.seen.push(name.to_owned());
                }
                Ok(name.to_owned())
            }
            (_, Position::Argument) => {
                let name = self.new_name("'e");
                self.made.push(name.clone());
                self.seen.push(name.clone());
                Ok(name)
            }
            (_, Position::Return) => match (&self.returned, self.seen.as_slice()) {
                (Some(name), _) => Ok(name.clone()),
                (None, [only]) => Ok(only.clone()),
                (None, seen) => bail!("devscope bug: a return type leaves out one of {seen:?}"),
            },
            (name, Position::Elsewhere) => Ok(name.unwrap_or_default().to_owned()),
        }
    }

    /// The arguments of a function, and its return type. Says whether the latter is opaque.
    pub fn signature(&mut self, sig: &rustdoc_types::FunctionSignature) -> Result<Signature> {
        if sig.is_c_variadic {
            bail!("a function with any number of arguments");
        }
        let mut arguments = Vec::new();
        for (name, ty) in &sig.inputs {
            let before = self.seen.len();
            arguments.push(self.ty(ty, Position::Argument)?);
            if name == "self" {
                self.returned = match ty {
                    Type::BorrowedRef {
                        lifetime: Some(name),
                        ..
                    } => Some(name.clone()),
                    _ => self.seen.get(before).cloned(),
                };
            }
        }
        let (returns, is_opaque) = match &sig.output {
            None => (None, false),
            Some(ty) => (Some(self.ty(ty, Position::Return)?), is_opaque(ty)),
        };
        Ok(Signature {
            arguments,
            returns,
            is_opaque,
        })
    }

    fn function_pointer(&mut self, pointer: &FunctionPointer) -> Result<String> {
        let binder = self.binder(&pointer.generic_params)?;
        let mut arguments = Vec::new();
        for (_, ty) in &pointer.sig.inputs {
            arguments.push(self.ty(ty, Position::Elsewhere)?);
        }
        if pointer.sig.is_c_variadic {
            arguments.push("...".to_owned());
        }
        let returns = match &pointer.sig.output {
            Some(ty) => format!(" -> {}", self.ty(ty, Position::Elsewhere)?),
            None => String::new(),
        };
        Ok(format!(
            "{binder}{}fn({}){returns}",
            qualifiers(&pointer.header)?,
            arguments.join(", ")
        ))
    }

    fn binder(&mut self, params: &[GenericParamDef]) -> Result<String> {
        if params.is_empty() {
            return Ok(String::new());
        }
        let params = params.iter().map(|param| self.param(param));
        let params: Vec<_> = params.collect::<Result<_>>()?;
        Ok(format!("for<{}> ", params.join(", ")))
    }

    pub fn bounds(&mut self, bounds: &[GenericBound]) -> Result<String> {
        let mut parts = Vec::new();
        for bound in bounds {
            parts.push(match bound {
                GenericBound::Outlives(lifetime) => lifetime.clone(),
                GenericBound::Use(args) => {
                    let args = args.iter().map(|arg| match arg {
                        PreciseCapturingArg::Lifetime(name) => name.clone(),
                        PreciseCapturingArg::Param(name) => name.clone(),
                    });
                    format!("use<{}>", args.collect::<Vec<_>>().join(", "))
                }
                GenericBound::TraitBound {
                    trait_,
                    generic_params,
                    modifier,
                } => {
                    let modifier = match modifier {
                        TraitBoundModifier::None => "",
                        TraitBoundModifier::Maybe => "?",
                        TraitBoundModifier::MaybeConst => bail!("const traits are not stable"),
                    };
                    let binder = self.binder(generic_params)?;
                    format!(
                        "{modifier}{binder}{}",
                        self.path(trait_, Position::Elsewhere)?
                    )
                }
            });
        }
        Ok(parts.join(" + "))
    }

    /// A parameter as it is declared, without its default.
    fn param(&mut self, param: &GenericParamDef) -> Result<String> {
        let name = &param.name;
        Ok(match &param.kind {
            GenericParamDefKind::Lifetime { outlives } if outlives.is_empty() => name.clone(),
            GenericParamDefKind::Lifetime { outlives } => {
                format!("{name}: {}", outlives.join(" + "))
            }
            GenericParamDefKind::Type { bounds, .. } if bounds.is_empty() => name.clone(),
            GenericParamDefKind::Type { bounds, .. } => {
                format!("{name}: {}", self.bounds(bounds)?)
            }
            GenericParamDefKind::Const { type_, .. } => {
                format!("const {name}: {}", self.ty(type_, Position::Elsewhere)?)
            }
        })
    }

    /// The parameters and conditions, added to `to`. An `impl Trait` argument is a parameter for
    /// rustdoc and not one here: it gets its name when the argument is rendered.
    pub fn generics(&mut self, generics: &Generics, to: &mut Declared) -> Result<()> {
        for param in &generics.params {
            if matches!(
                param.kind,
                GenericParamDefKind::Type {
                    is_synthetic: true,
                    ..
                }
            ) {
                continue;
            }
            to.params.push(self.param(param)?);
        }
        for predicate in &generics.where_predicates {
            to.conditions.push(match predicate {
                WherePredicate::BoundPredicate {
                    type_,
                    bounds,
                    generic_params,
                } => {
                    let binder = self.binder(generic_params)?;
                    format!(
                        "{binder}{}: {}",
                        self.ty(type_, Position::Elsewhere)?,
                        self.bounds(bounds)?
                    )
                }
                WherePredicate::LifetimePredicate { lifetime, outlives } => {
                    format!("{lifetime}: {}", outlives.join(" + "))
                }
                WherePredicate::EqPredicate { .. } => bail!("an equality in a where clause"),
            });
        }
        Ok(())
    }
}

/// `fn(A, B) -> R`, in parts.
pub struct Signature {
    pub arguments: Vec<String>,
    pub returns: Option<String>,
    pub is_opaque: bool,
}

impl Signature {
    pub fn arrow(&self) -> String {
        match &self.returns {
            Some(ty) => format!(" -> {ty}"),
            None => String::new(),
        }
    }
}

/// What a function declares between its name and its body.
#[derive(Clone, Default)]
pub struct Declared {
    pub params: Vec<String>,
    pub conditions: Vec<String>,
}

impl Declared {
    /// `<'a, T: Send>`: lifetimes come first, as Rust wants them.
    pub fn params(&self) -> String {
        let (lifetimes, others): (Vec<_>, Vec<_>) = self
            .params
            .iter()
            .cloned()
            .partition(|param| param.starts_with('\''));
        match self.params.is_empty() {
            true => String::new(),
            false => format!("<{}>", [lifetimes, others].concat().join(", ")),
        }
    }

    pub fn conditions(&self) -> String {
        match self.conditions.is_empty() {
            true => String::new(),
            false => format!(" where {}", self.conditions.join(", ")),
        }
    }

    /// `'a, T, N`: the names without the bounds.
    pub fn names(&self) -> Vec<String> {
        let mut declared = self.params.clone();
        declared.sort_by_key(|param| !param.starts_with('\''));
        let name = |param: &String| {
            let name = param.split(':').next().unwrap_or_default().trim();
            name.strip_prefix("const ").unwrap_or(name).to_owned()
        };
        declared.iter().map(name).collect()
    }
}

/// The names that a type or method takes between `<` and `>`: `T, N`, with or without lifetimes.
pub fn argument_names(generics: &Generics, with_lifetimes: bool) -> Vec<String> {
    let params = generics.params.iter();
    params
        .filter(|param| match param.kind {
            GenericParamDefKind::Lifetime { .. } => with_lifetimes,
            GenericParamDefKind::Type { is_synthetic, .. } => !is_synthetic,
            GenericParamDefKind::Const { .. } => true,
        })
        .map(|param| param.name.clone())
        .collect()
}

pub fn angle(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("<{}>", names.join(", ")),
    }
}

/// `unsafe extern "C" `
pub fn qualifiers(header: &FunctionHeader) -> Result<String> {
    let mut words = String::new();
    if header.is_async {
        bail!("an async function");
    }
    if header.is_unsafe {
        words.push_str("unsafe ");
    }
    match header.abi {
        Abi::Rust => {}
        Abi::C { unwind: false } => words.push_str("extern \"C\" "),
        ref other => bail!("a function with the calling convention {other:?}"),
    }
    Ok(words)
}

/// Whether a type contains `impl Trait`.
pub fn is_opaque(ty: &Type) -> bool {
    match ty {
        Type::ImplTrait(_) => true,
        Type::ResolvedPath(path) => match path.args.as_deref() {
            Some(GenericArgs::AngleBracketed { args, .. }) => args
                .iter()
                .any(|arg| matches!(arg, GenericArg::Type(ty) if is_opaque(ty))),
            _ => false,
        },
        Type::Tuple(types) => types.iter().any(is_opaque),
        Type::Slice(of)
        | Type::Array { type_: of, .. }
        | Type::RawPointer { type_: of, .. }
        | Type::BorrowedRef { type_: of, .. } => is_opaque(of),
        _ => false,
    }
}
