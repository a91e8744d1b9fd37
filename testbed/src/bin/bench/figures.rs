//! What is counted: requests to SES and to the API server, and what the process used.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use testbed::world::{OPERATOR, SYSTEM_NAMESPACE, World};

/// The requests that SES was sent.
pub struct Calls {
    by_operation: BTreeMap<String, u32>,
    refused: u32,
}

impl Calls {
    /// Those since the last reset.
    pub fn so_far(world: &World) -> Self {
        let mut calls = Self { by_operation: BTreeMap::new(), refused: 0 };
        for call in world.ses().calls() {
            *calls.by_operation.entry(call.operation.to_string()).or_default() += 1;
            calls.refused += u32::from(call.http_status == Some(429));
        }
        calls
    }

    /// All of them.
    pub fn total(&self) -> f64 {
        f64::from(self.by_operation.values().sum::<u32>())
    }

    /// In words, for so many domains.
    pub fn per_domain(&self, domains: usize) -> String {
        format!("{self}, {:.2} for each domain", self.total() / count(domains))
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations: Vec<String> = self.by_operation.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let share = 100.0 * f64::from(self.refused) / self.total().max(1.0);
        write!(f, "SES calls: {} ({}), {} refused ({share:.1} %)", self.total(), operations.join(", "), self.refused)
    }
}

/// What the operator wrote to the API server in a namespace, by the API server's own log, for each of so many objects.
pub fn kubernetes_writes(world: &World, namespace: &str, objects: usize) -> String {
    let user = format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}");
    let log = std::fs::read_to_string(world.control_plane().audit_log()).unwrap_or_default();
    let mut writes: BTreeMap<String, u32> = BTreeMap::new();
    let events = log.lines().filter(|line| line.contains(&user)).filter_map(|l| serde_json::from_str::<Value>(l).ok());
    for event in events.filter(|event| event["objectRef"]["namespace"] == namespace) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (verb, target) = (text(&event["verb"]), &event["objectRef"]);
        if ["create", "update", "patch", "delete"].contains(&verb.as_str()) {
            *writes.entry(format!("{} {}", text(&target["resource"]), text(&target["subresource"]))).or_default() += 1;
        }
    }
    let each = writes.iter().map(|(what, n)| format!("{:.1} {}", f64::from(*n) / count(objects), what.trim_end()));
    each.collect::<Vec<_>>().join(", ")
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// What a process used, as Linux tells.
#[derive(Default)]
pub struct Usage {
    cpu_seconds: f64,
    peak_mebibytes: f64,
}

/// Clock ticks per second, of every Linux that this runs on.
const TICKS: f64 = 100.0;

impl Usage {
    /// That of the process so far; zeros where the system does not tell.
    pub fn of(pid: u32) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = read("stat");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        let status = read("status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        Self { cpu_seconds: (ticks(11) + ticks(12)) / TICKS, peak_mebibytes: kibibytes.unwrap_or_default() / 1024.0 }
    }

    /// What was used since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - before.cpu_seconds, peak_mebibytes: self.peak_mebibytes }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} s of CPU, {:.0} MiB at most", self.cpu_seconds, self.peak_mebibytes)
    }
}
