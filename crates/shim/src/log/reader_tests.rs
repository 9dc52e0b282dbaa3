use super::*;
use crate::log::{Stream, Timestamps, Watch, Writer};
use crate::protocol::LogConfig;

fn writer(folder: &tempfile::TempDir, max_size_bytes: Option<u64>, max_files: u32) -> Writer {
    let path = folder.path().join("json.log");
    Writer::open(LogConfig { path, max_size_bytes, max_files, ..LogConfig::default() }).unwrap()
}

fn write(log: &mut Writer, numbers: std::ops::Range<i64>) {
    for number in numbers {
        log.write(Stream::Stdout, format!("{number}\n").as_bytes(), Timestamp::from_unix(number, 0));
    }
}

fn numbers(reader: &mut Reader) -> Vec<i64> {
    let mut record = Record::default();
    let mut all = Vec::new();
    while reader.read(&mut record).unwrap() {
        all.push(std::str::from_utf8(&record.text).unwrap().trim().parse().unwrap());
    }
    all
}

fn read(log: &Writer, selection: Selection) -> Vec<i64> {
    numbers(&mut Reader::open(log.path(), selection).unwrap())
}

fn tail(count: u64) -> Selection {
    Selection { tail: Some(count), ..Selection::default() }
}

#[test]
fn tail_counts_records_across_rotated_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, Some(300), 5);
    write(&mut log, 0..20);
    let all = read(&log, Selection::default());
    assert_eq!(all.last(), Some(&19));
    assert!(all.len() > 12 && all.windows(2).all(|pair| pair[1] == pair[0] + 1));
    for count in [0, 1, 3, 5, 11] {
        assert_eq!(read(&log, tail(count)), (20 - count as i64..20).collect::<Vec<_>>());
    }
    assert_eq!(read(&log, tail(1000)), all);
}

#[test]
fn tail_finds_its_place_in_large_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, None, 1);
    let text: String = (0..5000).map(|number| format!("{number}\n")).collect();
    log.write(Stream::Stdout, text.as_bytes(), Timestamp::from_unix(0, 0));
    assert_eq!(read(&log, tail(4000)), (1000..5000).collect::<Vec<_>>());
}

#[test]
fn since_and_until_include_their_moments() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, None, 1);
    write(&mut log, 0..10);
    let at = |seconds| Some(Timestamp::from_unix(seconds, 0));
    let selection = Selection { tail: None, since: at(3), until: at(6) };
    let mut reader = Reader::open(log.path(), selection).unwrap();
    assert_eq!(numbers(&mut reader), [3, 4, 5, 6]);
    assert!(reader.is_past_until());
    assert_eq!(read(&log, Selection { since: at(11), ..Selection::default() }), Vec::<i64>::new());
}

#[test]
fn following_loses_and_repeats_nothing_across_rotations() {
    for max_files in [1, 2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = writer(&folder, Some(200), max_files);
        let mut reader = Reader::open(log.path(), Selection::default()).unwrap();
        let mut all = Vec::new();
        for number in 0..300 {
            write(&mut log, number..number + 1);
            // Up to two records between two looks: at most one rotation.
            if number % 2 == 0 {
                all.extend(numbers(&mut reader));
            }
        }
        all.extend(numbers(&mut reader));
        assert_eq!(all, (0..300).collect::<Vec<_>>(), "with {max_files} files");
    }
}

#[test]
fn a_slow_follower_finds_everything_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, Some(200), 10);
    write(&mut log, 0..1);
    let mut reader = Reader::open(log.path(), Selection::default()).unwrap();
    assert_eq!(numbers(&mut reader), [0]);
    write(&mut log, 1..20);
    assert_eq!(numbers(&mut reader), (1..20).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_keeps_up_loses_nothing_that_was_removed_before_it_was_read() {
    for max_files in [1, 2, 5] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = writer(&folder, Some(200), max_files);
        write(&mut log, 0..1);
        let mut reader = Reader::open(log.path(), Selection::default()).unwrap();
        assert_eq!(numbers(&mut reader), [0]);
        for number in 1..60 {
            write(&mut log, number..number + 1);
            reader.keep_up().unwrap();
        }
        assert_eq!(numbers(&mut reader), (1..60).collect::<Vec<_>>(), "with {max_files} files");
    }
}

#[test]
fn who_follows_is_waited_for() {
    for max_files in [1, 2, 4] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = writer(&folder, Some(200), max_files);
        let mut reader = Reader::follow(log.path(), Selection::default()).unwrap();
        let writing = std::thread::spawn(move || write(&mut log, 0..400));
        let mut all = Vec::new();
        loop {
            let done = writing.is_finished();
            // By far not as quick as the writer.
            std::thread::sleep(std::time::Duration::from_millis(5));
            reader.keep_up().unwrap();
            all.extend(numbers(&mut reader));
            if done {
                break;
            }
        }
        assert_eq!(all, (0..400).collect::<Vec<_>>(), "with {max_files} files");
    }
}

#[test]
fn who_follows_and_does_nothing_is_waited_for_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, Some(200), 1);
    let reader = Reader::follow(log.path(), Selection::default()).unwrap();
    let begun = std::time::Instant::now();
    write(&mut log, 0..400);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    assert!(reader.position().is_some());
}

#[test]
fn what_is_held_for_a_slow_reader_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, Some(1), 1);
    write(&mut log, 0..1);
    let mut reader = Reader::open(log.path(), Selection::default()).unwrap();
    for number in 1..300 {
        write(&mut log, number..number + 1);
        reader.keep_up().unwrap();
    }
    assert_eq!(reader.files.len(), HELD_FILES + 1);
    let read = numbers(&mut reader);
    // What was held, and what is kept.
    assert_eq!((read.len(), read[HELD_FILES], read.last()), (HELD_FILES + 2, HELD_FILES as i64, Some(&299)));
}

#[test]
fn following_from_another_thread_sees_every_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, Some(5000), 1000);
    let path = log.path().to_owned();
    let writing = std::thread::spawn(move || write(&mut log, 0..20_000));
    let mut reader = Reader::open(&path, Selection::default()).unwrap();
    let mut all = Vec::new();
    while all.len() < 20_000 {
        let done = writing.is_finished();
        let new = numbers(&mut reader);
        assert!(!(done && new.is_empty()), "records are missing");
        all.extend(new);
    }
    writing.join().unwrap();
    assert!(all.iter().copied().eq(0..20_000));
}

#[test]
fn reading_resumes_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, Some(300), 10);
    write(&mut log, 0..3);
    let mut reader = Reader::open(log.path(), Selection::default()).unwrap();
    let mut record = Record::default();
    assert!(reader.read(&mut record).unwrap() && reader.read(&mut record).unwrap());
    let position = reader.position().unwrap();
    write(&mut log, 3..12);
    assert_eq!(numbers(&mut Reader::resume(log.path(), position).unwrap()), (2..12).collect::<Vec<_>>());
}

#[test]
fn a_half_written_record_is_read_when_it_is_whole_and_a_torn_one_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("json.log");
    let mut reader = Reader::open(&path, Selection::default()).unwrap();
    assert_eq!(numbers(&mut reader), Vec::<i64>::new());
    let line = r#"{"log":"7\n","stream":"stdout","time":"2014-08-20T18:01:02Z"}"#;
    std::fs::write(&path, &line[..20]).unwrap();
    assert_eq!(numbers(&mut reader), Vec::<i64>::new());
    let whole = format!("{line}\n{{\"log\":\"to\n{}{line}\n", "x".repeat(LINE_LIMIT * 2) + "\n");
    std::fs::write(&path, whole).unwrap();
    assert_eq!(numbers(&mut reader), [7, 7]);
}

#[test]
fn a_file_that_was_cut_off_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, None, 1);
    write(&mut log, 0..9);
    let mut reader = Reader::open(log.path(), Selection::default()).unwrap();
    assert_eq!(numbers(&mut reader).len(), 9);
    File::options().write(true).open(log.path()).unwrap().set_len(0).unwrap();
    assert_eq!(numbers(&mut reader), Vec::<i64>::new());
    write(&mut log, 50..51);
    assert_eq!(numbers(&mut reader), [50]);
}

#[test]
fn a_batch_is_limited_and_a_watch_tells_of_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = writer(&folder, None, 1);
    write(&mut log, 0..1000);
    let mut reader = Reader::open(log.path(), Selection::default()).unwrap();
    let style = Style { stdout: true, timestamps: Timestamps::Rfc3339Nano, ..Style::default() };
    let mut out = Vec::new();
    assert!(reader.render(&style, &mut out, 1000).unwrap());
    assert!((1000..1100).contains(&out.len()));
    assert!(!reader.render(&style, &mut out, usize::MAX).unwrap());
    assert!(out.ends_with(b"1970-01-01T00:16:39Z 999\n"));
    let watch = Watch::new(log.path()).unwrap();
    watch.clear().unwrap();
    write(&mut log, 1000..1001);
    let mut fds = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
    let second = rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&second)).unwrap(), 1);
    watch.clear().unwrap();
    assert_eq!(numbers(&mut reader), [1000]);
}
