//! `make bench`: how the operator's real binary treats an SES that takes one request per second. A fleet of domains is
//! applied at once, one more in the middle of the flood; then nothing happens for a while; then SES loses a verification.
//! The control plane, the DNS server and the intervals are the real ones, SES is the simulator held to its real rate.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

mod figures;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use kube::api::ListParams;
use serde_json::Value;
use testbed::ses::Status;
use testbed::world::{Operator, OperatorOptions, World, WorldOptions, object};

use figures::{Calls, Usage, kubernetes_writes};

const REGION: &str = "us-east-1";
const ZONE: &str = "bench.example.com";
const POLL: Duration = Duration::from_millis(500);

/// Measures a fleet against an SES of one request per second.
#[derive(Debug, Parser)]
struct Options {
    /// The operator's binary. [default: the one beside this program]
    #[arg(long)]
    operator: Option<PathBuf>,
    /// How many domains are applied at once.
    #[arg(long, default_value = "100")]
    domains: usize,
    /// When one more is applied, in seconds.
    #[arg(long, default_value = "50")]
    middle: u64,
    /// How many requests per second SES takes, and the operator sends.
    #[arg(long, default_value = "1")]
    rate: u32,
    /// The longest that the fleet may take, in seconds.
    #[arg(long, default_value = "1200")]
    limit: u64,
    /// For how long the settled fleet is watched, in seconds.
    #[arg(long, default_value = "900")]
    settled: u64,
    /// --pending-interval of the operator.
    #[arg(long, default_value = "30s")]
    pending_interval: String,
    /// --verified-interval of the operator.
    #[arg(long, default_value = "15m")]
    verified_interval: String,
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let program = match options.operator.clone() {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("sending-domain-operator"),
    };
    let world = World::start(WorldOptions::default()).await?;
    world.ses().configure(|settings| settings.rate_limit = Some(f64::from(options.rate)));
    world.manual_zone(ZONE)?;
    let operator = world.operator(&OperatorOptions {
        region: REGION.to_owned(),
        pending_interval: options.pending_interval.clone(),
        verified_interval: options.verified_interval.clone(),
        ses_requests_per_second: options.rate,
        ..OperatorOptions::new(&program)
    })?;
    println!("{} against an SES of {} requests per second", program.display(), options.rate);
    let mut bench = Bench { namespace: world.namespace().await?, world, operator, options };
    bench.flood().await?;
    bench.settle().await?;
    bench.lose().await?;
    let usage = Usage::of(bench.operator.pid());
    println!("the operator in all: {usage}");
    bench.operator.stop().await?;
    Ok(())
}

struct Bench {
    world: World,
    operator: Operator,
    namespace: String,
    options: Options,
}

/// What was seen of the fleet so far.
#[derive(Default)]
struct Seen {
    published: BTreeSet<String>,
    records_at: BTreeMap<String, Duration>,
    ready_at: BTreeMap<String, Duration>,
}

impl Bench {
    async fn flood(&mut self) -> Result<()> {
        for n in 0..self.options.domains {
            self.apply(&format!("d{n:04}")).await?;
        }
        let began = Instant::now();
        let mut seen = Seen::default();
        let mut late: Option<Duration> = None;
        while seen.ready_at.len() < self.options.domains + 1 {
            if began.elapsed() > Duration::from_secs(self.options.limit) {
                break;
            }
            if late.is_none() && began.elapsed() >= Duration::from_secs(self.options.middle) {
                self.apply("middle").await?;
                late = Some(began.elapsed());
            }
            self.look(began, &mut seen).await?;
            tokio::time::sleep(POLL).await;
        }
        let seconds = |at: Option<Duration>| at.map_or("never".to_owned(), |at| format!("{:.0} s", at.as_secs_f64()));
        let fleet = seen.ready_at.iter().filter(|(name, _)| *name != "middle");
        println!("Verified: {} of {}, and the one more", fleet.clone().count(), self.options.domains);
        println!("  the last of the fleet after {}", seconds(fleet.map(|(_, at)| *at).max()));
        println!("  the last record in status after {}", seconds(seen.records_at.values().max().copied()));
        let of_middle = |times: &BTreeMap<String, Duration>| {
            seconds(late.and_then(|late| times.get("middle").map(|at| at.saturating_sub(late))))
        };
        println!(
            "  the one applied at {}: its records in status after {}, Verified after {}",
            seconds(late),
            of_middle(&seen.records_at),
            of_middle(&seen.ready_at)
        );
        let domains = self.options.domains + 1;
        println!("{}", Calls::so_far(&self.world).per_domain(domains));
        println!("writes to the API server by object: {}", kubernetes_writes(&self.world, &self.namespace, domains));
        println!("the operator so far: {}", Usage::of(self.operator.pid()));
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        // What follows from the last step is over by then.
        tokio::time::sleep(Duration::from_secs(5)).await;
        self.world.ses().reset_calls();
        let began = Instant::now();
        let before = Usage::of(self.operator.pid());
        tokio::time::sleep(Duration::from_secs(self.options.settled)).await;
        let calls = Calls::so_far(&self.world);
        let hours = began.elapsed().as_secs_f64() / 3600.0;
        println!("settled for {} s: {} ({:.1} an hour)", self.options.settled, calls, calls.total() / hours);
        println!("  the operator: {}", Usage::of(self.operator.pid()).since(&before));
        Ok(())
    }

    async fn lose(&mut self) -> Result<()> {
        let region = self.world.ses().region(REGION);
        let domain = format!("d0000.{ZONE}");
        region.set_pinned(&domain, true);
        region.set_dkim_status(&domain, Status::TemporaryFailure);
        let began = Instant::now();
        let limit = Duration::from_secs(self.options.limit);
        let is_lost = |o: &Value| object::reason(o, "Ready") == "VerificationLost";
        self.world.wait_for(&self.namespace, "d0000", "VerificationLost", is_lost, limit).await?;
        println!("a lost verification is in status after {:.0} s", began.elapsed().as_secs_f64());
        Ok(())
    }

    async fn apply(&self, name: &str) -> Result<()> {
        self.world.create(&self.namespace, &object::manual(name, &format!("{name}.{ZONE}"))).await?;
        Ok(())
    }

    /// Looks at all objects, and publishes the records of those that have them now, as their users would.
    async fn look(&self, began: Instant, seen: &mut Seen) -> Result<()> {
        for object in self.world.domains(&self.namespace).list(&ListParams::default()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            let object = serde_json::to_value(&object)?;
            if object::records(&object).len() == 5 && seen.published.insert(name.clone()) {
                self.world.publish(&object)?;
                seen.records_at.insert(name.clone(), began.elapsed());
            }
            if object::is_ready(&object) {
                seen.ready_at.entry(name).or_insert_with(|| began.elapsed());
            }
        }
        Ok(())
    }
}
