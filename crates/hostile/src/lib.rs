//! Every parser that sees strangers' bytes, as a target: a function that takes any bytes and must come back.
//!
//! A target panics if the parser does, or if what it parsed breaks a promise (printed and parsed again it is the same).
//! The fuzzer in `fuzz/` runs one target a program, for as long as it is let; the test beside this crate runs all of them
//! for a moment, from the same seeds (`fuzz/corpus/<target>`). A new parser gets a target here, a program in
//! `fuzz/fuzz_targets` and a few seeds.

use std::io::{BufReader, Read};
use std::sync::Arc;

use api::container::CreateRequest;
use api::routes::ROUTES;
use build::ContextFiles;
use buildkit::Packet;
use buildkit::grpc::Decoder;
use buildkit::receive::Receiver;
use dockerfile::{Command, Dockerfile, Expander, Ignore, Reading, of_2014};
use ladder::{Body, Climbed, Request, Response, Version};
use model::{Reference, Timestamp};
use network::{hosts, resolv};
use prost::Message;
use serde_json::Value;
use shim::log::{Record, Style, Timestamps};
use sys::root::Root;

/// A target: its name, which is also its corpus's and its program's, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("changes", changes),
    ("compression", compression),
    ("create_body", create_body),
    ("deflate", deflated),
    ("dockerfile", dockerfile),
    ("file_transfer", file_transfer),
    ("ignore_file", ignore_file),
    ("image_config", image_config),
    ("ladder", climb),
    ("log_record", log_record),
    ("manifest", manifest),
    ("network_files", network_files),
    ("port_spec", port_spec),
    ("reference", reference),
    ("registry_challenge", registry_challenge),
    ("seccomp_profile", seccomp_profile),
    ("shim_message", shim_message),
    ("tar", tar),
    ("time", time),
];

/// How much of a decompressed stream is read, in bytes: a few bytes may stand for any number.
const PLAIN_BYTES: u64 = 1 << 20;

/// Instructions that an import or a commit applies (`changes`), one a line.
pub fn changes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let changes: Vec<String> = text.lines().map(str::to_owned).collect();
    let _ = build::changes::apply(&image::RunConfig::default(), &changes);
}

/// Layers and build contexts: gzip, bzip2, xz, zstd.
pub fn compression(bytes: &[u8]) {
    if let Ok(plain) = storage::compression::decompress(bytes) {
        // Malformed streams fail; that they end is all that is asked.
        let _ = std::io::copy(&mut plain.take(PLAIN_BYTES), &mut std::io::sink());
    }
}

/// The body of `POST /containers/create`.
pub fn create_body(bytes: &[u8]) {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    if let Ok(request) = CreateRequest::decode(&body) {
        let again = serde_json::to_value(&request).expect("a request can be written");
        assert_eq!(CreateRequest::decode(&again).expect("what was written can be read"), request);
    }
}

/// The contents of a layer that is pushed: compressed, and read back by another program. The first byte says how often the
/// others come, so that blocks of all sizes are made.
pub fn deflated(bytes: &[u8]) {
    let Some((times, piece)) = bytes.split_first() else { return };
    let plain = piece.repeat(usize::from(*times) + 1);
    let mut packed = Vec::new();
    deflate::Encoder::default().encode(&plain, &mut packed);
    packed.extend(deflate::LAST);
    let mut back = Vec::with_capacity(plain.len());
    flate2::read::DeflateDecoder::new(&packed[..]).read_to_end(&mut back).expect("what was compressed can be read");
    assert!(back == plain, "{} bytes became {}", plain.len(), back.len());
}

/// A Dockerfile: its lines, and the words of its instructions.
pub fn dockerfile(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for old in [false, true] {
        let Ok(file) = Dockerfile::parse(&text, Reading { old }) else { continue };
        let expander = Expander { escape: '\\', lookup: &|name| Some(name.to_owned()), old };
        for instruction in &file.instructions {
            // What is wrong is told with the place in the line.
            let told = match old {
                true => of_2014::understand(instruction).err().map(|error| error.to_string()),
                false => Command::parse(instruction, file.escape).err().map(|error| error.to_string()),
            };
            assert!(told.is_none_or(|told| !told.is_empty()));
            let _ = expander.words(&instruction.rest);
            let _ = expander.document(&instruction.rest);
        }
    }
}

/// What a build's session sends of a folder: gRPC messages, packets in them, and the files that these become.
pub fn file_transfer(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let files = ContextFiles::from(Arc::new(Root::open(folder.path()).expect("a folder can be opened")));
    // The second time the client finds there what is left of the first.
    for _ in 0..2 {
        receive(bytes, &files);
    }
}

fn receive(bytes: &[u8], files: &ContextFiles) {
    let mut decoder = Decoder::new(1 << 20);
    decoder.push(bytes);
    let mut receiver = Receiver::new(files).expect("what was written can be looked at");
    while let Ok(Some(message)) = decoder.next_message() {
        let Ok(packet) = Packet::decode(message) else { return };
        if receiver.take(packet).is_err() {
            return;
        }
    }
}

/// A `.dockerignore`: the last line is the path asked for.
pub fn ignore_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (rules, path) = text.rsplit_once('\n').unwrap_or((&text, "a/b.c"));
    if let Ok(ignore) = Ignore::parse(rules) {
        ignore.excludes(path);
    }
}

/// The configuration of a loaded or pulled image.
pub fn image_config(bytes: &[u8]) {
    let _ = serde_json::from_slice::<image::Config>(bytes);
}

/// A manifest or an index of a registry: the content type on the first line, then the document.
pub fn manifest(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (content_type, document) = bytes.split_at(end);
    if let Ok(kind) = registry::manifest_type(&String::from_utf8_lossy(content_type), document) {
        let again = registry::manifest_type(&kind, document).expect("what it is holds when a registry says so");
        assert_eq!(again, kind);
    }
}

/// A request and answers on their way through the ladder: minor version, route, then a JSON value for all of them.
pub fn climb(bytes: &[u8]) {
    let [minor, route, json @ ..] = bytes else { return };
    let Ok(value) = serde_json::from_slice::<Value>(json) else { return };
    let version = Version::new(1, u32::from(minor % 52));
    let route = &ROUTES[usize::from(*route) % ROUTES.len()];
    let parameters = value.as_object().into_iter().flatten();
    let request = Request {
        method: route.method.to_owned(),
        path: route.pattern.replace("{name}", "web").replace("{id}", "web"),
        query: parameters.map(|(key, value)| (key.clone(), value.as_str().unwrap_or("1").to_owned())).collect(),
        headers: Vec::new(),
        body: Body::Json(value.clone()),
    };
    if let Climbed::Forward { descent, .. } = ladder::climb(version, request) {
        descent.response(Response::json(200, value.clone()));
        descent.response(Response::json(500, serde_json::json!({ "message": value })));
        descent.message(value);
    }
}

/// A line of a container's log, which may have been written by another engine, and any text that a container writes.
pub fn log_record(bytes: &[u8]) {
    let mut record = Record::default();
    let style =
        Style { stdout: true, stderr: true, timestamps: Timestamps::Rfc3339Fixed, details: true, ..Style::default() };
    if record.decode(bytes) {
        style.render(&record, &mut Vec::new());
    }
    let mut line = br#"{"log":""#.to_vec();
    shim::log::escape(bytes, &mut line);
    line.extend_from_slice(br#"","stream":"stdout","time":"2014-08-20T18:01:02.5Z"}"#);
    assert!(record.decode(&line), "what was written can be read");
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(record.text, text.as_bytes());
    }
}

/// The host's `/etc/resolv.conf`, and names for `/etc/hosts`.
pub fn network_files(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let composed = resolv::compose(&text, &resolv::Overrides::default());
    let known = |line: &str| ["nameserver ", "search ", "options "].iter().any(|keyword| line.starts_with(keyword));
    assert!(composed.lines().all(known), "{composed:?}");
    resolv::compose_shared(&text, &resolv::Overrides { search: vec![".".to_owned()], ..Default::default() });
    let (host, domain) = text.split_once('\n').unwrap_or((&text, ""));
    hosts::compose(&[hosts::Entry::new([127, 0, 0, 1], hosts::own_names(host, domain))]);
}

/// `-p`: what a command line or an old version's `PortSpecs` says.
pub fn port_spec(bytes: &[u8]) {
    let _ = model::parse_port_spec(&String::from_utf8_lossy(bytes));
}

/// An image's name.
pub fn reference(bytes: &[u8]) {
    if let Ok(reference) = String::from_utf8_lossy(bytes).parse::<Reference>() {
        let again: Reference = reference.to_string().parse().expect("what was printed can be parsed");
        assert_eq!(again, reference);
        let familiar: Reference = reference.familiar().parse().expect("the short form can be parsed");
        assert_eq!(familiar, reference);
    }
}

/// A registry's header `WWW-Authenticate`.
pub fn registry_challenge(bytes: &[u8]) {
    let _ = registry::realm(&String::from_utf8_lossy(bytes));
}

/// `--security-opt seccomp=`: a profile in Docker's JSON.
pub fn seccomp_profile(bytes: &[u8]) {
    let _ = runtime::seccomp::from_json(&String::from_utf8_lossy(bytes), runtime::capabilities::DEFAULT);
}

/// What a shim, a launcher and a daemon tell each other; a container that broke out must not break them.
pub fn shim_message(bytes: &[u8]) {
    let _ = serde_json::from_slice::<shim::protocol::Request>(bytes);
    let _ = serde_json::from_slice::<shim::protocol::Reply>(bytes);
    let _ = serde_json::from_slice::<shim::protocol::Command>(bytes);
    let _ = serde_json::from_slice::<shim::protocol::Event>(bytes);
}

/// A tar archive, entry by entry with its contents.
pub fn tar(bytes: &[u8]) {
    let mut reader = storage::tar::Reader::new(BufReader::new(bytes));
    while let Ok(Some(entry)) = reader.next_entry() {
        let mut read = 0;
        loop {
            match reader.chunk() {
                Ok([]) => break,
                Ok(piece) => read += piece.len(),
                Err(_) => return,
            }
            assert!(read <= bytes.len(), "{:?} has more contents than the archive", entry.path);
            let taken = reader.chunk().map_or(0, <[u8]>::len);
            reader.consume(taken);
        }
    }
}

/// Times and durations as parameters and labels have them.
pub fn time(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse::<Timestamp>().expect("what was printed can be parsed"), time);
    }
    let _ = Timestamp::parse_unix(&text);
    let _ = Timestamp::parse_filter(&text, Timestamp::default());
    let _ = model::time::parse_go_duration(&text);
    let _ = model::units::parse_ram_bytes(&text);
}
