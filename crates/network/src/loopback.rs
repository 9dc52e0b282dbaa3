//! Network namespaces with nothing but a loopback interface, for containers without a network.

use std::os::fd::OwnedFd;

use crate::Result;
use crate::pool::Pool;
use crate::sandbox::LoopbackMaker;

/// A pool of ready network namespaces whose only interface is `lo`, up.
#[derive(Debug)]
pub struct LoopbackPool {
    pool: Pool<OwnedFd>,
}

impl LoopbackPool {
    /// Starts to fill a pool of `size` namespaces.
    pub fn open(size: usize) -> Result<Self> {
        let pool = Pool::open("loopback-pool", size, LoopbackMaker::new()?)?;
        pool.start();
        Ok(Self { pool })
    }

    /// Takes a namespace; dropping the descriptor (and the last process in it) destroys it.
    pub fn take(&self) -> Result<OwnedFd> {
        self.pool.take()
    }
}
