//! The process beside each container: stdio, log files, exit status, exec, attach; and its versioned protocol.
