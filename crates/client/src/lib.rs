//! A typed client of the Docker API over a Unix socket or TCP.
