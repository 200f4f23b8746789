//! What is slow to make is made once for each machine, outside the checkout.
//!
//! An item is *absent*, *under way* or *complete*. It is keyed by a hash of everything that decides
//! what it will be, and complete once its stamp is there, which is written last. An item under way
//! lives in a sibling directory that nobody looks into, so being interrupted leaves nothing that a
//! later run would mistake for the real thing. A lock for each item makes a second run wait.

use crate::progress::Step;
use anyhow::{anyhow, Context, Result};
use sha2::{Digest, Sha256};
use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const STAMP: &str = "complete.stamp";

/// What an item is made of.
#[derive(Clone, Default)]
pub struct Key(String);

impl Key {
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push_str(&format!("{name}: {}\n", value.trim()));
        self
    }

    fn hash(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// Held while an item is made or must not change; released when dropped.
pub struct Lock {
    _file: File,
}

pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$XDG_CACHE_HOME/devscope`, or `~/.cache/devscope`.
    pub fn open() -> Result<Self> {
        let absolute = |name| {
            env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .ok_or_else(|| {
                anyhow!("there is no place for a cache: set XDG_CACHE_HOME or HOME to a directory")
            })?;
        Self::at(base.join("devscope"))
    }

    pub fn at(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root)
            .with_context(|| format!("cannot create the cache in {}", root.display()))?;
        Ok(Self { root })
    }

    /// A place in the cache that is not an item: logs, downloads.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn item(&self, name: &str, key: Key) -> Item {
        let name = format!("{name}-{}", key.hash());
        Item {
            dir: self.root.join(&name),
            partial: self.root.join(format!("{name}.partial")),
            lock: self.root.join("locks").join(&name),
            key,
        }
    }

    /// Waits for other runs that use the same thing.
    pub fn lock(&self, name: &str, step: &mut Step) -> Result<Lock> {
        lock(&self.root.join("locks").join(name), step)
    }
}

pub struct Item {
    dir: PathBuf,
    partial: PathBuf,
    lock: PathBuf,
    key: Key,
}

impl Item {
    /// Where the item is, or will be.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn is_complete(&self) -> bool {
        self.dir.join(STAMP).is_file()
    }

    pub fn lock(&self, step: &mut Step) -> Result<Lock> {
        lock(&self.lock, step)
    }

    /// Says that the item is complete. It has been made in place, under its lock.
    pub fn complete(&self) -> Result<()> {
        stamp(&self.dir, &self.key)
    }

    /// The item, made now if it is not there: `make` fills the directory that it is given.
    pub fn get(
        &self,
        step: &mut Step,
        make: impl FnOnce(&mut Step, &Path) -> Result<()>,
    ) -> Result<PathBuf> {
        if self.is_complete() {
            return Ok(self.dir.clone());
        }
        let _lock = self.lock(step)?;
        // Whoever had the lock may have made it.
        if !self.is_complete() {
            remove(&self.partial)?;
            remove(&self.dir)?;
            fs::create_dir_all(&self.partial)?;
            make(step, &self.partial)?;
            stamp(&self.partial, &self.key)?;
            fs::rename(&self.partial, &self.dir)?;
        }
        Ok(self.dir.clone())
    }
}

fn stamp(dir: &Path, key: &Key) -> Result<()> {
    let unfinished = dir.join("unfinished.stamp");
    fs::write(&unfinished, &key.0)?;
    File::open(&unfinished)?.sync_all()?;
    Ok(fs::rename(unfinished, dir.join(STAMP))?)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Locks the file at `path`, and says so while it has to wait.
pub fn lock(path: &Path, step: &mut Step) -> Result<Lock> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let file =
        File::create(path).with_context(|| format!("cannot create the lock {}", path.display()))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        step.note("waiting for another run that uses the same thing");
        file.lock()?;
    }
    Ok(Lock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    fn cache(dir: &tempfile::TempDir) -> Cache {
        Cache::at(dir.path().join("cache")).unwrap()
    }

    fn step() -> Step {
        Step::start("test")
    }

    #[test]
    fn an_item_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let item = cache(&dir).item("thing", Key::default().with("version", "1"));
        let mut made = 0;
        for _ in 0..2 {
            let place = item
                .get(&mut step(), |_, place| {
                    made += 1;
                    Ok(fs::write(place.join("file"), "contents")?)
                })
                .unwrap();
            assert_eq!(fs::read_to_string(place.join("file")).unwrap(), "contents");
        }
        assert_eq!(made, 1);
    }

    #[test]
    fn another_key_is_another_item() {
        let dir = tempfile::tempdir().unwrap();
        let one = cache(&dir).item("thing", Key::default().with("version", "1"));
        let two = cache(&dir).item("thing", Key::default().with("version", "2"));
        assert_ne!(one.dir(), two.dir());
    }

    #[test]
    fn what_an_interrupted_run_left_is_made_again_from_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let item = cache(&dir).item("thing", Key::default());
        item.get(&mut step(), |_, place| {
            fs::write(place.join("half"), "done")?;
            bail!("interrupted")
        })
        .unwrap_err();
        assert!(!item.is_complete());
        let place = item.get(&mut step(), |_, _| Ok(())).unwrap();
        assert!(!place.join("half").exists());
    }

    #[test]
    fn a_second_run_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = cache(&dir);
        let held = cache.lock("thing", &mut step()).unwrap();
        let path = cache.path("locks").join("thing");
        let waiting =
            std::thread::spawn(move || lock(&path, &mut step()).map(|_| std::time::Instant::now()));
        std::thread::sleep(std::time::Duration::from_millis(100));
        let released = std::time::Instant::now();
        drop(held);
        assert!(waiting.join().unwrap().unwrap() >= released);
    }
}
