//! Other limits for a container, running or not.

use std::sync::Arc;

use api::container::{UpdateRequest, UpdateResponse};
use api::host_config::HostConfig;
use runtime::cgroup;

use super::life::Actor;
use super::{resources, validate};
use crate::engine::Engine;
use crate::{Error, Result};

impl Engine {
    /// See [`Engine::update`].
    pub(crate) async fn update_container(&self, name: &str, request: UpdateRequest) -> Result<UpdateResponse> {
        let container = self.containers.find(name)?;
        container.step(move |actor| Box::pin(async move { actor.update(request) })).await?;
        Ok(UpdateResponse { warnings: None })
    }
}

impl Actor {
    fn update(&mut self, request: UpdateRequest) -> Result<()> {
        let mut host = self.record.host.as_ref().clone();
        apply(&mut host, request);
        validate::host_config(&host)?;
        if self.record.state.status.has_process() {
            let plan = self.engine.cgroup_plan(&self.record, &resources::limits(&host)?)?;
            cgroup::update(&plan).map_err(|error| {
                let context = format!("Cannot update container {}", self.record.id);
                Error::system(error.to_string()).caused_by(error).context(context)
            })?;
        }
        self.record.host = Arc::new(host);
        self.save()?;
        self.event("update", &[]);
        Ok(())
    }
}

/// Takes over what the request sets; zero keeps what is.
fn apply(host: &mut HostConfig, request: UpdateRequest) {
    fn set<T: Default + PartialEq>(field: &mut T, value: T) {
        if value != T::default() {
            *field = value;
        }
    }
    set(&mut host.cpu_shares, request.cpu_shares);
    set(&mut host.memory, request.memory);
    set(&mut host.nano_cpus, request.nano_cpus);
    set(&mut host.blkio_weight, request.blkio_weight);
    set(&mut host.cpu_period, request.cpu_period);
    set(&mut host.cpu_quota, request.cpu_quota);
    set(&mut host.cpu_realtime_period, request.cpu_realtime_period);
    set(&mut host.cpu_realtime_runtime, request.cpu_realtime_runtime);
    set(&mut host.cpuset_cpus, request.cpuset_cpus);
    set(&mut host.cpuset_mems, request.cpuset_mems);
    set(&mut host.memory_reservation, request.memory_reservation);
    set(&mut host.memory_swap, request.memory_swap);
    set(&mut host.pids_limit, request.pids_limit);
    set(&mut host.ulimits, request.ulimits);
    set(&mut host.oom_kill_disable, request.oom_kill_disable);
    set(&mut host.memory_swappiness, request.memory_swappiness);
    if !request.restart_policy.name.is_empty() {
        host.restart_policy = request.restart_policy;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_keeps_what_is() {
        let mut host = HostConfig { memory: 7, cpu_shares: 3, ..HostConfig::default() };
        apply(&mut host, UpdateRequest { memory: 9, ..UpdateRequest::default() });
        assert_eq!((host.memory, host.cpu_shares), (9, 3));
    }
}
