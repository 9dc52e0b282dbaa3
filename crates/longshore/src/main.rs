//! The binary: which personality, and the wiring of each.

mod daemon;
mod demo;
mod release;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Inside a container, whose words may be anything.
    if std::env::args_os().next().is_some_and(|name| name == runtime::init::NAME) {
        runtime::init::run();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (first, rest) = arguments.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    match first {
        // First of all: it must be a process of one thread and few pages.
        daemon::LAUNCHER => shim::launcher::run_on_stdin(),
        "daemon" | "-d" | "--daemon" => daemon::run(rest),
        "demo" => demo::run(),
        demo::GUEST => demo::guest(),
        "version" | "--version" | "-v" => print(&format!("{}\n", release::line())),
        "store" => store::run(rest),
        "api-versions" => print(&release::api_versions()),
        "" | "help" | "--help" | "-h" => print(release::USAGE),
        // Docker of 2014 took the daemon's flags before -d as well.
        _ if first.starts_with('-') && arguments.iter().any(|word| word == "-d" || word == "--daemon") => {
            let flags: Vec<String> = arguments.into_iter().filter(|word| word != "-d" && word != "--daemon").collect();
            daemon::run(&flags)
        }
        unknown => {
            eprintln!("longshore: unknown command {unknown:?}; `longshore help` lists the commands");
            ExitCode::FAILURE
        }
    }
}

/// Prints a text whole; a reader that has left before its end (`| head`) is none of our business.
fn print(text: &str) -> ExitCode {
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("longshore: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
