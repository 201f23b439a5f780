//! The reference page of the command beside the command's own help.

use std::collections::{BTreeMap, BTreeSet};

use super::{Page, commands::run, repository};

/// Options that the page describes once, for all commands.
const COMMON: &[&str] =
    &["--root", "--config", "--token-file", "--ambient", "--format", "--quiet", "--help", "--version"];

fn help(arguments: &[&str]) -> String {
    let output = run(&[arguments, &["--help"]].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every `--option` in a text.
fn options(text: &str) -> BTreeSet<String> {
    let is_option = |c: char| c.is_ascii_lowercase() || c == '-';
    let words = text.split(|c| !is_option(c)).filter(|word| word.len() > 3 && word.starts_with("--"));
    words.filter(|word| !word.starts_with("---")).map(str::to_owned).collect()
}

/// The commands that `--help` lists.
fn subcommands() -> BTreeSet<String> {
    let help = help(&[]);
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = list.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The page by its second headings; a section may be about several commands.
fn sections(page: &Page) -> BTreeMap<String, String> {
    let (mut sections, mut current) = (BTreeMap::<String, String>::new(), Vec::new());
    for (_, line) in page.prose() {
        if let Some(title) = line.strip_prefix("## ") {
            current = title.split(", ").map(str::to_owned).collect();
        }
        for name in &current {
            let section = sections.entry(name.clone()).or_default();
            section.push_str(line);
            section.push('\n');
        }
    }
    sections
}

#[test]
fn every_command_and_option_is_in_the_reference() {
    let page = Page::read(&repository(), "docs/src/reference/command.md");
    let sections = sections(&page);
    let commands = subcommands();
    assert!(commands.len() > 8, "{commands:?}");
    for command in &commands {
        // A completion script has no options worth a section.
        if command == "completion" {
            continue;
        }
        let section = sections.get(command).unwrap_or_else(|| panic!("{command} has no section"));
        let usage = help(&[command]);
        let real: BTreeSet<String> =
            usage.lines().filter(|line| line.trim_start().starts_with('-')).flat_map(options).collect();
        // Where there is a table of options, it has all of them; a single one may stand in the text.
        let is_row = |line: &&str| line.starts_with("| `--");
        let has_table = section.contains("| Option |");
        let rows: Vec<&str> = section.lines().filter(|line| !has_table || is_row(line)).collect();
        let described = options(&rows.join("\n"));
        for option in real.iter().filter(|option| !COMMON.contains(&option.as_str())) {
            assert!(described.contains(option), "{command}: {option} is not described");
        }
        for option in &options(section) {
            assert!(real.contains(option), "{command} has no option {option}");
        }
    }
    let (_, table) = page.prose().into_iter().find(|(_, line)| line.starts_with("| `quickstart`")).unwrap();
    assert!(table.contains("real image"), "the table of commands has moved: {table}");
    for command in &commands {
        let row = format!("| `{command}");
        let rows = page.prose().into_iter().filter(|(_, line)| line.starts_with(&row)).count();
        assert!(rows > 0, "{command} is not in the table of commands");
    }
}
