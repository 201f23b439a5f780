//! Two copies into one OCI image layout at a time: its `index.json` is read, changed and written under the
//! layout's lock.

use std::sync::Arc;

use plugin_registry::Registry;
use plugin_registry_conformance::registry::{Client, Wrapped, fixture::Image};
use plugin_registry_copy::{CopyOptions, LayoutImage, LayoutReference, OciLayout, RegistryImage, copy};
use plugin_registry_core::Tag;
use plugin_registry_drivers_memory::MemoryDriver;
use plugin_registry_testkit::concurrency::schedule::{Run, Task, explore};

use crate::interleaved::now;

/// Images by two names, one of which both copies give.
fn copies(names: [&'static str; 2]) -> usize {
    let source = Registry::builder(MemoryDriver::new()).build();
    let client = Client::new(&source);
    let images = [Image::new(1), Image::new(2)];
    now(async {
        for (tag, image) in ["one", "two"].iter().zip(&images) {
            client.push_image("ns/app", tag, image).await;
        }
    });
    explore(2, || {
        let driver = Arc::new(Wrapped::new(Arc::new(MemoryDriver::new())));
        let layout = now(OciLayout::create(driver, "both")).unwrap();
        let copy_as = |tag: &str, name: &'static str| -> Task {
            let source = source.repository("ns/app".parse().unwrap());
            let source = RegistryImage::new(source, tag.parse::<Tag>().unwrap());
            let name = LayoutReference::Name(name.to_owned());
            let destination = LayoutImage::new(layout.clone(), Some(name));
            Box::pin(async move {
                copy(&source, &destination, &CopyOptions::default(), &()).await.unwrap();
            })
        };
        let tasks = vec![copy_as("one", names[0]), copy_as("two", names[1])];
        let digests = images.clone().map(|image| image.digest());
        let check = move || {
            let entries = now(layout.entries()).unwrap();
            let mut found: Vec<String> = entries.iter().map(|e| e.descriptor.digest.to_string()).collect();
            let mut named: Vec<&str> = entries.iter().filter_map(|entry| entry.name.as_deref()).collect();
            found.sort_unstable();
            named.sort_unstable();
            let mut wanted = digests.to_vec();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "an image is lost");
            let mut expected = names.to_vec();
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(named, expected);
        };
        Run { tasks, check: Box::new(check) }
    })
}

#[test]
fn two_copies_into_one_layout() {
    let (apart, same) = (copies(["one", "two"]), copies(["latest", "latest"]));
    println!("two copies into one layout: {apart} orders; under one name: {same} orders");
}
