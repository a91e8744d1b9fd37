//! `records`: what has to be in DNS, for people and for tools.

mod bind;
mod csv;
mod data;
mod hints;
mod html;
mod table;
mod terraform;
#[cfg(test)]
mod tests;

use crate::args::{Access, Format, RecordsArgs};
use crate::cluster::Cluster;
use crate::exit::{Exit, Failure};
use crate::row::{Owner, Row, is_complete, rows, why_none};
use crate::screen::{self, Paint};

pub use self::data::{json, yaml};
pub use self::table::table;

pub async fn run(access: &Access, args: &RecordsArgs) -> Result<Exit, Failure> {
    let cluster = Cluster::of(access).await?;
    let objects = match &args.name {
        Some(name) => vec![cluster.get(name).await?],
        None => cluster.list(args.all_namespaces, args.selector.as_deref()).await?,
    };
    if objects.is_empty() {
        let place = if args.all_namespaces {
            "any namespace".to_owned()
        } else {
            format!("the namespace {}", cluster.namespace)
        };
        eprintln!("No SendingDomains in {place}.");
    }
    let mut all = Vec::new();
    for object in &objects {
        let records = object.status.as_ref().map(|status| status.records.as_slice()).unwrap_or_default();
        let owner = Owner::of(object, args.zone.as_deref());
        if !is_complete(records.iter().map(|record| record.purpose)) {
            // Not an error: a list of many must not fail for one that has just begun.
            let (namespace, name) = (&owner.namespace, &owner.object);
            let why = why_none(object);
            if records.is_empty() && args.name.is_some() {
                return Err(Failure::new(format!("There are no records of {namespace}/{name} yet: {why}")));
            }
            eprintln!("The records of {namespace}/{name} are not all known yet: {why}");
        }
        all.extend(rows(&owner, records));
    }
    screen::emit(&render(&all, args, Paint::for_stdout())?)?;
    Ok(Exit::Ok)
}

fn render(rows: &[Row], args: &RecordsArgs, paint: Paint) -> Result<String, Failure> {
    Ok(match args.output {
        Format::Table => table(rows, paint),
        Format::Bind => bind::fragment(rows),
        Format::Csv => csv::text(rows),
        Format::Json => json(rows)?,
        Format::Yaml => yaml(rows)?,
        Format::Terraform => terraform::resources(rows, args.terraform_provider),
        Format::Html => html::page(rows)?,
    })
}
