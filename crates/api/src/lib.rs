//! The newest Docker API's wire types and routes.

pub mod routes;
