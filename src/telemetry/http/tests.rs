use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// The status line, the headers (in lower case) and the body.
async fn get_as(address: SocketAddr, path: &str, accept: &str) -> (String, String, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    (status.to_owned(), headers.to_lowercase(), body.to_owned())
}

async fn status(address: SocketAddr, path: &str) -> String {
    let (status, _, _) = get_as(address, path, "*/*").await;
    status.split(' ').nth(1).unwrap().to_owned()
}

async fn start(metrics: &str, health: &str) -> (Servers, Endpoints, CancellationToken) {
    let (endpoints, shutdown) = (Endpoints::default(), CancellationToken::new());
    let servers = serve(metrics, health, endpoints.clone(), shutdown.clone()).await.unwrap();
    (servers, endpoints, shutdown)
}

#[tokio::test]
async fn metrics_come_in_the_format_that_is_asked_for() {
    let (servers, endpoints, _shutdown) = start("127.0.0.1:0", "").await;
    endpoints.metrics.leading(true);
    let address = servers.metrics.unwrap();
    assert_eq!(servers.health, None);
    let (status_line, headers, body) = get_as(address, "/metrics", "application/openmetrics-text; version=1.0.0").await;
    assert_eq!(status_line, "HTTP/1.1 200 OK");
    assert!(headers.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{headers}");
    assert!(body.ends_with("# EOF\n") && body.contains("sendingdomain_leader 1\n"), "{body}");
    let (_, headers, body) = get_as(address, "/metrics", "*/*").await;
    assert!(headers.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{headers}");
    assert!(!body.contains("# EOF") && body.contains("# TYPE sendingdomain_panics_total counter\n"), "{body}");
    assert_eq!(status(address, "/livez").await, "404");
}

#[tokio::test]
async fn readiness_waits_for_the_lists_and_liveness_does_not() {
    let (servers, endpoints, _shutdown) = start("0", "127.0.0.1:0").await;
    let address = servers.health.unwrap();
    assert_eq!(servers.metrics, None);
    assert_eq!(status(address, "/readyz").await, "503");
    assert_eq!(status(address, "/livez").await, "200");
    endpoints.readiness.standby();
    assert_eq!(status(address, "/readyz").await, "200");
    endpoints.readiness.leading(&["sendingdomains"]);
    let (_, _, body) = get_as(address, "/readyz", "*/*").await;
    assert_eq!(body, "not listed yet: sendingdomains\n");
    endpoints.readiness.listed("sendingdomains");
    let beat = endpoints.liveness.register();
    assert_eq!(status(address, "/readyz").await, "200");
    assert_eq!(status(address, "/livez").await, "200");
    endpoints.liveness.wedge();
    let (status_line, _, body) = get_as(address, "/livez", "*/*").await;
    assert!(status_line.contains("503") && body.starts_with("a controller loop has been silent for 3"), "{body}");
    assert_eq!(status(address, "/readyz").await, "200");
    beat.beat();
    assert_eq!(status(address, "/livez").await, "200");
    assert_eq!(status(address, "/metrics").await, "404");
}

#[tokio::test]
async fn equal_addresses_make_one_server() {
    let (servers, endpoints, _shutdown) = start("127.0.0.1:0", "127.0.0.1:0").await;
    assert_eq!(servers.metrics, servers.health);
    endpoints.readiness.standby();
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(status(servers.health.unwrap(), path).await, "200", "{path}");
    }
}

#[tokio::test]
async fn a_shutdown_ends_in_time_whatever_a_client_does() {
    let (servers, _, shutdown) = start("127.0.0.1:0", "127.0.0.1:0").await;
    let address = servers.metrics.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /metrics HT").await.unwrap();
    assert_eq!(status(address, "/livez").await, "200");
    let started = Instant::now();
    shutdown.cancel();
    servers.stopped().await;
    assert!(started.elapsed() < DRAIN * 3, "{:?}", started.elapsed());
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = serve(&address, "0", Endpoints::default(), CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.contains(&address) && error.contains("metrics"), "{error}");
    let servers = serve("", "0", Endpoints::default(), CancellationToken::new()).await.unwrap();
    assert_eq!((servers.metrics, servers.health), (None, None));
}
