//! Cloudflare's own Go client against the simulator: what it does not take, a simulator must not say.

use std::path::Path;

use testbed::cloudflare::{CloudflareSim, Perms};
use testbed::dns::DnsServer;
use tokio::process::Command;

const TOKEN: &str = "cfut_0123456789abcdefghijABCDEFGHIJ0123456789abcd";

#[tokio::test]
async fn the_official_client_is_content() {
    let server = DnsServer::start().await.unwrap();
    let sim = CloudflareSim::start(server.dns()).await.unwrap();
    sim.add_zone("example.com");
    sim.add_token(TOKEN, Perms::full());
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/cloudflare");
    let run = Command::new("go")
        .args(["run", "-mod=readonly", "."])
        .current_dir(program)
        // What is installed has to do: no other tool-chain is fetched behind the user's back.
        .env("GOTOOLCHAIN", "local")
        .env("CLOUDFLARE_BASE_URL", sim.base_url())
        .env("CLOUDFLARE_API_TOKEN", TOKEN)
        .env("ZONE", "example.com")
        .kill_on_drop(true)
        .output()
        .await;
    let run = match run {
        Ok(run) => run,
        Err(error) => panic!("install Go 1.22 or newer, the official Cloudflare client needs `go` on PATH: {error}"),
    };
    let (out, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}{errors}");
    assert!(out.contains("the official client is content"), "{out}");
    assert!(sim.records("example.com").is_empty());
}
