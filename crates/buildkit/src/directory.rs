//! Things by id that several connections look for: one opens them, another may ask a moment too early.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// Longest id, in bytes; BuildKit's clients use 25.
const ID_BYTES: usize = 128;

/// Things by id, for which one can wait.
#[derive(Debug)]
pub(crate) struct Directory<T> {
    entries: Mutex<HashMap<String, T>>,
    changed: watch::Sender<()>,
    limit: usize,
}

/// Why an id cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is empty or too long.
    Id,
    /// It is taken.
    Taken,
    /// There are too many.
    Full,
}

impl<T: Clone> Directory<T> {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: Mutex::default(), changed: watch::Sender::new(()), limit }
    }

    /// Puts something under an id that is free.
    pub(crate) fn insert(&self, id: &str, thing: T) -> Result<(), Refused> {
        if id.is_empty() || id.len() > ID_BYTES {
            return Err(Refused::Id);
        }
        let mut entries = self.lock();
        if entries.contains_key(id) {
            return Err(Refused::Taken);
        }
        if entries.len() >= self.limit {
            return Err(Refused::Full);
        }
        entries.insert(id.to_owned(), thing);
        drop(entries);
        self.changed.send_replace(());
        Ok(())
    }

    /// What stands under an id now, or within a moment.
    pub(crate) async fn find(&self, id: &str, within: Duration) -> Option<T> {
        let mut changed = self.changed.subscribe();
        let find = async {
            loop {
                if let Some(thing) = self.get(id) {
                    return Some(thing);
                }
                changed.changed().await.ok()?;
            }
        };
        timeout(within, find).await.ok().flatten()
    }

    /// What stands under an id.
    pub(crate) fn get(&self, id: &str) -> Option<T> {
        self.lock().get(id).cloned()
    }

    pub(crate) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Removes what is not to be kept.
    pub(crate) fn retain(&self, keep: impl Fn(&T) -> bool) {
        self.lock().retain(|_, thing| keep(thing));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_later_is_waited_for() {
        let directory = std::sync::Arc::new(Directory::new(2));
        let waiting = tokio::spawn({
            let directory = directory.clone();
            async move { directory.find("a", Duration::from_secs(5)).await }
        });
        tokio::task::yield_now().await;
        directory.insert("b", 2).unwrap();
        directory.insert("a", 1).unwrap();
        assert_eq!(waiting.await.unwrap(), Some(1));
        assert_eq!(directory.insert("a", 3), Err(Refused::Taken));
        assert_eq!(directory.insert("c", 3), Err(Refused::Full));
        assert_eq!(directory.insert("", 3), Err(Refused::Id));
        directory.retain(|number| *number > 1);
        assert_eq!(directory.find("a", Duration::ZERO).await, None);
    }
}
