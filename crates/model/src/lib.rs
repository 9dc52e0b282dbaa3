//! Ids, names, references, digests, ports, sizes, signals and error kinds: no I/O, no async.
