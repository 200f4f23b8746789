//! Implementations: methods and constants of types, and the traits that they have.

use super::super::render::{angle, Declared, Position, Renderer, Unnamed};
use super::super::surface::name_of;
use super::{without_lifetimes, Kind, Writer};
use anyhow::{bail, Result};
use rustdoc_types::{Generics, Impl, ItemEnum, Path, Type, Visibility};

impl Writer<'_> {
    /// Inherent implementations, item by item, and implementations of traits.
    pub(super) fn implementations(&mut self) -> Result<()> {
        let mut impls: Vec<_> = self
            .surface
            .krate
            .index
            .values()
            .filter(|item| item.crate_id == 0)
            .filter_map(|item| match &item.inner {
                ItemEnum::Impl(of) if of.blanket_impl.is_none() && !self.is_aside(of) => {
                    Some((item.id, of.clone()))
                }
                _ => None,
            })
            .collect();
        impls.sort_by_key(|(id, _)| id.0);
        for (_, of) in impls {
            let checked = match &of.trait_ {
                None => self.inherent(&of),
                Some(path) if of.is_synthetic || is_auto(path) => self.auto_trait(&of, path),
                Some(path) => self.implementation(&of, path),
            };
            match checked {
                Err(error) if error.is::<Unnamed>() => {
                    self.unnamed.push(format!("an implementation: {error}"));
                }
                checked => checked?,
            }
        }
        Ok(())
    }

    /// Whether it is the model's, or the by-product of a derive.
    fn is_aside(&self, of: &Impl) -> bool {
        let trait_ = of.trait_.as_ref().map(|path| path.path.as_str());
        let mut subject = &of.for_;
        while let Type::BorrowedRef { type_, .. } = subject {
            subject = type_;
        }
        let is_control = match subject {
            Type::ResolvedPath(path) => self.surface.is_control(path.id),
            _ => false,
        };
        is_control || trait_.is_some_and(|name| BY_PRODUCTS.iter().any(|end| name.ends_with(end)))
    }

    fn generics_of(&self, ty: &Type) -> Option<&Generics> {
        let Type::ResolvedPath(path) = ty else {
            return None;
        };
        match &self.surface.krate.index.get(&path.id)?.inner {
            ItemEnum::Struct(of) => Some(&of.generics),
            ItemEnum::Enum(of) => Some(&of.generics),
            ItemEnum::Union(of) => Some(&of.generics),
            _ => None,
        }
    }

    /// What an implementation is for, and what it declares.
    fn subject(&self, of: &Impl) -> Result<Subject<'_>> {
        let mut renderer = Renderer::new(self.surface);
        let name = renderer.ty(&of.for_, Position::Argument)?;
        let mut declared = Declared {
            params: renderer.take_made(),
            conditions: Vec::new(),
        };
        let mut renderer = renderer.inside(name.clone());
        let generics = renderer.generics(&of.generics, &mut declared);
        Ok(Subject {
            name,
            declared: generics.map(|()| declared),
            renderer,
        })
    }

    fn inherent(&mut self, of: &Impl) -> Result<()> {
        for &id in &of.items {
            let item = self.surface.item(id)?.clone();
            if item.visibility != Visibility::Public {
                continue;
            }
            let name = name_of(&item)?;
            let Subject {
                name: subject,
                declared,
                mut renderer,
            } = self.subject(of)?;
            let callee = format!("<{subject}>::{name}");
            let shown = format!("{subject}::{name}");
            match &item.inner {
                ItemEnum::Function(function) => {
                    let text = declared.and_then(|declared| {
                        self.function(&mut renderer, declared, function, &callee, false, false)
                    });
                    self.add(Kind::Functions, &shown, text)?;
                }
                ItemEnum::AssocConst { type_, .. } => {
                    let is_one = of.generics.params.is_empty();
                    let value = is_one.then(|| self.value(&callee, type_, Some(&of.for_)));
                    let text = declared.and_then(|declared| {
                        Ok(format!(
                            "pub fn it{}(_: *const {subject}){} {{ let _: {} = {callee}; }}",
                            declared.params(),
                            declared.conditions(),
                            renderer.ty(type_, Position::Elsewhere)?
                        ))
                    });
                    self.add_with_value(Kind::Constants, &shown, text, value.flatten())?;
                }
                other => bail!("an item of a type that is not checked yet: {other:?}"),
            }
        }
        Ok(())
    }

    fn implementation(&mut self, of: &Impl, path: &Path) -> Result<()> {
        let Subject {
            name: subject,
            declared,
            mut renderer,
        } = self.subject(of)?;
        let shown = match renderer.path(path, Position::Argument) {
            Ok(trait_) => format!("{trait_} for {subject}"),
            // No driver can ask for it.
            Err(error) if error.is::<Unnamed>() => return Ok(()),
            Err(error) => return Err(error),
        };
        renderer.take_made();
        let text = declared
            .and_then(|declared| self.implements(of, path, &mut renderer, declared, &subject));
        self.add(Kind::Implementations, &shown, text)
    }

    fn implements(
        &self,
        of: &Impl,
        path: &Path,
        renderer: &mut Renderer<'_>,
        mut declared: Declared,
        subject: &str,
    ) -> Result<String> {
        let (mut bound, types) = renderer.applied(path)?;
        declared.params.append(&mut renderer.take_made());
        let mut equal = Vec::new();
        for &id in &of.items {
            let item = self.surface.item(id)?;
            if let ItemEnum::AssocType {
                generics,
                type_: Some(ty),
                ..
            } = &item.inner
            {
                if generics.params.is_empty() {
                    let ty = renderer.ty(ty, Position::Elsewhere)?;
                    equal.push(format!("{} = {ty}", name_of(item)?));
                }
            }
        }
        if !equal.is_empty() {
            let equal = equal.join(", ");
            bound = match bound.strip_suffix('>') {
                Some(open) => format!("{open}, {equal}>"),
                None => format!("{bound}<{equal}>"),
            };
        }
        // An operator's other side is `Self` if nothing else is said, and so is sized.
        let is_operator = bound.starts_with("::core::ops::") && types.is_empty();
        if !is_operator || bound.contains("::Deref") {
            bound = format!("?Sized + {bound}");
        }
        // With the types in its signature, a function may presume that they make sense.
        let presumed: Vec<_> = [subject.to_owned()]
            .into_iter()
            .chain(types)
            .map(|ty| format!("*const {ty}"))
            .collect();
        let presumed = format!("_: ({},)", presumed.join(", "));
        let mut inner = declared.clone();
        inner.params.push(format!("Q: {bound}"));
        let mut names = without_lifetimes(declared.names());
        names.push("_".to_owned());
        Ok(format!(
            "fn has{}(_: *const Q, {presumed}){} {{}}\n\
             pub fn it{}(it: *const {subject}, {}){} {{ has::{}(it, more) }}",
            inner.params(),
            inner.conditions(),
            declared.params(),
            presumed.replacen('_', "more", 1),
            declared.conditions(),
            angle(&names)
        ))
    }

    /// `Send`, `Sync` and `Unpin`, also where the compiler finds out by itself.
    fn auto_trait(&mut self, of: &Impl, path: &Path) -> Result<()> {
        if !is_auto(path) {
            return Ok(());
        }
        let Subject {
            name: subject,
            declared,
            mut renderer,
        } = self.subject(of)?;
        let mut declared = match declared {
            Ok(declared) => declared,
            // What `#[pin_data]` writes, about a type of its own.
            Err(error) if error.is::<Unnamed>() => return Ok(()),
            Err(error) => return Err(error),
        };
        if let (true, Some(generics)) = (of.is_synthetic, self.generics_of(&of.for_)) {
            // Only what the trait asks for is said of it; what the type asks for is said there.
            let mut at_type = Declared::default();
            renderer.generics(generics, &mut at_type)?;
            let asked = declared.params.iter().chain(&declared.conditions);
            let mut conditions: Vec<_> = asked.filter_map(|bound| strict(bound)).collect();
            conditions.append(&mut at_type.conditions);
            declared.conditions = conditions;
            declared.params = at_type.params;
        }
        let name = path.path.rsplit("::").next().unwrap_or_default();
        let bound = format!("::core::marker::{name}");
        if !of.is_negative {
            let text = format!(
                "fn has<Q: ?Sized + {bound}>(_: *const Q) {{}}\npub fn it{}(it: *const {subject}){} {{ has(it) }}",
                declared.params(),
                declared.conditions()
            );
            return self.add(
                Kind::Implementations,
                &format!("{name} for {subject}"),
                Ok(text),
            );
        }
        // With parameters, it is for some arguments and not for others.
        if declared.params.iter().any(|param| !param.starts_with('\'')) {
            return Ok(());
        }
        let text = format!(
            "trait Ambiguous<X> {{ fn f() {{}} }}\nstruct Has;\n\
             impl<Q: ?Sized> Ambiguous<()> for Q {{}}\n\
             impl<Q: ?Sized + {bound}> Ambiguous<Has> for Q {{}}\n\
             pub fn it{}(_: *const {subject}){} {{ <{subject} as Ambiguous<_>>::f() }}",
            declared.params(),
            declared.conditions()
        );
        self.add(
            Kind::Implementations,
            &format!("!{name} for {subject}"),
            Ok(text),
        )
    }
}

/// What derives add for the standard library, and `#[pin_data]` for itself.
const BY_PRODUCTS: [&str; 3] = ["StructuralPartialEq", "TrivialClone", "HasPinData"];

fn is_auto(path: &Path) -> bool {
    let name = path.path.rsplit("::").next().unwrap_or_default();
    ["Send", "Sync", "Unpin"].contains(&name)
}

/// What an implementation is for.
struct Subject<'s> {
    name: String,
    declared: Result<Declared>,
    renderer: Renderer<'s>,
}

/// `T: ?Sized + Send` as a condition beside a parameter that says `?Sized` already.
fn strict(bound: &str) -> Option<String> {
    let (name, bounds) = bound.split_once(": ")?;
    let bounds: Vec<_> = bounds
        .split(" + ")
        .filter(|bound| !bound.starts_with('?'))
        .collect();
    let is_condition = !bounds.is_empty() && !name.starts_with("const ");
    is_condition.then(|| format!("{name}: {}", bounds.join(" + ")))
}
