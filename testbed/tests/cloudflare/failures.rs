//! Rate limit, ordered failures, the log of calls.

use std::time::{Duration, Instant};

use reqwest::{Method, header};
use testbed::cloudflare::{Call, Failure, Perms};

use crate::{Answer, Bed, TOKEN, txt};

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_rate_limit_is_told_always_and_kept_per_token() {
    let bed = Bed::new().await;
    let answer = bed.get("/zones").await;
    assert_eq!(header(&answer, "ratelimit"), Some("\"default\";r=1199;t=300"));
    assert_eq!(header(&answer, "ratelimit-policy"), Some("\"default\";q=1200;w=300"));
    assert!(header(&answer, "cf-ray").is_some() && header(&answer, "retry-after").is_none());

    bed.sim.set_rate_limit(2, Duration::from_secs(2));
    bed.get("/zones").await.result();
    bed.get("/nothing").await.refusal();
    let over = bed.get("/zones").await;
    assert_eq!(over.refusal(), (429, 10100));
    assert_eq!(header(&over, "ratelimit"), Some("\"default\";r=0;t=2"));
    assert_eq!(header(&over, "retry-after"), Some("2"));
    let other = "o".repeat(40);
    bed.sim.add_token(&other, Perms::full());
    bed.get_as(&other, "/zones").await.result();
    tokio::time::sleep(Duration::from_secs(2)).await;
    bed.get("/zones").await.result();
}

#[tokio::test]
async fn ordered_failures_come_as_ordered_and_are_used_up() {
    let bed = Bed::new().await;
    bed.sim.fail_next(2, Failure::Status(503));
    assert_eq!(bed.get("/zones").await.refusal(), (503, 503));
    assert_eq!(bed.get("/zones").await.status, 503);
    bed.get("/zones").await.result();

    bed.sim.fail_next(1, Failure::Code(400, 1038, "not for this TLD".to_owned()));
    assert_eq!(bed.get("/zones").await.refusal(), (400, 1038));
    bed.sim.fail_next(1, Failure::Html502);
    let page = bed.get("/zones").await;
    assert_eq!((page.status.as_u16(), header(&page, "content-type")), (502, Some("text/html")));
    bed.sim.fail_next(1, Failure::NonJson);
    let broken = bed.get("/zones").await;
    assert!(broken.status == 200 && broken.body.is_string());
    bed.sim.fail_next(1, Failure::Huge(5_000_000));
    assert!(bed.get("/zones").await.result().is_array());
    bed.sim.fail_next(1, Failure::Redirect("http://127.0.0.1:9/steal".to_owned()));
    assert_eq!(bed.get("/zones").await.headers[header::LOCATION], "http://127.0.0.1:9/steal");

    let asked = Instant::now();
    bed.sim.fail_next(1, Failure::slow(Duration::from_millis(200)));
    bed.get("/zones").await.result();
    assert!(asked.elapsed() >= Duration::from_millis(200));
    bed.sim.fail_next(5, Failure::Html502);
    bed.sim.clear_failures();
    bed.get("/zones").await.result();
}

#[tokio::test]
async fn a_dropped_connection_commits_or_not() {
    let bed = Bed::new().await;
    let path = bed.records_path();
    for (failure, committed) in [(Failure::Drop, 0), (Failure::CommitThenDrop, 1)] {
        bed.sim.fail_next_on(1, "POST", "/dns_records", failure.clone());
        bed.get("/zones").await.result();
        bed.try_call(Method::POST, &path, Some(txt("x", "y"))).await.unwrap_err();
        assert_eq!(bed.sim.records(&bed.zone).len(), committed, "{failure:?}");
        assert_eq!(bed.sim.calls().last().unwrap().status, 0);
    }
    assert_eq!(bed.post(txt("x", "y")).await.refusal(), (400, 81058), "the caller finds its own record");
}

#[tokio::test]
async fn calls_are_logged_with_status_and_token() {
    let bed = Bed::new().await;
    bed.get("/zones?name=example.com").await.result();
    bed.get_as("bad", "/zones").await.refusal();
    let call = |path: &str, status, token: &str| Call {
        method: "GET".to_owned(),
        path: format!("/client/v4{path}"),
        status,
        token: Some(token.to_owned()),
    };
    assert_eq!(bed.sim.calls(), [call("/zones?name=example.com", 200, TOKEN), call("/zones", 400, "bad")]);
    bed.sim.reset_calls();
    assert!(bed.sim.calls().is_empty());
}

#[tokio::test]
async fn the_port_closes_with_the_handle() {
    let bed = Bed::new().await;
    let url = format!("{}/zones", bed.sim.base_url());
    let Bed { sim, http, .. } = bed;
    http.get(&url).send().await.unwrap();
    drop(sim);
    let gone = async {
        while reqwest::get(&url).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}
