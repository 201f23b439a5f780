//! `quickstart` writes into a registry that is there only if it may.

use std::{fs, path::Path};

use plugin_registry_conformance::report;
use tempfile::TempDir;

use crate::{
    common::{command, files, run},
    terminal,
};

/// A configuration file with a registry in a directory.
fn configured(directory: &Path) -> (String, String) {
    let root = directory.join("registry").display().to_string();
    let config = directory.join("config.yml").display().to_string();
    fs::create_dir(&root).unwrap();
    let text = format!("version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {root}}}\n");
    fs::write(&config, text).unwrap();
    (config, root)
}

#[test]
fn without_a_terminal_it_refuses_unless_yes() {
    let directory = TempDir::new().unwrap();
    let (config, root) = configured(directory.path());
    let variables = directory.path().join("r.env").display().to_string();
    fs::write(
        &variables,
        format!("REGISTRY_STORAGE=filesystem\nREGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY={root}\n"),
    )
    .unwrap();
    for place in [["--config", &config], ["--env-file", &variables]] {
        let ran = run(["quickstart"].iter().chain(&place));
        assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{ran:?}");
        let named = format!("into the registry of `{}`, and there is no terminal", place.join(" "));
        assert!(ran.err.contains(&named) && ran.err.contains("Add --yes"), "{ran:?}");
        assert!(files(root.as_ref()).is_empty(), "something was written");
    }
    let shown = run(["quickstart", "--yes", "--config", &config]).ok().out;
    assert!(shown.contains(&format!("plugin-registry rm quickstart/app --all --config {config}")), "{shown}");
    // A directory that holds something is no new one.
    let before = files(root.as_ref());
    let ran = run(["quickstart", "--root", &root]);
    assert!(ran.code == 64 && ran.err.contains("which is not empty"), "{ran:?}");
    assert_eq!(files(root.as_ref()), before);
    run(["quickstart", "-y", "--root", &root]).ok();
}

#[test]
fn a_new_or_empty_directory_is_not_asked_about() {
    let directory = TempDir::new().unwrap();
    for name in ["missing", "empty"] {
        let root = directory.path().join(name);
        if name == "empty" {
            fs::create_dir(&root).unwrap();
        }
        let output = command().args(["quickstart", "--root"]).arg(&root).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[test]
fn on_a_terminal_it_asks() {
    if !terminal::has("script") {
        report::skip("consent", "on_a_terminal_it_asks", "no `script`; ./test installs it", "cli");
        return;
    }
    let directory = TempDir::new().unwrap();
    let (config, root) = configured(directory.path());
    let line = format!("'{}' quickstart --config '{config}'", env!("CARGO_BIN_EXE_plugin-registry"));
    for answer in ["n\n", "\n", "yep\n"] {
        let shown = terminal::typed(&mut terminal::of(&line), answer);
        assert!(shown.contains("Continue? [y/N]") && shown.contains("error: nothing was written"), "{shown}");
        assert!(files(root.as_ref()).is_empty(), "something was written");
    }
    let shown = terminal::typed(&mut terminal::of(&line), "Yes\n");
    assert!(shown.contains("Look at it:"), "{shown}");
    assert_eq!(run(["ls", "--config", &config]).ok().out, "quickstart/app\nquickstart/copy\n");
}
