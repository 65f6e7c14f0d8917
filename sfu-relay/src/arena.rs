//! Things with keys that never mean another thing: a slot carries a generation, and a key of an earlier one finds nothing.

use std::marker::PhantomData;

pub(crate) struct Key<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.generation) == (other.index, other.generation)
    }
}

impl<T> Eq for Key<T> {}

impl<T> Key<T> {
    /// The slot's number, which another thing may have after this one.
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

impl<T> std::fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

pub(crate) struct Arena<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Arena<T> {
    pub(crate) fn insert(&mut self, value: T) -> Key<T> {
        let index = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(index as usize) {
            Some((_, slot)) => *slot = Some(value),
            None => self.slots.push((0, Some(value))),
        }
        Key {
            index,
            generation: self.slots[index as usize].0,
            of: PhantomData,
        }
    }

    pub(crate) fn remove(&mut self, key: Key<T>) -> Option<T> {
        let (generation, slot) = self.slots.get_mut(key.index as usize)?;
        if *generation != key.generation {
            return None;
        }
        let value = slot.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(key.index);
        Some(value)
    }

    pub(crate) fn get(&self, key: Key<T>) -> Option<&T> {
        self.slots
            .get(key.index as usize)
            .filter(|(g, _)| *g == key.generation)?
            .1
            .as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key<T>) -> Option<&mut T> {
        self.slots
            .get_mut(key.index as usize)
            .filter(|(g, _)| *g == key.generation)?
            .1
            .as_mut()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|(_, slot)| slot.as_ref())
    }

    pub(crate) fn keys(&self) -> Vec<Key<T>> {
        let live = self.slots.iter().enumerate().filter(|(_, (_, slot))| slot.is_some());
        live.map(|(i, (generation, _))| Key {
            index: i as u32,
            generation: *generation,
            of: PhantomData,
        })
        .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
