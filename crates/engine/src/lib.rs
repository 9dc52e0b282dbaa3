//! What Docker does: containers' life, names, exec, restart, events, images in use, reconcile.
