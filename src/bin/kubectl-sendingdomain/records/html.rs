//! One page to send to whoever owns the DNS. It needs nothing but itself: its style and its script are inside, named by
//! their hashes in a policy that allows nothing else, and everything that comes from outside is escaped.

use std::fmt::Write as _;

use k8s_openapi::ByteString;
use sending_domain_operator::api::v1alpha1::RecordState;
use sha2::{Digest, Sha256};

use super::hints::{HINTS, Hint};
use crate::exit::Failure;
use crate::row::{Row, state_name};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page with the records of one domain or of several.
pub fn page(rows: &[Row]) -> Result<String, Failure> {
    let domains = groups(rows);
    let names: Vec<&str> = domains.iter().map(|group| group[0].domain.as_str()).collect();
    let title = match names.as_slice() {
        [] => "DNS records".to_owned(),
        [one] => format!("DNS records for {one}"),
        [first, rest @ ..] => format!("DNS records for {first} and {} more", rest.len()),
    };
    let title = escaped(&title);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n",
        policy()?
    );
    for group in domains {
        section(&mut html, group);
    }
    let _ = write!(
        html,
        "<p class=\"foot\">States are those of the moment in which this page was made. Leave the records in place for as long as \
         the domain sends mail.</p>\n</main>\n<div id=\"said\" role=\"status\" aria-live=\"polite\"></div>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    Ok(html)
}

/// Nothing is loaded, nothing is sent, and no other script or style runs than the two of this page.
fn policy() -> Result<String, Failure> {
    Ok(format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE)?,
        hash(SCRIPT)?
    ))
}

/// SHA-256 in base64, as Kubernetes writes bytes.
fn hash(text: &str) -> Result<String, Failure> {
    let digest = ByteString(Sha256::digest(text.as_bytes()).to_vec());
    let value = serde_json::to_value(digest).map_err(|error| Failure::new(error.to_string()))?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

fn groups(rows: &[Row]) -> Vec<&[Row]> {
    rows.chunk_by(|a, b| (&a.namespace, &a.object) == (&b.namespace, &b.object)).collect()
}

fn section(html: &mut String, rows: &[Row]) {
    let Some(first) = rows.first() else { return };
    let (domain, zone) = (escaped(&first.domain), escaped(&first.zone));
    let required = rows.iter().filter(|row| row.required).count();
    let found = rows.iter().filter(|row| row.required && row.state == RecordState::Found).count();
    let _ = write!(
        html,
        "<section>\n<p>For mail from <strong>{domain}</strong> to be accepted, these records have to be in the DNS zone \
         <strong>{zone}</strong>. {found} of {required} required records are there.</p>\n\
         <p>Many providers add <code>.{zone}</code> to what is entered: use the <em>short name</em> there, and the <em>full \
         name</em> where they do not.</p>\n<ol class=\"records\">\n"
    );
    for row in rows {
        card(html, row);
    }
    html.push_str("</ol>\n<h2>Where to enter them</h2>\n");
    for hint in &HINTS {
        provider(html, hint, &zone);
    }
    html.push_str("</section>\n");
}

fn card(html: &mut String, row: &Row) {
    let state = state_name(row.state);
    let optional = if row.required { "" } else { " <span class=\"note\">recommended</span>" };
    let _ = write!(
        html,
        "<li class=\"record\">\n<h3>{} <span class=\"purpose\">{}</span>{optional} <span class=\"state {}\">{state}</span></h3>\n<dl>\n",
        escaped(&row.kind),
        escaped(purpose(&row.purpose)),
        state.to_lowercase()
    );
    let what = format!("{} {}", row.purpose, row.relative_name);
    field(html, "Short name", &row.relative_name, &what);
    field(html, "Full name", &row.name, &what);
    if let Some(priority) = row.priority {
        field(html, "Priority", &priority.to_string(), &what);
    }
    field(html, "Value", &row.value, &what);
    if !row.observed.is_empty() {
        let _ = writeln!(
            html,
            "<div><dt>Found instead</dt><dd><code>{}</code></dd></div>",
            escaped(&row.observed.join(", "))
        );
    }
    html.push_str("</dl>\n");
    if row.cause.is_some() || row.message.is_some() {
        let cause =
            row.cause.as_deref().map(|cause| format!("<strong>{}</strong> ", escaped(cause))).unwrap_or_default();
        let message = escaped(row.message.as_deref().unwrap_or_default());
        let _ = writeln!(html, "<p class=\"advice\">{cause}{message}</p>");
    }
    html.push_str("</li>\n");
}

/// A value with a button that copies it. The button is hidden until the script has shown that it runs.
fn field(html: &mut String, label: &str, value: &str, what: &str) {
    let (value, name) = (escaped(value), escaped(&format!("Copy {} of {what}", label.to_lowercase())));
    let _ = writeln!(
        html,
        "<div><dt>{label}</dt><dd><code>{value}</code><button type=\"button\" hidden aria-label=\"{name}\">Copy</button></dd></div>"
    );
}

fn provider(html: &mut String, hint: &Hint, zone: &str) {
    let _ = writeln!(html, "<details>\n<summary>{}</summary>\n<ul>", hint.provider);
    for line in hint.lines {
        let _ = writeln!(html, "<li>{}</li>", escaped(line).replace("ZONE", zone));
    }
    html.push_str("</ul>\n</details>\n");
}

fn purpose(purpose: &str) -> &str {
    match purpose {
        "DKIM" => "signature key (DKIM)",
        "SPF" => "permitted senders (SPF)",
        "BounceMX" => "returned mail (MX)",
        "DMARC" => "policy (DMARC)",
        other => other,
    }
}

/// Text as the content of an element or of a quoted attribute.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
