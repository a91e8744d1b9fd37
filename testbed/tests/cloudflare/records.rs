//! Records: single calls, lists, batches, validation.

use reqwest::Method;
use serde_json::{Value, json};
use testbed::cloudflare::{Plan, ZoneChange};

use crate::{Bed, cname, txt};

#[tokio::test]
async fn a_record_is_created_read_patched_put_and_deleted() {
    let bed = Bed::new().await;
    let record = json!({"type": "MX", "name": "Mail", "content": "mx.example.net.", "priority": 10, "ttl": 1,
        "comment": "ours"});
    let answer = bed.post(record).await;
    let made = answer.result();
    assert_eq!(made["name"], "mail.example.com");
    assert_eq!((&made["content"], &made["priority"]), (&json!("mx.example.net"), &json!(10)));
    assert_eq!((&made["proxiable"], &made["proxied"], &made["ttl"]), (&json!(false), &json!(false), &json!(1)));
    assert_eq!((&made["comment"], &made["tags"]), (&json!("ours"), &json!([])));
    assert!(made.get("zone_id").is_none() && made.get("created_on").is_some());
    let id = made["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(bed.on(Method::GET, id, None).await.result(), made);

    let patched = bed.on(Method::PATCH, id, Some(json!({"priority": 20}))).await;
    assert_eq!((&patched.result()["priority"], &patched.result()["comment"]), (&json!(20), &json!("ours")));
    let whole = json!({"type": "MX", "name": "mail.example.com", "content": "mx.example.net", "priority": 5});
    let put = bed.on(Method::PUT, id, Some(whole)).await;
    assert_eq!((&put.result()["comment"], &put.result()["ttl"]), (&Value::Null, &json!(1)), "PUT resets the rest");
    assert_eq!(bed.on(Method::DELETE, id, None).await.result(), &json!({"id": id}));
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(bed.on(method, id, None).await.refusal(), (404, 81044));
    }
    assert_eq!(bed.on(Method::PATCH, id, Some(json!({"ttl": 60}))).await.refusal(), (404, 81044));
}

#[tokio::test]
async fn faults_in_records_have_their_codes() {
    let bed = Bed::new().await;
    let with = |mut record: Value, field: &str, value: Value| {
        record[field] = value;
        record
    };
    let name = "x.example.com";
    for (record, code) in [
        (json!({"type": "A", "name": name, "content": "host"}), 9005),
        (json!({"type": "AAAA", "name": name, "content": "192.0.2.1"}), 9006),
        (cname(name, "192.0.2.1"), 9007),
        (cname(name, name), 9039),
        (json!({"type": "MX", "name": name, "content": "192.0.2.1", "priority": 1}), 9009),
        (json!({"type": "MX", "name": name, "content": "mx.example.net"}), 9100),
        (with(txt(name, "x"), "proxied", json!(true)), 9004),
        (with(txt(name, "x"), "ttl", json!(59)), 9021),
        (with(txt(name, "x"), "ttl", json!(86_401)), 9021),
        (with(txt(name, "x"), "comment", json!("c".repeat(101))), 9313),
        (with(txt(name, "x"), "tags", json!(["a:b"])), 9300),
        (txt("a..b", "x"), 9000),
        (txt(name, ""), 1004),
        (txt(name, &"x".repeat(2049)), 1004),
        (json!({"type": "NONE", "name": name, "content": "x"}), 1004),
        (json!({"type": 7}), 9207),
    ] {
        assert_eq!(bed.post(record.clone()).await.refusal(), (400, code), "{record}");
    }
    assert!(bed.sim.records("example.com").is_empty());

    bed.sim.set_wrapped_errors(true);
    let wrapped = bed.post(cname(name, "192.0.2.1")).await;
    assert_eq!(wrapped.refusal(), (400, 1004));
    assert_eq!(wrapped.body["errors"][0]["error_chain"][0]["code"], 9007);
}

#[tokio::test]
async fn plans_set_the_limits() {
    let bed = Bed::new().await;
    bed.sim.change_zone(&bed.zone, &ZoneChange { plan: Some(Plan::Enterprise), ..ZoneChange::default() });
    let rich = json!({"type": "TXT", "name": "x", "content": "y", "ttl": 30, "comment": "c".repeat(500),
        "tags": ["a:b"]});
    bed.post(rich).await.result();
    bed.sim.change_zone(&bed.zone, &ZoneChange { quota: Some(2), ..ZoneChange::default() });
    bed.post(txt("y", "z")).await.result();
    let over = bed.post(txt("z", "z")).await;
    assert_eq!(over.refusal(), (400, 81045));
    assert_eq!(over.body["errors"][0]["message"], "Record quota exceeded.");
}

#[tokio::test]
async fn names_are_shared_only_as_dns_allows() {
    let bed = Bed::new().await;
    let address = |name: &str| json!({"type": "A", "name": name, "content": "192.0.2.1", "ttl": 300});
    bed.created(address("a")).await;
    bed.created(cname("c", "t.example.net")).await;
    bed.created(json!({"type": "NS", "name": "n", "content": "ns.example.net"})).await;
    bed.created(txt("t", "one")).await;
    for (record, code) in [
        (cname("a", "t.example.net"), 81053),
        (cname("c", "other.example.net"), 81053),
        (address("c"), 81054),
        (address("n"), 81056),
        (cname("C", "T.example.net"), 81058),
        (txt("t", "\"one\""), 81058),
        (json!({"type": "TXT", "name": "t", "content": "one", "ttl": 60}), 81057),
    ] {
        assert_eq!(bed.post(record.clone()).await.refusal(), (400, code), "{record}");
    }
    bed.created(txt("t", "two")).await;
    bed.created(txt("c", "beside a CNAME, as Cloudflare allows")).await;

    let long = || "x".repeat(2000);
    for first in ["1", "2", "3", "4"] {
        bed.created(txt("sum", &(first.to_owned() + &long()))).await;
    }
    assert_eq!(bed.post(txt("sum", &long())).await.refusal(), (400, 1004));
}

#[tokio::test]
async fn lists_are_filtered_ordered_and_paged() {
    let bed = Bed::new().await;
    for (name, comment) in [("b", "Mine: 1"), ("a", "mine: 2"), ("sub.a", "")] {
        let mut record = cname(name, &format!("{}.target.net", name.replace('.', "-")));
        record["comment"] = json!(comment);
        bed.created(record).await;
    }
    bed.created(txt("a-text", "hello world")).await;
    for (query, names) in [
        ("name=A.example.com", vec!["a.example.com"]),
        ("name.exact=a.example.com", vec!["a.example.com"]),
        ("name.endswith=.a.example.com", vec!["sub.a.example.com"]),
        ("name.startswith=a", vec!["a.example.com", "a-text.example.com"]),
        ("name.contains=UB", vec!["sub.a.example.com"]),
        ("type=TXT", vec!["a-text.example.com"]),
        ("type=CNAME&name=a-text.example.com", vec![]),
        ("content=b.target.net", vec!["b.example.com"]),
        ("content.contains=world", vec!["a-text.example.com"]),
        ("comment.startswith=mine:", vec!["b.example.com", "a.example.com"]),
        ("comment.absent", vec!["sub.a.example.com", "a-text.example.com"]),
        ("comment.present&order=name", vec!["a.example.com", "b.example.com"]),
        ("order=name&direction=desc&type=CNAME", vec!["sub.a.example.com", "b.example.com", "a.example.com"]),
        ("match=any&type=TXT&name=b.example.com", vec!["b.example.com", "a-text.example.com"]),
    ] {
        assert_eq!(bed.list(query).await.column("name"), names, "{query}");
    }
    let page = bed.list("page=2&per_page=3").await;
    assert_eq!(page.column("name"), ["a-text.example.com"]);
    let info = json!({"page": 2, "per_page": 3, "count": 1, "total_count": 4, "total_pages": 2});
    assert_eq!(page.body["result_info"], info);
    assert_eq!(bed.list("").await.body["result_info"]["per_page"], 100);
    assert_eq!(bed.list("per_page=50001").await.status, 400);
    assert_eq!(bed.list("page=0").await.status, 400);
    assert_eq!(bed.list("page=9").await.result(), &json!([]));
}

#[tokio::test]
async fn a_batch_runs_deletes_patches_puts_posts() {
    let bed = Bed::new().await;
    let old = bed.created(cname("x", "old.example.net")).await;
    let patched = bed.created(txt("p", "1")).await;
    let put = bed.created(txt("u", "1")).await;
    let mut whole = txt("u", "2");
    whole["id"] = json!(put);
    let answer = bed
        .batch(json!({
            "posts": [cname("x", "new.example.net"), txt("n", "1")],
            "deletes": [{"id": old}],
            "patches": [{"id": patched, "comment": "seen"}],
            "puts": [whole],
        }))
        .await;
    let result = answer.result();
    assert_eq!(result["deletes"][0]["content"], "old.example.net");
    assert_eq!(result["patches"][0]["comment"], "seen");
    assert_eq!(result["puts"][0]["content"], "2");
    assert_eq!(result["posts"].as_array().map(Vec::len), Some(2));
    assert_eq!(bed.sim.records(&bed.zone).len(), 4);
    assert_eq!(bed.batch(json!({})).await.result()["posts"], json!([]));
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_tells_the_first_error_only() {
    let bed = Bed::new().await;
    let kept = bed.created(cname("x", "t.example.net")).await;
    let before = bed.sim.records(&bed.zone);
    let absent = "0".repeat(32);
    for (body, code) in [
        (json!({"deletes": [{"id": kept}], "posts": [txt("a", "1"), cname("a", "not a host"), txt("b", "")]}), 9007),
        (json!({"deletes": [{"id": kept}, {"id": absent}], "posts": [cname("a", "not a host")]}), 81044),
        (json!({"posts": [txt("a", "1"), txt("a", "1")]}), 81058),
        (json!({"patches": [{"ttl": 60}]}), 9207),
        (json!({"posts": "none"}), 9207),
        (json!({"posts": (0..201).map(|n| txt(&format!("n{n}"), "1")).collect::<Vec<_>>()}), 1004),
        (json!({"posts": (0..200).map(|n| txt(&format!("n{n}"), "1")).collect::<Vec<_>>()}), 81045),
    ] {
        assert_eq!(bed.batch(body).await.code(), code);
        assert_eq!(bed.sim.records(&bed.zone), before);
    }
    assert_eq!(bed.dns.get("a.example.com", testbed::dns::RecordType::TXT).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_person_edits_in_the_dashboard_and_the_comment_stays() {
    let bed = Bed::new().await;
    let mut record = cname("x", "t.example.net");
    record["comment"] = json!("ours");
    let id = bed.created(record).await;
    bed.sim.reset_calls();
    let edited = bed.sim.edit_record("example.com", &id, json!({"content": "typo.example.net"})).unwrap();
    assert_eq!((&edited["content"], &edited["comment"]), (&json!("typo.example.net"), &json!("ours")));
    let cleared = bed.sim.edit_record(&bed.zone, &id, json!({"comment": null})).unwrap();
    assert_eq!(cleared["comment"], Value::Null);
    assert_eq!(bed.sim.add_record(&bed.zone, cname("x", "y.example.net")).unwrap_err().code, 81053);
    bed.sim.delete_record(&bed.zone, &id).unwrap();
    assert_eq!(bed.sim.delete_record(&bed.zone, &id).unwrap_err().code, 81044);
    assert!(bed.sim.calls().is_empty());
}
