//! Traces, as a collector gets them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;

use crate::rig::{LIMIT, Rig};

type Received = Arc<Mutex<Vec<u8>>>;

/// A collector that keeps every body, and its address.
async fn collector() -> (Received, String) {
    let received = Received::default();
    let take = async |State(received): State<Received>, headers: HeaderMap, body: Bytes| {
        assert_eq!(headers["content-type"], "application/x-protobuf");
        received.lock().unwrap().extend_from_slice(&body);
    };
    let routes = axum::Router::new().route("/v1/traces", post(take)).with_state(received.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (received, url)
}

#[tokio::test]
async fn a_collector_gets_passes_their_stages_and_requests_and_no_secret() {
    let (received, url) = collector().await;
    let secret = "aws-canary-of-the-traces";
    let rig = Rig::with(|options| {
        options.args = vec![format!("--otlp-endpoint={url}")];
        options.env.push(("AWS_SECRET_ACCESS_KEY".to_owned(), secret.to_owned()));
    })
    .await;
    rig.verified_cloudflare().await;
    let has = |word: &str| received.lock().unwrap().windows(word.len()).any(|bytes| bytes == word.as_bytes());
    let started = Instant::now();
    let wanted = [
        "sending-domain-operator",
        "reconcile",
        "observe",
        "plan",
        "execute",
        "CreateEmailIdentity",
        "write_records",
        "AskNameServers",
        "PatchSendingDomainStatus",
        &rig.namespace,
    ];
    while let Some(missing) = wanted.into_iter().find(|word| !has(word)) {
        assert!(started.elapsed() < LIMIT, "no {missing} in {} bytes", received.lock().unwrap().len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for canary in [rig.world.token(), secret] {
        assert!(!has(canary), "a trace has {canary}");
    }
    let log = rig.operator.log();
    assert!(!log.contains("observe:") && !log.contains("cloudflare{"), "spans for traces only are in the log");
    rig.finish().await;
}
