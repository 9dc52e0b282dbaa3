//! Lists that were written a moment ago.
//!
//! Who asks for a list asks again, and by then few of its lines have changed. A list is kept as the text that its client
//! got, with what each line of it was made of: a line that is made of the same is copied, the others are written by as many
//! processors as there are, and a list of which nothing has changed goes out as it is.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::mem::size_of;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use bytes::Bytes;
use ladder::Descent;

use crate::query::Query;

/// How many lists are kept; the one that was not asked for longest goes first.
const LISTS: usize = 16;

/// How many bytes they may have together: ten thousand containers at two versions. A longer list is not kept.
const LISTS_BYTES: usize = 16 * 1024 * 1024;

/// Another processor helps for each so many lines that go down the ladder: fewer take less time than its waking up.
const LANE_LINES: usize = 128;

/// The same where they do not go down.
const NEWEST_LANE_LINES: usize = 2048;

/// The lists, the last one that was asked for first.
pub(crate) struct Lists<L> {
    kept: Mutex<Vec<Arc<Kept<L>>>>,
}

/// What was asked, which tells with a line how that is written.
#[derive(Debug)]
pub(crate) enum Way {
    /// At the newest version.
    Newest(Query),
    /// At an older one.
    Older(Arc<Descent>),
}

/// A list as its client got it.
struct Kept<L> {
    way: Way,
    lines: Vec<L>,
    /// Where in the text each line is; those that are not shown to the client are nowhere.
    places: Vec<Range<usize>>,
    text: Bytes,
}

impl<L: Eq + Hash + Sync> Lists<L> {
    /// The document of a list. `write` makes the text of a line, none if the client is not shown it; equal lines have equal
    /// texts on the same way.
    ///
    /// # Errors
    /// Those of `write`.
    pub(crate) fn text<E: Send>(
        &self,
        way: Way,
        lines: Vec<L>,
        write: impl Fn(&L) -> Result<Vec<u8>, E> + Sync,
    ) -> Result<Bytes, E> {
        let before = self.recall(&way);
        if let Some(before) = before.as_ref().filter(|before| before.lines == lines) {
            return Ok(before.text.clone());
        }
        let known: HashMap<&L, &[u8]> = before.iter().flat_map(|before| before.pieces()).collect();
        let changed: Vec<&L> = lines.iter().filter(|line| !known.contains_key(line)).collect();
        let written =
            in_lanes(&changed, way.lane_lines(), |line| write(line)).into_iter().collect::<Result<Vec<_>, E>>()?;
        let mut written = written.iter();
        let pieces: Vec<&[u8]> = lines
            .iter()
            .map(|line| known.get(line).copied().or_else(|| written.next().map(Vec::as_slice)).unwrap_or_default())
            .collect();
        let (text, places) = document(&pieces);
        self.keep(Kept { way, lines, places, text: text.clone() });
        Ok(text)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.lists() = Vec::new();
    }

    fn recall(&self, way: &Way) -> Option<Arc<Kept<L>>> {
        let mut lists = self.lists();
        let at = lists.iter().position(|kept| kept.way.is_like(way))?;
        lists[..=at].rotate_right(1);
        lists.first().cloned()
    }

    fn keep(&self, kept: Kept<L>) {
        if kept.bytes() > LISTS_BYTES {
            return;
        }
        let mut lists = self.lists();
        lists.retain(|other| !other.way.is_like(&kept.way));
        lists.insert(0, Arc::new(kept));
        let mut bytes = 0;
        lists.retain(|kept| {
            bytes += kept.bytes();
            bytes <= LISTS_BYTES
        });
        lists.truncate(LISTS);
    }

    fn lists(&self) -> MutexGuard<'_, Vec<Arc<Kept<L>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    fn lane_lines(&self) -> usize {
        match self {
            Self::Newest(_) => NEWEST_LANE_LINES,
            Self::Older(_) => LANE_LINES,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Newest(query), Self::Newest(other)) => query == other,
            (Self::Older(descent), Self::Older(other)) => descent.is_like(other),
            _ => false,
        }
    }
}

impl<L> Kept<L> {
    fn pieces(&self) -> impl Iterator<Item = (&L, &[u8])> {
        self.lines.iter().zip(self.places.iter().map(|place| &self.text[place.clone()]))
    }

    fn bytes(&self) -> usize {
        self.text.len() + self.lines.len() * (size_of::<L>() + size_of::<Range<usize>>())
    }
}

impl<L> Default for Lists<L> {
    fn default() -> Self {
        Self { kept: Mutex::default() }
    }
}

impl<L> fmt::Debug for Lists<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").finish_non_exhaustive()
    }
}

/// A JSON list of pieces, with a newline behind it as Docker writes it, and where each piece is.
fn document(pieces: &[&[u8]]) -> (Bytes, Vec<Range<usize>>) {
    let mut text = Vec::with_capacity(pieces.iter().map(|piece| piece.len() + 1).sum::<usize>() + 3);
    text.push(b'[');
    let places = pieces.iter().map(|piece| {
        if text.len() > 1 && !piece.is_empty() {
            text.push(b',');
        }
        text.extend_from_slice(piece);
        text.len() - piece.len()..text.len()
    });
    let places = places.collect();
    text.extend_from_slice(b"]\n");
    (text.into(), places)
}

/// What becomes of each item, in their order, by one processor for each `lane_items`.
fn in_lanes<T: Sync, R: Send>(items: &[T], lane_items: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let lanes = match items.len() / lane_items {
        0 | 1 => 1,
        most => std::thread::available_parallelism().map_or(1, usize::from).min(most),
    };
    let lane = |items: &[T]| items.iter().map(&work).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let mut lanes = items.chunks(items.len().div_ceil(lanes).max(1));
        let own = lanes.next().unwrap_or_default();
        let others: Vec<_> = lanes.map(|items| (items, Builder::new().spawn_scoped(scope, || lane(items)))).collect();
        let mut done = lane(own);
        for (items, thread) in others {
            done.extend(match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // The machine gives no thread: it works without.
                Err(_) => lane(items),
            });
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    type Line = (u16, u8);

    fn way(number: usize) -> Way {
        Way::Newest(Query(vec![("all".to_owned(), number.to_string())]))
    }

    fn write((id, state): &Line) -> Result<Vec<u8>, String> {
        // Some lines are not shown.
        Ok(if id % 7 == 3 { Vec::new() } else { json!({"Id": id, "State": state}).to_string().into_bytes() })
    }

    fn text(lists: &Lists<Line>, number: usize, lines: &[Line]) -> Bytes {
        lists.text(way(number), lines.to_vec(), write).expect("a list")
    }

    proptest! {
        #[test]
        fn what_is_kept_changes_no_list(
            lists in prop::collection::vec((0..3usize, prop::collection::btree_map(0..400u16, 0..3u8, 0..400)), 1..12),
        ) {
            let remembering = Lists::default();
            for (number, lines) in lists {
                let lines: Vec<Line> = lines.into_iter().rev().collect();
                prop_assert_eq!(text(&remembering, number, &lines), text(&Lists::default(), number, &lines));
            }
        }
    }

    #[test]
    fn only_what_has_changed_is_written() {
        let (lists, written) = (Lists::default(), AtomicUsize::new(0));
        let ask = |number: usize, lines: &[Line]| {
            let before = written.load(Ordering::Relaxed);
            let write = |line: &Line| {
                written.fetch_add(1, Ordering::Relaxed);
                write(line)
            };
            lists.text(way(number), lines.to_vec(), write).expect("a list");
            written.load(Ordering::Relaxed) - before
        };
        assert_eq!(ask(1, &[(5, 0), (4, 0), (3, 0)]), 3);
        assert_eq!(ask(1, &[(5, 0), (4, 0), (3, 0)]), 0);
        assert_eq!(ask(1, &[(6, 0), (5, 0), (4, 1)]), 2);
        assert_eq!(ask(2, &[(6, 0)]), 1, "asked otherwise");
        assert_eq!(ask(1, &[(5, 0), (6, 0)]), 0, "another order");
        lists.clear();
        assert_eq!(ask(1, &[(6, 0)]), 1);
    }

    #[test]
    fn lanes_keep_all_in_order() {
        for length in [0, 1, LANE_LINES, 2 * LANE_LINES, 5 * LANE_LINES + 3] {
            let items: Vec<usize> = (0..length).collect();
            assert_eq!(in_lanes(&items, LANE_LINES, |item| item + 1), (1..=length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lines_that_are_not_shown_leave_no_comma() {
        let read =
            |lines: &[Line]| -> Value { serde_json::from_slice(&text(&Lists::default(), 0, lines)).expect("JSON") };
        assert_eq!(
            read(&[(3, 0), (1, 0), (10, 0), (2, 0), (17, 0)]),
            json!([{"Id": 1, "State": 0}, {"Id": 2, "State": 0}])
        );
        assert_eq!(read(&[(3, 0)]), json!([]));
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let lists = Lists::default();
        for number in 0..3 * LISTS {
            text(&lists, number, &[(1, 0)]);
        }
        assert_eq!(lists.lists().len(), LISTS);
        let long = |_: &Line| Ok::<_, String>(vec![b'1'; LISTS_BYTES / 3]);
        for number in 0..3 {
            lists.text(way(number), vec![(1, 0)], long).expect("a list");
        }
        assert_eq!(lists.lists().len(), 2, "of three that are a third and a little");
        lists.text(way(9), vec![(1, 0), (2, 0), (4, 0)], long).expect("a list");
        assert_eq!(lists.lists().len(), 2, "what is too long pushes nothing out");
    }
}
