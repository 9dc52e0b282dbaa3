//! bollard, by the steps that every client takes.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, BuildImageOptionsBuilder, CreateImageOptionsBuilder, EventsOptions,
    InspectContainerOptions, ListImagesOptions, LogsOptionsBuilder, PushImageOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, StartContainerOptions, TagImageOptionsBuilder,
    WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use futures_util::{Stream, StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The release in Cargo.toml.
const RELEASE: &str = "0.21.1";
const SCRIPT: [&str; 3] = ["sh", "-c", "echo out; echo err >&2; exit 3"];
const DOCKERFILE: &str = "FROM busybox\nRUN echo built > /built\nCMD [\"cat\", \"/built\"]\n";

struct Steps {
    docker: Docker,
    repository: String,
    /// The container that `run` left.
    ran: String,
}

fn check(truth: bool, seen: impl std::fmt::Debug) -> Outcome {
    if truth { Ok(()) } else { Err(format!("got {seen:?}").into()) }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

async fn text<E: std::error::Error + 'static>(output: impl Stream<Item = Result<LogOutput, E>>) -> Result<String, E> {
    output.map_ok(|piece| piece.to_string()).try_collect().await
}

impl Steps {
    async fn started(&self, command: &[&str], input: bool) -> Result<String, bollard::errors::Error> {
        let body = ContainerCreateBody {
            image: Some("busybox".into()),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            open_stdin: Some(input),
            stdin_once: Some(input),
            ..Default::default()
        };
        let id = self.docker.create_container(None, body).await?.id;
        self.docker.start_container(&id, None::<StartContainerOptions>).await?;
        Ok(id)
    }

    /// Exit codes but 0 are errors to this client.
    async fn code(&self, id: &str) -> Result<i64, bollard::errors::Error> {
        match self.docker.wait_container(id, None::<WaitContainerOptions>).next().await {
            Some(Ok(waited)) => Ok(waited.status_code),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(error),
            None => Ok(-1000),
        }
    }

    async fn discard(&self, id: &str) -> Outcome {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        Ok(self.docker.remove_container(id, Some(options)).await?)
    }

    async fn step(&mut self, name: &str) -> Outcome {
        match name {
            "version" => check(self.docker.version().await?.version.is_some(), "no version"),
            "images" => {
                let listed = self.docker.list_images(None::<ListImagesOptions>).await?;
                check(listed.iter().any(|image| image.repo_tags.iter().any(|tag| tag == "busybox:latest")), &listed)
            }
            "run" => {
                self.ran = self.started(&SCRIPT, false).await?;
                let code = self.code(&self.ran).await?;
                check(code == 3, code)
            }
            "logs" => {
                let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
                let text = text(self.docker.logs(&self.ran, Some(options))).await?;
                check(text.contains("out\n") && text.contains("err\n"), text)
            }
            "attach" => self.attach().await,
            "exec" => self.exec().await,
            "wait" => {
                let id = self.started(&["sh", "-c", "sleep 0.3; exit 7"], false).await?;
                let code = self.code(&id).await?;
                check(code == 7, code)?;
                self.discard(&id).await
            }
            "inspect" => {
                let shown = self.docker.inspect_container(&self.ran, None::<InspectContainerOptions>).await?;
                check(shown.state.and_then(|state| state.exit_code) == Some(3), "another exit code")
            }
            "build" => self.build().await,
            "tag" => {
                let options = TagImageOptionsBuilder::default().repo(&self.repository).tag("second").build();
                self.docker.tag_image(&self.repository, Some(options)).await?;
                check(self.docker.inspect_image(&self.second()).await?.id.is_some(), "no id")
            }
            "push" => {
                let options = PushImageOptionsBuilder::default().tag("second").build();
                let told: Vec<_> = self.docker.push_image(&self.repository, Some(options), None).try_collect().await?;
                check(!told.is_empty(), told)
            }
            "pull" => self.pull().await,
            "events" => self.events().await,
            "remove" => {
                self.discard(&self.ran).await?;
                self.docker
                    .remove_image(&self.second(), None::<bollard::query_parameters::RemoveImageOptions>, None)
                    .await?;
                let gone = self.docker.inspect_container(&self.ran, None::<InspectContainerOptions>).await;
                check(gone.is_err(), "it is still there")
            }
            _ => Err("no such step".into()),
        }
    }

    fn second(&self) -> String {
        format!("{}:second", self.repository)
    }

    async fn attach(&self) -> Outcome {
        let id = self.started(&["cat"], true).await?;
        let options =
            AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
        let mut attached = self.docker.attach_container(&id, Some(options)).await?;
        attached.input.write_all(b"typed\n").await?;
        attached.input.shutdown().await?;
        let text = text(attached.output).await?;
        check(text == "typed\n", text)?;
        self.discard(&id).await
    }

    async fn exec(&self) -> Outcome {
        let id = self.started(&["sleep", "1000"], false).await?;
        let options = CreateExecOptions {
            cmd: Some(vec!["sh", "-c", "echo inside; exit 5"]),
            attach_stdout: Some(true),
            ..Default::default()
        };
        let exec = self.docker.create_exec(&id, options).await?.id;
        let StartExecResults::Attached { output, .. } = self.docker.start_exec(&exec, None).await? else {
            return Err("not attached".into());
        };
        let text = text(output).await?;
        check(text == "inside\n", text)?;
        let code = self.docker.inspect_exec(&exec).await?.exit_code;
        check(code == Some(5), code)?;
        self.discard(&id).await
    }

    async fn build(&self) -> Outcome {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(DOCKERFILE.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, "Dockerfile", DOCKERFILE.as_bytes())?;
        let options = BuildImageOptionsBuilder::default().t(&self.repository).rm(true).build();
        let context = body_full(archive.into_inner()?.into());
        let told: Vec<_> = self.docker.build_image(options, None, Some(context)).try_collect().await?;
        let words: String = told.iter().filter_map(|told| told.stream.clone()).collect();
        check(words.contains("Successfully built"), words)
    }

    async fn pull(&self) -> Outcome {
        for name in [self.second(), format!("{}:latest", self.repository)] {
            let options = RemoveImageOptionsBuilder::default().force(true).build();
            self.docker.remove_image(&name, Some(options), None).await?;
        }
        let options = CreateImageOptionsBuilder::default().from_image(&self.repository).tag("second").build();
        let _told: Vec<_> = self.docker.create_image(Some(options), None, None).try_collect().await?;
        check(self.docker.inspect_image(&self.second()).await?.id.is_some(), "no id")
    }

    async fn events(&self) -> Outcome {
        let starts = self
            .docker
            .events(None::<EventsOptions>)
            .try_filter(|event| std::future::ready(event.action.as_deref() == Some("start")));
        let mut starts = std::pin::pin!(starts);
        let run = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.started(&["true"], false).await
        };
        let (seen, id) = tokio::join!(tokio::time::timeout(Duration::from_secs(10), starts.next()), run);
        check(matches!(seen?, Some(Ok(_))), "no event")?;
        let id = id?;
        self.code(&id).await?;
        self.discard(&id).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    if std::env::args().nth(1).as_deref() == Some("--version") {
        println!("{RELEASE}");
        return Ok(());
    }
    let docker = Docker::connect_with_unix(&variable("LONGSHORE_SOCKET"), 20, API_DEFAULT_VERSION)?;
    let docker = docker.negotiate_version().await?;
    println!("api {}", docker.client_version());
    let repository = format!("{}/{}", variable("LONGSHORE_REGISTRY"), variable("LONGSHORE_NAME"));
    let mut steps = Steps { docker, repository, ran: String::new() };
    for name in [
        "version", "images", "run", "logs", "attach", "exec", "wait", "inspect", "build", "tag", "push", "pull",
        "events", "remove",
    ] {
        match tokio::time::timeout(Duration::from_secs(20), steps.step(name)).await {
            Ok(Ok(())) => println!("{name} ok"),
            Ok(Err(error)) => println!("{name} red {}", error.to_string().replace('\n', " ")),
            Err(_) => println!("{name} red took too long"),
        }
    }
    Ok(())
}
