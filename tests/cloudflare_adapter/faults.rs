//! Every refusal, and every answer that is none.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use sending_domain_operator::dns::cloudflare::{Change, Client, Error, Kind, Operation, Settings};
use sending_domain_operator::dns::record::DnsName;
use sending_domain_operator::error::ErrorClass;

use crate::server::{Server, answer, refusal, success, token, zone_id};

const ALL: [Operation; 5] = [
    Operation::ListZones,
    Operation::ReadZone,
    Operation::ListRecords,
    Operation::WriteRecords,
    Operation::VerifyToken,
];

/// Does the operation and answers its error.
async fn fail(client: &Client, operation: Operation) -> Error {
    let (token, zone) = (token(), zone_id());
    let outcome = match operation {
        Operation::ListZones => client.zones(&token).await.map(|zones| format!("{zones:?}")),
        Operation::ReadZone => client.zone(&token, &zone).await.map(|zone| format!("{zone:?}")),
        Operation::ListRecords => {
            let records = client.records(&token, &zone, &DnsName::new("example.com")).await;
            records.map(|records| format!("{records:?}"))
        }
        Operation::WriteRecords => {
            let delete = Change::Delete { id: "1".to_owned() };
            client.batch(&token, &zone, &[delete]).await.map(|records| format!("{records:?}"))
        }
        Operation::VerifyToken => client.verify(&token, None).await.map(|status| format!("{status:?}")),
    };
    let error = outcome.expect_err("must fail");
    assert_eq!(error.operation, operation);
    error
}

#[tokio::test]
async fn b7_d2_every_code_is_given_its_meaning() {
    use Kind::*;
    use Operation::*;
    let chain = |code: u32| {
        format!(
            r#"{{"success":false,"errors":[{{"code":1004,"message":"DNS Validation Error",
                "error_chain":[{{"code":{code},"message":"why"}}]}}],"messages":[],"result":null}}"#
        )
    };
    let headers = r#"{"success":false,"errors":[{"code":6003,"message":"Invalid request headers","error_chain":
        [{"code":6111,"message":"Invalid format for Authorization header"}]}],"messages":[],"result":null}"#;
    let may_not_list = "Actor 'com.cloudflare.api.token.x' requires permission 'com.cloudflare.api.account.zone.list'";
    #[rustfmt::skip]
    let cases: [(Operation, u16, String, Kind, &[u32]); 27] = [
        (ListZones, 400, headers.to_owned(), InvalidToken, &[6003, 6111]),
        (ListZones, 400, refusal(9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers"), InvalidToken, &[9106]),
        (ListZones, 403, refusal(9109, "Cannot use the access token from location: 192.0.2.1"), InvalidToken, &[9109]),
        (VerifyToken, 401, refusal(1000, "Invalid API Token"), InvalidToken, &[1000]),
        (ListZones, 403, refusal(9109, "Invalid access token"), InvalidToken, &[9109]),
        (ListZones, 401, refusal(1000, "Invalid API Token"), InvalidToken, &[1000]),
        (ListZones, 403, refusal(10000, "Authentication error"), InvalidToken, &[10000]),
        (ListZones, 403, refusal(0, may_not_list), ZoneNotAccessible, &[0]),
        (ReadZone, 403, refusal(9109, "Unauthorized to access requested resource"), ZoneNotAccessible, &[9109]),
        (ReadZone, 404, refusal(7003, "Could not route to /zones/x"), NotFound, &[7003]),
        (ReadZone, 400, refusal(7003, "Could not route to /zones/x"), NotFound, &[7003]),
        (ListRecords, 403, refusal(10000, "Authentication error"), PermissionDenied, &[10000]),
        (ListRecords, 403, refusal(9109, "Unauthorized to access requested resource"), PermissionDenied, &[9109]),
        (WriteRecords, 403, refusal(10000, "Authentication error"), PermissionDenied, &[10000]),
        (WriteRecords, 403, refusal(9109, "Invalid access token"), InvalidToken, &[9109]),
        (WriteRecords, 403, refusal(1038, "You cannot use this API for domains"), PermissionDenied, &[1038]),
        (WriteRecords, 400, refusal(81053, "An A, AAAA, or CNAME record exists"), RecordExists, &[81053]),
        (WriteRecords, 400, refusal(81057, "Record already exists."), RecordExists, &[81057]),
        (WriteRecords, 400, refusal(81058, "An identical record already exists."), RecordExists, &[81058]),
        (WriteRecords, 400, chain(81057), RecordExists, &[1004, 81057]),
        (WriteRecords, 400, chain(9300), Invalid, &[1004, 9300]),
        (WriteRecords, 400, chain(9009), Invalid, &[1004, 9009]),
        (WriteRecords, 400, refusal(81045, "The record quota has been exceeded."), QuotaExceeded, &[81045]),
        (WriteRecords, 404, refusal(81044, "Record does not exist."), NotFound, &[81044]),
        (WriteRecords, 200, refusal(10100, "Over the limit"), RateLimited, &[10100]),
        (ListRecords, 200, refusal(12345, "Something new"), Other, &[12345]),
        (ListRecords, 503, refusal(10000, "Authentication error"), Unavailable, &[10000]),
    ];
    for (operation, status, body, kind, codes) in cases {
        let server = Server::always(status, body.clone()).await;
        let error = fail(&server.client(), operation).await;
        assert_eq!((error.kind, error.status, &*error.codes), (kind, Some(status), codes), "{body}");
        assert_eq!(server.seen().len(), 1, "nothing is tried again here");
    }
}

#[tokio::test]
async fn d2_what_is_no_answer_is_unavailable_and_never_an_empty_list() {
    let html = "<html><body>Error 1015</body></html>";
    for (status, body) in [
        (502, html.to_owned()),
        (502, String::new()),
        (403, html.to_owned()),
        (401, html.to_owned()),
        (404, html.to_owned()),
        (200, html.to_owned()),
        (200, String::new()),
        (200, "null".to_owned()),
        (200, "[]".to_owned()),
        (200, "{}".to_owned()),
        (200, "[true,[],[],{}]".to_owned()),
        (200, r#"{"result":[]}"#.to_owned()),
        (200, r#"{"success":"true","result":[]}"#.to_owned()),
        (200, success("null")),
        (200, r#"{"success":true,"errors":[]}"#.to_owned()),
        (200, success("7")),
        (200, success(r#"[{"id":"1"}]"#)),
        (200, success("[null]")),
        (204, String::new()),
    ] {
        let server = Server::always(status, body.clone()).await;
        for operation in ALL {
            let error = fail(&server.client(), operation).await;
            assert_eq!((error.kind, error.status), (Kind::Unavailable, Some(status)), "{operation:?} {status} {body}");
            assert_eq!(error.class(), ErrorClass::Transient { retry_after: None });
        }
    }
}

#[tokio::test]
async fn d2_another_zone_than_asked_for_is_no_answer() {
    let other = r#"{"id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","name":"example.com","status":"active"}"#;
    let server = Server::always(200, success(other)).await;
    assert_eq!(fail(&server.client(), Operation::ReadZone).await.kind, Kind::Unavailable);
    let odd = r#"[{"id":"../x","name":"example.com","status":"active"}]"#;
    let server = Server::always(200, success(odd)).await;
    assert_eq!(fail(&server.client(), Operation::ListZones).await.kind, Kind::Unavailable);
}

#[tokio::test]
async fn d2_a_refusal_without_errors_still_is_one() {
    for errors in ["[]", "null", "[null]", "[{}]", "\"no\""] {
        let body = format!(r#"{{"success":false,"errors":{errors},"result":[]}}"#);
        let server = Server::always(200, body).await;
        assert_eq!(fail(&server.client(), Operation::ListRecords).await.kind, Kind::Other, "{errors}");
    }
    let server = Server::always(403, r#"{"success":true,"result":[]}"#).await;
    assert_eq!(fail(&server.client(), Operation::ListRecords).await.kind, Kind::PermissionDenied);
}

#[tokio::test]
async fn d3_a_redirect_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let target = Server::always(200, success("[]")).await;
        let location = target.client();
        let location = format!("{location:?}").split('"').nth(1).unwrap().to_owned();
        let server = Server::start(move |_| answer(status, &[("location", &location)], success("[]"))).await;
        let error = fail(&server.client(), Operation::ListZones).await;
        assert_eq!((error.kind, error.status), (Kind::Unavailable, Some(status)));
        assert!(target.seen().is_empty(), "the token must not travel");
    }
}

#[tokio::test]
async fn d2_a_body_over_the_cap_is_cut_off() {
    const CAP: usize = 4 * 1024 * 1024;
    let server = Server::always(200, "x".repeat(10 * 1024 * 1024)).await;
    let error = fail(&server.client(), Operation::ListRecords).await;
    assert_eq!((error.kind, error.detail), (Kind::Unavailable, Some("the answer is too large")));

    // Without a length announced, and without an end.
    let server = Server::start(|_| {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 8192]));
        Response::new(Body::from_stream(futures::stream::repeat_with(chunk)))
    });
    let error = fail(&server.await.client(), Operation::ListRecords).await;
    assert_eq!((error.kind, error.detail), (Kind::Unavailable, Some("the answer is too large")));

    let padded = |size: usize| success("[]") + &" ".repeat(size - success("[]").len());
    let server = Server::always(200, padded(CAP)).await;
    assert_eq!(server.client().zones(&token()).await, Ok(vec![]));
    let server = Server::always(200, padded(CAP + 1)).await;
    assert_eq!(fail(&server.client(), Operation::ListZones).await.kind, Kind::Unavailable);
}

#[tokio::test]
async fn d2_compression_is_neither_asked_for_nor_undone() {
    let gzipped = |_: &_| answer(200, &[("content-encoding", "gzip")], "\u{1f}\u{8b}\u{8}");
    let server = Server::start(gzipped).await;
    assert_eq!(fail(&server.client(), Operation::ListRecords).await.kind, Kind::Unavailable);
    assert!(!server.seen()[0].headers.contains_key("accept-encoding"));
}

#[tokio::test]
async fn d2_a_slow_connection_is_unavailable() {
    let settings = Settings { timeout: Duration::from_millis(300), ..Settings::default() };
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"success\""] {
        let server = Server::raw(bytes, Duration::from_mins(1)).await;
        for operation in ALL {
            let error = fail(&server.client_with(settings), operation).await;
            assert_eq!((error.kind, error.detail), (Kind::Unavailable, Some("no answer in time")), "{operation:?}");
        }
    }
}

#[tokio::test]
async fn d2_a_broken_connection_is_unavailable() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"success\"";
    for bytes in [&b""[..], half, b"SSH-2.0-OpenSSH\r\n"] {
        let server = Server::raw(bytes, Duration::ZERO).await;
        for operation in ALL {
            let error = fail(&server.client(), operation).await;
            assert_eq!((error.kind, error.detail), (Kind::Unavailable, Some("the connection broke")), "{operation:?}");
        }
    }
}

#[tokio::test]
async fn d2_a_closed_port_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/client/v4", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(base.parse().unwrap(), 1000).unwrap();
    let error = fail(&client, Operation::ListZones).await;
    assert_eq!((error.kind, error.status), (Kind::Unavailable, None));
    assert_eq!(error.detail, Some("the connection was refused"));
}

#[tokio::test]
async fn d2_a_server_without_tls_is_unavailable() {
    let server = Server::always(200, success("[]")).await;
    let base = format!("{:?}", server.client()).split('"').nth(1).unwrap().replace("http://", "https://");
    let client = Client::new(base.parse().unwrap(), 1000).unwrap();
    let error = fail(&client, Operation::ListZones).await;
    assert_eq!((error.kind, error.detail), (Kind::Unavailable, Some("TLS failed: is the certificate trusted?")));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_ray_id_is_kept_for_support_and_not_in_the_message() {
    let ray = |_: &_| answer(403, &[("cf-ray", "8f3c2a-FRA")], refusal(10000, "Authentication error"));
    let error = fail(&Server::start(ray).await.client(), Operation::WriteRecords).await;
    assert_eq!(
        error.to_string(),
        "Failed to create record: the token needs the permission DNS:Edit for the zone (writing records, HTTP 403, \
         code 10000)"
    );
    assert_eq!(error.ray_id.as_deref(), Some("8f3c2a-FRA"));
    let ray = |_: &_| answer(200, &[("cf-ray", "8f3c2a-FRA")], success("null"));
    let error = fail(&Server::start(ray).await.client(), Operation::ListZones).await;
    assert_eq!(error.ray_id.as_deref(), Some("8f3c2a-FRA"));
}
