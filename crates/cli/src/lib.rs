//! Client commands, their output and progress.
