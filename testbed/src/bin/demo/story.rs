//! What the demo shows, in the order in which a user would see it.

use std::path::Path;
use std::time::Instant;

use testbed::world::object;

use crate::Result;
use crate::show;
use crate::steps::{NAMESPACE, Stage, pause, since};

/// The two objects of `config/samples`.
pub const CLOUDFLARE: &str = "mail-example-com";
pub const MANUAL: &str = "news-example-org";
/// The zone of the first at Cloudflare, and of the second at some other DNS provider.
pub const CLOUDFLARE_ZONE: &str = "example.com";
const MANUAL_ZONE: &str = "example.org";

/// From `kubectl apply` to Verified, twice.
pub async fn tell(stage: &mut Stage<'_>) -> Result<()> {
    prepare(stage).await?;
    apply(stage).await?;
    cloudflare(stage).await?;
    manual(stage).await?;
    the_end(stage).await
}

/// What the user has before: an account at Cloudflare with a zone, a zone elsewhere, a namespace.
async fn prepare(stage: &Stage<'_>) -> Result<()> {
    stage.world.cloudflare_zone(CLOUDFLARE_ZONE);
    stage.world.manual_zone(MANUAL_ZONE)?;
    stage.kubectl_quietly(&["create", "namespace", NAMESPACE]).await?;
    let namespace = format!("--namespace={NAMESPACE}");
    stage.kubectl_quietly(&["config", "set-context", "--current", &namespace]).await?;
    Ok(())
}

async fn apply(stage: &mut Stage<'_>) -> Result<()> {
    stage.screen.title("Two domains: one with its zone at Cloudflare, one whose DNS a person edits")?;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/samples").display().to_string();
    stage.kubectl_shown_as("apply -f config/samples", &["apply", "-f", &samples]).await?;
    for name in [CLOUDFLARE, MANUAL] {
        let reported =
            stage.wait_for(name, "a first report", |o| object::is_current(o) && !object::phase(o).is_empty());
        reported.await?;
    }
    let said = |o: &serde_json::Value| object::reason(o, "Ready") == "SecretNotFound";
    stage.wait_for(CLOUDFLARE, "word of the missing Secret", said).await?;
    stage.kubectl(&["get", "sendingdomains"]).await?;
    pause().await;
    let token = format!("--from-literal=api-token={}", stage.world.token());
    let typed = "create secret generic cloudflare --from-literal=api-token=…";
    stage.kubectl_shown_as(typed, &["create", "secret", "generic", "cloudflare", &token]).await
}

async fn cloudflare(stage: &mut Stage<'_>) -> Result<()> {
    stage.screen.title("mail.example.com: the operator writes the records, into the parent zone example.com")?;
    let started = Instant::now();
    let has_tokens =
        |o: &serde_json::Value| o["status"]["identity"]["dkimTokens"].as_array().is_some_and(|t| t.len() == 3);
    stage.wait_for(CLOUDFLARE, "an identity with three DKIM tokens", has_tokens).await?;
    let path = "jsonpath={.status.identity.dkimTokens}{\"\\n\"}";
    stage.kubectl(&["get", "sdom", CLOUDFLARE, "-o", path]).await?;
    let synced = |o: &serde_json::Value| object::condition_status(o, "RecordsSynced") == "True";
    let domain = stage.wait_for(CLOUDFLARE, "records at Cloudflare", synced).await?;
    stage.screen.note("the zone at Cloudflare (tokens shortened)")?;
    let records = stage.world.cloudflare().records(CLOUDFLARE_ZONE);
    stage.screen.output(&format!("{}\n", show::at_cloudflare(&records, &domain)))?;
    stage.screen.note("and what its name server answers")?;
    let answered = show::as_answered(stage.world.dns_server().addr(), &domain).await;
    stage.screen.output(&format!("{answered}\n"))?;
    pause().await;
    let found = |o: &serde_json::Value| object::condition_status(o, "DNSVerified") == "True";
    stage.wait_for(CLOUDFLARE, "all records found in DNS", found).await?;
    stage.kubectl(&["get", "sdom", CLOUDFLARE]).await?;
    stage.screen.note("now SES must see them too (SES usually takes minutes; the simulator's clock is moved on)")?;
    stage.wait_with_clock(CLOUDFLARE, "Ready=True", object::is_ready).await?;
    stage.kubectl(&["get", "sdom", CLOUDFLARE]).await?;
    stage.screen.note(&format!("Verified {} after the Secret was there\n", since(started)))?;
    pause().await;
    Ok(())
}

async fn manual(stage: &mut Stage<'_>) -> Result<()> {
    stage.screen.title("news.example.org: its DNS provider is a person, who is told what to add")?;
    let listed = |o: &serde_json::Value| object::count(o, "Missing") == 5;
    let domain = stage.wait_for(MANUAL, "five records, all Missing", listed).await?;
    stage.kubectl(&["get", "sdom", MANUAL]).await?;
    stage.screen.note(".status.records (tokens shortened)")?;
    stage.screen.output(&format!("{}\n", show::of_status(&domain)))?;
    pause().await;
    stage.screen.note("the person adds these five records to the zone example.org at their DNS provider")?;
    stage.world.publish(&domain)?;
    let found = |o: &serde_json::Value| object::count(o, "Found") == 5;
    let domain = stage.wait_for(MANUAL, "all records found in DNS", found).await?;
    stage.screen.output(&format!("{}\n", show::of_status(&domain)))?;
    stage.screen.note("and SES sees them (its clock is moved on again)")?;
    stage.wait_with_clock(MANUAL, "Ready=True", object::is_ready).await?;
    stage.kubectl(&["get", "sdom", MANUAL]).await
}

async fn the_end(stage: &mut Stage<'_>) -> Result<()> {
    stage.screen.title("The end")?;
    // The first must still be Verified: it is what the exit code vouches for.
    stage.wait_for(CLOUDFLARE, "Ready=True", object::is_ready).await?;
    stage.kubectl(&["get", "sendingdomains"]).await?;
    stage.kubectl(&["get", "sendingdomains", "-o", "wide"]).await?;
    stage.kubectl(&["describe", "sendingdomain", CLOUDFLARE]).await
}
