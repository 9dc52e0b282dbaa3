use super::*;
use crate::Filter;

fn names(engine: &Engine, filter: &Filter) -> Vec<Vec<String>> {
    engine.images.list(filter).unwrap().into_iter().map(|one| one.tags).collect()
}

#[test]
fn resolves_names_ids_and_prefixes() {
    let engine = Engine::new();
    let image = engine.import("busybox", &[("a", "a")], &[]);
    let id = image.id.to_string();
    for text in
        ["busybox", "busybox:latest", "docker.io/library/busybox", &id, &id[7..], &id[7..19], &id[..19], &id[7..8]]
    {
        assert_eq!(engine.id(text), image.id, "{text}");
    }
    let message = |text: &str| engine.images.resolve(text).unwrap_err().to_string();
    assert_eq!(message("nosuch"), "No such image: nosuch:latest");
    assert_eq!(message("busybox:v9"), "No such image: busybox:v9");
    assert_eq!(message("Foo"), "invalid reference format: repository name (library/Foo) must be lowercase");
    assert_eq!(message(&"0".repeat(64)), format!("No such image: sha256:{}", "0".repeat(64)));
    assert_eq!(message(""), "invalid reference format");
}

#[test]
fn names_move() {
    let engine = Engine::new();
    let one = engine.import("one", &[("a", "a")], &[]);
    let two = engine.import("two", &[("b", "b")], &[]);
    let happenings = engine.images.tag("one", "host:5000/team/app", "v2").unwrap();
    assert_eq!((happenings[0].name.as_str(), happenings[0].image), ("host:5000/team/app:v2", one.id));
    engine.images.tag("two", "host:5000/team/app:v2", "").unwrap();
    assert_eq!(engine.id("host:5000/team/app:v2"), two.id);
    assert_eq!(engine.images.snapshot().tags(&one.id), ["one:latest"]);
    let message = |repository: &str, tag: &str| engine.images.tag("one", repository, tag).unwrap_err().to_string();
    assert_eq!(message("a", "b c"), "invalid tag format");
    assert_eq!(message("sha256", "a"), "refusing to create an ambiguous tag using digest algorithm as name");
    assert_eq!(message("", "a"), "invalid reference format");
    let (engine, _) = engine.reopened();
    assert_eq!(engine.id("host:5000/team/app:v2"), two.id);
}

#[test]
fn lists_and_filters() {
    let engine = Engine::new();
    let base = engine.import("base", &[("a", "aaa")], &["stage=base"]);
    let middle = engine.step(&base, &[("b", "bb")], "one", None);
    let top = engine.step(&middle, &[], "two", Some("app:v1"));
    engine.images.tag("app:v1", "reg.example/app", "v2").unwrap();
    let dangling = engine.step(&base, &[("c", "c")], "three", None);
    assert_eq!(names(&engine, &Filter::default()).len(), 3);
    assert_eq!(names(&engine, &Filter { all: true, ..Filter::default() }).len(), 4);
    let found = engine.images.list(&Filter { dangling: Some(true), ..Filter::default() }).unwrap();
    assert_eq!(found.iter().map(|one| one.image.id).collect::<Vec<_>>(), [dangling.id]);
    assert_eq!(names(&engine, &Filter { dangling: Some(false), ..Filter::default() }).len(), 2);
    let by_reference =
        |pattern: &str| names(&engine, &Filter { references: vec![pattern.into()], ..Filter::default() });
    assert_eq!(by_reference("app"), [["app:v1"]]);
    assert_eq!(by_reference("*/app:*"), [["reg.example/app:v2"]]);
    assert_eq!(by_reference("b*"), [["base:latest"]]);
    assert_eq!(by_reference("["), [[""; 0]; 0]);
    let labelled = |label: &str| names(&engine, &Filter { labels: vec![label.into()], ..Filter::default() });
    assert_eq!(labelled("stage=base"), [["base:latest"]]);
    assert_eq!(labelled("stage=x").len(), 0);
    let since = Filter { since: vec!["base".into()], ..Filter::default() };
    assert_eq!(names(&engine, &since).len(), 2);
    let before = Filter { before: vec![top.id.to_string()], ..Filter::default() };
    assert_eq!(names(&engine, &before), [["base:latest"]]);
    assert!(engine.images.list(&Filter { before: vec!["x".into()], ..Filter::default() }).is_err());
    let shared = engine.images.list(&Filter { shared_size: true, ..Filter::default() }).unwrap();
    assert_eq!(shared.iter().find(|one| one.image.id == dangling.id).unwrap().shared_size_bytes, Some(3));
    assert_eq!(engine.images.snapshot().layers_size(), 6);
    assert_eq!(top.size_bytes, 5);
}
