//! The `longshore` binary: chooses the personality and wires the crates together.

fn main() {}
