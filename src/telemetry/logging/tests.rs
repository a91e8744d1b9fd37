use std::io::Write;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing::Level;

use super::*;

const TOKEN: &str = "t0ken-that-nobody-may-read";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What `log` writes at this level.
fn written(format: Format, level: &str, log: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = subscriber(format, level, false, move || writer.clone()).unwrap();
    tracing::subscriber::with_default(subscriber, log);
    lines.text()
}

macro_rules! log_as {
    ($target:literal) => {
        tracing::trace!(target: $target, authorization = TOKEN, "trace");
        tracing::debug!(target: $target, authorization = TOKEN, "debug");
    };
}

fn log_headers() {
    let span = tracing::trace_span!(target: "hyper::client", "request", authorization = TOKEN);
    let _entered = span.enter();
    log_as!("hyper");
    log_as!("hyper_util::client::legacy");
    log_as!("h2::codec::framed_write");
    log_as!("kube_client::client::builder");
    log_as!("kube_client::client::auth");
    log_as!("aws_smithy_runtime::client::orchestrator");
    log_as!("aws_sigv4");
    log_as!("reqwest::connect");
    log_as!("rustls::client");
    log_as!("tower_http::trace");
    log_as!("a_library_of_next_year");
    tracing::info!("ours");
}

#[test]
fn no_level_makes_a_library_print_headers() {
    for level in [
        "trace",
        "debug",
        "TRACE",
        "5",
        "hyper=trace,h2=trace,kube_client=trace,tower=trace,rustls=trace,reqwest=trace,aws=trace,info",
        "hyper_util::client::legacy=trace",
        "trace,a_library_of_next_year=trace",
        "[request]=trace",
        "[{authorization}]=trace",
        "[request{authorization=t0ken-that-nobody-may-read}]=trace",
    ] {
        for format in [Format::Json, Format::Text] {
            let text = written(format, level, log_headers);
            assert!(!text.contains(TOKEN), "{level}: {text}");
            assert!(text.contains("ours"), "{level}: {text}");
        }
    }
}

/// Answers one request after the other with `{}`.
async fn upstream() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 8192];
            let read = socket.read(&mut request).await.unwrap();
            assert!(String::from_utf8_lossy(&request[..read]).contains(TOKEN), "the request carries no token");
            let answer =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

/// The real libraries, with the most that anybody can ask for.
#[test]
fn a_token_that_is_sent_is_not_logged() {
    let text = written(Format::Json, "trace", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            let url = upstream().await;
            let mut config = kube::Config::new(url.parse().unwrap());
            config.auth_info.token = Some(SecretString::from(TOKEN));
            let client = kube::Client::try_from(config).unwrap();
            let request = axum::http::Request::get("/api").body(Vec::new()).unwrap();
            client.request::<serde_json::Value>(request).await.unwrap();
            reqwest::Client::new().get(&url).bearer_auth(TOKEN).header("x-api-key", TOKEN).send().await.unwrap();
            tracing::trace!("ours");
        });
    });
    assert!(text.contains("ours"), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
}

#[test]
fn our_own_crate_may_say_everything() {
    let text = written(Format::Json, "trace", || {
        tracing::trace!("ours");
        tracing::trace!(target: "kube_runtime::controller", "theirs");
    });
    assert!(text.contains("ours") && text.contains("theirs"), "{text}");
}

/// Which of error, warn, info, debug and trace are written for a target, by their initials.
macro_rules! levels {
    ($level:expr, $target:literal) => {{
        let text = written(Format::Text, $level, || {
            tracing::error!(target: $target, "said");
            tracing::warn!(target: $target, "said");
            tracing::info!(target: $target, "said");
            tracing::debug!(target: $target, "said");
            tracing::trace!(target: $target, "said");
        });
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        let written = levels.into_iter().filter(|level| text.contains(&format!("{level} ")));
        written.filter_map(|level| level.as_str().chars().next()).collect::<String>()
    }};
}

#[test]
fn libraries_are_quiet_unless_the_level_says_otherwise() {
    assert_eq!(levels!("info", "sending_domain_operator::x"), "EWI");
    assert_eq!(levels!("", "sending_domain_operator::x"), "EWI");
    assert_eq!(levels!("debug", "sending_domain_operator::x"), "EWID");
    assert_eq!(levels!("sending_domain_operator=debug", "some_library"), "EWI");
    assert_eq!(levels!("debug", "hyper_util::client"), "EW");
    assert_eq!(levels!("debug", "aws_config"), "EW");
    assert_eq!(levels!("info,hyper_util=info", "hyper_util::client"), "EWI");
    assert_eq!(levels!("info,hyper=trace", "hyper::client"), "EWI");
    assert_eq!(levels!("info,hickory_net=debug", "hickory_net::udp"), "EWID");
    assert_eq!(levels!("error", "hyper::client"), "E");
    assert_eq!(levels!("off", "hyper::client"), "");
    assert_eq!(levels!("off,kube_client=error", "kube_client::client"), "E");
}

#[test]
fn a_level_that_cannot_be_read_is_an_error_that_names_it() {
    let Err(error) = subscriber(Format::Json, "info,=[", false, io::sink) else { panic!("accepted") };
    assert!(error.to_string().contains("info,=["), "{error}");
}

#[test]
fn a_line_is_one_json_object_with_the_fields_of_its_span() {
    let text = written(Format::Json, "info", || {
        let span = tracing::info_span!("reconcile", namespace = "team-a", name = "mail");
        let _entered = span.enter();
        tracing::info!(records = 5, "wrote\nrecords");
    });
    let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "wrote\nrecords");
    assert_eq!(line["records"], 5);
    assert_eq!(line["span"]["namespace"], "team-a");
    assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')));
}
