//! Bad manifests, each with the words of its refusal.

use serde_json::{Value, json};

use crate::plane::{assert_says, client, spec_with, try_create};

/// Asserts that every patch of the plain spec is refused with these words.
pub async fn assert_refused(cases: &[(Value, &[&str])]) {
    let client = client().await;
    for (patch, words) in cases {
        let Err(refusal) = try_create(&client, &spec_with(patch)).await else { panic!("accepted: {patch}") };
        assert_says(&refusal, words);
    }
}

/// Asserts that a patch with each of the values is refused with the same words.
pub async fn assert_each_refused(values: &[Value], patch: impl Fn(&Value) -> Value, words: &[&str]) {
    let cases: Vec<(Value, &[&str])> = values.iter().map(|value| (patch(value), words)).collect();
    assert_refused(&cases).await;
}

/// The texts as JSON.
pub fn strings(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| json!(text)).collect()
}

/// A name of exactly so many characters, out of labels of at most 63.
pub fn domain_of_length(length: usize) -> String {
    let labels = format!("{}.", "a".repeat(63)).repeat(length / 64);
    let rest = length - labels.len();
    let last = if rest == 0 { String::new() } else { "b".repeat(rest) };
    format!("{labels}{last}")
}

#[tokio::test]
async fn a1_domains_that_are_no_names() {
    let long_label = format!("{}.example.com", "a".repeat(64));
    let bad = [
        "Mail.example.com",
        "MAIL.EXAMPLE.COM",
        "mail.example.com.",
        ".mail.example.com",
        "mail..example.com",
        ".",
        "",
        "-mail.example.com",
        "mail-.example.com",
        "mail.-example.com",
        "mail.example.com-",
        "my_mail.example.com",
        "_dmarc.example.com",
        &long_label,
        "*.example.com",
        "mail.*.com",
        "https://mail.example.com",
        "mail.example.com/path",
        "mail.example.com:25",
        "user@mail.example.com",
        "2001:db8::1",
        "[2001:db8::1]",
        "example",
        "localhost",
        " mail.example.com",
        "mail.example.com ",
        "mail example.com",
        "mail.example.com\n",
        "\nmail.example.com",
        "mail.example.com\nbcc.example.com",
        "mail\t.example.com",
        "mail.example.com\0",
        "mail\0.example.com",
        "mail\u{200b}.example.com",
        "📧.example.com",
        "müller.example.com",
        "пример.рф",
        "mail.example.com。",
    ];
    assert_each_refused(
        &strings(&bad),
        |domain| json!({ "domain": domain }),
        &["spec.domain", "must be a lower-case DNS name of at least two labels", "for example mail.example.com"],
    )
    .await;
}

#[tokio::test]
async fn a1_domains_that_are_addresses() {
    let bad = strings(&["192.0.2.1", "10.0.0.0", "mail.example.123", "1.2"]);
    let words = ["spec.domain", "not an IP address", "the last label must not be all digits"];
    assert_each_refused(&bad, |domain| json!({ "domain": domain }), &words).await;
}

#[tokio::test]
async fn a1_domains_that_are_too_long() {
    let bad = [210, 253, 254, 300, 4000].map(|length| json!(domain_of_length(length)));
    let words = ["spec.domain", "may not be more than 209"];
    assert_each_refused(&bad, |domain| json!({ "domain": domain }), &words).await;
}

#[tokio::test]
async fn a1_domains_that_are_no_texts() {
    let bad = [json!(12), json!(true), json!(["mail.example.com"])];
    let words = ["spec.domain", "must be of type string"];
    assert_each_refused(&bad, |domain| json!({ "domain": domain }), &words).await;
    assert_refused(&[(json!({ "domain": null }), &["spec.domain: Required value"])]).await;
}

#[tokio::test]
async fn a7_mail_from_subdomains() {
    let bad = [
        "bounce.mail.example.com",
        "a.b",
        "mail.example.com",
        ".",
        "bounce.",
        "",
        "Bounce",
        "_bounce",
        "-a",
        "a-",
        "a b",
    ];
    assert_each_refused(
        &strings(&bad),
        |subdomain| json!({ "mailFrom": { "subdomain": subdomain } }),
        &["spec.mailFrom.subdomain", "must be one lower-case DNS label, without dots", "directly below spec.domain"],
    )
    .await;
    let long = json!({ "mailFrom": { "subdomain": "a".repeat(64) } });
    assert_refused(&[(long, &["spec.mailFrom.subdomain", "may not be more than 63"])]).await;
    let together = json!({ "domain": domain_of_length(209), "mailFrom": { "subdomain": "a".repeat(44) } });
    assert_refused(&[(together, &["MAIL FROM domain", "must be no longer than 253 characters"])]).await;
}

#[tokio::test]
async fn durations() {
    let timeout = |text: &Value| json!({ "verificationTimeout": text });
    let misspelt = [
        "", "0", "5", "1d", "h", "72", "72H", "1.5h", "-1h", "+1h", " 72h", "72h ", "72h\n", "1h 30m", "P3D",
        "72hours", "1h30",
    ];
    let words = ["spec.verificationTimeout", "must be a duration in hours, minutes and seconds such as 72h"];
    assert_each_refused(&strings(&misspelt), timeout, &words).await;
    let outside = [
        "0h",
        "0s",
        "59m",
        "3599s",
        "73h",
        "72h1s",
        "259201s",
        "4321m",
        "72h0m1s",
        "999999h",
        "9999999h",
        "999999999999999h",
    ];
    let words = ["spec.verificationTimeout", "must be between 1h and 72h"];
    assert_each_refused(&strings(&outside), timeout, &words).await;
    assert_refused(&[
        (timeout(&json!(72)), &["spec.verificationTimeout", "must be of type string"]),
        (timeout(&json!("9".repeat(400) + "h")), &["spec.verificationTimeout", "may not be more than 16"]),
    ])
    .await;
}

#[tokio::test]
async fn tags() {
    let tags = |key: &str, value: &str| json!({ "ses": { "tags": { key: value } } });
    let reserved: &[&str] =
        &["spec.ses.tags", "must not use the key prefixes 'aws:' and 'sendingdomain.dev/'", "reserved"];
    let shape: &[&str] = &["spec.ses.tags", "must have keys of 1 to 128 and values of at most 256 characters"];
    let many: Value = (0..41).map(|i| (format!("tag{i}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    assert_refused(&[
        (tags("aws:cloudformation", "x"), reserved),
        (tags("AWS:x", "x"), reserved),
        (tags("sendingdomain.dev/owner", "x"), reserved),
        (tags("", "x"), shape),
        (tags(&"k".repeat(129), "x"), shape),
        (tags("team", "a\nb"), shape),
        (tags("team", "📧"), shape),
        (tags("a#b", "x"), shape),
        (tags("team", &"v".repeat(257)), &["spec.ses.tags.team", "may not be more than 256"]),
        (json!({ "ses": { "tags": many } }), &["spec.ses.tags", "must have at most 40"]),
        (json!({ "ses": { "tags": { "team": 7 } } }), &["spec.ses.tags.team", "must be of type string"]),
    ])
    .await;
}

#[tokio::test]
async fn roles_regions_and_configuration_sets() {
    let roles = [
        "",
        "ses-sender",
        "arn:aws:iam::123456789012:user/ses",
        "arn:aws:iam::12345:role/ses",
        "arn:aws:iam:::role/ses",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:sts::123456789012:assumed-role/a/b",
        "ARN:AWS:IAM::123456789012:ROLE/SES",
        "arn:aws:iam::123456789012:role/ses\n",
        " arn:aws:iam::123456789012:role/ses",
        "arn:aws:iam::123456789012:role/a b",
    ];
    let words = ["spec.ses.roleArn", "must be the ARN of an IAM role", "arn:aws:iam::123456789012:role/ses"];
    assert_each_refused(&strings(&roles), |role| json!({ "ses": { "roleArn": role } }), &words).await;
    let regions = [
        "",
        "us",
        "us-east",
        "US-EAST-1",
        "us_east_1",
        "us-east-1a",
        "us-east-1.evil.example",
        "us-east-1/",
        "us-east-1\n",
        "1-us-east",
    ];
    let words = ["spec.ses.region", "must be the name of an AWS region, for example us-east-1"];
    assert_each_refused(&strings(&regions), |region| json!({ "ses": { "region": region } }), &words).await;
    let sets = ["", "my set", "a/b", "ümlaut", "a.b"];
    let words = ["spec.ses.configurationSet", "must be the name of a configuration set: letters, digits, '_' and '-'"];
    assert_each_refused(&strings(&sets), |set| json!({ "ses": { "configurationSet": set } }), &words).await;
    assert_refused(&[
        (
            json!({ "ses": { "configurationSet": "a".repeat(65) } }),
            &["spec.ses.configurationSet", "may not be more than 64"],
        ),
        (json!({ "ses": { "region": "a".repeat(33) } }), &["spec.ses.region", "may not be more than 32"]),
        (json!({ "ses": { "roleArn": "a".repeat(2049) } }), &["spec.ses.roleArn", "may not be more than 2048"]),
    ])
    .await;
}
