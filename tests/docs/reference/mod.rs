//! `docs/reference` is made from the program itself, and current. `make generate` writes the pages anew by running this
//! with `UPDATE_REFERENCE=1`, so that the shipped binary carries nothing of it.

mod api;
mod conditions;
mod events;
mod flags;
mod markdown;
mod metrics;

use std::fs;

/// Writes a page.
type Maker = fn() -> String;

/// The pages and their makers.
const PAGES: [(&str, Maker); 5] = [
    ("api.md", api::page),
    ("conditions.md", conditions::page),
    ("events.md", events::page),
    ("flags.md", flags::page),
    ("metrics.md", metrics::page),
];

#[test]
fn the_pages_are_current() {
    let directory = crate::root().join("docs/reference");
    for (name, page) in PAGES {
        let path = directory.join(name);
        let wanted = page();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&path, wanted).unwrap();
        } else {
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == wanted, "docs/reference/{name} is stale: run `make generate` and commit it");
        }
    }
}
