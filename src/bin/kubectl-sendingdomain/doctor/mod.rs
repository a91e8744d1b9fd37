//! `doctor`: what is missing around the operator. It reads, and asks the API server what would be allowed; it writes nothing.

mod aws;
mod cloudflare;
mod dns;
mod kubernetes;
mod rights;

use std::fmt::Write as _;

use sending_domain_operator::text::printable;

use crate::args::{Access, Area, DoctorArgs};
use crate::cluster::Cluster;
use crate::exit::{Exit, Failure};
use crate::screen::{Colour, Paint, emit};

/// The longest text of a finding, in bytes.
const LIMIT: usize = 600;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    level: Level,
    what: String,
    advice: Option<String>,
}

impl Finding {
    fn ok(what: impl AsRef<str>) -> Self {
        Self { level: Level::Ok, what: printable(what.as_ref(), LIMIT), advice: None }
    }

    fn warn(what: impl AsRef<str>, advice: impl AsRef<str>) -> Self {
        Self { level: Level::Warn, advice: Some(printable(advice.as_ref(), LIMIT)), ..Self::ok(what) }
    }

    fn fail(what: impl AsRef<str>, advice: impl AsRef<str>) -> Self {
        Self { level: Level::Fail, ..Self::warn(what, advice) }
    }
}

pub async fn run(access: &Access, args: &DoctorArgs) -> Result<Exit, Failure> {
    let paint = Paint::for_stdout();
    let wants = |area| !args.skip.contains(&area);
    let cluster = Cluster::of(access).await;
    let mut worst = Level::Ok;
    let mut report = |title: &str, findings: &[Finding]| {
        worst = findings.iter().map(|finding| finding.level).fold(worst, Level::max);
        emit(&section(title, findings, paint))
    };
    let objects = match &cluster {
        // What cannot be listed is told of below.
        Ok(cluster) => cluster.list(false, None).await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    if wants(Area::Kubernetes) {
        let findings = match &cluster {
            Ok(cluster) => [kubernetes::look(cluster).await, rights::look(cluster, &objects, args).await].concat(),
            Err(error) => vec![Finding::fail(error.to_string(), "or leave it out: --skip kubernetes")],
        };
        report("Kubernetes", &findings)?;
    }
    let cluster = cluster.ok();
    if wants(Area::Aws) {
        report("AWS", &aws::look(&args.region).await)?;
    }
    if wants(Area::Cloudflare) {
        report("Cloudflare", &cloudflare::look(cluster.as_ref(), &objects, &args.cloudflare_base_url).await)?;
    }
    if wants(Area::Dns) {
        report("DNS", &dns::look(&objects, &args.dns).await)?;
    }
    Ok(if worst == Level::Fail { Exit::Unhealthy } else { Exit::Ok })
}

fn section(title: &str, findings: &[Finding], paint: Paint) -> String {
    let mut text = format!("{}\n", paint.paint(Colour::Bold, title));
    for finding in findings {
        let (word, colour) = match finding.level {
            Level::Ok => ("ok  ", Colour::Green),
            Level::Warn => ("warn", Colour::Yellow),
            Level::Fail => ("fail", Colour::Red),
        };
        let _ = writeln!(text, "  {} {}", paint.paint(colour, word), finding.what);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "       {advice}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_without_colours_and_shows_nothing_that_moves_the_cursor() {
        let findings =
            [Finding::ok("there"), Finding::warn("odd\u{1b}[2J", "look"), Finding::fail("gone", "bring it\nback")];
        let text = section("Kubernetes", &findings, Paint::none());
        assert_eq!(
            text,
            "Kubernetes\n  ok   there\n  warn odd\\u{1b}[2J\n       look\n  fail gone\n       bring it\\nback\n"
        );
    }
}
