//! `RUN`: a container of its own, with what is mounted in it.

use dockerfile::Run;
use image::{Image, RunConfig};
use serde_json::Value;

use crate::mounts::Mounts;
use crate::progress::StepEvent;
use crate::work::{StepContainer, Work};
use crate::{Error, Result, RunStep, cache, platform};

impl Work<'_> {
    pub(crate) fn run(&mut self, run: &Run) -> Result<()> {
        if let Some(device) = run.devices.first() {
            return Err(Error::Unsupported(format!(
                "RUN --device={device}: devices by the Container Device Interface are not built into this version of longshore"
            )));
        }
        if !run.mounts.is_empty() {
            self.solve.beyond_cache()?;
        }
        let Some(image) = self.stage()?.image.clone() else {
            return Err(Error::Step("No image was generated before RUN: scratch has no program to run".to_owned()));
        };
        if self.options.dialect.is_old() && image.config.config.is_none() {
            // A command on an image that said nothing left lists that are empty, where others are missing.
            let config = &mut self.stage_mut()?.config;
            config.exposed_ports.get_or_insert_default();
            config.volumes.get_or_insert_default();
        }
        let stage = self.stage()?;
        let variables = self.arguments.variables(stage.env());
        let recorded: Vec<String> = variables
            .iter()
            .filter(|(name, _)| self.arguments.is_recorded(name))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut config = stage.config.clone();
        let words = stage.words_of(&run.command);
        config.cmd = Some(match recorded.is_empty() {
            true => words,
            false => std::iter::once(format!("|{}", recorded.len())).chain(recorded).chain(words).collect(),
        });
        if let Some(inputs) = self.inputs(run)? {
            config.other.insert(cache::INPUTS.to_owned(), Value::from(inputs));
        }
        if self.cached(&config)? {
            return Ok(());
        }
        let (mut running, words) = (self.stage()?.config.clone(), self.stage()?.words_of(&run.command));
        running.cmd = Some(words.clone());
        running.entrypoint = None;
        running.env.get_or_insert_default().extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        let container = self.run_container(run, &image, running, &words)?;
        let commit = self.commit(&container, &config)?;
        let (image, _) = self.solve.site.images.commit(&commit)?;
        self.now_at(image)
    }

    /// Runs the command to its end; the container that it leaves.
    fn run_container(&mut self, run: &Run, image: &Image, mut config: RunConfig, words: &[String]) -> Result<String> {
        let mounts = Mounts::prepare(self, run)?;
        config.env.get_or_insert_default().extend(mounts.env.iter().cloned());
        let step =
            RunStep { image, config: &config, network: &run.network, mounts: &mounts.mounts, insecure: run.insecure };
        let executor = self.solve.site.executor;
        let container = executor.create(&step)?;
        self.pending.push(StepContainer { id: container.clone(), exists: true });
        self.tell(StepEvent::Container(container.clone()));
        let mut output = |stream, bytes: &[u8]| self.tell(StepEvent::Output(stream, bytes.to_vec()));
        let code = executor.run(&container, &mut output);
        let code = code.map_err(|error| platform::not_run(&image.platform(), error))?;
        if code != 0 {
            return Err(Error::Command { command: words.join(" "), code });
        }
        mounts.remove_points(self.solve.site.storage, &container)?;
        Ok(container)
    }
}
