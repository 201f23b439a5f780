//! Any number of variables: no work for each that grows with the others, and no message without end.

use super::*;

/// The CPU time of this thread in nanoseconds, so that a busy machine does not matter. The wall time on other
/// systems.
fn computed() -> u128 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = spent.split(' ').next().and_then(|spent| spent.parse().ok());
    spent.unwrap_or_else(|| {
        std::time::UNIX_EPOCH.elapsed().map(|elapsed| elapsed.as_nanos()).unwrap_or_default()
    })
}

/// Sixteen times as many variables take about as much as sixteen times the few, and not sixteen times as much as that.
#[test]
fn of_many_variables_each_is_looked_up_once() {
    type Name = fn(usize) -> String;
    let parameters: Name = |n| format!("REGISTRY_STORAGE_MINE_P{n}");
    let fields: Name = |n| format!("REGISTRY_LOG_FIELDS_F{n}");
    let drivers: Name = |n| format!("REGISTRY_STORAGE_D{n}_BUCKET");
    for (name, is_right) in [(parameters, true), (fields, true), (drivers, false)] {
        let names = |count: usize| (0..count).map(name).collect::<Vec<_>>();
        let cost = |names: &[String], times: usize| {
            let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
            let pairs = pairs.into_iter().chain(is_right.then_some(("REGISTRY_STORAGE", "mine")));
            let run = || {
                let begin = computed();
                (0..times).for_each(|_| assert_eq!(Config::from_env(pairs.clone()).is_ok(), is_right));
                computed() - begin
            };
            (0..3).map(|_| run()).min().unwrap()
        };
        let (few, many) = (cost(&names(500), 16), cost(&names(8000), 1));
        assert!(many < few * 5, "{}: {few} ns, {many} ns", name(0));
    }
}

/// The whole environment of a process, or a file of another kind.
#[test]
fn few_of_many_mistakes_are_told() {
    let many = (0..1000).map(|n| (format!("REGISTRY_HTTP_X{n:03}"), "x"));
    let text = refusal_of(Config::from_env(many.chain([("REGISTRY_STORAGE".to_owned(), "inmemory")])));
    assert!(text.starts_with("1000 mistakes: `http.x000` (REGISTRY_HTTP_X000): unknown; "), "{text}");
    assert!(text.ends_with("`http.x019` (REGISTRY_HTTP_X019): unknown; and 980 more"), "{text}");
    let lines: String = (0..1000).map(|n| format!("x{n:03}: y\n")).collect();
    let text = refusal_of(Config::from_yaml(&format!("version: 0.1\nstorage: inmemory\n{lines}")));
    assert!(text.starts_with("1000 mistakes: ") && text.ends_with("; and 980 more"), "{text}");
    let text = refusal_of(Config::from_env((0..1000).map(|n| (format!("REGISTRY_STORAGE_D{n:03}"), ""))));
    assert!(text.ends_with("and `d009` (REGISTRY_STORAGE_D009) and 990 more"), "{text}");
    let text = crate::config::EnvPairs::parse(&"x\n".repeat(1000)).unwrap_err().to_string();
    assert!(text.contains(": 1000 mistakes: ") && text.ends_with("; and 980 more"), "{text}");
    let mut location = crate::BackupStorageLocation::new("velero", "default", "aws", "backup");
    for n in 0..1000 {
        location = location.with_config(format!("x{n:03}"), "y");
    }
    let text = refusal_of(Config::from_backup_location(&location, &crate::LocationCredentials::external()));
    assert!(text.starts_with("1000 mistakes: ") && text.ends_with("; and 980 more"), "{text}");
}
