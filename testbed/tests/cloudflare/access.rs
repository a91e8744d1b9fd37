//! Zones, tokens and their permissions.

use reqwest::Method;
use serde_json::{Value, json};
use testbed::cloudflare::{Perms, Scope, TokenState, ZoneChange, ZoneStatus};

use crate::{Answer, Bed, TOKEN, receive, txt};

const OTHER: &str = "cfat_otherotherotherotherotherotherotherother0000";

fn status(status: ZoneStatus) -> ZoneChange {
    ZoneChange { status: Some(status), ..ZoneChange::default() }
}

#[tokio::test]
async fn zones_are_listed_filtered_and_paged() {
    let bed = Bed::new().await;
    let account = ZoneChange { account: Some("a2".to_owned()), ..status(ZoneStatus::Pending) };
    let twin = bed.sim.add_zone_with("example.com", &account);
    for n in 0..22 {
        bed.sim.add_zone(&format!("z{n:02}.example"));
    }
    assert_eq!(bed.get("/zones?name=example.com").await.column("id"), [&bed.zone, &twin]);
    assert_eq!(bed.get("/zones?name=example.com&status=active").await.column("id"), [&bed.zone]);
    assert_eq!(bed.get("/zones?name=example.com&account.id=a2").await.column("id"), [&twin]);
    assert_eq!(bed.get("/zones?name=contains:z2").await.column("name"), ["z20.example", "z21.example"]);
    assert_eq!(bed.get("/zones?name=mail.example.com").await.result(), &json!([]));
    let second = bed.get("/zones?page=2").await;
    let info = json!({"page": 2, "per_page": 20, "count": 4, "total_count": 24, "total_pages": 2});
    assert_eq!(second.body["result_info"], info);
    assert_eq!(bed.get("/zones?per_page=51").await.status, 400);

    let one = bed.get(&format!("/zones/{twin}")).await;
    let zone = one.result();
    assert_eq!((&zone["status"], &zone["account"]["id"]), (&json!("pending"), &json!("a2")));
    assert_eq!(zone["name_servers"], json!(["ns1.example.com"]));
    assert_eq!((&zone["paused"], &zone["plan"]["legacy_id"]), (&json!(false), &json!("free")));
}

#[tokio::test]
async fn tokens_are_verified_where_they_belong() {
    let bed = Bed::new().await;
    bed.sim.add_token(OTHER, Perms::full().owned_by("a2"));
    let good = bed.get("/user/tokens/verify").await;
    assert_eq!(good.result()["status"], "active");
    assert_eq!(good.body["messages"][0]["code"], 10000);
    assert_eq!(bed.get_as(OTHER, "/accounts/a2/tokens/verify").await.result()["status"], "active");
    for (token, path) in [(OTHER, "/user/tokens/verify"), (TOKEN, "/accounts/a2/tokens/verify")] {
        assert_eq!(bed.get_as(token, path).await.refusal(), (401, 1000));
    }
    for (state, name) in [(TokenState::Disabled, "disabled"), (TokenState::Expired, "expired")] {
        assert!(bed.sim.set_token_state(TOKEN, state));
        assert_eq!(bed.get("/user/tokens/verify").await.result()["status"], name);
        assert_eq!(bed.get("/zones").await.refusal(), (403, 9109));
    }
    assert!(bed.sim.revoke_token(TOKEN));
    assert_eq!(bed.get("/user/tokens/verify").await.refusal(), (401, 1000));
    let zones = bed.get("/zones").await;
    assert_eq!(zones.refusal(), (403, 9109));
    assert_eq!(zones.body["errors"][0]["message"], "Invalid access token");
}

#[tokio::test]
async fn malformed_and_missing_tokens_have_codes_of_their_own() {
    let bed = Bed::new().await;
    for token in ["short", "with space and so on, forty characters..", "0123456789012345678901234567890123456"] {
        let answer = bed.get_as(token, "/zones").await;
        assert_eq!(answer.refusal(), (400, 6003), "{token}");
        assert_eq!(answer.body["errors"][0]["error_chain"][0]["code"], 6111);
    }
    let bare = receive(bed.http.get(format!("{}/zones", bed.sim.base_url()))).await.unwrap();
    assert_eq!(bare.refusal(), (400, 9106));
}

#[tokio::test]
async fn permissions_are_per_zone_and_reveal_nothing() {
    let bed = Bed::new().await;
    let foreign = bed.sim.add_zone("example.org");
    bed.sim.add_token(OTHER, Perms::zones(["example.com"]));
    assert_eq!(bed.get_as(OTHER, "/zones").await.column("name"), ["example.com"]);
    assert_eq!(bed.get_as(OTHER, "/zones?name=example.org").await.result(), &json!([]));
    for id in [foreign, "f".repeat(32)] {
        assert_eq!(bed.get_as(OTHER, &format!("/zones/{id}")).await.refusal(), (403, 9109));
        assert_eq!(bed.get_as(OTHER, &format!("/zones/{id}/dns_records")).await.refusal(), (403, 10000));
    }
    bed.sim.add_token(OTHER, Perms { zone_read: Scope::All, dns_read: Scope::All, ..Perms::default() });
    let path = bed.records_path();
    bed.get_as(OTHER, &path).await.result();
    let url = format!("{}{path}", bed.sim.base_url());
    let written = receive(bed.http.post(url).bearer_auth(OTHER).json(&txt("x", "y"))).await.unwrap();
    assert_eq!(written.refusal(), (403, 10000));
    bed.sim.add_token(OTHER, Perms { dns_edit: Scope::of([&bed.zone]), ..Perms::default() });
    assert_eq!(bed.get_as(OTHER, "/zones").await.refusal(), (403, 0));
    bed.get_as(OTHER, &path).await.result();
    bed.sim.add_token(OTHER, Perms::full().owned_by("a2"));
    assert_eq!(bed.get_as(OTHER, "/zones").await.result(), &json!([]), "other accounts' zones");
}

#[tokio::test]
async fn paths_that_lead_nowhere() {
    let bed = Bed::new().await;
    for path in ["/zones//dns_records", "/zones/xyz", "/nothing", "/zones/xyz/dns_records"] {
        assert_eq!(bed.get(path).await.refusal(), (404, 7003), "{path}");
    }
    let wrong = bed.try_call(Method::DELETE, "/zones", None).await.unwrap();
    assert_eq!(wrong.status, 405);
}

impl Bed {
    async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.http.request(method, format!("{}{path}", self.sim.admin_url()));
        receive(request.json(&body)).await.unwrap()
    }
}

#[tokio::test]
async fn zones_and_records_are_administered_over_http() {
    let bed = Bed::new().await;
    let new = json!({"name": "example.net", "status": "pending"});
    let zone = bed.admin(Method::POST, "/zones", new).await;
    let id = zone.body["id"].as_str().unwrap();
    assert!(!bed.dns.zones().contains(&"example.net".to_owned()));
    let changed = bed.admin(Method::PATCH, "/zones/example.net", json!({"status": "active"})).await;
    assert_eq!(changed.status, 204);
    assert!(bed.dns.zones().contains(&"example.net".to_owned()));

    let path = format!("/zones/{id}/records");
    let made = bed.admin(Method::POST, &path, txt("t", "x")).await;
    let record = format!("{path}/{}", made.body["id"].as_str().unwrap());
    let edited = bed.admin(Method::PATCH, &record, json!({"comment": "mine"})).await;
    assert_eq!((&edited.body["content"], &edited.body["comment"]), (&json!("x"), &json!("mine")));
    assert_eq!(bed.admin(Method::GET, "/zones/example.net/records", Value::Null).await.body[0], edited.body);
    assert_eq!(bed.admin(Method::DELETE, &record, Value::Null).await.status, 200);
    assert_eq!(bed.admin(Method::DELETE, &record, Value::Null).await.status, 404);
    assert_eq!(bed.admin(Method::DELETE, "/zones/example.net", Value::Null).await.status, 204);
    assert_eq!(bed.admin(Method::GET, "/zones", Value::Null).await.body.as_array().map(Vec::len), Some(1));
    assert!(bed.sim.calls().is_empty(), "a person's acts are not calls of the API");
}

#[tokio::test]
async fn tokens_failures_limits_and_calls_are_administered_over_http() {
    let bed = Bed::new().await;
    let perms = json!({"zone_read": "all", "dns_edit": {"zones": ["example.com"]}});
    let added = bed.admin(Method::POST, "/tokens", json!({"token": OTHER, "perms": perms})).await;
    assert_eq!(added.status, 204);
    bed.get_as(OTHER, &bed.records_path()).await.result();
    let failure = json!({"failure": {"code": [503, 7, "busy"]}, "method": "get", "path": "/zones"});
    bed.admin(Method::POST, "/fail", failure).await;
    assert_eq!(bed.get("/zones").await.refusal(), (503, 7));

    let token = format!("/tokens/{OTHER}");
    assert_eq!(bed.admin(Method::PATCH, &token, json!({"state": "expired"})).await.status, 204);
    assert_eq!(bed.get_as(OTHER, "/zones").await.refusal(), (403, 9109));
    assert_eq!(bed.admin(Method::DELETE, &token, Value::Null).await.status, 204);
    assert_eq!(bed.admin(Method::DELETE, &token, Value::Null).await.status, 404);
    bed.admin(Method::POST, "/rate-limit", json!({"requests": 0, "window_seconds": 60})).await;
    assert_eq!(bed.get("/zones").await.refusal(), (429, 10100));

    let calls = bed.admin(Method::GET, "/calls", Value::Null).await.body;
    let statuses: Vec<_> = calls.as_array().unwrap().iter().map(|call| call["status"].clone()).collect();
    assert_eq!(statuses, [200, 503, 403, 429]);
    bed.admin(Method::DELETE, "/calls", Value::Null).await;
    assert!(bed.sim.calls().is_empty());
}
