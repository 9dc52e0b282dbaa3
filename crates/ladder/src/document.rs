//! The ladder as a document.

use std::fmt::Write as _;

use crate::decisions::DECISIONS;
use crate::rungs::RUNGS;
use crate::version::{NEWEST, OLDEST};

/// The ladder in Markdown, as `docs/api-versions.md` holds it.
pub fn markdown() -> String {
    let mut text = format!(
        "# What each version of the API changed\n\n\
         longshore answers every version of the Docker API from {OLDEST} to {NEWEST}. A request of an older version is taken up, one version\n\
         after the other, to the newest; its answer is taken down the same way. This page lists what each step does, in the order from new to\n\
         old. It is generated from the program (`cargo run -p ladder --example document`); do not edit it.\n\n\
         Where the documents of a version and the daemon of its time disagreed, what the daemon did counts. Below 1.15 that is Docker 1.2.0,\n\
         which served all versions from 1.0 to 1.14.\n"
    );
    for rung in RUNGS {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {} (Docker {})\n\n", rung.version, rung.release);
        for change in rung.changes {
            let _ = writeln!(text, "- {}", change.summary);
            if change.adds {
                for route in change.routes.iter().map(|endpoint| endpoint.route()) {
                    let _ = writeln!(text, "  - `{} {}`", route.method, route.pattern);
                }
            }
        }
    }
    let _ = write!(text, "\n## {OLDEST} (Docker 0.3.3)\n\nThe first version.\n");
    text.push_str("\n## Decisions\n\nWhere Docker 1.2.0 refused what it served, broke, or left more than one way; each has a test.\n\n");
    text.push_str("| versions | what is answered | test |\n| --- | --- | --- |\n");
    for decision in DECISIONS {
        let _ = writeln!(text, "| {} | {} | `{}` |", decision.versions, decision.text, decision.test);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_program_says() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api-versions.md");
        let written = std::fs::read_to_string(page).unwrap();
        assert!(
            written == markdown(),
            "docs/api-versions.md is out of date: cargo run -p ladder --example document > docs/api-versions.md"
        );
    }

    #[test]
    fn rungs_go_down_one_by_one() {
        assert_eq!(RUNGS[0].version, NEWEST);
        for pair in RUNGS.windows(2) {
            assert_eq!((pair[0].version.major, pair[0].version.minor), (1, pair[1].version.minor + 1));
        }
        assert_eq!(RUNGS.last().map(|rung| rung.version.minor), Some(1));
    }

    #[test]
    fn every_change_is_a_sentence() {
        for change in RUNGS.iter().flat_map(|rung| rung.changes) {
            assert!(change.summary.ends_with('.') && change.summary.len() > 10, "{:?}", change.summary);
        }
    }
}
