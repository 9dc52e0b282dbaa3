//! The memory of this process as the kernel counts it: the allocator's, and its own text.

#![allow(unsafe_code)]

/// Gives unused heap pages back to the kernel; only a hint.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` takes the allocator's own locks and has no other requirement.
    unsafe {
        libc::malloc_trim(0);
    }
}

unsafe extern "C" {
    /// Where the linker has put the first of the program's headers, constants and code, and the end of its code. Nothing
    /// between the two is ever written: it is mapped without the right to, and a program that is not relocated has nothing
    /// to be set right in it.
    static __executable_start: u8;
    static etext: u8;
}

/// Lets go of the program's own text: what is needed again comes back by itself, out of the kernel's cache of the file.
///
/// The kernel maps sixteen pages for each that is touched, and a start or a build touches much that is not used again: a
/// third and more of what a daemon that then idles would be counted for.
pub fn release_text() {
    // SAFETY: sysconf has no preconditions.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = (&raw const __executable_start).addr().next_multiple_of(page);
    // What lies in the last page behind the code may be something else.
    let end = (&raw const etext).addr() / page * page;
    let Some(length) = end.checked_sub(start) else { return };
    // SAFETY: the pages are those of a file and were not changed (see above), so that dropping them changes nothing that
    // anybody can read. A failure leaves all as it was.
    unsafe {
        libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, libc::MADV_DONTNEED);
    }
}
