//! Prints the ladder in Markdown, for `docs/api-versions.md`.

fn main() {
    print!("{}", ladder::markdown());
}
