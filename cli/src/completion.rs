//! `completion`: the scripts of `clap_complete`, with what they lack. The tests ask each shell.
//!
//! `clap_complete` also has completion by the program itself, which would need none of this, but that is not
//! stable.

use std::io::{self, Write};

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::{
    args::{Arguments, Completion},
    failure::Failure,
};

const NAME: &str = "plugin-registry";

/// The name that the script for bash has inside. In the labels of subcommands, `clap_complete` turns the hyphen
/// of a command's name into one thing where it sets a label, and into another where it looks for it
/// (clap-rs/clap#6421), so completion would end after the first word. Without a hyphen both are the same.
const BASH_NAME: &str = "plugin_registry";

/// Completes the command by its real name, and removes the entry for the other.
///
/// Bash also cuts words at `=`, which the generated function does not know: in `--format=j`, the word before `j`
/// is `=`. Versions before 4.4 have no `nosort`.
const BASH_END: &str = r#"
__plugin_registry() {
    local cur="$2" prev="$3"
    if [[ "${cur}" == "=" ]]; then
        cur=""
    elif [[ "${prev}" == "=" && ${COMP_CWORD} -ge 2 ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    _plugin_registry "$1" "${cur}" "${prev}"
}

complete -r plugin_registry
complete -F __plugin_registry -o nosort -o bashdefault -o default plugin-registry 2>/dev/null ||
    complete -F __plugin_registry -o bashdefault -o default plugin-registry
"#;

/// Zsh completes no path behind `oci:` by itself, as the others do. Images are the only words without a hint,
/// which is `_default`. The function has to be there before the script calls itself at its end.
const ZSH_DEFAULT: &str = ":_default'";
const ZSH_IMAGE: &str = ":_plugin_registry_image'";
const ZSH_BEGIN: &str = "autoload -U is-at-least\n";
const ZSH_FUNCTION: &str = r"
_plugin_registry_image() {
    if compset -P 'oci:'; then
        _files
    else
        compadd -S '' -- oci: registry:
    fi
}
";

pub(crate) fn run(options: &Completion) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(script(options.shell).as_bytes())?;
    Ok(out.flush()?)
}

fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => generated(shell, BASH_NAME) + BASH_END,
        Shell::Zsh => generated(shell, NAME).replace(ZSH_DEFAULT, ZSH_IMAGE).replacen(
            ZSH_BEGIN,
            &format!("{ZSH_BEGIN}{ZSH_FUNCTION}"),
            1,
        ),
        Shell::Fish => generated(shell, NAME) + &fish_end(),
        _ => generated(shell, NAME),
    }
}

fn generated(shell: Shell, name: &str) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Two kinds of words that the script for fish has not: the values of an argument without an option, and what
/// comes after `help`, where it waits for a line without the word `help`.
fn fish_end() -> String {
    let command = Arguments::command();
    let commands = command.get_subcommands().map(Command::get_name);
    let shells: Vec<String> = Shell::value_variants().iter().map(ToString::to_string).collect();
    [("help", commands.collect::<Vec<_>>().join(" ")), ("completion", shells.join(" "))]
        .iter()
        .map(|(after, words)| {
            format!(
                "complete -c {NAME} -n \"__fish_plugin_registry_using_subcommand {after}; \
                 and test (count (commandline -opc)) -eq 2\" -f -a \"{words}\"\n"
            )
        })
        .collect()
}
