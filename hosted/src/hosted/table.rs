//! What the machine knows about an object of C, found by the object's address.

use std::ops::Range;

/// A few things by address, in the order in which they were set up: addresses differ from run to
/// run, and what happens must not.
#[derive(Debug)]
pub(crate) struct Table<T>(Vec<(usize, T)>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table(Vec::new())
    }
}

impl<T> Table<T> {
    pub(crate) fn get(&self, address: usize) -> Option<&T> {
        self.0
            .iter()
            .find(|(at, _)| *at == address)
            .map(|(_, thing)| thing)
    }

    pub(crate) fn get_mut(&mut self, address: usize) -> Option<&mut T> {
        self.0
            .iter_mut()
            .find(|(at, _)| *at == address)
            .map(|(_, thing)| thing)
    }

    pub(crate) fn get_or_insert_with(
        &mut self,
        address: usize,
        make: impl FnOnce() -> T,
    ) -> &mut T {
        let index = match self.0.iter().position(|(at, _)| *at == address) {
            Some(index) => index,
            None => {
                self.0.push((address, make()));
                self.0.len() - 1
            }
        };
        &mut self.0[index].1
    }

    pub(crate) fn set(&mut self, address: usize, thing: T) {
        match self.get_mut(address) {
            Some(place) => *place = thing,
            None => self.0.push((address, thing)),
        }
    }

    pub(crate) fn remove(&mut self, address: usize) -> Option<T> {
        let index = self.0.iter().position(|(at, _)| *at == address)?;
        Some(self.0.remove(index).1)
    }

    pub(crate) fn remove_range(&mut self, range: &Range<usize>) {
        self.0.retain(|(at, _)| !range.contains(at));
    }

    pub(crate) fn in_range<'a>(
        &'a self,
        range: &'a Range<usize>,
    ) -> impl Iterator<Item = &'a (usize, T)> {
        self.0.iter().filter(|(at, _)| range.contains(at))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, thing)| thing)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(usize, T)> {
        self.0.iter()
    }
}
