//! End-to-end tests against the real binary; see the folders beside this file.
