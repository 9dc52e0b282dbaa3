//! Linux: pidfd, clone, mounts, paths beneath a root, netlink, terminals. The only crate with unsafe code.

pub mod activation;
pub mod heap;
pub mod mount;
pub mod mountns;
pub mod netns;
pub mod overlay;
pub mod process;
pub mod root;
pub mod signal;
pub mod socket;
