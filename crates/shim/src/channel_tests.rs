use proptest::prelude::*;

use super::*;
use crate::protocol::{Attach, Command, Event, Exit, Failure, LogPosition, Request, Start, Stdio};

fn pair() -> (Channel, Channel) {
    let (left, right) = sys::socket::pair().unwrap();
    (Channel::new(left), Channel::new(right))
}

fn message<M: DeserializeOwned>(channel: &Channel) -> (M, Vec<OwnedFd>) {
    match channel.receive().unwrap() {
        Incoming::Message(message, descriptors) => (message, descriptors),
        _ => panic!("no message"),
    }
}

#[test]
fn small_and_large_messages_arrive_with_their_descriptors() {
    let (left, right) = pair();
    for length in [10, INLINE_LIMIT - 100, INLINE_LIMIT + 100, 3_000_000] {
        let plan = serde_json::value::to_raw_value(&"p".repeat(length)).unwrap();
        let start = Command::Start(Box::new(Start { plan, stdio: Stdio::default(), log: None }));
        let (reader, _writer) = rustix::pipe::pipe().unwrap();
        left.send(&start, &[reader.as_fd()]).unwrap();
        let (received, descriptors) = message::<Command>(&right);
        let Command::Start(received) = received else { panic!("another command") };
        assert_eq!(received.plan.get().len(), length + 2);
        assert_eq!(descriptors.len(), 1);
    }
}

#[test]
fn a_closed_peer_is_told_apart_from_silence() {
    let (left, right) = pair();
    right.set_nonblocking(true).unwrap();
    assert!(matches!(right.receive::<Event>().unwrap(), Incoming::Nothing));
    drop(left);
    assert!(matches!(right.receive::<Event>().unwrap(), Incoming::Closed));
    assert!(matches!(right.send(&Command::Release, &[]), Err(Error::Closed)));
}

#[test]
fn a_memory_file_that_could_still_change_is_refused() {
    let (left, right) = pair();
    let file = rustix::fs::memfd_create(c"x", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    sys::socket::send(&left, b"@", &[file.as_fd()]).unwrap();
    assert!(matches!(right.receive::<Command>(), Err(Error::Malformed { .. })));
    sys::socket::send(&left, b"@", &[]).unwrap();
    assert!(matches!(right.receive::<Command>(), Err(Error::Malformed { .. })));
    left.send(&Command::Release, &[]).unwrap();
    assert!(matches!(message(&right), (Command::Release, _)));
}

#[test]
fn unknown_fields_are_ignored_and_missing_ones_have_defaults() {
    let attach: Command = parse(br#"{"Attach":{"attach_id":7,"colour":"red"}}"#).unwrap();
    let Command::Attach(attach) = attach else { panic!("another command") };
    assert_eq!(attach, Attach { attach_id: 7, ..Attach::default() });
    assert!(parse::<Command>(br#"{"Dance":{}}"#).is_err());
}

proptest! {
    #[test]
    fn attach_survives_the_trip(
        attach_id in any::<u64>(),
        flags in any::<[bool; 4]>(),
        detach_keys in proptest::collection::vec(any::<u8>(), 0..5),
        early_input in proptest::collection::vec(any::<u8>(), 0..40_000),
        resume in proptest::option::of(any::<(u64, u64)>()),
    ) {
        let [stdin, stdout, stderr, framed] = flags;
        let resume = resume.map(|(inode, offset_bytes)| LogPosition { inode, offset_bytes });
        let attach = Attach { attach_id, stdin, stdout, stderr, framed, detach_keys, early_input, resume };
        let (left, right) = pair();
        left.send(&Command::Attach(attach.clone()), &[]).unwrap();
        let (Command::Attach(received), _) = message(&right) else { panic!("another command") };
        prop_assert_eq!(received, attach);
    }

    #[test]
    fn events_and_requests_survive_the_trip(
        text in any::<String>(), code in any::<i32>(), signal in any::<Option<i32>>(), exited_at_ns in any::<i64>(),
    ) {
        let (left, right) = pair();
        let failure = Failure { stage: text.clone(), errno: code, detail: text.clone() };
        let events = [
            Event::Exited(Exit { code, signal, exited_at_ns }),
            Event::ExecFailed { exec_id: text.clone(), failure: failure.clone() },
            Event::StartFailed(failure),
        ];
        for event in events {
            left.send(&event, &[]).unwrap();
            prop_assert_eq!(message::<Event>(&right).0, event);
        }
        let launch = Request::Launch { container_id: text.clone(), socket: text.into() };
        left.send(&launch, &[]).unwrap();
        prop_assert_eq!(message::<Request>(&right).0, launch);
    }

    #[test]
    fn garbage_is_an_error_and_the_next_message_is_read(bytes in proptest::collection::vec(any::<u8>(), 1..2000)) {
        let (left, right) = pair();
        sys::socket::send(&left, &bytes, &[]).unwrap();
        let refused = matches!(right.receive::<Command>(), Err(Error::Malformed { .. }));
        prop_assert!(refused);
        left.send(&Command::Release, &[]).unwrap();
        let next = matches!(message(&right), (Command::Release, _));
        prop_assert!(next);
    }
}

#[test]
fn the_last_word_of_a_peer_that_did_not_read_ours_still_arrives() {
    let (left, right) = pair();
    right.set_nonblocking(true).unwrap();
    right.send(&Event::Attached { attach_id: 1 }, &[]).unwrap();
    left.send(&Command::Release, &[]).unwrap();
    drop(left);
    assert!(matches!(message::<Command>(&right).0, Command::Release));
    assert!(matches!(right.receive::<Command>().unwrap(), Incoming::Closed));
}
