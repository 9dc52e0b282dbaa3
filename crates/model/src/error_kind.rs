//! The kinds of failure the API tells apart.

/// What sort of failure an error is. The server maps each kind to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The named thing does not exist (404).
    NotFound,
    /// The request makes no sense as written (400).
    InvalidParameter,
    /// The request is sound but the present state forbids it (409).
    Conflict,
    /// Credentials are missing or wrong (401).
    Unauthorized,
    /// Something needed is not there at the moment; a later try may succeed (503).
    Unavailable,
    /// Never allowed, whatever the state (403).
    Forbidden,
    /// The state asked for is the state already (304).
    NotModified,
    /// This engine does not do that (501).
    NotImplemented,
    /// The machine or the engine failed (500).
    System,
}
