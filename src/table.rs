// SPDX-License-Identifier: GPL-2.0

//! Where the state of an inode is found, and the one way to get at it.

use super::{
    inode::{Inner, InodeState},
    kapi::{
        deferred,
        mapping::{InodeId, MappingKey}, //
    },
    record::Discarded,
};
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::{lock::mutex::MutexGuard, Arc, Mutex}, //
};

/// All inodes about which something is known, by mapping.
///
/// The mutexes protect the tree and the list only; see `inode.rs` for the order of locks.
#[pin_data]
pub(crate) struct Table {
    #[pin]
    tree: Mutex<RBTree<MappingKey, Arc<InodeState>>>,
    /// Records to be dropped by the work queue.
    #[pin]
    buried: Mutex<Discarded>,
}

impl Table {
    /// An empty one.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            tree <- kernel::new_mutex!(RBTree::new(), "longterm::table"),
            buried <- kernel::new_mutex!(Discarded::new(), "longterm::buried"),
        })
    }

    fn get(&self, key: MappingKey) -> Option<Arc<InodeState>> {
        self.tree.lock().get(&key).cloned()
    }

    /// The state with the smallest key that is not below `from`.
    pub(crate) fn at_or_after(&self, from: MappingKey) -> Option<Arc<InodeState>> {
        let tree = self.tree.lock();
        let cursor = tree.cursor_lower_bound(&from)?;
        let (_, state) = cursor.current();
        Some(state.clone())
    }

    fn insert(&self, state: Arc<InodeState>) -> Result<Arc<InodeState>> {
        let node = RBTreeNode::new(state.key, state.clone(), GFP_KERNEL_ACCOUNT)?;
        let mut tree = self.tree.lock();
        if let Some(other) = tree.get(&state.key) {
            // Someone was faster.
            let other = other.clone();
            drop(tree);
            return Ok(other);
        }
        let _none = tree.insert(node);
        Ok(state)
    }

    fn remove(&self, state: &Arc<InodeState>) {
        let mut tree = self.tree.lock();
        let ours = tree
            .get(&state.key)
            .is_some_and(|found| Arc::ptr_eq(found, state));
        let node = if ours {
            tree.remove_node(&state.key)
        } else {
            None
        };
        drop(tree);
        drop(node);
    }

    /// Calls `f` with the state locked, unless it is dead. Afterwards drops what `f` discarded
    /// and, if nothing is left, the state itself.
    pub(crate) fn with<R>(
        &self,
        state: &Arc<InodeState>,
        f: impl FnOnce(&Arc<InodeState>, &mut MutexGuard<'_, Inner>) -> R,
    ) -> Option<R> {
        let (result, discarded) = self.locked(state, f)?;
        drop(discarded);
        Some(result)
    }

    fn locked<R>(
        &self,
        state: &Arc<InodeState>,
        f: impl FnOnce(&Arc<InodeState>, &mut MutexGuard<'_, Inner>) -> R,
    ) -> Option<(R, Discarded)> {
        let mut inner = state.inner.lock();
        if inner.dead {
            return None;
        }
        let result = f(state, &mut inner);

        if inner.lonely() && inner.machine.active() {
            inner.abandon();
        }
        let awaited = inner.closed.iter().any(|c| c.present);
        inner.records.await_unpins(awaited);
        let stirred = awaited && inner.stirred;
        inner.stirred = false;
        let waiters = inner.waiters > 0;
        let dead = inner.lonely() && inner.waiters == 0;
        inner.dead = dead;
        let discarded = inner.discarded.take();
        drop(inner);

        if waiters {
            state.quiet.notify_all();
        }
        if dead {
            self.remove(state);
        }
        if !discarded.is_empty() || stirred {
            state.key.wake();
        }
        Some((result, discarded))
    }

    /// As [`Self::with`], for the state of `key` if there is one, and for callers that have locks:
    /// what `f` discarded is dropped by [`Self::bury`], soon.
    pub(crate) fn with_burial<R>(
        &self,
        key: MappingKey,
        f: impl FnOnce(&mut Inner) -> R,
    ) -> Option<R> {
        // A state with a record does not die.
        let state = self.get(key)?;
        let (result, discarded) = self.locked(&state, |_, inner| f(inner))?;
        if !discarded.is_empty() {
            self.buried.lock().append(discarded);
            deferred::settle_soon();
        }
        Some(result)
    }

    /// Drops what [`Self::with_burial`] has left.
    pub(crate) fn bury(&self) {
        let buried = self.buried.lock().take();
        drop(buried);
    }

    /// As [`Self::with`], for the state of `key` if there is one.
    pub(crate) fn with_known<R>(
        &self,
        key: MappingKey,
        mut f: impl FnMut(&Arc<InodeState>, &mut MutexGuard<'_, Inner>) -> R,
    ) -> Option<R> {
        loop {
            let state = self.get(key)?;
            if let Some(result) = self.with(&state, &mut f) {
                return Some(result);
            }
            self.remove(&state);
        }
    }

    /// As [`Self::with`], for the state of `key`, which is made if need be.
    pub(crate) fn with_new<R>(
        &self,
        key: MappingKey,
        id: InodeId,
        mut f: impl FnMut(&Arc<InodeState>, &mut MutexGuard<'_, Inner>) -> R,
    ) -> Result<R> {
        loop {
            let state = match self.get(key) {
                Some(state) => state,
                None => self.insert(InodeState::new(key, id)?)?,
            };
            if let Some(result) = self.with(&state, &mut f) {
                return Ok(result);
            }
            self.remove(&state);
        }
    }

    /// Calls `f` for every inode, as [`Self::with`] does. One that comes while this runs may be
    /// left out.
    pub(crate) fn each(&self, mut f: impl FnMut(&Arc<InodeState>, &mut MutexGuard<'_, Inner>)) {
        let mut from = Some(MappingKey::first());
        while let Some(state) = from.and_then(|from| self.at_or_after(from)) {
            self.with(&state, &mut f);
            from = state.key.successor();
        }
    }
}
