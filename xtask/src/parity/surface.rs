//! The public names of the hosted crate, from what rustdoc knows of it.

use anyhow::{anyhow, bail, Context, Result};
use rustdoc_types::{Crate, Id, Item, ItemEnum, ItemKind, Visibility, FORMAT_VERSION};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// What belongs to the model, and not to Linux.
const CONTROLS: &str = "::kernel::hosted";

/// The crate, and where a driver finds each of its items.
pub struct Surface {
    pub krate: Crate,
    /// All public names, by path.
    pub names: Vec<Name>,
    /// The shortest path of each item of the crate.
    paths: HashMap<Id, String>,
}

/// A path that a driver can write.
#[derive(Clone, Debug, PartialEq)]
pub struct Name {
    pub path: String,
    pub id: Id,
    pub kind: ItemKind,
}

/// Reads rustdoc's JSON.
pub fn read(json: &str) -> Result<Crate> {
    // Most formats differ in what does not matter here. One that does cannot be read.
    serde_json::from_str(json).map_err(|error| {
        let text: Option<Value> = serde_json::from_str(json).ok();
        let format = text.map_or(Value::Null, |text| text["format_version"].clone());
        anyhow!(
            "rustdoc writes format {format} of its JSON, and this reads {FORMAT_VERSION}: {error}\n  \
             the crate `rustdoc-types` in xtask/Cargo.toml follows rustc"
        )
    })
}

impl Surface {
    pub fn new(krate: Crate) -> Result<Self> {
        let mut surface = Self {
            krate,
            names: Vec::new(),
            paths: HashMap::new(),
        };
        let root = surface.krate.root;
        let mut names = BTreeMap::new();
        surface.walk(root, "::kernel", &mut Vec::new(), &mut names)?;
        surface.names = names.into_values().collect();
        for name in &surface.names {
            let depth = |path: &str| {
                let in_prelude = path.starts_with("::kernel::prelude::");
                (in_prelude, path.matches("::").count(), path.len())
            };
            let shortest = surface
                .paths
                .entry(name.id)
                .or_insert_with(|| name.path.clone());
            if depth(&name.path) < depth(shortest) {
                shortest.clone_from(&name.path);
            }
        }
        Ok(surface)
    }

    /// Collects what the module (or, in a glob, the enum) `id` offers as `path::...`.
    fn walk(
        &self,
        id: Id,
        path: &str,
        above: &mut Vec<Id>,
        names: &mut BTreeMap<(String, String), Name>,
    ) -> Result<()> {
        if path == CONTROLS || above.contains(&id) {
            return Ok(());
        }
        let items = match &self.item(id)?.inner {
            ItemEnum::Module(module) => &module.items,
            ItemEnum::Enum(of) => &of.variants,
            other => bail!("a glob import of {other:?} as {path}"),
        };
        above.push(id);
        for &child in items {
            let item = self.item(child)?;
            if item.visibility != Visibility::Public && !matches!(item.inner, ItemEnum::Variant(_))
            {
                continue;
            }
            let mut add = |name: &str, id, kind| {
                let path = format!("{path}::{name}");
                if path != CONTROLS {
                    names.insert((path.clone(), format!("{kind:?}")), Name { path, id, kind });
                }
            };
            match &item.inner {
                ItemEnum::Impl(_) => {}
                ItemEnum::Use(import) => {
                    let id = import
                        .id
                        .with_context(|| format!("rustdoc does not know {}", import.source))?;
                    if import.is_glob {
                        self.walk(id, path, above, names)?;
                    } else if import.name != "_" {
                        // `as _` has no name; its methods are found at the trait.
                        add(&import.name, id, self.kind(id)?);
                        if self.kind(id)? == ItemKind::Module && self.krate.index.contains_key(&id)
                        {
                            self.walk(id, &format!("{path}::{}", import.name), above, names)?;
                        }
                    }
                }
                _ => {
                    let name = name_of(item)?;
                    add(name, child, item.inner.item_kind());
                    if let ItemEnum::Module(_) = item.inner {
                        self.walk(child, &format!("{path}::{name}"), above, names)?;
                    }
                }
            }
        }
        above.pop();
        Ok(())
    }

    pub fn item(&self, id: Id) -> Result<&Item> {
        self.krate
            .index
            .get(&id)
            .with_context(|| format!("rustdoc's JSON refers to item {} and has none", id.0))
    }

    fn kind(&self, id: Id) -> Result<ItemKind> {
        if let Some(item) = self.krate.index.get(&id) {
            return Ok(item.inner.item_kind());
        }
        let summary = self.krate.paths.get(&id);
        Ok(summary
            .with_context(|| format!("rustdoc's JSON says nothing about item {}", id.0))?
            .kind)
    }

    /// How a driver names an item: `None` if it cannot.
    pub fn path(&self, id: Id) -> Option<String> {
        if let Some(path) = self.paths.get(&id) {
            let here = self
                .krate
                .index
                .get(&id)
                .is_some_and(|item| item.crate_id == 0);
            if here {
                return Some(path.clone());
            }
        }
        let summary = self.krate.paths.get(&id)?;
        if summary.crate_id == 0 {
            return None;
        }
        let (first, last) = (summary.path.first()?, summary.path.last()?);
        Some(match (first.as_str(), summary.path.len()) {
            // The modules below the first are how they are written, and private.
            ("core" | "alloc" | "std", 3..) if summary.path[1] != "sync" => {
                format!("::{first}::{}::{last}", summary.path[1])
            }
            // The library has another name in each world.
            ("pinned_init", _) => format!("crate::pin_init::{last}"),
            _ => format!("::{}", summary.path.join("::")),
        })
    }

    /// Whether an item belongs to the model.
    pub fn is_control(&self, id: Id) -> bool {
        let path = self.krate.paths.get(&id).map(|summary| &summary.path[..]);
        path.is_some_and(|path| path.len() > 1 && path[0] == "kernel" && path[1] == "hosted")
    }

    /// Whether `name` is where an item is, rather than another road to it.
    pub fn is_home(&self, name: &Name) -> bool {
        self.paths.get(&name.id) == Some(&name.path) && self.krate.index.contains_key(&name.id)
    }
}

pub fn name_of(item: &Item) -> Result<&str> {
    item.name
        .as_deref()
        .with_context(|| format!("item {} has no name", item.id.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_format_is_refused_by_its_number() {
        let error = read("{\"format_version\":99,\"root\":0}").unwrap_err();
        assert!(error.to_string().contains("writes format 99"), "{error}");
        assert!(read("").unwrap_err().to_string().contains("format null"));
    }
}
