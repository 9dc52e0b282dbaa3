//! Who fetches which layer: two pulls that need the same one fetch it once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use model::ChainId;
use tokio::sync::OwnedMutexGuard;

/// The right to make a layer; whoever waits for it looks again whether the layer is there.
pub(crate) type Claim = OwnedMutexGuard<()>;

/// Layers that are being made. Pulls claim layers in any order but wait for them lowest first, so that none waits for
/// one that waits for it: a chain id stands for all layers beneath it too.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    chains: Mutex<HashMap<ChainId, Weak<tokio::sync::Mutex<()>>>>,
}

impl Claims {
    /// Waits for the right to make a layer.
    pub(crate) async fn claim(&self, chain: ChainId) -> Claim {
        let lock = {
            let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
            chains.retain(|_, lock| lock.strong_count() > 0);
            let known = chains.get(&chain).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                chains.insert(chain, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}
