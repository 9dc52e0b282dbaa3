//! A plan becomes a process: namespaces, root file system, cgroups v1 and v2, seccomp, capabilities.
