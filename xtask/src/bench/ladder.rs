//! What the ladder costs: the same answers at the oldest and at the newest version, where it is not entered.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::{Rows, median};

const OLDEST: &str = "1.0";
const NEWEST: &str = "1.51";
/// Requests whose median counts; the versions take turns, so that what else the machine does meets both.
const INSPECTS: usize = 500;
const LISTS: usize = 30;

/// Rows of a daemon that has a thousand containers.
pub(super) fn measure(socket: &Path) -> Result<Rows> {
    let list = "containers/json?all=1";
    let containers: Value = serde_json::from_slice(&get(socket, NEWEST, list)?.1)?;
    let id = containers[0]["Id"].as_str().context("there is no container")?;
    let inspect = format!("containers/{id}/json");
    let (oldest, newest) = both(socket, &inspect, INSPECTS)?;
    let mut rows =
        Rows::from([(format!("inspect, v{OLDEST} over v{NEWEST}"), ((oldest - newest) * 1e3, "us".to_owned()))]);
    let (oldest, newest) = both(socket, list, LISTS)?;
    rows.insert(format!("list of 1000, v{NEWEST}"), (newest, "ms".to_owned()));
    rows.insert(format!("list of 1000, v{OLDEST} over v{NEWEST}"), (oldest / newest, "times".to_owned()));
    Ok(rows)
}

/// Milliseconds at the oldest and at the newest version.
fn both(socket: &Path, path: &str, requests: usize) -> Result<(f64, f64)> {
    let (mut oldest, mut newest) = (Vec::new(), Vec::new());
    for _ in 0..requests {
        oldest.push(get(socket, OLDEST, path)?.0);
        newest.push(get(socket, NEWEST, path)?.0);
    }
    Ok((median(oldest), median(newest)))
}

/// Milliseconds from the request to the end of its answer, and the answer's body.
fn get(socket: &Path, version: &str, path: &str) -> Result<(f64, Vec<u8>)> {
    let mut stream = UnixStream::connect(socket)?;
    let begun = Instant::now();
    write!(stream, "GET /v{version}/{path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let head =
        answer.windows(4).position(|four| four == b"\r\n\r\n").context("an answer without an end of its head")?;
    Ok((took, answer.split_off(head + 4)))
}
