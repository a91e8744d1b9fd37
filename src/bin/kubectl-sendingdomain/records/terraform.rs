//! Terraform resources. The zone's id is a variable: the operator does not know that of a zone that it does not write.
//!
//! Sources: <https://registry.terraform.io/providers/cloudflare/cloudflare/latest/docs/resources/dns_record>,
//! <https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/route53_record>.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::bind::{TTL, strings};
use crate::args::Terraform;
use crate::row::Row;

/// A resource for each record, and a variable for each zone.
pub fn resources(rows: &[Row], provider: Terraform) -> String {
    let mut text = String::new();
    if !rows.is_empty() {
        let _ = writeln!(text, "# Resources of the provider {}.\n", provider.source());
    }
    let zones: BTreeSet<&str> = rows.iter().map(|row| row.zone.as_str()).collect();
    for zone in zones {
        let _ = writeln!(
            text,
            "variable {} {{\n  type        = string\n  description = {}\n}}\n",
            literal(&variable(zone)),
            literal(&format!("The id of the zone {zone}"))
        );
    }
    let mut used = BTreeSet::new();
    for row in rows {
        let mut label = identifier(&format!("{}_{}", row.name, row.kind));
        while !used.insert(label.clone()) {
            label.push('_');
        }
        let body = match provider {
            Terraform::Cloudflare => cloudflare(row),
            Terraform::Aws => route53(row),
        };
        let kind = match provider {
            Terraform::Cloudflare => "cloudflare_dns_record",
            Terraform::Aws => "aws_route53_record",
        };
        let _ = writeln!(text, "resource {} {} {{\n{body}}}\n", literal(kind), literal(&label));
    }
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn cloudflare(row: &Row) -> String {
    // The API wants the quotes of a TXT record in its content.
    let content = if row.kind == "TXT" {
        let quote = |part: &String| format!("\"{}\"", escaped_text(part));
        strings(&row.value).iter().map(quote).collect::<Vec<_>>().join(" ")
    } else {
        row.value.clone()
    };
    let mut body = format!(
        "  zone_id  = var.{}\n  name     = {}\n  type     = {}\n  content  = {}\n  ttl      = 1\n",
        variable(&row.zone),
        literal(&row.name),
        literal(&row.kind),
        literal(&content)
    );
    if let Some(priority) = row.priority {
        let _ = writeln!(body, "  priority = {priority}");
    }
    if row.kind == "CNAME" {
        body.push_str("  proxied  = false\n");
    }
    body
}

fn route53(row: &Row) -> String {
    // The provider adds the outer quotes itself; between the strings of a long text they have to be given.
    let value = match (row.kind.as_str(), row.priority) {
        ("TXT", _) => strings(&row.value).iter().map(|part| escaped_text(part)).collect::<Vec<_>>().join("\"\""),
        (_, Some(priority)) => format!("{priority} {}", row.value),
        _ => row.value.clone(),
    };
    format!(
        "  zone_id = var.{}\n  name    = {}\n  type    = {}\n  ttl     = {TTL}\n  records = [{}]\n",
        variable(&row.zone),
        literal(&row.name),
        literal(&row.kind),
        literal(&value)
    )
}

fn escaped_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn variable(zone: &str) -> String {
    format!("zone_id_{}", identifier(zone))
}

fn identifier(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if clean.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') { clean } else { format!("_{clean}") }
}

/// A quoted template of HCL in which nothing is a template.
/// Source: <https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md#template-expressions>.
fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{}\"", escaped.replace("${", "$${").replace("%{", "%%{"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_is_a_template() {
        assert_eq!(literal("a\"b\\c${x}%{y}\n"), r#""a\"b\\c$${x}%%{y}\n""#);
        assert_eq!(identifier("3x._domainkey.mail"), "_3x__domainkey_mail");
    }
}
