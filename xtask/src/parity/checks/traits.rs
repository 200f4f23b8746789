//! Traits: as bounds, item by item, and as something to implement.

use super::super::render::{
    angle, argument_names, is_opaque, qualifiers, Declared, Position, Renderer, Unnamed,
};
use super::super::surface::name_of;
use super::{without_lifetimes, Kind, Writer};
use anyhow::{bail, Context, Result};
use rustdoc_types::{Function, Item, ItemEnum, Trait, Type};
use std::collections::HashMap;

impl Writer<'_> {
    pub(super) fn a_trait(&mut self, path: &str, of: &Trait) -> Result<()> {
        let text = self.bound(path, of);
        self.add(Kind::Traits, path, text)?;
        for &id in &of.items {
            let item = self.surface.item(id)?.clone();
            let name = name_of(&item)?.to_owned();
            let text = self.trait_item(path, of, &item, &name);
            self.add(Kind::Traits, &format!("{path}::{name}"), text)?;
        }
        let is_for_all = of.implementations.iter().any(|id| {
            let item = self.surface.krate.index.get(id);
            item.is_some_and(|item| {
                matches!(&item.inner, ItemEnum::Impl(of) if matches!(of.for_, Type::Generic(_)))
            })
        });
        let bounds = Renderer::with_self(self.surface, "Self".to_owned()).bounds(&of.bounds);
        let is_sealed = bounds.is_err_and(|error| error.is::<Unnamed>());
        if is_for_all || is_sealed {
            return Ok(());
        }
        for all in [false, true] {
            let how = match all {
                true => "implemented with all its items",
                false => "implemented",
            };
            let text = self.implemented(path, of, all);
            self.add(Kind::Traits, &format!("{path} ({how})"), text)?;
        }
        Ok(())
    }

    /// The trait as a bound, and what it implies.
    fn bound(&self, path: &str, of: &Trait) -> Result<String> {
        let mut renderer = Renderer::with_self(self.surface, "Q".to_owned());
        let mut declared = Declared::default();
        renderer.generics(&of.generics, &mut declared)?;
        let args = angle(&argument_names(&of.generics, true));
        let mut inner = declared.clone();
        declared.params.push(format!("Q: ?Sized + {path}{args}"));
        let outer = format!(
            "pub fn it{}(_: *const Q){}",
            declared.params(),
            declared.conditions()
        );
        // A trait that is sealed has a bound that no driver can name.
        let bounds = match renderer.bounds(&of.bounds) {
            Ok(bounds) => bounds,
            Err(error) if error.is::<Unnamed>() => String::new(),
            Err(error) => return Err(error),
        };
        if bounds.is_empty() {
            return Ok(outer + " {}");
        }
        inner.params.push(format!("Q: ?Sized + {bounds}"));
        Ok(format!(
            "fn has{}(){} {{}}\n{outer} {{ has::{}() }}",
            inner.params(),
            inner.conditions(),
            angle(&without_lifetimes(inner.names())),
        ))
    }

    fn trait_item(&self, path: &str, of: &Trait, item: &Item, name: &str) -> Result<String> {
        let mut renderer = Renderer::with_self(self.surface, "Q".to_owned());
        let mut declared = Declared::default();
        renderer.generics(&of.generics, &mut declared)?;
        let args = angle(&argument_names(&of.generics, true));
        declared.params.push(format!("Q: {path}{args}"));
        let own = format!("<Q as {path}{args}>");
        match &item.inner {
            ItemEnum::Function(function) => self.function(
                &mut renderer,
                declared,
                function,
                &format!("{own}::{name}"),
                false,
                true,
            ),
            ItemEnum::AssocConst { type_, .. } => Ok(format!(
                "pub fn it{}(){} {{ let _: {} = {own}::{name}; }}",
                declared.params(),
                declared.conditions(),
                renderer.ty(type_, Position::Elsewhere)?
            )),
            ItemEnum::AssocType {
                generics, bounds, ..
            } => {
                renderer.generics(generics, &mut declared)?;
                let ty = format!("{own}::{name}{}", angle(&argument_names(generics, true)));
                let bounds = renderer.bounds(bounds)?;
                let outer = format!("pub fn it{}()", declared.params());
                let conditions = declared.conditions();
                if bounds.is_empty() {
                    return Ok(format!("{outer}{conditions} {{ let _: *const {ty}; }}"));
                }
                let mut inner = declared.clone();
                inner.params.push(format!("A: {}", sized_or_not(&bounds)));
                let mut names = without_lifetimes(declared.names());
                names.push(ty);
                Ok(format!(
                    "fn has{}(){conditions} {{}}\n{outer}{conditions} {{ has::{}() }}",
                    inner.params(),
                    angle(&names)
                ))
            }
            other => bail!("an item of a trait that is not checked yet: {other:?}"),
        }
    }

    /// An implementation, with what has to be in it or with everything that can be.
    ///
    /// Types that the implementation has to choose are parameters with the bounds that the trait
    /// asks for, and so are the types that it returns as `impl Trait`: nothing more is promised of
    /// them than a driver has to promise.
    fn implemented(&self, path: &str, of: &Trait, all: bool) -> Result<String> {
        let mut renderer = Renderer::with_self(self.surface, "Self".to_owned()).keep_impl();
        let mut declared = Declared::default();
        renderer.generics(&of.generics, &mut declared)?;
        let mut associated = HashMap::new();
        let items: Vec<_> = of
            .items
            .iter()
            .map(|&id| self.surface.item(id))
            .collect::<Result<_>>()?;
        let is_vtable = items
            .iter()
            .any(|item| item.name.as_deref() == Some("USE_VTABLE_ATTR"));
        let mut chosen = vec!["Any".to_owned()];
        let mut params = vec!["Any: 'static".to_owned()];
        let mut body = String::new();
        let types = items.iter().filter_map(|item| match &item.inner {
            ItemEnum::AssocType {
                generics,
                bounds,
                type_,
            } => Some((item, generics, bounds, type_)),
            _ => None,
        });
        for (item, generics, bounds, default) in types {
            let name = name_of(item)?;
            if default.is_some() && !all {
                continue;
            }
            let parameter = format!("Chosen{name}");
            associated.insert(name.to_owned(), parameter.clone());
            let mut own = Declared::default();
            renderer.generics(generics, &mut own)?;
            if !generics.params.is_empty()
                && own.params.iter().any(|param| !param.starts_with('\''))
            {
                return Err(Unnamed(format!("any {name}{}", own.params())).into());
            }
            // For any of the type's own lifetimes.
            let bounds: Vec<_> = renderer
                .bounds(bounds)?
                .split(" + ")
                .filter(|bound| !bound.starts_with('\'') && !bound.is_empty())
                .map(str::to_owned)
                .collect();
            let bounds = [vec!["'static".to_owned()], bounds].concat().join(" + ");
            params.push(format!("{parameter}: {bounds}"));
            chosen.push(parameter.clone());
            body += &format!(
                "    type {name}{} = {parameter}{};\n",
                own.params(),
                own.conditions()
            );
        }
        for item in &items {
            let name = name_of(item)?;
            match &item.inner {
                ItemEnum::AssocType { .. } => {}
                ItemEnum::AssocConst { type_, value } => {
                    let is_made =
                        is_vtable && (name == "USE_VTABLE_ATTR" || name.starts_with("HAS_"));
                    if is_made || (value.is_some() && !all) {
                        continue;
                    }
                    let ty = renderer.ty(type_, Position::Elsewhere)?;
                    body += &format!("    const {name}: {ty} = panic!();\n");
                }
                ItemEnum::Function(function) => {
                    if function.has_body && !all {
                        continue;
                    }
                    body += &self.method(
                        &mut renderer,
                        name,
                        function,
                        &associated,
                        &mut params,
                        &mut chosen,
                    )?;
                }
                other => bail!("an item of a trait that is not checked yet: {other:?}"),
            }
        }
        let args = angle(&argument_names(&of.generics, true));
        let own = format!("It{}", angle(&chosen));
        // Whatever the trait asks of a type that implements it, it is given.
        let bounds = renderer.bounds(&of.bounds)?;
        if !bounds.is_empty() {
            declared.conditions.push(format!("{own}: {bounds}"));
        }
        declared.params.extend(params);
        Ok(format!(
            "pub struct It<{}>({});\n{}{}impl{} {path}{args} for {own}{} {{\n{body}}}",
            chosen
                .iter()
                .map(|name| format!("{name}: ?Sized"))
                .collect::<Vec<_>>()
                .join(", "),
            chosen
                .iter()
                .map(|name| format!("::core::marker::PhantomData<fn(*const {name})>"))
                .collect::<Vec<_>>()
                .join(", "),
            if is_vtable {
                "#[::kernel::macros::vtable]\n"
            } else {
                ""
            },
            if of.is_unsafe { "unsafe " } else { "" },
            declared.params(),
            declared.conditions(),
        ))
    }

    fn method(
        &self,
        renderer: &mut Renderer<'_>,
        name: &str,
        function: &Function,
        associated: &HashMap<String, String>,
        params: &mut Vec<String>,
        chosen: &mut Vec<String>,
    ) -> Result<String> {
        let mut declared = Declared::default();
        renderer.generics(&function.generics, &mut declared)?;
        // What is returned as `impl Trait<Self::Type>` is chosen as well, together with the type.
        let is_opaque = function.sig.output.as_ref().is_some_and(is_opaque);
        renderer.associate(is_opaque.then_some(associated));
        let signature = renderer.signature(&function.sig)?;
        renderer.associate(None);
        declared.params.append(&mut renderer.take_made());
        let mut arrow = signature.arrow();
        if let (true, Some(opaque)) = (signature.is_opaque, &signature.returns) {
            let parameter = format!("Returned{}", chosen.len());
            let bounds = opaque
                .strip_prefix("impl ")
                .context("an opaque type inside of another one")?;
            let bounds: Vec<_> = bounds
                .split(" + ")
                .filter(|bound| !bound.starts_with('\'') && !bound.starts_with("use<"))
                .collect();
            params.push(format!("{parameter}: 'static + {}", bounds.join(" + ")));
            chosen.push(parameter.clone());
            arrow = format!(" -> {parameter}");
        }
        let arguments: Vec<_> = signature
            .arguments
            .iter()
            .zip(&function.sig.inputs)
            .map(|(ty, (name, _))| match name.as_str() {
                "self" => format!("self: {ty}"),
                _ => format!("_: {ty}"),
            })
            .collect();
        Ok(format!(
            "    {}fn {name}{}({}){arrow}{} {{ loop {{}} }}\n",
            qualifiers(&function.header)?,
            declared.params(),
            arguments.join(", "),
            declared.conditions()
        ))
    }
}

/// Bounds of an associated type, which is sized unless they say otherwise.
fn sized_or_not(bounds: &str) -> String {
    match bounds.contains("?::core::marker::Sized") {
        true => bounds.to_owned(),
        false => format!("Sized + {bounds}"),
    }
}
