use super::*;
use crate::{Action, Removed};

fn texts(removed: &[Removed]) -> Vec<String> {
    removed
        .iter()
        .map(|one| match one {
            Removed::Untagged(name) => name.clone(),
            Removed::Deleted(id) => id.short(),
            Removed::DeletedLayer(_) => "layer".to_owned(),
        })
        .collect()
}

/// base <- one <- two (tagged)
fn built(engine: &Engine) -> [Arc<Image>; 3] {
    let base = engine.import("busybox", &[("a", "a")], &[]);
    let one = engine.step(&base, &[("b", "b")], "one", None);
    let two = engine.step(&one, &[], "two", Some("two"));
    [base, one, two]
}

#[test]
fn the_last_name_takes_the_line_with_it() {
    let engine = Engine::new();
    let [base, one, two] = built(&engine);
    engine.images.tag("two", "three", "v3").unwrap();
    let remove = |name: &str| engine.images.remove(name, false, true, &Users::default());
    assert_eq!(texts(&remove("three:v3").unwrap().removed), ["three:v3"]);
    let removal = remove("two").unwrap();
    assert_eq!(texts(&removal.removed), ["two:latest".to_owned(), two.id.short(), one.id.short(), "layer".into()]);
    let actions: Vec<Action> = removal.happenings.iter().map(|one| one.action).collect();
    assert_eq!(actions, [Action::Untag, Action::Delete, Action::Delete]);
    assert_eq!(remove("two").unwrap_err().to_string(), "No such image: two:latest");
    assert_eq!((engine.count(), engine.layers()), (1, 1));
    let (engine, _) = engine.reopened();
    assert_eq!((engine.count(), engine.id("busybox")), (1, base.id));
}

#[test]
fn names_went_first_before_2015() {
    let engine = Engine::new();
    let [base, one, two] = built(&engine);
    let short = two.id.short();
    let remove = |name: &str, force, users: &Users| {
        let (removal, obstacle) = engine.images.remove_names_first(name, force, true, users)?;
        Ok::<_, crate::Error>((texts(&removal.removed), obstacle.map(|obstacle| obstacle.to_string())))
    };
    let refused = |name: &str, force, users: &Users| remove(name, force, users).unwrap_err().to_string();
    let user = Users::one(&two, false);
    let used = format!(
        "Conflict, cannot delete {short} because the container abcdef012345 is using it (docker untagged the image), use -f to force"
    );
    assert_eq!(remove("two", false, &user).unwrap(), (vec!["two:latest".to_owned()], Some(used)));
    assert_eq!(refused("two", true, &user), "No such image: two");
    let running = Users::one(&two, true);
    let used =
        "Conflict, cannot force delete {} because the running container abcdef012345 is using it, stop it and retry";
    assert_eq!(refused(&two.id.hex(), true, &running), used.replace("{}", &short));
    assert_eq!(refused(&one.id.hex(), true, &user), format!("Conflict, {} wasn't deleted", one.id.hex()));
    engine.images.tag(&short, "a", "").unwrap();
    engine.images.tag(&short, "b", "").unwrap();
    assert_eq!(refused("a:nosuch", false, &user), "No such image: a:nosuch");
    let several = "Conflict, cannot delete image {} because it is tagged in multiple repositories, use -f to force";
    assert_eq!(refused(&short, false, &user), several.replace("{}", &short));
    assert_eq!(remove(&short, true, &user).unwrap(), (vec!["a:latest".to_owned()], None));
    // What keeps the parent is told although the child went.
    let user = Users::one(&one, false);
    let used = format!(
        "Conflict, cannot delete {} because the container abcdef012345 is using it, use -f to force",
        one.id.short()
    );
    assert_eq!(remove("b", false, &user).unwrap(), (vec!["b:latest".to_owned(), short], Some(used)));
    assert_eq!(engine.id("busybox"), base.id);
}

#[test]
fn noprune_keeps_parents() {
    let engine = Engine::new();
    let [_, one, two] = built(&engine);
    let removal = engine.images.remove(&two.id.hex(), false, false, &Users::default()).unwrap();
    assert_eq!(texts(&removal.removed), ["two:latest".to_owned(), two.id.short()]);
    assert!(engine.images.snapshot().get(&one.id).is_some());
}

#[test]
fn children_stand_in_the_way() {
    let engine = Engine::new();
    let [base, ..] = built(&engine);
    for force in [false, true] {
        let error = engine.images.remove(&base.id.hex(), force, true, &Users::default()).unwrap_err();
        let expected = format!(
            "conflict: unable to delete {} (cannot be forced) - image has dependent child images",
            base.id.short()
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), model::ErrorKind::Conflict);
    }
    // By name, only the name goes.
    let removal = engine.images.remove("busybox", false, true, &Users::default()).unwrap();
    assert_eq!(texts(&removal.removed), ["busybox:latest"]);
    assert_eq!(engine.count(), 3);
}

#[test]
fn containers_stand_in_the_way() {
    let engine = Engine::new();
    let image = engine.import("app", &[("a", "a")], &[]);
    let id = image.id.short();
    let message = |name: &str, force, running| {
        engine.images.remove(name, force, true, &Users::one(&image, running)).unwrap_err().to_string()
    };
    assert_eq!(
        message("app", false, true),
        format!(
            "conflict: unable to remove repository reference \"app\" (must force) - container abcdef012345 is using its referenced image {id}"
        )
    );
    assert_eq!(
        message(&id, false, false),
        format!(
            "conflict: unable to delete {id} (must be forced) - image is being used by stopped container abcdef012345"
        )
    );
    assert_eq!(
        message(&id, true, true),
        format!(
            "conflict: unable to delete {id} (cannot be forced) - image is being used by running container abcdef012345"
        )
    );
    engine.images.tag("app", "other", "").unwrap();
    assert_eq!(
        engine.images.remove(&id, false, true, &Users::default()).unwrap_err().to_string(),
        format!("conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories")
    );
    assert_eq!(engine.images.snapshot().tags(&image.id).len(), 2, "a refusal changes nothing");
}

#[test]
fn layers_outlive_the_image_of_a_container() {
    let engine = Engine::new();
    let image = engine.import("app", &[("a", "a")], &[]);
    let other = engine.import("other", &[("a", "a")], &["x=y"]);
    engine.images.storage.create_snapshot("c1", image.top().as_ref()).unwrap();
    let removal = engine.images.remove("app", true, true, &Users::one(&image, false)).unwrap();
    assert_eq!(texts(&removal.removed), ["app:latest".to_owned(), image.id.short()]);
    let removal = engine.images.remove("other", false, true, &Users::default()).unwrap();
    assert_eq!(texts(&removal.removed), ["other:latest".to_owned(), other.id.short()]);
    assert_eq!((engine.count(), engine.layers()), (0, 1));
    engine.images.storage.remove_snapshot("c1").unwrap();
    assert_eq!(engine.images.sweep_layers().unwrap(), image.layers);
    assert_eq!(engine.layers(), 0);
}

#[test]
fn a_lease_keeps_layers() {
    let engine = Engine::new();
    let image = engine.import("app", &[("a", "a")], &[]);
    let lease = engine.images.lease();
    engine.images.remove("app", false, true, &Users::default()).unwrap();
    assert_eq!(engine.layers(), 1);
    let config = image.bytes.clone();
    engine.images.register(&lease, NewImage { config, ..NewImage::default() }).unwrap();
    drop(lease);
    assert_eq!((engine.count(), engine.layers()), (1, 1));
    engine.images.remove(&image.id.hex(), false, true, &Users::default()).unwrap();
    assert_eq!((engine.count(), engine.layers()), (0, 0));
}

#[test]
fn imports_and_removals_at_once() {
    let engine = Arc::new(Engine::new());
    let workers: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|name| {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || {
                for _ in 0..20 {
                    // The same layer for all, so that it is removed by one just when another finds it.
                    let image = engine.import(name, &[("a", "a")], &[&format!("by={name}")]);
                    assert!(engine.images.storage.layer(&image.layers[0]).is_ok());
                    engine.images.remove(name, false, true, &Users::default()).unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!((engine.count(), engine.layers()), (0, 0));
}

#[test]
fn layers_abandoned_more_than_once_go_once() {
    let engine = Engine::new();
    let lease = engine.images.lease();
    for _ in 0..2 {
        let one = engine.import("one", &[("a", "a")], &[]);
        engine.step(&one, &[("b", "b")], "make b", Some("two"));
        engine.images.remove("two", false, true, &Users::default()).unwrap();
        engine.images.remove("one", false, true, &Users::default()).unwrap();
    }
    assert_eq!(engine.layers(), 2);
    drop(lease);
    assert_eq!((engine.count(), engine.layers()), (0, 0));
}
