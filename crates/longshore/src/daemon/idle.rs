//! The memory of a daemon that nobody asks for anything.

use std::time::Duration;

use server::Server;

/// How long nothing is asked before memory is given back. What is needed again comes back within a millisecond.
const QUIET: Duration = Duration::from_secs(5);

/// Gives memory back now, and whenever the daemon has become quiet.
pub(super) async fn give_back(server: &Server) {
    loop {
        server.forget();
        // Much of what was just needed (by a start, by a build) is not needed again soon.
        sys::heap::release_text();
        sys::heap::trim();
        server.activity.settled(QUIET).await;
    }
}
