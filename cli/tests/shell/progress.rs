//! Progress says how much there is to do.

use plugin_registry_conformance::report;

use crate::{common::Backup, terminal};

/// The percentages of lines like `… (1.00 MiB of 4.00 MiB, 25 %)`.
fn percents(lines: &str) -> Vec<u8> {
    let percent = |line: &str| line.split_once(" %")?.0.rsplit(' ').next()?.parse().ok();
    lines.lines().filter_map(percent).collect()
}

#[test]
fn plain_lines_have_totals() {
    let backup = Backup::make();
    let out = format!("oci:{}:1.0", backup.path("out").display());
    let copied = backup.run(&["copy", "registry:quickstart/app:1.0", &out]).ok().err;
    let steps = percents(&copied);
    assert_eq!(steps.len(), copied.lines().count(), "{copied}");
    assert!(steps.is_sorted() && steps.last() == Some(&100), "{copied}");
    let total = copied.lines().last().unwrap().rsplit_once(" of ").unwrap().1.to_owned();
    assert!(copied.lines().next().unwrap().contains(total.split(',').next().unwrap()), "{copied}");

    // The destination has all of it, or all but a tag.
    for target in ["registry:quickstart/app:1.0", "registry:quickstart/app:2"] {
        let again = backup.run(&["copy", &out, target]).ok().err;
        assert!(percents(&again).iter().all(|percent| *percent == 100), "{again}");
    }

    let all = backup.run(&["verify", "--all"]).ok().err;
    assert_eq!(percents(&all), [0, 100], "both repositories have the same blobs: {all}");
    let one = backup.run(&["verify", "quickstart/app"]).ok().err;
    assert_eq!(percents(&one), [0], "{one}");
    assert!(one.starts_with("verifying quickstart/app (0 B of "), "{one}");
    for line in [&["verify", "--all", "--quiet"][..], &["copy", &out, "registry:a:1", "--quiet"]] {
        assert_eq!(backup.run(line).ok().err, "");
    }
}

#[test]
fn a_terminal_has_a_bar_with_the_total() {
    if !terminal::has("script") {
        report::skip(
            "progress",
            "a_terminal_has_a_bar_with_the_total",
            "no `script`; ./test installs it",
            "cli",
        );
        return;
    }
    let backup = Backup::make();
    let line = format!(
        "'{}' copy registry:quickstart/app:1.0 'oci:{}:1.0' --root '{}'",
        env!("CARGO_BIN_EXE_plugin-registry"),
        backup.path("out").display(),
        backup.root()
    );
    let shown = terminal::typed(terminal::of(&line).env("TERM", "xterm"), "");
    assert!(shown.contains('█') && shown.contains(", 100 %"), "{shown:?}");
}
