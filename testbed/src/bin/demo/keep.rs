//! What a person can do with everything left up.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::steps::{Stage, ended};
use crate::story::{CLOUDFLARE, CLOUDFLARE_ZONE};

/// SES looks every minute of its own clock; this makes that two seconds.
const SES_CLOCK_RATE: f64 = 30.0;
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Says what is up, where, and how it ends.
pub fn explain(stage: &Stage<'_>) -> Result<()> {
    stage.world.ses().set_clock_rate(SES_CLOCK_RATE);
    stage.screen.title("Everything stays up; Ctrl-C here ends it")?;
    let text = instructions(stage);
    stage.screen.output(&text)?;
    Ok(())
}

/// Does for the operator what a kubelet would: starts it again whenever it ends. Does not end by itself.
pub async fn attend(stage: &mut Stage<'_>) -> Result<()> {
    loop {
        ended(stage.operator).await;
        stage.operator.restart().await?;
        let pid = stage.operator.pid();
        stage.screen.note(&format!("the operator has ended and is started again: process {pid}"))?;
        // One that cannot start must not be started without a pause.
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}

fn instructions(stage: &Stage<'_>) -> String {
    let plane = stage.world.control_plane();
    let mut text = String::from("In another terminal:\n\n");
    let kubeconfig = plane.admin_kubeconfig().display();
    let _ = writeln!(text, "  export KUBECONFIG={kubeconfig}");
    if let Some(directory) = off_path(plane.kubectl_path()) {
        let _ = writeln!(text, "  export PATH={}:$PATH", directory.display());
    }
    let _ = writeln!(text, "  export CF={}", stage.world.cloudflare().admin_url());
    let _ = writeln!(text, "  export SES={}/_admin", stage.world.ses().endpoint());
    let _ = writeln!(text, "  kubectl get sendingdomains -w");
    let _ = writeln!(text, "  tail -f {}", stage.operator.log_file().display());
    let records = format!("$CF/zones/{CLOUDFLARE_ZONE}/records");
    let _ = write!(
        text,
        r#"
Break something at Cloudflare (the operator looks every 10 s at what is Ready, else every 2 s):

  curl -s {records}                                                  # the records, with their ids
  curl -X DELETE {records}/ID
  curl -X PATCH {records}/ID -d '{{"proxied": true}}' -H 'content-type: application/json'
  curl -X DELETE $CF/tokens/{token}          # revoke the token
  curl $CF/tokens -d '{{"token": "{token}"}}' -H 'content-type: application/json'

Or at SES (its clock runs {SES_CLOCK_RATE} times as fast as yours; GET $SES lists everything):

  curl -s $SES/identities
  curl -X DELETE $SES/identities/mail.example.com
  curl $SES/clock -d '{{"advanceSeconds": 259200}}' -H 'content-type: application/json'   # 72 hours

Or to the operator, which is started again as a kubelet would:

  kill {pid}            # or kill -9; what it remembers is only a cache

Or in Kubernetes:

  kubectl delete secret cloudflare
  kubectl annotate sendingdomain {CLOUDFLARE} sendingdomain.dev/reconcile-at="$(date)"
  kubectl delete sendingdomain {CLOUDFLARE}            # and its records and its identity are gone

DNS answers at {dns}: dig @127.0.0.1 -p {port} MX bounce.mail.example.com

"#,
        token = stage.world.token(),
        pid = stage.operator.pid(),
        dns = stage.world.dns_server().addr(),
        port = stage.world.dns_server().addr().port(),
    );
    text
}

/// The directory of kubectl, if typing `kubectl` would not find one.
fn off_path(kubectl: &Path) -> Option<&Path> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join("kubectl").is_file());
    if found { None } else { kubectl.parent() }
}
