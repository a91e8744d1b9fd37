//! Pages as `records -o html` prints them, of objects whose status is set by hand.

use serde_json::{Value, json};
use testbed::world::object;

use crate::rig::{NAME, Rig};

/// A page with records in every state, of an object that the operator leaves alone.
pub async fn of_every_state(rig: &Rig) -> String {
    let record = |purpose: &str, kind: &str, name: &str, value: &str, state: &str, more: Value| {
        let mut record = json!({"purpose": purpose, "type": kind, "name": format!("{name}.mail.example.com"), "value": value,
                                "required": purpose != "DMARC", "state": state});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    let long = "7gb326wkz3nyzkgnmzvwxyb6mkvmp5bv";
    let dkim = |token: &str, state: &str, more: Value| {
        record("DKIM", "CNAME", &format!("{token}._domainkey"), &format!("{token}.dkim.amazonses.com"), state, more)
    };
    page(rig, &[
        dkim(long, "Found", json!({})),
        dkim("jg373vq2wsxz5ddhfnlbkz5wz4m6ynqn", "Missing", json!({"cause": "SuffixDoubled", "message":
            "The record was found at jg373vq2wsxz5ddhfnlbkz5wz4m6ynqn._domainkey.mail.example.com.example.com: the DNS provider adds the domain by itself; enter the short name only"})),
        dkim("rkhlve3c6vhc2hzzkbxvmd5knv3jkqhn", "Incorrect", json!({"cause": "RecordProxied", "observed": ["104.16.1.1", "104.16.2.2"],
            "message": "Turn the Cloudflare proxy off (DNS only) for this record"})),
        record("SPF", "TXT", "bounce", "v=spf1 include:amazonses.com ~all", "Unknown", json!({"cause": "LookupFailed", "message": "Could not be looked up"})),
        record("BounceMX", "MX", "bounce", "feedback-smtp.us-east-1.amazonses.com", "Missing", json!({"priority": 10})),
        record("DMARC", "TXT", "_dmarc", "v=DMARC1; p=none; rua=mailto:dmarc@example.com", "Missing", json!({})),
    ])
    .await
}

/// A page of somebody who may write status and means no good.
pub async fn of_no_good(rig: &Rig) -> String {
    let script = "<script>document.title='owned'</script>";
    page(rig, &[json!({
        "purpose": "SPF", "type": script.get(..16).unwrap(), "name": format!("{script}.mail.example.com"),
        "value": format!("\"'-->{script}<img src=https://evil.example/x onerror=\"document.title='owned'\">\u{1b}[2J"),
        "required": true, "state": "Incorrect", "cause": format!("</strong>{}", "<b onclick=1>"),
        "observed": [format!("</code>{script}")],
        "message": format!("<a href='javascript:document.title=1'>click</a>{script}"),
    })])
    .await
}

async fn page(rig: &Rig, records: &[Value]) -> String {
    if rig.world.get(&rig.namespace, NAME).await.unwrap().is_none() {
        let mut manifest = object::manual(NAME, "mail.example.com");
        manifest["spec"]["suspend"] = json!(true);
        rig.world.create(&rig.namespace, &manifest).await.unwrap();
        rig.until("suspended", object::is_current).await;
    }
    let patch = kube::api::Patch::Merge(json!({"status": {"records": records}}));
    let api = rig.world.domains(&rig.namespace);
    api.patch_status(NAME, &kube::api::PatchParams::default(), &patch).await.unwrap();
    rig.run(&["records", NAME, "-o", "html"]).await.out
}
