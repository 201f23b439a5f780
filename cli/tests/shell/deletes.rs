//! `location show` and `rm` say the same about deletes.

use std::fs;

use serde_json::json;

use crate::common::{Backup, files, run};

#[test]
fn show_and_rm_agree() {
    let settings = [
        ("", true, false),
        ("  delete: {enabled: true}\n", true, true),
        ("  maintenance: {readonly: {enabled: true}}\n", false, false),
        ("  maintenance: {readonly: {enabled: true}}\n  delete: {enabled: true}\n", false, false),
    ];
    for (extra, by_rm, by_clients) in settings {
        let backup = Backup::make();
        let root = backup.root();
        let config = backup.path("config.yml").display().to_string();
        let text = format!("version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {root}}}\n{extra}");
        fs::write(&config, text).unwrap();
        let with_config = |arguments: &[&str]| run(arguments.iter().chain(&["--config", &config]));
        let shown = with_config(&["location", "show", "--format", "json"]).ok().json();
        assert_eq!(shown["deletes"], json!({ "rm": by_rm, "clients": by_clients }), "{extra}");
        let before = files(root.as_ref());
        let digest = format!("quickstart/app@{}", backup.document["digest"].as_str().unwrap());
        for target in [&["quickstart/app:1.0"][..], &[&digest], &["quickstart/app", "--all"]] {
            for dry_run in [&["--dry-run"][..], &[]] {
                let ran = with_config(&[&["rm"], target, dry_run].concat());
                assert_eq!(ran.code, i32::from(!by_rm), "{extra} {target:?} {dry_run:?}: {ran:?}");
                if !by_rm {
                    assert!(ran.err.starts_with("error: the registry is read-only\n"), "{ran:?}");
                }
                if !by_rm || !dry_run.is_empty() {
                    assert_eq!(files(root.as_ref()), before, "{extra} {target:?} {dry_run:?}");
                }
            }
            if by_rm {
                // Back to where it was, for the next way to remove.
                let source = format!("oci:{}", backup.image().display());
                with_config(&["copy", &source, "registry:quickstart/app:1.0", "--repair", "--quiet"]).ok();
            }
        }
    }
}
