//! Clients of every age, unmodified, through the steps of everyday use.
//!
//! `LONGSHORE_CLIENTS` names the list of those to be tried, as `cargo xtask` writes it: a few in every run of the tests, all of them by
//! `cargo xtask clients`, which also has the page of `docs/clients.md` written.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::{Daemon, Registry, environment};

/// What each client is asked to do, in this order.
const STEPS: [&str; 14] = [
    "version", "images", "run", "logs", "attach", "exec", "wait", "inspect", "build", "tag", "push", "pull", "events",
    "remove",
];

/// Where the daemon also listens, in its own namespace, for clients that know no Unix sockets.
const TCP: &str = "127.0.0.1:4243";

/// How many clients are tried at once.
const AT_ONCE: usize = 2;

/// A client that is to be tried.
struct Client {
    name: String,
    api: String,
    words: Vec<String>,
}

/// How a client fared.
struct Row {
    name: String,
    api: String,
    cells: BTreeMap<String, Cell>,
}

enum Cell {
    Passed,
    /// The client, or its version of the API, has no such call; why.
    Missing(String),
    Failed(String),
}

fn clients() -> Vec<Client> {
    let path = environment("LONGSHORE_CLIENTS");
    let list = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let read = |line: &str| {
        let mut words = line.split('\t').map(str::to_owned);
        let (name, api) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Client { name, api, words: words.collect() }
    };
    list.lines().map(read).collect()
}

/// Lets a client take its steps against a daemon and a registry of its own.
fn try_client(client: &Client) -> Row {
    let daemon = Daemon::with(&["--host", &format!("tcp://{TCP}")]);
    daemon.import_busybox();
    let _registry = Registry::beside(&daemon);
    let home = daemon.path("home");
    std::fs::create_dir_all(&home).expect("a folder can be made");
    // Clients of 2013 push only with credentials that they find here; a registry without a lock ignores them.
    let login = r#"{"index.docker.io": {"Auth": "am9lOnNlY3JldA==", "auth": "am9lOnNlY3JldA==", "Email": "a@b", "email": "a@b"}}"#;
    std::fs::write(home.join(".dockercfg"), login).expect("a file can be written");
    let label = client.name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let variables = [
        format!("LONGSHORE_API={}", client.api),
        format!("LONGSHORE_SOCKET={}", daemon.socket().display()),
        format!("LONGSHORE_TCP={TCP}"),
        format!("LONGSHORE_REGISTRY={}", Registry::ADDRESS),
        format!("LONGSHORE_NAME={label}"),
        format!("HOME={}", home.display()),
    ];
    let mut words = vec!["env", "-u", "DOCKER_HOST", "-u", "DOCKER_API_VERSION"];
    words.extend(variables.iter().map(String::as_str));
    words.extend(client.words.iter().map(String::as_str));
    let output = daemon.on_host(&words);
    let mut row = Row { name: client.name.clone(), api: client.api.clone(), cells: BTreeMap::new() };
    for line in output.stdout.lines() {
        let (step, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (outcome, why) = rest.split_once(' ').unwrap_or((rest, ""));
        let cell = match outcome {
            _ if step == "api" => {
                row.api = rest.to_owned();
                continue;
            }
            "ok" => Cell::Passed,
            "none" => Cell::Missing(why.to_owned()),
            "red" => Cell::Failed(why.to_owned()),
            _ => continue,
        };
        row.cells.insert(step.to_owned(), cell);
    }
    for step in STEPS {
        row.cells
            .entry(step.to_owned())
            .or_insert_with(|| Cell::Failed(format!("did not come so far: {}", output.stderr)));
    }
    if row.cells.values().any(|cell| matches!(cell, Cell::Failed(_))) {
        eprintln!("--- {} at {}\n{}{}", row.name, row.api, output.stderr, daemon.log());
    }
    row
}

#[test]
fn every_client_takes_every_step() {
    let clients = clients();
    assert!(!clients.is_empty(), "there is nobody on the list");
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(client) = clients.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let at = clients.iter().position(|other| std::ptr::eq(other, client));
                    let row = try_client(client);
                    rows.lock().expect("no thread panics with it").insert(at, row);
                }
            });
        }
    });
    let rows: Vec<Row> = rows.into_inner().expect("no thread panics with it").into_values().collect();
    if let Some(page) = std::env::var_os("LONGSHORE_CLIENTS_PAGE") {
        std::fs::write(page, table(&rows)).expect("the page can be written");
    }
    let failed: Vec<String> = rows
        .iter()
        .flat_map(|row| row.cells.iter().map(move |(step, cell)| (row, step, cell)))
        .filter_map(|(row, step, cell)| match cell {
            Cell::Failed(why) => Some(format!("{} at {}: {step}: {why}", row.name, row.api)),
            _ => None,
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The page of `docs/clients.md`.
fn table(rows: &[Row]) -> String {
    let mut page = String::from(
        "# Clients of every age\n\nUnmodified, from the registries of their languages and from Debian, against the real daemon and Debian's registry; written by\n\
         `cargo xtask clients`. What a client, or its version of the API, has no call for is `-`.\n\n",
    );
    let _ = writeln!(page, "| client | API | {} |\n| --- | --- |{}", STEPS.join(" | "), " --- |".repeat(STEPS.len()));
    let mut missing = BTreeMap::new();
    for row in rows {
        let _ = write!(page, "| {} | {} |", row.name, row.api);
        for step in STEPS {
            let _ = match &row.cells[step] {
                Cell::Passed => write!(page, " yes |"),
                Cell::Missing(why) => {
                    missing
                        .entry((step, why.clone()))
                        .or_insert_with(Vec::new)
                        .push(format!("{} at {}", row.name, row.api));
                    write!(page, " - |")
                }
                Cell::Failed(_) => write!(page, " **red** |"),
            };
        }
        page.push('\n');
    }
    page.push('\n');
    for ((step, why), rows) in missing {
        let _ = writeln!(page, "- No `{step}`, {why}: {}.", rows.join(", "));
    }
    page
}
