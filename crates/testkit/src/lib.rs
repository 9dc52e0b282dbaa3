//! A throw-away daemon, tiny images and network namespaces for tests.
