//! Where the words "what Docker 1.2.0 did counts" do not say enough: what was decided, and which test holds it.

/// A decision about versions up to 1.14.
#[derive(Debug)]
pub struct Decision {
    /// The versions that it concerns, in words.
    pub versions: &'static str,
    /// What is answered, and why not what Docker 1.2.0 did: one or two sentences.
    pub text: &'static str,
    /// The end-to-end test that shows it, as `module::function`.
    pub test: &'static str,
}

/// Every decision, in the order of the published page.
pub const DECISIONS: &[Decision] = &[
    Decision {
        versions: "all",
        text: "A version newer than the newest is served as the newest. `--strict-api-version` refuses it as Docker does today: \
               no client that is newer than the daemon is of an older time.",
        test: "decisions::versions_that_are_too_new",
    },
    Decision {
        versions: "all",
        text: "A version is any text of digits and dots; what is missing counts as 0 and what is below 1.0 is served as 1.0. Anything else is a \
               page that does not exist.",
        test: "decisions::malformed_versions",
    },
    Decision {
        versions: "all",
        text: "Without a version in the path, a `Host: v1.9` tells it, because the streaming calls of old clients did so; other hosts mean \
               nothing. Without either it is `--default-api-version`, else the newest.",
        test: "decisions::requests_without_a_version",
    },
    Decision {
        versions: "1.0 to 1.16",
        text: "A process that a signal ended has the exit code -1. One that chooses a code above 128 itself keeps that, as a shell does whose last \
               command was killed.",
        test: "decisions::exit_codes_of_signals",
    },
    Decision {
        versions: "1.0 to 1.16",
        text: "Attach answers `200 OK` and is never upgraded, even if asked; from 1.17 on a request with `Upgrade: tcp` is answered with 101.",
        test: "decisions::attach_is_hijacked",
    },
    Decision {
        versions: "all",
        text: "Input that comes together with the request of an attach reaches the container; Docker 1.2.0 lost it.",
        test: "streams::input_that_comes_with_the_request_is_not_lost",
    },
    Decision {
        versions: "1.3",
        text: "Top lists objects with `PID`, `Tty`, `Time` and `Cmd`, as Docker 0.5.0 did; Docker 1.2.0 refused. Below 1.3 there is no top, and the \
               refusal stays.",
        test: "decisions::top_of_1_3",
    },
    Decision {
        versions: "1.0 to 1.2",
        text: "Builds take a Dockerfile as the body, or a form with `Dockerfile` and `Context`, and tell what they do as Docker 0.3 did. Docker 1.2.0 \
               refused them.",
        test: "decisions::builds_below_1_3",
    },
    Decision {
        versions: "1.0 to 1.14",
        text: "`build?remote=` with what is no address is refused, 500, as what cannot be fetched is; Docker 1.2.0 crashed.",
        test: "decisions::a_context_from_nowhere",
    },
    Decision {
        versions: "1.0 to 1.14",
        text: "A commit leaves a paused container paused. Docker 1.2.0 let it run on.",
        test: "decisions::a_commit_leaves_paused_what_was",
    },
    Decision {
        versions: "all",
        text: "`library/x` and `docker.io/x` are `x`; what is longer than a name or a tag may be in today's registries is none. To Docker 1.2.0 they \
               were other images, and any length would do.",
        test: "decisions::names_of_images_are_those_of_today",
    },
    Decision {
        versions: "1.0 to 1.9",
        text: "`Dns`, `VolumesFrom` and, up to 1.5, `Privileged` of Config count, as they did then. Docker 1.2.0 passed over them.",
        test: "fields::dns_and_volumes_of_others_lay_in_config_up_to_1_9",
    },
    Decision {
        versions: "1.0 to 1.14",
        text: "Search tells `Name` and `Description` up to 1.6, null if nothing is found, `is_trusted` from 1.7 on and `is_automated` as well from 1.12 \
               on, as the documents say. Docker 1.2.0 never said `is_automated`, and had one form for all.",
        test: "decisions_registry::results_of_a_search",
    },
    Decision {
        versions: "1.0 to 1.6",
        text: "`GET /images/viz` draws the images; since 1.7 it says that clients do so now.",
        test: "decisions::images_were_drawn",
    },
    Decision {
        versions: "1.0 to 1.4",
        text: "`GET /containers/json` lists containers with their ports as text. Docker 1.2.0 answered an empty list, which was a mistake.",
        test: "decisions::lists_below_1_5_are_not_empty",
    },
    Decision {
        versions: "1.0 to 1.4",
        text: "`POST /images/getCache`, by which clients of Docker 0.3 built, finds nothing: 404 without a body. Docker 1.2.0 had no such page.",
        test: "decisions::the_cache_of_old_clients_is_empty",
    },
    Decision {
        versions: "all",
        text: "`size=1` adds `SizeRw` and `SizeRootFs`, which are absent otherwise. Docker 1.2.0 waited for ever.",
        test: "decisions::sizes_if_asked_for",
    },
    Decision {
        versions: "1.0 to 1.14",
        text: "Resize of a container that never ran is an error, 500; Docker 1.2.0 crashed. One without a terminal is resized without effect.",
        test: "decisions::resize_without_a_terminal",
    },
    Decision {
        versions: "1.0 to 1.14",
        text: "A device that is not there fails the start with 500; Docker 1.2.0 crashed.",
        test: "decisions::a_device_that_is_not_there",
    },
    Decision {
        versions: "all",
        text: "`Privileged` and `CapAdd: ALL` give what the machine grants to the daemon, and no error for what it does not.",
        test: "decisions::privileges_are_what_the_machine_grants",
    },
    Decision {
        versions: "all",
        text: "A last line of output without a line end is kept, and shown by logs and attach. Docker 1.2.0 lost it.",
        test: "decisions::a_last_line_without_its_end",
    },
    Decision {
        versions: "all",
        text: "Attach with `logs=1&stream=1` to a container that has ended, and logs with `follow=1` of one, end at once. Docker 1.2.0 waited for ever.",
        test: "decisions::streams_of_the_dead_end",
    },
    Decision {
        versions: "1.0 to 1.14",
        text: "Without `t`, stop and restart give the process ten seconds, as the documents say and clients of the time always sent. Docker 1.2.0 \
               gave none.",
        test: "decisions::a_stop_without_seconds_waits",
    },
    Decision {
        versions: "1.0",
        text: "What pull, push and import tell is unframed text that ends with the connection: clients of Docker 0.3 took the connection over, others \
               see an ordinary answer. Docker 1.2.0 sent it in chunks, which those clients showed.",
        test: "decisions_registry::transfers_of_1_0_are_unframed",
    },
    Decision {
        versions: "1.0 to 1.11",
        text: "`POST /images/{name}/insert` fetches a file into an image, as a build with `ADD` does; up to 1.6 the id of the image comes once more at \
               the end. Docker 1.2.0 had dropped it.",
        test: "decisions_registry::insert_fetches_a_file",
    },
    Decision {
        versions: "1.0 and 1.1",
        text: "The credentials of a login are kept until the daemon ends, told by `GET /auth` without the secret, and used by pull and push that bring \
               none, at the registry of that login alone. A login that names the kept user and no secret uses the kept one. Docker 1.2.0 had dropped it.",
        test: "decisions_registry::logins_below_1_2_are_kept",
    },
    Decision {
        versions: "1.0 to 1.14",
        text: "The body of a push may hold the credentials, if there is no `X-Registry-Auth`.",
        test: "decisions_registry::credentials_in_the_body_of_a_push",
    },
];
