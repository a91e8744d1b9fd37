//! The levers over http, as a person with curl uses them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Bed, DOMAIN, bed, refusal};

async fn admin(bed: &Bed, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http.request(method, format!("{}/_admin{path}", bed.ses.endpoint()));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn help_settings_and_clock() {
    let bed = bed().await;
    let (status, help) = admin(&bed, Method::GET, "", None).await;
    assert!(status == 200 && help.as_str().unwrap().contains("/_admin/identities"));
    let (_, settings) = admin(&bed, Method::POST, "/settings", Some(json!({"rateLimit": 1, "checkInterval": 2}))).await;
    assert_eq!((settings["rateLimit"].as_f64(), settings["identityQuota"].as_u64()), (Some(1.0), Some(10_000)));
    assert_eq!(bed.ses.settings().check_interval.as_secs(), 2);
    let (status, _) = admin(&bed, Method::POST, "/settings", Some(json!({"rateLimt": 1}))).await;
    assert_eq!(status, 400);
    let before = bed.ses.now();
    admin(&bed, Method::POST, "/clock", Some(json!({"advanceSeconds": 3600}))).await;
    assert_eq!(bed.ses.now().duration_since(before).as_secs(), 3600);
    let (status, _) = admin(&bed, Method::POST, "/clock", Some(json!({"advanceSeconds": -1}))).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn identities_are_made_shown_changed_and_deleted() {
    let bed = bed().await;
    let path = "/identities/mail.example.com?region=eu-west-1";
    let (status, _) = admin(&bed, Method::GET, path, None).await;
    assert_eq!(status, 404);
    let foreign = json!({"tags": {"owner": "somebody"}, "verified": true});
    let (_, made) = admin(&bed, Method::PUT, path, Some(foreign)).await;
    assert_eq!(made["tags"]["owner"], "somebody");
    assert!(bed.get(DOMAIN).await.verified_for_sending_status());
    bed.ses.look_now().await;
    assert!(bed.get(DOMAIN).await.verified_for_sending_status(), "left alone by the looks");
    let status_path = "/identities/mail.example.com/status?region=eu-west-1";
    let (_, changed) = admin(&bed, Method::PUT, status_path, Some(json!({"dkim": "FAILED"}))).await;
    assert_eq!(changed["verificationStatus"], "FAILED");
    assert_eq!(bed.statuses(DOMAIN).await.0, "FAILED");
    let (_, all) = admin(&bed, Method::GET, "/identities", None).await;
    assert_eq!(all.as_array().unwrap().len(), 1);
    admin(&bed, Method::DELETE, path, None).await;
    assert!(bed.ses.identities().is_empty());
}

#[tokio::test]
async fn failures_denials_and_calls() {
    let bed = bed().await;
    let failure = json!({"count": 1, "operation": "ListEmailIdentities",
        "failure": {"code": {"status": 429, "code": "TooManyRequestsException", "message": "slow"}}});
    assert_eq!(admin(&bed, Method::POST, "/failures", Some(failure)).await.0, 200);
    let list = || bed.client.list_email_identities().send();
    assert_eq!(refusal(list().await).0, 429);
    assert_eq!(admin(&bed, Method::POST, "/failures", Some(json!({"failure": "drop"}))).await.0, 200);
    assert!(list().await.is_err());
    admin(&bed, Method::PUT, "/denied/ListEmailIdentities", None).await;
    assert_eq!(refusal(list().await).0, 403);
    admin(&bed, Method::DELETE, "/denied/ListEmailIdentities", None).await;
    list().await.unwrap();
    let (_, calls) = admin(&bed, Method::GET, "/calls", None).await;
    assert_eq!(calls.as_array().unwrap().len(), 4);
    assert_eq!(calls[0]["httpStatus"], 429);
    admin(&bed, Method::DELETE, "/calls", None).await;
    assert!(bed.ses.calls().is_empty());
}
