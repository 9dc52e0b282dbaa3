//! Listeners, TLS, one connection, hijack, websocket, CORS, the newest API's routes, errors to status.
