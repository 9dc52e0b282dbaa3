//! API 1.15, Docker 1.3.

use api::routes::Endpoint::{
    Commit, ContainerAttach, ContainerChanges, ContainerCreate, ContainerDelete, ContainerInspect, ContainerKill,
    ContainerList, ContainerLogs, ContainerPause, ContainerResize, ContainerRestart, ContainerStart, ContainerStop,
    ContainerTop, ContainerUnpause, ContainerWait, Events, ExecCreate, ExecResize, ExecStart, ImageCreate,
    ImageHistory, ImageInspect, ImageList, ImageSave, ImageSaveMany, ImageSearch, ImageTag, Info,
};

use super::v1_15_build as build;
use super::v1_15_create as create;
use super::v1_15_inspect as inspect;
use super::v1_15_list as list;
use super::v1_15_registry as registry;
use super::v1_15_start as start;
use super::v1_15_stream as stream;
use crate::exchange::{NEVER_STARTED_HEADER, OLD_NAME_HEADER, Response};
use crate::json::{keep, object};
use crate::rung::{Asked, Change, OldRoute, Rung};
use crate::version::Version;
use crate::wording::Wording;

/// How the annotations begin in which a container of an older client keeps what it wrote and the newest version cannot hold: lists
/// that are empty rather than missing, `LxcConf`, `PortSpecs`, policies that do not exist. The part that was written follows.
pub(super) const AS_WRITTEN: &str = "longshore.as-written.";

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 15),
    release: "1.3",
    changes: &[
        Change::added(&[ExecCreate, ExecStart, ExecResize], "Commands can be run in a running container."),
        Change::added(&[ImageSaveMany], "`GET /images/get` saves several images."),
        Change::to(&[], "An id that is not enough to tell containers apart is an error of its own.").wordings(&[
            Wording::with_status("Multiple IDs found with provided prefix: *", "No such container: {1}", 404),
        ]),
        Change::to(
            &[ContainerCreate],
            "Create honours HostConfig, wants a JSON `Content-Type`, and reads its body strictly.",
        )
        .up(create::create)
        .down(create::warnings)
        .answer(create::missing_image),
        Change::to(&[ContainerStart], "The body of start is read strictly.")
            .up(create::start)
            .answer(create::missing_container),
        Change::to(&[ContainerCreate], "Names of containers need two characters, the first of them a letter or digit.")
            .wordings(CREATE),
        Change::to(&[ContainerStart], "A container that is paused cannot be started; before, it was started already.")
            .answer(start::paused),
        Change::to(&[ContainerStart, ContainerRestart], "What the machine refuses at a start is told in other words.")
            .answer(start::failed),
        Change::to(&[ContainerStart, ContainerRestart], "A start that fails says why in other words.")
            .wordings(start::WORDS),
        Change::to(&[ContainerRestart], "A restart that fails says so.").answer(start::restart),
        Change::to(&[ContainerPause], "A pause that fails says why in other words.").wordings(&[
            Wording::with_status(
                "Container * is already paused",
                "Cannot pause container {name}: Container {1} is already paused",
                500,
            ),
            Wording::with_status(
                "Container * is not running",
                "Cannot pause container {name}: Container {1} is not running",
                500,
            ),
        ]),
        Change::to(&[ContainerUnpause], "An unpause that fails says why in other words.").wordings(&[
            Wording::with_status(
                "Container * is not paused",
                "Cannot unpause container {name}: Container {1} is not paused",
                500,
            ),
        ]),
        Change::to(&[ContainerDelete], "A link that cannot be removed is told in other words.")
            .answer(stream::missing_link),
        Change::to(&[ContainerKill], "A signal that does not exist is told in other words.")
            .wordings(&[Wording::with_status("Invalid signal: *", "Invalid signal: {1}", 500)]),
        Change::to(&[ContainerTop], "A top that fails says why in other words.").wordings(&[
            Wording::with_status("Container * is not running", "Container {name} is not running", 500),
            Wording::with_status("*couldn't find PID field in ps output*", "Couldn't find PID field in ps output", 500),
            Wording::with_status("ps: *", "Error running ps: exit status 1", 500),
            Wording::with_status("*error running ps*", "Error running ps: exit status 1", 500),
        ]),
        Change::to(&[ContainerLogs], "Logs without a stream are a bad parameter.")
            .wordings(&[Wording::with_status(
                "Bad parameters: you must choose at least one stream*",
                "Bad parameters: you must choose at least one stream",
                400,
            )])
            .traits(|traits| traits.logs_sniffed = true),
        Change::to(
            &[ContainerLogs],
            "Times in logs have nine digits of a fraction, and no brackets around those of lines that come while one follows.",
        )
        .traits(|traits| traits.old_log_times = true),
        Change::to(&[ContainerWait], "Wait for a missing container is answered with 404.")
            .wordings(&[Wording::with_status("No such container: *", "wait: no such container: {1}", 500)])
            .answer(never_ran),
        Change::to(&[ContainerChanges], "A container without changes has null rather than an empty list.").down(
            |changes, _| {
                if changes.is_null() {
                    *changes = serde_json::json!([]);
                }
            },
        ),
        Change::to(&[ContainerStop, ContainerRestart], "Seconds that are no number are an error; before they were 0.")
            .up(stream::seconds),
        Change::to(&[Events], "Times that are no time are an error; before they did not count.").up(stream::times),
        Change::to(&[ContainerTop], "Arguments of `ps` are several; before they were one.").up(stream::one_argument),
        Change::to(&[ContainerStart], "A capability that does not exist is told in other words.")
            .answer(start::unknown_capability),
        Change::to(&[ContainerResize], "Resize is documented; a container that has ended refuses it.")
            .up(stream::resize)
            .traits(|traits| traits.resize_ended = true)
            .wordings(&[Wording::with_status("container * is not running", "Container {name} is not running", 500)]),
        Change::to(
            &[ContainerInspect],
            "Containers tell their restarts, `NetworkSettings` of IPv6, and much of HostConfig.",
        )
        .down(inspect::inspect),
        Change::to(&[ContainerList], "`GET /containers/json` has more filters, and unknown ones are errors.")
            .up(list::containers_up)
            .down(list::containers_down),
        Change::to(&[ImageList], "`GET /images/json` has more filters, and unknown ones are errors.")
            .up(list::images_up)
            .down(list::images_down),
        Change::to(&[ImageInspect], "Values that read as numbers keep their quotes.").down(inspect::image),
        Change::to(&[ImageInspect, ImageHistory], "A name may no longer end in a colon without a tag.")
            .up(stream::latest),
        Change::to(
            &[ImageInspect],
            "Missing images are shown with their tag, and names that cannot be one are refused.",
        )
        .wordings(&[
            Wording::with_status("No such image: *", "No such image: {name}", 404),
            Wording::with_status("invalid reference format*", "No such image: {name}", 404),
        ]),
        Change::to(
            &[ImageHistory, ImageSave, ImageTag],
            "Missing images are missing images to history, save and tag; before missing ids.",
        )
        .wordings(&[Wording::with_status("No such image: *", "No such id: {name}", 404)]),
        Change::to(&[ImageHistory, ImageSave], "A name that cannot be one is refused; before, nothing had it.")
            .wordings(&[Wording::with_status("invalid reference format*", "No such id: {name}", 404)]),
        Change::to(&[Commit], "The body of commit is read strictly; before, one that cannot be read did not count.")
            .up(create::commit),
        Change::to(&[ImageCreate], "An import of nothing is an image without files; before it was an error.")
            .up(stream::something_to_import),
        build::CHANGE,
        Change::to(&[ImageHistory], "History tells comments.").down(|history, _| {
            crate::json::each(history, |item| {
                keep(item, &["Id", "Created", "CreatedBy", "Tags", "Size"]);
                inspect::unquote(item, &["CreatedBy"]);
            })
        }),
        Change::to(&[ImageTag], "A name that is empty is refused.").up(stream::tag),
        Change::to(&[ImageTag, ImageCreate, Commit], "Names of images have a grammar.")
            .up(|request| {
                request.set_header(OLD_NAME_HEADER, "1");
                Ok(())
            })
            .answer(stream::illegal_tag),
        Change::to(&[ImageSearch], "Search says `is_automated`; before `is_trusted` as well.").down(|results, _| {
            crate::json::each(results, |result| {
                let automated = result.get("is_automated").cloned().unwrap_or_default();
                result.insert("is_trusted".into(), automated);
            })
        }),
        registry::WORDS,
        registry::NAMES,
        registry::CREDENTIALS,
        registry::LOGINS,
        Change::to(&[Events], "Every signal of kill is an event; before only SIGKILL was.").message(stream::one_kill),
        Change::to(&[Info], "`GET /info` tells more.")
            .down(|info, _| object(info, &[]).into_iter().for_each(|info| keep(info, INFO)))
            .answer(inspect::info),
        Change::to(&[], "The status of an error no longer follows from its words.").answer(status_by_words),
        Change::removed(&VIZ, "`GET /images/viz` no longer says that clients do this now."),
        Change::to(&[ContainerAttach], "Attach is documented to be upgraded."),
    ],
};

const CREATE: &[Wording] = &[
    Wording::with_status(
        "Conflict. The container name \"/*\" is already in use by container \"*\". You have \
             to remove (or rename) that container to be able to reuse that name.",
        "Conflict, The name {1} is already assigned to {2:12}. You have to delete (or \
             rename) that container to be able to assign {1} to a container again.",
        409,
    ),
    Wording::with_status(
        "Invalid container name (*), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        "Invalid container name ({1}), only [a-zA-Z0-9_.-] are allowed",
        500,
    ),
    Wording::with_status("No command specified*", "No command specified", 500),
    Wording::with_status("*", "{1}", 500),
];

const INFO: &[&str] = &[
    "Containers",
    "Debug",
    "Driver",
    "DriverStatus",
    "ExecutionDriver",
    "IPv4Forwarding",
    "Images",
    "IndexServerAddress",
    "KernelVersion",
    "MemoryLimit",
    "NEventsListener",
    "NFd",
    "NGoroutines",
    "OperatingSystem",
    "SwapLimit",
];

/// Words and the status that they meant, in the order in which they were looked for.
const STATUS: &[(&str, u16)] = &[
    ("No such", 404),
    ("Bad parameter", 400),
    ("Conflict", 409),
    ("Impossible", 406),
    ("Wrong login/password", 401),
    ("hasn't been activated", 403),
];

/// Texts that the router itself answered with.
const ROUTER: &[&str] = &[
    "404 page not found",
    "This is now implemented in the client.",
    "client and server don't have same version",
    "client is too old",
    "not websocket protocol",
];

fn status_by_words(response: &mut Response, _: &Asked) {
    let Some(text) =
        response.message().filter(|text| response.is_error() && !ROUTER.iter().any(|own| text.starts_with(own)))
    else {
        return;
    };
    response.status = STATUS.iter().find(|(words, _)| text.contains(words)).map_or(500, |(_, status)| *status);
}

fn never_ran(response: &mut Response, _: &Asked) {
    if response.header(NEVER_STARTED_HEADER).is_some()
        && let Some(answer) = response.body.json().and_then(serde_json::Value::as_object_mut)
    {
        answer.insert("StatusCode".into(), 0.into());
    }
}

/// From 1.7 on the route was there only to say that it was gone.
static VIZ: OldRoute = OldRoute {
    method: "GET",
    pattern: "/images/viz",
    since: Version::new(1, 7),
    alias: false,
    up: |_, _| Err(Response::error(404, "This is now implemented in the client.")),
    answer: None,
    message: None,
};
