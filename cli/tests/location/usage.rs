//! Required options, and options that can be combined.

use crate::{
    Files, check,
    common::{command, run},
};

const PLACES: &str = "<--root <DIR>|--config <FILE>|--location <FILE>|--env-file <FILE>|--from-env>";

#[test]
fn a_registry_has_to_be_named_and_the_message_says_how() {
    for line in ["ls", "tags a", "inspect a", "rm a:1", "verify --all", "purge", "location check"] {
        let ran = run(line.split(' '));
        assert_eq!(ran.code, 64, "{line}");
        let begin =
            format!("error: the following required arguments were not provided:\n  {PLACES}\n\nUsage: ");
        assert!(ran.err.starts_with(&begin), "{line}: {}", ran.err);
        let usage = ran.err.lines().find(|line| line.starts_with("Usage: ")).unwrap();
        assert!(usage.contains(PLACES), "{usage}");
    }
    let ran = run(["serve"]);
    let places = PLACES.replace("--from-env>", "--from-env|--memory>");
    assert!(ran.code == 64 && ran.err.contains(&format!("\n  {places}\n")), "{ran:?}");
    let ran = crate::show(&[]);
    let expected =
        "error: there is nothing to show\n  Name a --location, a --config, an --env-file, or --from-env.\n";
    assert_eq!((ran.code, ran.err.as_str()), (64, expected));
}

#[test]
fn what_cannot_go_together_is_refused() {
    for (line, first, second) in [
        ("ls --root a --location b", "--root <DIR>", "--location <FILE>"),
        ("ls --root a --config b", "--root <DIR>", "--config <FILE>"),
        ("ls --root a --env-file b", "--root <DIR>", "--env-file <FILE>"),
        ("ls --root a --from-env", "--root <DIR>", "--from-env"),
        ("ls --config a --location b", "--config <FILE>", "--location <FILE>"),
        ("serve --memory --location b", "--memory", "--location <FILE>"),
        ("serve --memory --from-env", "--memory", "--from-env"),
        ("serve --memory --root b", "--memory", "--root <DIR>"),
        ("quickstart --root a --location b", "--root <DIR>", "--location <FILE>"),
        ("copy oci:a:1 registry:a:1 --root a --env-file b", "--root <DIR>", "--env-file <FILE>"),
        ("location show --config a --location b", "--config <FILE>", "--location <FILE>"),
    ] {
        let ran = run(line.split(' '));
        assert_eq!(ran.code, 64, "{line}");
        let begin = format!("error: the argument '{first}' cannot be used with '{second}'\n");
        assert!(ran.err.starts_with(&begin), "{line}: {}", ran.err);
    }
}

#[test]
fn credentials_are_those_of_a_location() {
    for line in ["ls --credentials c", "location show --credentials c", "quickstart --credentials c"] {
        let ran = run(line.split(' '));
        assert_eq!(ran.code, 64, "{line}");
        let missing = "error: the following required arguments were not provided:\n  ";
        assert!(ran.err.starts_with(missing) && ran.err.contains("--location <FILE>"), "{line}: {}", ran.err);
    }
}

/// The first line of the help is about the command. clap takes it from the last item that has a doc comment.
#[test]
fn help_says_what_the_command_does() {
    for (line, first) in [
        ("ls", "Lists the repositories"),
        ("tags", "Lists the tags of a repository"),
        ("copy", "Copies an image in or out, byte for byte"),
        ("serve", "Serves a registry over HTTP on loopback, for clients that only speak HTTP"),
        ("quickstart", "Shows a backup and a restore of a real image that is made on the spot"),
        (
            "location check",
            "Tries everything that a backup needs: list, write, read, delete, uploads in pieces",
        ),
        ("location show", "Prints the settings that a registry is opened with, without secrets"),
    ] {
        let ran = run(line.split(' ').chain(["--help"])).ok();
        assert_eq!(ran.out.lines().next(), Some(first));
        for option in ["--config <FILE>", "--location <FILE>", "--credentials <FILE>", "--env-file <FILE>"] {
            assert!(ran.out.contains(option), "{line}: {option}");
        }
    }
}

/// The file over the environment, both over the location or the configuration.
#[test]
fn variables_come_on_top() {
    let files = Files::new();
    let (first, second) = (files.path("first"), files.path("second"));
    let config =
        format!("version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {first}\n    maxthreads: 30\n");
    let config = files.write("config.yml", config);
    let variable = |value: &str| format!("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY={value}\n");
    let env = files.write("r.env", variable(&second));
    let shown = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut show = command();
        show.args(["location", "show", "--format", "json"]).args(arguments);
        let output = show.envs(environment.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["parameters"].clone()
    };
    let third = ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/third");
    let of = |value: &serde_json::Value| value["rootdirectory"].as_str().unwrap().to_owned();

    assert_eq!(of(&shown(&["--config", &config], &[third])), first, "nobody asked for the environment");
    let both = shown(&["--config", &config, "--env-file", &env], &[]);
    assert_eq!(
        (of(&both), &both["maxthreads"]),
        (second.clone(), &"30".into()),
        "the rest of the file stays"
    );
    assert_eq!(of(&shown(&["--config", &config, "--from-env"], &[third])), "/third");
    assert_eq!(of(&shown(&["--config", &config, "--from-env", "--env-file", &env], &[third])), second);
    let named = ("REGISTRY_STORAGE", "filesystem");
    assert_eq!(of(&shown(&["--from-env"], &[named, third, ("REGISTRIES", "x"), ("PATH", "/")])), "/third");

    let location = files.location("aws", "backup", crate::NOBODY);
    let cloud = files.cloud("key", "secret");
    let env = files.write("s3.env", "REGISTRY_STORAGE_S3_BUCKET=other\n");
    let arguments = ["--location", &location, "--credentials", &cloud, "--env-file", &env];
    let both = shown(&arguments, &[]);
    assert_eq!((&both["bucket"], &both["region"]), (&"other".into(), &"us-east-1".into()));
}

/// As the library says it of pairs: which one counts would depend on the order.
#[test]
fn a_variable_is_in_the_file_once() {
    let files = Files::new();
    let root = files.root();
    let first = format!("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY={root}\n");
    let location = files.location("aws", "backup", crate::NOBODY);
    for again in ["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "REGISTRY_storage_FileSystem_RootDirectory"] {
        let env = files.write("r.env", format!("REGISTRY_STORAGE=filesystem\n{first}{again}=/other\n"));
        let expected = "`REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY`: is set twice";
        for line in ["location show", "location check", "ls"] {
            let ran = run(line.split(' ').chain(["--env-file", &env]));
            assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{line}: {ran:?}");
            assert_eq!(ran.err, format!("error: `{env}`: invalid configuration: {expected}\n"));
        }
        let ran = crate::show(&["--location", &location, "--env-file", &env]);
        assert!(ran.code == 1 && ran.err.contains(expected), "{ran:?}");
    }
    // Over the environment's the file's still comes, however it is written there.
    let env = files.write("r.env", format!("REGISTRY_STORAGE=filesystem\n{first}"));
    for name in ["REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "REGISTRY_storage_filesystem_rootdirectory"] {
        let mut show = command();
        show.args(["location", "show", "--from-env", "--env-file", &env]).env(name, "/third");
        let output = show.output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && shown.contains(&format!("  rootdirectory: {root}\n")), "{shown}");
    }
}

#[test]
fn every_command_takes_variables() {
    let files = Files::new();
    let root = files.root();
    let env = files.write(
        "r.env",
        format!("REGISTRY_STORAGE=filesystem\nREGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY={root}\n"),
    );
    check(&["--env-file", &env]).ok();
    let shown = run(["quickstart", "--yes", "--env-file", &env]).ok().out;
    assert!(shown.contains(&format!("plugin-registry ls --env-file {env}")), "{shown}");
    assert_eq!(run(["ls", "--env-file", &env]).ok().out, "quickstart/app\nquickstart/copy\n");
    run(["verify", "--all", "--quiet", "--env-file", &env]).ok();
}
