//! A web page of another origin uses the API: cross-origin requests and attach by websocket, in Debian's Chromium.

use testkit::{Daemon, environment};

/// Where the daemon listens, in its own namespace.
const API: &str = "127.0.0.1:4243";
/// Where a daemon listens that allows no pages.
const CLOSED: &str = "127.0.0.1:4244";
/// Where the page comes from.
const PAGE: &str = "127.0.0.1:8000";

/// What keeps the page from being loaded, and so from being looked at, until it is done: a log that goes on.
const HOLD: &str = "<img src=\"http://API/v1.14/containers/hold/logs?follow=1&stdout=1\">";

/// Each version's container is created, attached to, started, answered, listed, waited for and removed.
const SCRIPT: &str = r#"
const shown = text => document.getElementById('seen').append(text + '\n');
const json = { 'Content-Type': 'application/json' };
async function run(version) {
  const base = `API/v${version}`;
  const body = JSON.stringify({ Image: 'busybox', Cmd: ['sh', '-c', 'read line; echo you said $line; exit 5'], OpenStdin: true });
  const { Id } = await (await fetch(`http://${base}/containers/create`, { method: 'POST', headers: json, body })).json();
  await fetch(`http://${base}/containers/${Id}/start`, { method: 'POST' });
  const listed = await (await fetch(`http://${base}/containers/json`)).json();
  const socket = new WebSocket(`ws://${base}/containers/${Id}/attach/ws?logs=1&stream=1&stdin=1&stdout=1&stderr=1`);
  let said = '';
  socket.onopen = () => socket.send('hello\n');
  socket.onmessage = async message => said += message.data instanceof Blob ? await message.data.text() : message.data;
  const closed = new Promise(resolve => socket.onclose = resolve);
  const waited = await (await fetch(`http://${base}/containers/${Id}/wait`, { method: 'POST' })).json();
  await closed;
  const removed = await fetch(`http://${base}/containers/${Id}`, { method: 'DELETE' });
  shown([version, listed.length, said.trim(), waited.StatusCode, removed.status].join(' | '));
}
(async () => {
  try {
    for (const version of ['1.4', '1.14', '1.51']) await run(version);
    await fetch('http://CLOSED/v1.14/info').then(() => shown('let in'), () => shown('kept out'));
  } catch (error) { shown('failed: ' + error); }
  shown('done');
  fetch('http://API/v1.14/containers/hold/kill', { method: 'POST' });
})();
"#;

#[test]
fn a_page_of_another_origin_attaches() {
    let daemon = Daemon::with(&["--api-enable-cors", "--host", &format!("tcp://{API}")]);
    daemon.import_busybox();
    let closed = Daemon::beside(&daemon, &["--host", &format!("tcp://{CLOSED}"), "--bridge", "none"]);
    let site = daemon.path("site");
    std::fs::create_dir_all(&site).expect("a folder can be made");
    daemon.docker(&["run", "-d", "--name", "hold", "busybox", "sleep", "1000"]).ok();
    let page = format!("<!doctype html><title>page</title><pre id=seen></pre>{HOLD}<script>{SCRIPT}</script>");
    std::fs::write(site.join("index.html"), page.replace("API", API).replace("CLOSED", CLOSED))
        .expect("a file can be written");
    let busybox = environment("LONGSHORE_BUSYBOX").display().to_string();
    let command = format!(
        "{busybox} httpd -f -p {PAGE} -h {site} & server=$!; trap 'kill $server' EXIT; \
         HOME={home} timeout 200 chromium --headless --disable-dev-shm-usage --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
         --disable-component-update --disable-sync --user-data-dir={home}/profile --timeout=180000 --dump-dom \
         http://{PAGE}/index.html",
        site = site.display(),
        home = site.display(),
    );
    let seen = daemon.on_host(&["sh", "-c", &command]);
    let lines: Vec<&str> = seen.stdout.split("<pre id=\"seen\">").nth(1).unwrap_or_default().lines().collect();
    let expected = [
        "1.4 | 2 | you said hello | 5 | 204",
        "1.14 | 2 | you said hello | 5 | 204",
        "1.51 | 2 | you said hello | 5 | 204",
        "kept out",
        "done",
    ];
    assert_eq!(lines.get(..expected.len()), Some(&expected[..]), "{}\n{}", seen.stdout, seen.stderr);
    drop(closed);
}
