//! How the tests of a run are counted.
//!
//! A behavior that a store cannot offer is skipped with its reason, in its own line that begins with
//! [`SKIPPED`]. libtest has no such notion and hides the output of tests that pass, so the line goes
//! straight to standard error. A script counts `^SKIPPED ` in the output of `cargo test`.

use std::{fmt, io::Write};

/// The beginning of the line of a skipped test.
pub const SKIPPED: &str = "SKIPPED ";

/// Reports that a test was skipped: `SKIPPED <area>::<name>: <reason> [<suite>]`.
pub fn skip(area: &str, name: &str, reason: &str, suite: &str) {
    // One write, so that lines of tests in other threads do not mix in. It starts a new line, because with
    // one test thread libtest has already written `test name ... `.
    let line = format!("\n{SKIPPED}{area}::{name}: {reason} [{suite}]\n");
    // A closed standard error must not fail the test.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The result of a run of `cargo test`, read from its output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Tests that passed, without the skipped ones.
    pub passed: usize,
    /// Names of the tests that failed.
    pub failed: Vec<String>,
    /// Tests marked `#[ignore]`.
    pub ignored: usize,
    /// Lines of the skipped tests, without their prefix.
    pub skipped: Vec<String>,
}

impl Report {
    /// Reads the output, standard error included, of one or more test programs.
    #[must_use]
    pub fn parse(output: &str) -> Self {
        let mut report = Self::default();
        for line in output.lines() {
            if let Some(skipped) = line.strip_prefix(SKIPPED) {
                report.skipped.push(skipped.to_owned());
            } else if let Some(result) = line.strip_prefix("test result: ") {
                report.passed += count(result, " passed");
                report.ignored += count(result, " ignored");
            } else if let Some(name) =
                line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
            {
                report.failed.push(name.to_owned());
            }
        }
        // To libtest, a skipped test has passed.
        report.passed = report.passed.saturating_sub(report.skipped.len());
        report
    }

    /// Whether something was proved and nothing failed.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.passed > 0 && self.failed.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        write!(f, "{} passed, {failed} failed, {skipped} skipped, {} ignored", self.passed, self.ignored)
    }
}

/// The number before `unit` in a line like `ok. 3 passed; 0 failed`.
fn count(result: &str, unit: &str) -> usize {
    let before = result.split(';').find_map(|part| part.strip_suffix(unit));
    before.and_then(|part| part.rsplit(' ').next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_counted_from_its_output() {
        let report = Report::parse(
            "test memory::stat_file ... ok\n\nSKIPPED driver::redirect_url: no URLs [memory]\n\
             test memory::list ... FAILED\n\
             test result: FAILED. 2 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.16s\n",
        );
        assert_eq!(report.to_string(), "1 passed, 1 failed, 1 skipped, 3 ignored");
        assert_eq!(report.failed, ["memory::list"]);
        assert_eq!(report.skipped, ["driver::redirect_url: no URLs [memory]"]);
        assert!(!report.is_success());
        assert!(!Report::parse("").is_success(), "a run of zero tests proves nothing");
        assert!(Report::parse("test result: ok. 1 passed; 0 failed; 0 ignored").is_success());
    }
}
