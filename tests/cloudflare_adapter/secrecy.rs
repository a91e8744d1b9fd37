//! The token shows nowhere, even if the other side repeats it everywhere.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::{Arc, Mutex};

use sending_domain_operator::dns::cloudflare::{ApiToken, Change};
use sending_domain_operator::dns::record::DnsName;

use crate::server::{Server, answer, zone_id};

const CANARY: &str = "cfut_CANARY0123456789CANARY";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that can be said about a failed use of the client.
async fn everything(server: &Server, token: &ApiToken) -> String {
    let client = server.client();
    let mut said = format!("{client:?} {token:?} {token:#?} {:?}", token.fingerprint());
    let zone = zone_id();
    let delete = [Change::Delete { id: "1".to_owned() }];
    for error in [
        client.zones(token).await.unwrap_err(),
        client.zone(token, &zone).await.unwrap_err(),
        client.records(token, &zone, &DnsName::new("example.com")).await.unwrap_err(),
        client.batch(token, &zone, &delete).await.unwrap_err(),
    ] {
        write!(said, " {error} {error:?} {error:#?} {:?}", error.class()).unwrap();
    }
    said
}

#[tokio::test]
async fn the_token_is_in_no_text_and_in_no_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: a scoped one misses what another test's thread logs first.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let token = ApiToken::parse(format!("{CANARY}\n").as_bytes()).unwrap();
    let mut said = String::new();
    for status in [200, 302, 400, 401, 403, 404, 429, 500] {
        let echo = move |_: &_| {
            let body = format!(
                r#"{{"success":false,"errors":[{{"code":1,"message":"bad token {CANARY}",
                    "error_chain":[{{"code":2,"message":"{CANARY}"}}]}}],"result":"{CANARY}"}}"#
            );
            answer(status, &[("cf-ray", &format!("<{CANARY}>")), ("location", CANARY), ("retry-after", CANARY)], body)
        };
        said += &everything(&Server::start(echo).await, &token).await;
    }
    let garbage = Server::always(200, format!("<html>{CANARY}")).await;
    said += &everything(&garbage, &token).await;

    assert!(!said.contains("CANARY"), "{said}");
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("cloudflare refused"), "the log was captured");
    assert!(!log.contains("CANARY"), "{}", log.lines().find(|line| line.contains("CANARY")).unwrap());
}

#[test]
fn a_refused_token_is_not_repeated() {
    for value in [format!("{CANARY} {CANARY}"), format!("{CANARY}\u{e4}"), CANARY.repeat(1000)] {
        let error = ApiToken::parse(value.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
}
