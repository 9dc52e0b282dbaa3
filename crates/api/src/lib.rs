//! The newest Docker API's wire types and routes.
