//! What the connection layer must know about a version, because it lies outside of bodies.

/// How a connection behaves at a version. The default is the newest version's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Output of containers without a terminal comes in frames with a header of eight bytes (1.6); below it is raw and merged.
    pub framed: bool,
    /// The type of framed streams (attach, logs, exec); `application/vnd.docker.multiplexed-stream` from 1.42.
    pub framed_type: &'static str,
    /// A request with `Upgrade: tcp` may be answered with 101 (1.17).
    pub upgrade: bool,
    /// Responses carry `Api-Version`, `Docker-Experimental` and `Ostype` (1.25).
    pub engine_headers: bool,
    /// Responses carry `Server` (1.20).
    pub server_header: bool,
    /// Errors are plain text with a newline rather than `{"message": …}` (below 1.24). [`Descent::response`](crate::Descent::response)
    /// already does so for the answers that pass through it; this is for errors that the connection layer words itself.
    pub error_text: bool,
    /// Logs have the type of what they begin with (below 1.15): none if nothing comes, `application/octet-stream` for frames,
    /// `text/plain; charset=utf-8` for text of a terminal or without frames.
    pub logs_sniffed: bool,
    /// A long line of a log comes in one frame and with one time (below 1.25), not in the pieces in which it is kept.
    pub log_whole_lines: bool,
    /// Times in a log have no more digits than they need, and those of lines that come while one follows are in brackets (below 1.15).
    pub old_log_times: bool,
    /// Attach waits for a container that is paused (below 1.25), rather than to be refused.
    pub attach_paused: bool,
    /// A container that has ended takes a size of its terminal, to no effect (below 1.15), rather than to refuse it.
    pub resize_ended: bool,
    /// `GET /containers/json` lists `NetworkSettings` (1.22). The ladder takes them out; who never puts them in saves the work.
    pub list_networks: bool,
    /// Events carry attributes by which only the ladder is told more (below 1.22).
    pub event_marks: bool,
    /// A start that fails is an event as well (below 1.23).
    pub failed_starts: bool,
    /// `attach/ws` sends binary frames (1.28); below text frames.
    pub ws_binary: bool,
    /// `attach/ws` honours `stdin`, `stdout` and `stderr` (1.42); below all three are on.
    pub ws_streams: bool,
    /// `attach/ws` wants to know the page's `Origin` (below 1.20), and knows the protocol's version 8 as well.
    pub ws_origin: bool,
    /// `wait` sends its headers before the container ends (1.30).
    pub wait_headers_early: bool,
    /// What a pull, push or import tells is unframed and ends with the connection (1.0): clients took the connection over.
    pub bare_transfers: bool,
    /// What `Access-Control-Allow-Headers` names, where CORS is on (`X-Registry-Auth` since 1.16).
    pub cors_headers: &'static str,
    /// What `Access-Control-Allow-Methods` names, where CORS is on (`HEAD` since 1.20).
    pub cors_methods: &'static str,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            framed: true,
            framed_type: "application/vnd.docker.multiplexed-stream",
            upgrade: true,
            engine_headers: true,
            server_header: true,
            error_text: false,
            logs_sniffed: false,
            log_whole_lines: false,
            old_log_times: false,
            attach_paused: false,
            resize_ended: false,
            list_networks: true,
            event_marks: false,
            failed_starts: false,
            ws_binary: true,
            ws_streams: true,
            ws_origin: false,
            wait_headers_early: true,
            bare_transfers: false,
            cors_headers: "Origin, X-Requested-With, Content-Type, Accept, X-Registry-Auth",
            cors_methods: "HEAD, GET, POST, DELETE, PUT, OPTIONS",
        }
    }
}
