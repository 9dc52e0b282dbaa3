//! Layers as overlay snapshots, volumes, tar in and out, whiteouts, diff, disk usage.
