//! Lists of containers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use api::container::{ContainerSummary, HostConfigSummary, NetworkSettingsSummary};
use image::Snapshot;
use model::{ContainerId, ImageId, Timestamp, units};

use super::inspect::show_mounts;
use super::record::{Record, State, Status};
use super::{links, ports};
use crate::engine::Engine;
use crate::filters::invalid_value;
use crate::options::{Filters, ListOptions, SignalCode};
use crate::{Error, Result};

/// Filters that the call knows.
const FILTERS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
/// States that can be asked for.
const STATES: [&str; 7] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

/// The filters of one call, checked and resolved.
struct Wanted<'a> {
    filters: &'a Filters,
    ancestors: Option<Vec<ImageId>>,
    exit_codes: Vec<i64>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

/// One container of a list before it is written out: what its line is made of. Equal ones make the same line.
#[derive(Debug, Clone)]
pub struct Line {
    /// A change of the container makes another one.
    record: Arc<Record>,
    /// The image's name, or its id.
    image: Arc<str>,
    /// `/parent/alias` of each link that leads to it.
    links: Vec<String>,
    /// The state in words, which change with the time.
    status: String,
    /// Bytes beside the image and bytes of everything, if they were asked for.
    sizes: Option<(i64, i64)>,
    /// Networks are shown.
    networks: bool,
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.record, &other.record)
            && (&self.status, &self.image, &self.links) == (&other.status, &other.image, &other.links)
            && (self.sizes, self.networks) == (other.sizes, other.networks)
    }
}

impl Eq for Line {}

impl Hash for Line {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.record.id.hash(state);
    }
}

impl Engine {
    /// See [`Engine::list`].
    pub(crate) async fn list_containers(self: &Arc<Self>, options: &ListOptions) -> Result<Vec<Line>> {
        options.filters.only(&FILTERS)?;
        let wanted = self.wanted(&options.filters)?;
        let filters = &options.filters;
        // Docker lists stopped ones too when they are asked for by what only they can be.
        let all = options.all
            || options.limit > 0
            || !filters.values("status").is_empty()
            || !filters.values("exited").is_empty()
            || wanted.before.is_some()
            || wanted.since.is_some();
        let mut records: Vec<Arc<Record>> = self.containers.all().iter().map(|container| container.record()).collect();
        let mut links = link_names(&records);
        records.retain(|record| (all || record.state.status.is_up()) && wanted.matches(record));
        records.sort_by_key(|record| Reverse(record.created));
        if let Ok(limit @ 1..) = usize::try_from(options.limit) {
            records.truncate(limit);
        }
        let now = Timestamp::now();
        let mut images = ShownImages::of(self.images.snapshot(), options);
        let mut lines = Vec::with_capacity(records.len());
        for record in records {
            let status = match options.signal_code == SignalCode::MinusOne && record.state.signalled {
                true => status(&State { exit_code: -1, ..record.state.clone() }, now),
                false => status(&record.state, now),
            };
            lines.push(Line {
                image: images.shown(&record),
                links: links.remove(&record.id).unwrap_or_default(),
                status,
                sizes: if options.size { Some(self.sizes(&record).await?) } else { None },
                networks: !options.without_networks,
                record,
            });
        }
        Ok(lines)
    }

    fn wanted<'a>(&self, filters: &'a Filters) -> Result<Wanted<'a>> {
        for state in filters.values("status") {
            if !STATES.contains(&state.as_str()) {
                let known = STATES.join(", ");
                let reason = format!("invalid value for state ({state}): must be one of {known}");
                return Err(Error::invalid(reason).context(format!("invalid filter 'status={state}'")));
            }
        }
        for health in filters.values("health") {
            if !matches!(health.as_str(), "none" | "starting" | "healthy" | "unhealthy") {
                return Err(invalid_value("health", health));
            }
        }
        for port in filters.values("publish").iter().chain(filters.values("expose")) {
            ports::parse_port(port)?;
        }
        let codes = filters.values("exited").iter();
        let exit_codes =
            codes.map(|code| code.parse().map_err(|_| invalid_value("exited", code))).collect::<Result<_>>()?;
        let created = |key: &str| -> Result<Option<Timestamp>> {
            let mut latest = None;
            for name in filters.values(key) {
                latest = Some(self.containers.find(name)?.record().created);
            }
            Ok(latest)
        };
        let ancestors = filters.values("ancestor");
        let resolve = |name: &String| self.images.resolve(name).ok().map(|image| image.id);
        Ok(Wanted {
            filters,
            ancestors: (!ancestors.is_empty()).then(|| ancestors.iter().filter_map(resolve).collect()),
            exit_codes,
            before: created("before")?,
            since: created("since")?,
        })
    }

    /// See [`Engine::summary`].
    pub(crate) fn show_line(&self, line: &Line) -> ContainerSummary {
        let record = &*line.record;
        let mut command = record.path.clone();
        for argument in &record.args {
            command.push(' ');
            // Docker puts quotes around what a shell would split.
            match argument.contains(' ') {
                true => command.extend(["'", argument.as_str(), "'"]),
                false => command.push_str(argument),
            }
        }
        let mut names = vec![format!("/{}", record.name)];
        names.extend(line.links.iter().cloned());
        ContainerSummary {
            id: record.id.hex(),
            names,
            image: line.image.to_string(),
            image_id: record.image.to_string(),
            image_manifest_descriptor: None,
            command,
            created: record.created.unix_seconds(),
            ports: ports::summary(record),
            size_rw: line.sizes.map(|(beside, _)| beside).filter(|bytes| *bytes > 0),
            size_root_fs: line.sizes.map(|(_, everything)| everything),
            labels: record.config.labels.clone().unwrap_or_default(),
            state: record.state.status.as_str().to_owned(),
            status: line.status.clone(),
            host_config: HostConfigSummary {
                network_mode: record.host.network_mode.clone(),
                annotations: record.host.annotations.clone(),
            },
            network_settings: NetworkSettingsSummary {
                networks: if line.networks { self.show_endpoints(record) } else { BTreeMap::new() },
            },
            mounts: show_mounts(record),
        }
    }
}

/// `/parent/alias` for each link, by the container that it leads to.
fn link_names(parents: &[Arc<Record>]) -> HashMap<ContainerId, Vec<String>> {
    let mut names: HashMap<_, Vec<String>> = HashMap::new();
    for parent in parents {
        for link in parent.links.iter() {
            names.entry(link.target).or_default().push(format!("/{}/{}", parent.name, link.alias));
        }
    }
    names
}

/// How one list shows images; each is looked up once.
struct ShownImages {
    snapshot: Arc<Snapshot>,
    by_names_of_now: bool,
    known: HashMap<ImageId, HashMap<String, Arc<str>>>,
}

impl ShownImages {
    fn of(snapshot: Arc<Snapshot>, options: &ListOptions) -> Self {
        Self { snapshot, by_names_of_now: options.image_names, known: HashMap::new() }
    }

    fn shown(&mut self, record: &Record) -> Arc<str> {
        let name = record.config.image.as_str();
        if let Some(shown) = self.known.get(&record.image).and_then(|by_name| by_name.get(name)) {
            return Arc::clone(shown);
        }
        let shown: Arc<str> = self.look_up(record).into();
        self.known.entry(record.image).or_default().insert(name.to_owned(), Arc::clone(&shown));
        shown
    }

    fn look_up(&self, record: &Record) -> String {
        if self.by_names_of_now {
            // The first name, or the short id.
            return self.snapshot.tags(&record.image).into_iter().next().unwrap_or_else(|| record.image.short());
        }
        // As it was named, or its id when the name leads elsewhere now.
        match self.snapshot.resolve(&record.config.image) {
            Ok(image) if image.id == record.image => record.config.image.clone(),
            _ => record.image.to_string(),
        }
    }
}

impl Wanted<'_> {
    fn matches(&self, record: &Record) -> bool {
        let filters = self.filters;
        let name = |wanted: &str| {
            let bare = wanted.trim_start_matches(['^', '/']).trim_end_matches('$');
            match (wanted.starts_with('^'), wanted.ends_with('$')) {
                (true, true) => record.name == bare,
                (true, false) => record.name.starts_with(bare),
                (false, true) => record.name.ends_with(bare),
                (false, false) => record.name.contains(bare),
            }
        };
        let volume = |wanted: &str| {
            record.mounts.iter().any(|mounted| {
                let point = &mounted.point;
                [&point.name, &point.source, &point.destination].into_iter().any(|have| have == wanted)
            })
        };
        let health = record.state.health.as_ref().map_or("none", |health| health.status.as_str());
        filters.any("id", |wanted| record.id.hex().starts_with(wanted))
            && filters.any("name", name)
            && filters.labels(record.config.labels.as_ref())
            && filters.any("status", |wanted| record.state.status.as_str() == wanted)
            && filters.any("health", |wanted| wanted == health)
            && filters.any("is-task", |wanted| matches!(wanted, "false" | "0"))
            && filters.any("network", |wanted| record.host.network_mode == wanted)
            && filters.any("volume", volume)
            && filters.any("publish", |wanted| published(record, wanted))
            && filters.any("expose", |wanted| exposed(record, wanted))
            && (self.exit_codes.is_empty()
                || (record.state.status == Status::Exited && self.exit_codes.contains(&record.state.exit_code)))
            && self.ancestors.as_ref().is_none_or(|ancestors| ancestors.contains(&record.image))
            && self.before.is_none_or(|before| record.created < before)
            && self.since.is_none_or(|since| record.created > since)
    }
}

fn published(record: &Record, wanted: &str) -> bool {
    let Ok(wanted) = ports::parse_port(wanted) else { return false };
    let address = record.address.iter();
    address
        .flat_map(|address| &address.published)
        .any(|port| port.host_port == wanted.number || port.port == wanted.number)
}

fn exposed(record: &Record, wanted: &str) -> bool {
    ports::parse_port(wanted).is_ok_and(|wanted| links::exposed(&record.config).contains(&wanted))
}

/// The state in words.
pub(crate) fn status(state: &State, now: Timestamp) -> String {
    let ago = |time: Option<Timestamp>| units::human_duration(now.since(time.unwrap_or(now)));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}{}", ago(state.started), health(state)),
        Status::Paused => format!("Up {} (Paused)", ago(state.started)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, ago(state.finished)),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, ago(state.finished)),
        Status::Removing => "Removal In Progress".to_owned(),
    }
}

fn health(state: &State) -> String {
    match state.health.as_ref().map_or("", |health| health.status.as_str()) {
        "" => String::new(),
        "starting" => " (health: starting)".to_owned(),
        word => format!(" ({word})"),
    }
}

impl Engine {
    /// Checks a filter's containers early: used by the disk usage too.
    pub(crate) async fn all_summaries(self: &Arc<Self>) -> Result<Vec<ContainerSummary>> {
        let options = ListOptions { all: true, size: true, ..ListOptions::default() };
        let lines = self.list_containers(&options).await;
        let lines = lines.map_err(|error: Error| error.context("cannot list containers"))?;
        Ok(lines.iter().map(|line| self.show_line(line)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_in_words() {
        let now = Timestamp::from_unix(1_000_000, 0);
        let at = |seconds: i64| Some(Timestamp::from_unix(1_000_000 - seconds, 0));
        let state = State { status: Status::Running, started: at(180), ..State::default() };
        assert_eq!(status(&state, now), "Up 3 minutes");
        let state = State { status: Status::Exited, exit_code: 3, finished: at(2), ..State::default() };
        assert_eq!(status(&state, now), "Exited (3) 2 seconds ago");
        assert_eq!(status(&State::default(), now), "Created");
    }
}
