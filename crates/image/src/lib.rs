//! References, manifests, configs; import, load, save, commit.
