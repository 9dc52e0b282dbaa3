//! Further commands in a running container.

use serde::{Deserialize, Serialize};

/// `POST /containers/{name}/exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecCreateRequest {
    /// `user[:group]`; empty is the container's.
    pub user: String,
    /// All capabilities.
    pub privileged: bool,
    /// Runs in a terminal.
    pub tty: bool,
    /// Height and width of the terminal.
    pub console_size: Option<[u32; 2]>,
    /// Wants standard input.
    pub attach_stdin: bool,
    /// Wants standard error.
    pub attach_stderr: bool,
    /// Wants standard output.
    pub attach_stdout: bool,
    /// Keys that detach: `ctrl-p,ctrl-q`.
    pub detach_keys: String,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Empty is the container's.
    pub working_dir: String,
    /// Program and arguments.
    #[serde(deserialize_with = "crate::decode::words")]
    pub cmd: Option<Vec<String>>,
}

/// `POST /exec/{id}/start`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecStartRequest {
    /// Do not attach.
    pub detach: bool,
    /// The client expects a terminal's unframed stream.
    pub tty: bool,
    /// Height and width of the terminal.
    pub console_size: Option<[u32; 2]>,
}

/// `GET /exec/{id}/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ExecInspect {
    /// 64 hexadecimal digits.
    #[serde(rename = "ID")]
    pub id: String,
    /// Started and not ended.
    pub running: bool,
    /// `null` until it ended.
    pub exit_code: Option<i64>,
    /// What runs.
    pub process_config: ProcessConfig,
    /// Standard input is attached.
    pub open_stdin: bool,
    /// Standard error is attached.
    pub open_stderr: bool,
    /// Standard output is attached.
    pub open_stdout: bool,
    /// Ended, and nobody asks any more.
    pub can_remove: bool,
    /// Its container.
    #[serde(rename = "ContainerID")]
    pub container_id: String,
    /// Bytes of the keys, as text.
    pub detach_keys: String,
    /// As the host sees it; 0 before the start.
    pub pid: i64,
}

/// What an exec runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessConfig {
    /// In a terminal.
    pub tty: bool,
    /// Program.
    pub entrypoint: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// With all capabilities; left out if the request did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    /// As asked.
    #[serde(skip_serializing_if = "crate::is_default")]
    pub user: String,
}
