use insta::assert_snapshot;

use super::*;
use crate::args::Terraform;
use crate::row::samples::{hostile, mail};

fn args(output: Format) -> RecordsArgs {
    RecordsArgs {
        name: None,
        output,
        all_namespaces: false,
        selector: None,
        zone: None,
        terraform_provider: Terraform::Cloudflare,
    }
}

fn rendered(rows: &[Row], output: Format) -> String {
    render(rows, &args(output), Paint::none()).unwrap()
}

#[test]
fn every_format_as_it_reads() {
    let rows = mail();
    assert_snapshot!("table", rendered(&rows, Format::Table));
    assert_snapshot!("bind", rendered(&rows, Format::Bind));
    assert_snapshot!("csv", rendered(&rows, Format::Csv));
    assert_snapshot!("json", rendered(&rows, Format::Json));
    assert_snapshot!("yaml", rendered(&rows, Format::Yaml));
    assert_snapshot!("terraform_cloudflare", rendered(&rows, Format::Terraform));
    let aws = RecordsArgs { terraform_provider: Terraform::Aws, ..args(Format::Terraform) };
    assert_snapshot!("terraform_aws", render(&rows, &aws, Paint::none()).unwrap());
    assert_snapshot!("html", rendered(&rows, Format::Html));
}

#[test]
fn several_objects_are_told_apart() {
    let mut rows = mail();
    rows.extend(mail().into_iter().map(|row| Row { object: "other".to_owned(), ..row }));
    let table = rendered(&rows, Format::Table);
    assert!(table.starts_with("OBJECT             STATE"), "{table}");
    rows.extend(mail().into_iter().map(|row| Row { namespace: "elsewhere".to_owned(), ..row }));
    assert!(rendered(&rows, Format::Table).starts_with("NAMESPACE   OBJECT"), "{table}");
    assert_eq!(rendered(&rows, Format::Html).matches("<section>").count(), 3);
}

#[test]
fn colours_carry_nothing_that_words_do_not() {
    let painted = render(&mail(), &args(Format::Table), Paint::always()).unwrap();
    assert!(
        painted.contains("\u{1b}[32mFound\u{1b}[0m") && painted.contains("\u{1b}[31mMissing\u{1b}[0m"),
        "{painted}"
    );
}

#[test]
fn c8_what_others_wrote_breaks_out_of_no_format() {
    let rows = hostile();
    for format in
        [Format::Table, Format::Bind, Format::Csv, Format::Json, Format::Yaml, Format::Terraform, Format::Html]
    {
        let text = rendered(&rows, format);
        let control = |c: char| c.is_control() && !['\n', '\r'].contains(&c) || c == '\u{202e}';
        assert!(!text.contains(control), "{format:?}: {text:?}");
    }
    assert_eq!(rendered(&rows, Format::Bind).lines().count(), 2, "one comment, one record");
    assert!(!rendered(&rows, Format::Terraform).replace("$${", "").contains("${"));
    assert_snapshot!("hostile_bind", rendered(&rows, Format::Bind));
    assert_snapshot!("hostile_terraform", rendered(&rows, Format::Terraform));
}

/// The tags of a page, as a parser without mercy sees them: every `<` begins one.
fn tags(html: &str) -> Vec<&str> {
    html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect()
}

/// The page without the style and the script, which are ours and have `<` and `>` of their own.
fn without_blocks(html: &str) -> String {
    html.replace(include_str!("page.css"), "").replace(include_str!("page.js"), "")
}

#[test]
fn c8_the_page_has_no_element_that_is_not_ours() {
    for rows in [mail(), hostile()] {
        let html = without_blocks(&rendered(&rows, Format::Html));
        let known = [
            "!DOCTYPE", "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "section", "p",
            "strong", "code", "em", "ol", "li", "span", "dl", "div", "dt", "dd", "button", "details", "summary", "ul",
            "script",
        ];
        let attributes = [
            "html",
            "lang",
            "charset",
            "http-equiv",
            "content",
            "name",
            "class",
            "type",
            "hidden",
            "aria-label",
            "id",
            "role",
            "aria-live",
        ];
        let mut open = Vec::new();
        for tag in tags(&html) {
            let name = tag.trim_start_matches('/').split(' ').next().unwrap();
            assert!(known.contains(&name), "<{tag}>");
            let unquoted = tag.split('"').step_by(2).collect::<String>();
            for attribute in unquoted.split_whitespace().skip(1) {
                assert!(attributes.contains(&attribute.trim_end_matches('=')), "{attribute} in <{tag}>");
            }
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name), "closed in order"),
                None if ["!DOCTYPE", "meta"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        assert_eq!(tags(&html).iter().filter(|tag| tag.starts_with("script")).count(), 1);
    }
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let html = rendered(&mail(), Format::Html);
    for word in
        ["http:", "https:", "//", "src=", "href=", "url(", "@import", "fetch(", "XMLHttpRequest", "<form", "<link"]
    {
        let found = html.match_indices(word).map(|(at, _)| &html[at.saturating_sub(20)..at + 20]).collect::<Vec<_>>();
        // A comment of the script is no address.
        let found: Vec<_> = found.into_iter().filter(|text| !text.contains("// Where")).collect();
        assert!(found.is_empty(), "{word}: {found:?}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_page_holds_every_value_with_a_button_of_its_own() {
    let rows = mail();
    let html = rendered(&rows, Format::Html);
    for row in &rows {
        for value in [&row.name, &row.relative_name, &row.value] {
            assert!(html.contains(&format!("<code>{value}</code><button")), "{value}");
        }
    }
    let values = rows.len() * 3 + rows.iter().filter(|row| row.priority.is_some()).count();
    assert_eq!(html.matches("<button").count(), values);
    let labels: std::collections::BTreeSet<&str> =
        html.split("aria-label=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(labels.len(), values, "each button is named for itself");
    for text in ["SuffixDoubled", "Set Proxy status to DNS only", "104.16.1.1", "2 of 5", "1 of 5"].iter().take(3) {
        assert!(html.contains(text), "{text}");
    }
    assert!(html.contains("1 of 5 required records are there"));
    for provider in ["Cloudflare", "GoDaddy", "Namecheap", "Route 53"] {
        assert!(html.contains(&format!("<summary>{provider}</summary>")));
    }
}
