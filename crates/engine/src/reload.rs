//! Settings that change while the engine runs.

use std::sync::Arc;

use api::StringMap;

use crate::config::Changeable;
use crate::engine::Engine;

impl Engine {
    /// Takes over changed settings, for all that begins from now on, and tells of them by the daemon's event `reload`.
    pub fn reload(&self, changed: Changeable) {
        self.registries.reload(changed.registries.clone());
        let attributes = attributes(&changed);
        self.changeable.store(Arc::new(changed));
        self.daemon_event("reload", attributes);
    }

    /// What may change, as it is now.
    pub fn changeable(&self) -> Arc<Changeable> {
        self.changeable.load_full()
    }
}

/// As Docker tells them: lists as JSON.
fn attributes(settings: &Changeable) -> StringMap {
    let list = |texts: &[String]| serde_json::Value::from(texts).to_string();
    let registries = &settings.registries;
    let insecure = [registries.insecure_networks(), registries.insecure_hosts()].concat();
    let features: Vec<String> = settings.features.iter().map(|(name, on)| format!("{name}:{on}")).collect();
    let timeout = settings.shutdown_timeout.map_or("-1".to_owned(), |timeout| timeout.as_secs().to_string());
    let told = [
        ("debug", settings.debug.to_string()),
        ("labels", list(&settings.labels)),
        ("live-restore", settings.live_restore.to_string()),
        ("shutdown-timeout", timeout),
        ("registry-mirrors", list(&registries.mirrors())),
        ("insecure-registries", list(&insecure)),
        ("max-concurrent-downloads", registries.downloads.to_string()),
        ("max-concurrent-uploads", registries.uploads.to_string()),
        ("default-runtime", "runc".to_owned()),
        // Go prints maps so.
        ("features", format!("map[{}]", features.join(" "))),
    ];
    told.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_told_in_dockers_words() {
        let settings = Changeable {
            labels: vec!["a=b".to_owned()],
            features: [("x".to_owned(), true)].into(),
            registries: ::registry::Settings::parse(&["http://m:1".to_owned()], &["r:2".to_owned()])
                .unwrap_or_default(),
            ..Changeable::default()
        };
        let told = attributes(&settings);
        for (name, value) in [
            ("labels", r#"["a=b"]"#),
            ("features", "map[x:true]"),
            ("registry-mirrors", r#"["http://m:1/"]"#),
            ("insecure-registries", r#"["::1/128","127.0.0.0/8","r:2"]"#),
            ("max-concurrent-downloads", "3"),
            ("shutdown-timeout", "-1"),
        ] {
            assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}");
        }
    }
}
