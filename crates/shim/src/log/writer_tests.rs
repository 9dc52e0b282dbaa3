use super::*;

fn config(folder: &tempfile::TempDir) -> LogConfig {
    LogConfig { path: folder.path().join("c-json.log"), max_files: 1, ..LogConfig::default() }
}

fn at(nanoseconds: u32) -> Timestamp {
    Timestamp::from_unix(1_408_557_662, nanoseconds)
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn lines_become_records_and_the_rest_waits_for_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Writer::open(config(&folder)).unwrap();
    log.write(Stream::Stdout, b"one\ntw", at(123_456_789));
    log.write(Stream::Stderr, b"<err>\n", at(500_000_000));
    assert_eq!(log.unrecorded(Stream::Stdout), b"tw");
    log.write(Stream::Stdout, b"o\nlast", at(0));
    log.end(Stream::Stdout, at(1));
    log.end(Stream::Stderr, at(1));
    assert_eq!(
        text(log.path()),
        concat!(
            r#"{"log":"one\n","stream":"stdout","time":"2014-08-20T18:01:02.123456789Z"}"#,
            "\n",
            r#"{"log":"\u003cerr\u003e\n","stream":"stderr","time":"2014-08-20T18:01:02.5Z"}"#,
            "\n",
            r#"{"log":"two\n","stream":"stdout","time":"2014-08-20T18:01:02Z"}"#,
            "\n",
            r#"{"log":"last","stream":"stdout","time":"2014-08-20T18:01:02.000000001Z"}"#,
            "\n",
        )
    );
}

#[test]
fn a_long_line_is_split_between_characters() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Writer::open(config(&folder)).unwrap();
    let line = format!("x{}\n", "é".repeat(RECORD_LIMIT));
    for chunk in line.as_bytes().chunks(10_007) {
        log.write(Stream::Stdout, chunk, at(0));
    }
    let records: Vec<String> = text(log.path())
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["log"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.len() <= RECORD_LIMIT));
    assert_eq!(records.concat(), line);
}

#[test]
fn a_line_of_exactly_the_limit_is_not_followed_by_an_empty_record_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Writer::open(config(&folder)).unwrap();
    log.write(Stream::Stdout, &[b'a'; RECORD_LIMIT], at(0));
    log.end(Stream::Stdout, at(0));
    assert_eq!(text(log.path()).lines().count(), 1);
}

#[test]
fn rotation_keeps_the_wanted_number_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { max_size_bytes: Some(200), max_files: 3, ..config(&folder) };
    let mut log = Writer::open(config.clone()).unwrap();
    for number in 0..20 {
        log.write(Stream::Stdout, format!("line {number}\n").as_bytes(), at(0));
    }
    let mut all = String::new();
    for generation in (0..3).rev() {
        all += &text(&rotated(&config.path, generation));
    }
    assert!(!rotated(&config.path, 3).exists());
    assert!(all.ends_with("\"line 19\\n\",\"stream\":\"stdout\",\"time\":\"2014-08-20T18:01:02Z\"}\n"));
    assert!(text(&rotated(&config.path, 1)).len() >= 200);
    assert!(text(&rotated(&config.path, 1)).len() < 300);
}

#[test]
fn a_single_file_is_replaced_so_that_readers_keep_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { max_size_bytes: Some(10), ..config(&folder) };
    let mut log = Writer::open(config.clone()).unwrap();
    log.write(Stream::Stdout, b"old\n", at(0));
    let mut reader = File::open(&config.path).unwrap();
    log.write(Stream::Stdout, b"new\n", at(0));
    assert!(text(&config.path).contains("new") && !text(&config.path).contains("old"));
    assert!(io::read_to_string(&mut reader).unwrap().contains("old"));
}

#[test]
fn a_torn_record_of_an_earlier_run_is_fenced_off() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(config(&folder).path, br#"{"log":"to"#).unwrap();
    let mut log = Writer::open(config(&folder)).unwrap();
    log.write(Stream::Stdout, b"whole\n", at(0));
    assert!(text(log.path()).lines().nth(1).unwrap().starts_with(r#"{"log":"whole"#));
}

#[test]
fn attributes_stand_in_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let attributes = [("env".to_owned(), "a\"b".to_owned()), ("tag".to_owned(), "t".to_owned())].into();
    let mut log = Writer::open(LogConfig { attributes, ..config(&folder) }).unwrap();
    log.write(Stream::Stderr, b"x\n", at(0));
    let record: serde_json::Value = serde_json::from_str(&text(log.path())).unwrap();
    assert_eq!(record["attrs"]["env"], "a\"b");
    assert_eq!(record["stream"], "stderr");
}

#[test]
fn a_full_disk_loses_whole_records_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Writer::open(config(&folder)).unwrap();
    log.write(Stream::Stdout, b"kept\n", at(0));
    let before = text(log.path());
    // A file that refuses every write stands for the full disk.
    log.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    log.write(Stream::Stdout, b"lost\n", at(0));
    assert!(log.lost_bytes() > 0);
    assert_eq!(text(log.path()), before);
}
