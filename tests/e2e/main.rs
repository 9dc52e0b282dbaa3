//! The real binary, driven by real programs. One module a subject; each test has a daemon of its own.

mod archives;
mod bad_input;
mod build;
mod build_mounts;
mod build_options;
mod build_sources;
mod clients;
mod copy;
mod daemon;
mod decisions;
mod demo;
mod exec;
mod faults;
mod health;
mod images;
mod init;
mod inside;
mod lifecycle;
mod network;
mod options;
mod program;
mod space;
mod store;
mod streams;
mod versions;
mod walk;
