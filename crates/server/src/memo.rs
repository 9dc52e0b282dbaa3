//! Answers that went down the ladder a moment ago.
//!
//! The ladder is pure: the same answer to the same request becomes the same at an old version. A client that asks for one
//! thing again and again, as those do that wait for a container to become ready, gets what it got before for the time that
//! it takes to see that nothing has changed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use ladder::Descent;

use crate::body::Body;
use crate::reply::Document;

/// How many answers are kept; all are forgotten when one more comes.
const ANSWERS: usize = 64;

/// The longest answer that is kept.
const ANSWER_BYTES: usize = 32 * 1024;

/// The answers, by the path that was asked for.
#[derive(Default)]
pub(crate) struct Memo {
    kept: Mutex<HashMap<String, Kept>>,
}

/// One answer before and after its way down.
struct Kept {
    descent: Box<Descent>,
    newest: Vec<u8>,
    status: StatusCode,
    headers: HeaderMap,
    lowered: Bytes,
}

impl Memo {
    /// A document that is the whole of a successful answer on its way down: `lower` takes it there unless that was just done.
    pub(crate) fn down(
        &self,
        descent: Box<Descent>,
        document: &dyn Document,
        lower: impl FnOnce(&Descent) -> Response<Body>,
    ) -> Response<Body> {
        let newest = match document.text() {
            Ok(newest) if descent.asked().request.method == "GET" && newest.len() <= ANSWER_BYTES => newest,
            _ => return lower(&descent),
        };
        if let Some(answer) = self.recall(&descent, &newest) {
            return answer;
        }
        let answer = lower(&descent);
        self.keep(descent, newest, &answer);
        answer
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.answers() = HashMap::new();
    }

    fn recall(&self, descent: &Descent, newest: &[u8]) -> Option<Response<Body>> {
        let answers = self.answers();
        let kept = answers.get(&descent.asked().request.path)?;
        if !kept.descent.is_like(descent) || kept.newest != newest {
            return None;
        }
        let mut answer = Response::new(Body::whole(kept.lowered.clone()));
        *answer.status_mut() = kept.status;
        *answer.headers_mut() = kept.headers.clone();
        Some(answer)
    }

    fn keep(&self, descent: Box<Descent>, newest: Vec<u8>, answer: &Response<Body>) {
        let Some(lowered) = answer.body().whole_bytes() else { return };
        let kept = Kept { newest, status: answer.status(), headers: answer.headers().clone(), lowered, descent };
        let mut answers = self.answers();
        if answers.len() >= ANSWERS {
            answers.clear();
        }
        answers.insert(kept.descent.asked().request.path.clone(), kept);
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("answers", &self.answers().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use ladder::{Climbed, Request, Version};
    use serde_json::json;

    use super::*;

    fn descent(minor: u32, path: &str, agent: &str) -> Box<Descent> {
        let request = Request {
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: vec![("User-Agent".to_owned(), agent.to_owned())],
            body: ladder::Body::Empty,
        };
        match ladder::climb(Version::new(1, minor), request) {
            Climbed::Forward { descent, .. } => descent,
            Climbed::Answer(answer) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn only_what_is_the_same_is_not_lowered_again() {
        let (memo, lowered) = (Memo::default(), Cell::new(0));
        let ask = |descent: Box<Descent>, state: &str| {
            let answer = memo.down(descent, &json!({"State": state}), |_| {
                lowered.set(lowered.get() + 1);
                Response::new(Body::whole(format!("{state} {}", lowered.get())))
            });
            answer.body().whole_bytes().expect("a whole body")
        };
        assert_eq!(ask(descent(41, "/containers/a/json", "x"), "up"), "up 1");
        assert_eq!(ask(descent(41, "/containers/a/json", "x"), "up"), "up 1");
        assert_eq!(ask(descent(41, "/containers/b/json", "x"), "up"), "up 2");
        assert_eq!(ask(descent(41, "/containers/a/json", "x"), "down"), "down 3");
        assert_eq!(ask(descent(41, "/containers/a/json", "y"), "down"), "down 4");
        assert_eq!(ask(descent(40, "/containers/a/json", "y"), "down"), "down 5");
        assert_eq!(ask(descent(40, "/containers/a/json", "y"), "down"), "down 5");
        memo.clear();
        assert_eq!(ask(descent(40, "/containers/a/json", "y"), "down"), "down 6");
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let memo = Memo::default();
        for number in 0..3 * ANSWERS {
            let lower = |_: &Descent| Response::new(Body::whole("lowered"));
            memo.down(descent(41, &format!("/containers/{number}/json"), "x"), &json!(number), lower);
            memo.down(descent(41, "/containers/large/json", "x"), &"x".repeat(ANSWER_BYTES), lower);
        }
        assert!((1..=ANSWERS).contains(&memo.answers().len()));
        assert!(!memo.answers().contains_key("/containers/large/json"));
    }
}
