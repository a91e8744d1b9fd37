//! What others write (DNS, SES, Cloudflare) cannot forge a line of the log, move a cursor or fill a status.

use hickory_proto::rr::RecordType;
use serde_json::{Value, json};
use testbed::cloudflare::Failure;
use testbed::ses::{Failure as SesFailure, Operation};
use testbed::world::object;

use crate::rig::{DOMAIN, NAME, Rig, SECRET, ZONE};

/// Wants to begin a line, to clear the screen, to be markup and to be a format.
const EVIL: &str =
    "\n2026-01-01T00:00:00Z INFO forged\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}<script>alert(1)</script> %s %n {}";

/// Every text in a JSON value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn assert_harmless(value: &Value, limit: usize) {
    let mut found = Vec::new();
    texts(value, &mut found);
    for text in found {
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        assert!(text.len() <= limit, "{} bytes: {text:.200}", text.len());
    }
}

#[tokio::test]
async fn c8_c9_text_of_others_is_escaped_and_cut_wherever_it_is_shown() {
    let rig = Rig::start().await;
    rig.world.manual_zone("example.org").unwrap();
    let long = format!("{EVIL}{}", "x".repeat(100_000));
    let refused = SesFailure::code(400, "BadRequestException", &long);
    rig.world.ses().fail_next_for(Operation::PutEmailIdentityMailFromAttributes, 2, refused);
    let spf = format!("v=spf1 {EVIL}{}", "y".repeat(3000));
    rig.world.dns().set("bounce.mail.example.org", RecordType::TXT, &[spf]).unwrap();
    rig.create(&object::manual(NAME, "mail.example.org")).await;
    let shown = rig.until("the refusal of SES", |o| o["status"].to_string().contains("SES refuses")).await;
    assert_harmless(&shown["status"], 4096);
    let shown = rig.until("what DNS has", |o| object::count(o, "Incorrect") == 1).await;
    assert_harmless(&shown["status"], 4096);
    assert!(shown["status"].to_string().contains("\\\\u{1b}[2J"), "it is shown, escaped: {}", shown["status"]);

    // At Cloudflare: a foreign record in the way, and answers that are no answers.
    rig.world.cloudflare_zone(ZONE);
    rig.set_token(rig.world.token()).await;
    let foreign = json!({ "type": "TXT", "name": format!("bounce.{DOMAIN}"),
        "content": format!("\"v=spf1 {} -all\"", EVIL.replace(['"', '\\'], "")) });
    rig.world.cloudflare().add_record(ZONE, foreign).unwrap();
    rig.world.cloudflare().fail_next(1, Failure::Code(400, 1234, long.clone()));
    rig.create(&object::cloudflare("at-cloudflare", DOMAIN, SECRET)).await;
    let is_conflict = |o: &Value| object::reason(o, "RecordsSynced") == "RecordConflict";
    let conflict = rig.until_named("at-cloudflare", "RecordConflict", is_conflict).await;
    assert_harmless(&conflict["status"], 4096);

    for event in rig.world.events(&rig.namespace).await.unwrap() {
        assert_harmless(&json!(event.note), 1024);
    }
    let lines = rig.operator.log();
    assert!(!lines.contains('\u{1b}') && !lines.contains('\u{202e}'), "the log can move a cursor");
    let forged = lines.lines().find(|line| line.starts_with("2026-01-01T00:00:00Z INFO forged"));
    assert_eq!(forged, None, "a line of the log is forged");
    assert!(lines.lines().all(|line| line.len() < 64 * 1024), "a line of the log is endless");
    rig.finish().await;
}
