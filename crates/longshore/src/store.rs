//! `longshore store`: a data root looked at from outside.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use engine::check::{Report, check, repair};

use crate::daemon;

const USAGE: &str = "\
longshore store: look at a data root from outside, beside a running daemon or without one

  longshore store check [--json] [--repair] [daemon flags]
      proves that every file belongs to something listed and that every layer is what its digest says, and says how to repair
      what is not so; exit status 0: all is well, 1: it is not. --repair: removes damaged rows of the database (no daemon may run).
  longshore store dump [daemon flags]
      prints the metadata as JSON

The daemon's flags (-g, --data-root, --config-file) tell where it is; without any: /var/lib/longshore.
";

/// Runs one of the commands.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let (command, rest) = arguments.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let outcome = match command {
        "check" => checked(rest),
        "dump" => dumped(rest),
        "" | "help" | "--help" | "-h" => print(USAGE).map(|()| true),
        unknown => Err(anyhow::anyhow!("unknown command {unknown:?}; `longshore store --help` lists the commands")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("longshore: {}", daemon::sentence(&error));
            ExitCode::FAILURE
        }
    }
}

fn checked(arguments: &[String]) -> anyhow::Result<bool> {
    let own = |word: &String| word == "--json" || word == "--repair";
    let (own, flags): (Vec<String>, Vec<String>) = arguments.iter().cloned().partition(own);
    let given = |word: &str| own.iter().any(|own| own == word);
    let data_root = daemon::data_root(&flags)?;
    let mut report = check(&data_root)?;
    if given("--repair") && report.problems.iter().any(|problem| problem.row.is_some()) {
        let removed = repair(&report)?;
        eprintln!("longshore: {removed} damaged rows removed");
        report = check(&data_root)?;
    }
    if given("--json") {
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        print(&told(&report))?;
    }
    Ok(report.problems.is_empty())
}

fn dumped(flags: &[String]) -> anyhow::Result<bool> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    engine::check::dump(&daemon::data_root(flags)?, &mut out)?;
    out.flush()?;
    Ok(true)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

/// A report for people.
fn told(report: &Report) -> String {
    let checked = &report.checked;
    let daemon = match (report.daemon_running, report.daemon) {
        (true, Some(process)) => format!("a daemon runs, process {process}"),
        (true, None) => "a daemon runs".to_owned(),
        (false, _) => "no daemon runs".to_owned(),
    };
    let mut lines = vec![
        format!("{}: {daemon}", report.data_root.display()),
        format!(
            "checked {} images, {} layers ({} MB by digest), {} kept blobs ({} MB by digest), {} containers, {} volumes, {} rows",
            checked.images,
            checked.layers,
            checked.layer_bytes / 1_000_000,
            checked.blobs,
            checked.blob_bytes / 1_000_000,
            checked.containers,
            checked.volumes,
            checked.rows
        ),
    ];
    let when =
        if report.daemon_running { "goes when its operation ends" } else { "the next start removes or takes it in" };
    let unfinished = report.unfinished.iter().map(|path| format!("unfinished: {} ({when})", path.display()));
    lines.extend(unfinished);
    for problem in &report.problems {
        let path = problem.path.as_deref().map(Path::display);
        let path = path.map(|path| format!("{path}: ")).unwrap_or_default();
        lines.push(format!("PROBLEM  {}: {path}{}", problem.subject, problem.reason));
        lines.push(format!("         repair: {}", problem.repair));
    }
    lines.push(match report.problems.len() {
        0 => "all is well".to_owned(),
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    });
    lines.join("\n") + "\n"
}
