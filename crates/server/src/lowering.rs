//! Long lists on their way down the ladder: item by item, by as many processors as there are.

use std::panic::resume_unwind;
use std::thread::Builder;

use api::container::ContainerSummary;
use ladder::Descent;

use crate::reply::unwritten;

/// What a line of a list of containers usually takes.
const ITEM_BYTES: usize = 768;

/// Another processor helps for each so many items: fewer take less time than its waking up.
const LANE_ITEMS: usize = 128;

/// The document that the client gets.
pub(crate) fn list(list: &[ContainerSummary], descent: &Descent) -> Result<Vec<u8>, engine::Error> {
    let lanes = match list.len() / LANE_ITEMS {
        0 | 1 => 1,
        most => std::thread::available_parallelism().map_or(1, usize::from).min(most),
    };
    let pieces: Vec<Result<Vec<u8>, engine::Error>> = std::thread::scope(|scope| {
        let mut lanes = list.chunks(list.len().div_ceil(lanes).max(1));
        let own = lanes.next().unwrap_or_default();
        let others: Vec<_> =
            lanes.map(|lane| (lane, Builder::new().spawn_scoped(scope, || items(lane, descent)))).collect();
        let own = items(own, descent);
        let others = others.into_iter().map(|(lane, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // The machine gives no thread: it works without.
            Err(_) => items(lane, descent),
        });
        std::iter::once(own).chain(others).collect()
    });
    let mut document = Vec::with_capacity(ITEM_BYTES * list.len());
    document.push(b'[');
    for piece in pieces {
        let piece = piece?;
        if document.len() > 1 && !piece.is_empty() {
            document.push(b',');
        }
        document.extend_from_slice(&piece);
    }
    document.extend_from_slice(b"]\n");
    Ok(document)
}

/// Items with commas between them.
fn items(list: &[ContainerSummary], descent: &Descent) -> Result<Vec<u8>, engine::Error> {
    let mut lowered = Vec::with_capacity(ITEM_BYTES * list.len());
    for item in list {
        let Some(item) = descent.item(serde_json::to_value(item).map_err(unwritten)?) else { continue };
        if !lowered.is_empty() {
            lowered.push(b',');
        }
        serde_json::to_writer(&mut lowered, &item).map_err(unwritten)?;
    }
    Ok(lowered)
}

#[cfg(test)]
mod tests {
    use ladder::{Body, Climbed, Request, Version};
    use serde_json::Value;

    use super::*;

    #[test]
    fn lanes_keep_all_in_order() {
        let request = Request {
            method: "GET".to_owned(),
            path: "/containers/json".to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Body::Empty,
        };
        let Climbed::Forward { descent, .. } = ladder::climb(Version::new(1, 0), request) else { panic!("refused") };
        for length in [0, 1, LANE_ITEMS, 2 * LANE_ITEMS, 5 * LANE_ITEMS + 3] {
            let summary = |n: usize| ContainerSummary { id: format!("{n:064}"), ..ContainerSummary::default() };
            let document = list(&(0..length).map(summary).collect::<Vec<_>>(), &descent).expect("a list");
            let read: Vec<Value> = serde_json::from_slice(&document).expect("JSON");
            assert_eq!(read.len(), length);
            assert!(read.iter().zip(0..).all(|(item, n)| item["Id"] == format!("{n:064}")));
        }
    }
}
