//! The processes of a container, as the host's `ps` shows them.

use api::container::TopResponse;
use runtime::cgroup;

use super::record::Status;
use crate::engine::Engine;
use crate::{Error, Result};

impl Engine {
    /// See [`Engine::top`].
    pub(crate) async fn container_top(self: &std::sync::Arc<Self>, name: &str, ps_args: &str) -> Result<TopResponse> {
        let container = self.containers.find(name)?;
        let record = container.record();
        if record.state.status == Status::Restarting {
            return Err(Error::conflict(format!(
                "Container {} is restarting, wait until the container is running",
                record.id
            )));
        }
        if !record.state.status.has_process() {
            return Err(Error::conflict(format!("container {} is not running", record.id)));
        }
        let engine = std::sync::Arc::clone(self);
        let ps_args = ps_args.to_owned();
        let shown = std::sync::Arc::clone(&record);
        let answer = self
            .blocking(move || {
                let plan = engine.cgroup_plan(&shown, &cgroup::Resources::default())?;
                let pids = cgroup::pids(&plan).map_err(|error| Error::system(error.to_string()).caused_by(error))?;
                top(&ps_args, &pids)
            })
            .await?;
        self.container_event(&record, "top", &[]);
        Ok(answer)
    }
}

fn top(ps_args: &str, pids: &[i32]) -> Result<TopResponse> {
    let words: Vec<&str> = if ps_args.trim().is_empty() { vec!["-ef"] } else { ps_args.split_whitespace().collect() };
    let mut command = std::process::Command::new("ps");
    command.args(&words).stdin(std::process::Stdio::null());
    let output =
        command.output().map_err(|error| Error::system(format!("error running ps: {error}")).caused_by(error))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(Error::system(format!("error running ps: {}: {}", output.status, text.trim())));
    }
    parse(&String::from_utf8_lossy(&output.stdout), pids)
}

/// The lines of `ps` that are the container's processes.
fn parse(output: &str, pids: &[i32]) -> Result<TopResponse> {
    let mut lines = output.lines();
    let titles: Vec<String> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let column = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::system("Couldn't find PID field in ps output"))?;
    let mut processes = Vec::new();
    let mut preceding = false;
    for line in lines {
        let cells = split(line, titles.len());
        match cells.get(column).and_then(|pid| pid.parse::<i32>().ok()) {
            Some(pid) => {
                preceding = pids.contains(&pid);
                if preceding {
                    processes.push(cells);
                }
            }
            // Threads of the process above, where they are shown.
            None if preceding && cells.get(column).is_some_and(|pid| pid == "-") => processes.push(cells),
            None => {}
        }
    }
    Ok(TopResponse { processes, titles })
}

/// As many cells as titles; the last one keeps its blanks.
fn split(line: &str, columns: usize) -> Vec<String> {
    let mut cells = Vec::with_capacity(columns);
    let mut rest = line.trim();
    while cells.len() + 1 < columns {
        match rest.split_once(char::is_whitespace) {
            Some((cell, more)) => {
                cells.push(cell.to_owned());
                rest = more.trim_start();
            }
            None => break,
        }
    }
    cells.push(rest.to_owned());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_chosen_by_pid() -> Result<()> {
        let output = "UID   PID CMD\nroot    1 init\nroot   42 sh -c  x y\n";
        let top = parse(output, &[42])?;
        assert_eq!(top.titles, ["UID", "PID", "CMD"]);
        assert_eq!(top.processes, [["root", "42", "sh -c  x y"].map(str::to_owned).to_vec()]);
        assert!(parse("CMD\nx\n", &[1]).is_err());
        Ok(())
    }
}
