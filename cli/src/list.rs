//! `ls` and `tags`.

use serde::Serialize;

use crate::{
    args::{Ls, Tags},
    failure::Failure,
    missing,
    output::Output,
};

/// Entries asked for at a time.
const PAGE: usize = 1000;

pub(crate) async fn repositories(options: Ls) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Document {
        repositories: Vec<String>,
    }
    let registry = options.root.place().existing().await?.builder().read_only(true).build();
    let mut document = Document { repositories: Vec::new() };
    let mut last = None;
    loop {
        let page = registry.catalog(last.as_ref(), PAGE).await?;
        document.repositories.extend(page.entries.iter().map(ToString::to_string));
        last = page.entries.into_iter().next_back();
        if !page.has_more || last.is_none() {
            break;
        }
    }
    Output::new(options.printing.format)
        .print(&document, |out| document.repositories.iter().try_for_each(|name| writeln!(out, "{name}")))
}

pub(crate) async fn tags(options: Tags) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Document {
        name: String,
        tags: Vec<String>,
    }
    let registry = options.root.place().existing().await?.builder().read_only(true).build();
    let tags = registry.repository(options.name.clone()).tags();
    let mut document = Document { name: options.name.to_string(), tags: Vec::new() };
    loop {
        let page = match tags.list(document.tags.last().map(String::as_str), PAGE).await {
            Ok(page) => page,
            Err(error) => return Err(missing::failure(&registry, error, None).await),
        };
        document.tags.extend(page.entries.iter().map(ToString::to_string));
        if !page.has_more || page.entries.is_empty() {
            break;
        }
    }
    Output::new(options.printing.format)
        .print(&document, |out| document.tags.iter().try_for_each(|tag| writeln!(out, "{tag}")))
}
