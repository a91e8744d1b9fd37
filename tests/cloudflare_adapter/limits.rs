//! Rate limits: what Cloudflare asks for is done, per token, and nobody sleeps long.

use std::time::{Duration, Instant};

use sending_domain_operator::dns::cloudflare::{ApiToken, Client, Error, Kind, Settings};
use sending_domain_operator::error::ErrorClass;

use crate::server::{Server, answer, refusal, success, token};

async fn limited(client: &Client) -> Error {
    let before = Instant::now();
    let error = client.zones(&token()).await.unwrap_err();
    assert_eq!(error.kind, Kind::RateLimited);
    assert!(before.elapsed() < Duration::from_secs(5), "told, not slept");
    error
}

/// True if the wait is what is left of `asked` seconds.
fn waits(error: &Error, asked: u64) -> bool {
    let ErrorClass::Transient { retry_after: Some(wait) } = error.class() else { panic!("{error:?}") };
    (Duration::from_secs(asked - 5)..=Duration::from_secs(asked)).contains(&wait)
}

#[tokio::test]
async fn d2_a_429_is_waited_for_by_its_retry_after() {
    for body in [refusal(10000, "Rate limited"), "<html>".to_owned(), String::new()] {
        let server = Server::start(move |_| answer(429, &[("retry-after", "17")], body.clone())).await;
        let client = server.client();
        let error = limited(&client).await;
        assert!(error.status == Some(429) && waits(&error, 17), "{error:?}");
        let error = limited(&client.clone()).await;
        assert!(error.status.is_none() && waits(&error, 17), "our own refusal, with what is left: {error:?}");
        assert_eq!(server.seen().len(), 1, "nothing is sent in the meantime");
    }
}

#[tokio::test]
async fn d2_a_429_without_a_wait_gets_one() {
    let server = Server::always(429, "").await;
    assert!(waits(&limited(&server.client()).await, 60));
}

#[tokio::test]
async fn d2_a_503_is_waited_for_too() {
    let server = Server::start(|_| answer(503, &[("retry-after", "9")], "")).await;
    let client = server.client();
    let error = client.zones(&token()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.class()),
        (Kind::Unavailable, ErrorClass::Transient { retry_after: Some(Duration::from_secs(9)) })
    );
    assert!(waits(&limited(&client).await, 9));
}

#[tokio::test]
async fn d2_the_last_request_of_a_window_holds_the_next() {
    let header = r#""default";r=0;t=30"#;
    let server = Server::start(move |_| answer(200, &[("ratelimit", header)], success("[]"))).await;
    let client = server.client();
    assert_eq!(client.zones(&token()).await, Ok(vec![]), "this one was still answered");
    assert!(waits(&limited(&client).await, 30));
    let other = ApiToken::parse(b"another-token").unwrap();
    assert_eq!(client.zones(&other).await, Ok(vec![]), "another token is not held up");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn d2_a_short_wait_is_slept() {
    let server = Server::start(|_| answer(200, &[("retry-after", "1")], success("[]"))).await;
    let client = server.client();
    let before = Instant::now();
    assert_eq!(client.zones(&token()).await, Ok(vec![]));
    assert_eq!(client.zones(&token()).await, Ok(vec![]));
    assert!(before.elapsed() >= Duration::from_millis(990));
}

#[tokio::test]
async fn our_own_budget_is_kept() {
    let server = Server::always(200, success("[]")).await;
    let settings = Settings { requests_per_5m: 20, max_wait: Duration::ZERO, ..Settings::default() };
    let client = server.client_with(settings);
    let mut answered = 0;
    while client.zones(&token()).await.is_ok() {
        answered += 1;
    }
    assert_eq!((answered, server.seen().len()), (5, 5), "a quarter at once");
    assert!(waits(&limited(&client).await, 20), "the other 15 spread over 5 minutes");
}

#[tokio::test]
async fn what_has_begun_goes_on_however_little_is_left() {
    // Between two requests three seconds are asked for, which is longer than anything waits that has not begun.
    let headers = [("ratelimit", r#""default";r=1;t=6"#), ("ratelimit-policy", r#""default";q=100;w=60"#)];
    let page = |number: usize, id: char| {
        let zone = format!(r#"{{"id":"{}","name":"{id}.example","status":"active"}}"#, id.to_string().repeat(32));
        format!(
            r#"{{"success":true,"errors":[],"result":[{zone}],"result_info":
            {{"page":{number},"per_page":1,"count":1,"total_count":2,"total_pages":2}}}}"#
        )
    };
    let server = Server::start(move |request| {
        let (number, id) = if request.number("page") == 2 { (2, 'b') } else { (1, 'a') };
        answer(200, &headers, page(number, id))
    })
    .await;
    let client = server.client();
    let before = Instant::now();
    let zones = client.zones(&token()).await.unwrap();
    assert_eq!(zones.len(), 2);
    assert!(before.elapsed() >= Duration::from_millis(2900), "what is asked for is done");
    assert!(waits(&limited(&client).await, 5), "a beginning waits for its turn elsewhere");
}

#[tokio::test]
async fn d2_what_little_is_left_is_made_to_last() {
    let headers = [("ratelimit", r#""default";r=3;t=1"#), ("ratelimit-policy", r#""default";q=100;w=60"#)];
    let server = Server::start(move |_| answer(200, &headers, success("[]"))).await;
    let client = server.client();
    let before = Instant::now();
    for _ in 0..4 {
        assert_eq!(client.zones(&token()).await, Ok(vec![]));
    }
    assert!(before.elapsed() >= Duration::from_millis(740), "three waits of a quarter of a second");
    assert_eq!(server.seen().len(), 4);

    let headers = [("ratelimit", r#""default";r=1;t=200"#), ("ratelimit-policy", r#""default";q=100;w=60"#)];
    let server = Server::start(move |_| answer(200, &headers, success("[]"))).await;
    let client = server.client();
    assert_eq!(client.zones(&token()).await, Ok(vec![]));
    assert!(waits(&limited(&client).await, 100), "before Cloudflare refuses");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn d2_a_retry_after_may_be_a_date() {
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(40);
    let date = until.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let server = Server::start(move |_| answer(429, &[("retry-after", &date)], "")).await;
    let client = server.client();
    assert!(waits(&limited(&client).await, 40));
    assert!(waits(&limited(&client).await, 40));
    assert_eq!(server.seen().len(), 1);
}
