//! The allocator's memory as the kernel sees it.

#![allow(unsafe_code)]

/// Gives unused heap pages back to the kernel; only a hint.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` takes the allocator's own locks and has no other requirement.
    unsafe {
        libc::malloc_trim(0);
    }
}
