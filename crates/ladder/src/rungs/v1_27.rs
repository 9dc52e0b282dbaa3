//! API 1.27, Docker 17.03.1.

use crate::json::{object, remove};
use crate::rung::{Change, Rung};
use crate::version::Version;
use api::routes::Endpoint::ContainerStats;

pub(super) const RUNG: Rung = Rung {
    version: Version::new(1, 27),
    release: "17.03.1",
    changes: &[Change::to(&[ContainerStats], "Stats tell `online_cpus`.").message(|stats, _| {
        for key in ["cpu_stats", "precpu_stats"] {
            object(stats, &[key]).into_iter().for_each(|cpu| remove(cpu, &["online_cpus"]));
        }
    })],
};

#[cfg(test)]
mod tests {
    use crate::testing::message;
    use api::routes::Endpoint::ContainerStats;
    use serde_json::json;

    #[test]
    fn processors_were_not_counted() {
        assert_eq!(
            message("1.27", "1.26", ContainerStats, json!({"cpu_stats": {"online_cpus": 2}})),
            "{\"cpu_stats\":{}}\n"
        );
    }
}
