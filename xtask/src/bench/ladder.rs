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
/// The version at which the client of the peers' figures speaks.
const USUAL: &str = "1.41";
/// Requests whose median counts; the versions take turns, so that what else the machine does meets both.
const INSPECTS: usize = 500;
const LISTS: usize = 30;

/// Rows of a daemon that has a thousand containers.
pub(super) fn measure(socket: &Path) -> Result<Rows> {
    let list = "containers/json?all=1";
    let containers: Value = serde_json::from_slice(&get(socket, NEWEST, list)?.1)?;
    let containers = containers.as_array().context("no list of containers")?;
    // Each time another one: what has just been lowered is not lowered again.
    let inspects: Vec<String> = containers
        .iter()
        .filter_map(|container| Some(format!("containers/{}/json", container["Id"].as_str()?)))
        .take(INSPECTS)
        .collect();
    let [newest, usual, oldest] = times(socket, [NEWEST, USUAL, OLDEST], &inspects)?;
    let mut rows =
        Rows::from([(format!("inspect, v{OLDEST} over v{NEWEST}"), ((oldest - newest) * 1e3, "us".to_owned()))]);
    rows.insert(format!("inspect, v{USUAL} over v{NEWEST}"), ((usual - newest) * 1e3, "us".to_owned()));
    let [newest, oldest] = times(socket, [NEWEST, OLDEST], &vec![list.to_owned(); LISTS])?;
    rows.insert(format!("list of 1000, v{NEWEST}"), (newest, "ms".to_owned()));
    rows.insert(format!("list of 1000, v{OLDEST} over v{NEWEST}"), (oldest / newest, "times".to_owned()));
    Ok(rows)
}

/// Milliseconds at each of the versions.
fn times<const N: usize>(socket: &Path, versions: [&str; N], paths: &[String]) -> Result<[f64; N]> {
    let mut times = [const { Vec::new() }; N];
    for path in paths {
        for (version, times) in versions.iter().zip(&mut times) {
            times.push(get(socket, version, path)?.0);
        }
    }
    Ok(times.map(median))
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
