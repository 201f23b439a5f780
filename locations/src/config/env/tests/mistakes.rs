//! Every message as a whole.

use super::*;

#[test]
fn each_mistake_names_its_variable() {
    for (name, value, expected) in [
        (
            "REGISTRY_VERSION",
            "0.1",
            "`version` (REGISTRY_VERSION): has to be set in the file, not by a variable",
        ),
        ("REGISTRY_HTPP_ADDR", "x", "`htpp` (REGISTRY_HTPP_ADDR): unknown, did you mean `http`?"),
        ("REGISTRY_URL", "x", "`url` (REGISTRY_URL): unknown"),
        ("REGISTRY_", "x", "`` (REGISTRY_): unknown"),
        ("REGISTRY__LOG", "x", "`_log` (REGISTRY__LOG): unknown, did you mean `log`?"),
        ("REGISTRY_LOG_LEVL", "x", "`log.levl` (REGISTRY_LOG_LEVL): unknown, did you mean `log.level`?"),
        ("REGISTRY_LOG_LEVEL_X", "x", "`log.level.x` (REGISTRY_LOG_LEVEL_X): unknown"),
        (
            "REGISTRY_CATALOG_MAX_ENTRIES",
            "7",
            "`catalog.max_entries` (REGISTRY_CATALOG_MAX_ENTRIES): unknown, did you mean `catalog.maxentries`?",
        ),
        (
            "REGISTRY_STORAGE_DELET_ENABLED",
            "true",
            "`storage.delet` (REGISTRY_STORAGE_DELET_ENABLED): unknown, did you mean `storage.delete`?",
        ),
        (
            "REGISTRY_STORAGE_DELETE_ENABLED",
            "yes",
            "`storage.delete.enabled` (REGISTRY_STORAGE_DELETE_ENABLED): has to be true or false",
        ),
        (
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING",
            "false",
            "`storage.maintenance.uploadpurging` (REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING): has to be a \
             map in braces; or set a variable for each of its keys",
        ),
        (
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING",
            "{enabld: true, age: [1]}",
            "2 mistakes: `storage.maintenance.uploadpurging.enabld` (REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING): \
             unknown, did you mean `storage.maintenance.uploadpurging.enabled`?; \
             `storage.maintenance.uploadpurging.age` (REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING): has to be a single \
             value",
        ),
        (
            "REGISTRY_LOG_FIELDS",
            "{a: @hunter2}",
            "`log.fields` (REGISTRY_LOG_FIELDS): has to be a map in braces; or set a variable for each of \
             its keys",
        ),
        ("REGISTRY_LOG_FIELDS", "{a: 1, a: 2}", "REGISTRY_LOG_FIELDS, line 1: `a` is set twice"),
        (
            "REGISTRY_HTTP",
            "{secret: hunter2}",
            "`http` (REGISTRY_HTTP): needs a variable for each of its keys",
        ),
        (
            "REGISTRY_STORAGE_INMEMORY",
            "{secretkey: hunter2}",
            "`storage.inmemory` (REGISTRY_STORAGE_INMEMORY): needs a variable for each of its parameters",
        ),
        (
            "REGISTRY_STORAGE_S3_BUCKET",
            "b",
            "`storage`: only one driver is allowed, not `inmemory` (REGISTRY_STORAGE) and `s3` \
             (REGISTRY_STORAGE_S3_BUCKET)",
        ),
    ] {
        assert_eq!(refusal(&[("REGISTRY_STORAGE", "inmemory"), (name, value)]), expected, "{name}");
    }
}

#[test]
fn the_driver_has_to_be_named_once() {
    let name = "`storage` (REGISTRY_STORAGE): has to be the name of a driver, such as `s3` or `filesystem`";
    let required = "`storage`: a driver is required, such as `s3` or `filesystem`";
    for value in ["", "{s3: {secretkey: hunter2}}", "s3: {}"] {
        assert_eq!(refusal(&[("REGISTRY_STORAGE", value)]), format!("2 mistakes: {name}; {required}"));
    }
    assert_eq!(refusal(&[("PATH", "/bin")]), required);
    assert_eq!(
        refusal(&[
            ("REGISTRY_STORAGE", "s3"),
            ("REGISTRY_STORAGE_S3_BUCKET", "a"),
            ("REGISTRY_STORAGE_S3AWS_BUCKET", "b")
        ]),
        "`storage.s3.bucket` (REGISTRY_STORAGE_S3_BUCKET): is set twice, also by \
         REGISTRY_STORAGE_S3AWS_BUCKET"
    );
    assert_eq!(
        refusal_of(Config::from_yaml_and_env(FILE, [("REGISTRY_STORAGE_GCS_BUCKET", "b")])),
        "`storage`: only one driver is allowed, not `s3` (line 4) and `gcs` (REGISTRY_STORAGE_GCS_BUCKET)"
    );
}

#[test]
fn mistakes_of_file_and_variables_come_at_once() {
    let file = "version: 0.1\nstorage:\n  s3: {bucket: b}\ntag: 7\ncatalog: {maxentries: x}\n";
    let pairs = [
        ("REGISTRY_LOG_LEVEL", "loud"),
        ("REGISTRY_HTTP_SECERT", "hunter2"),
        ("REGISTRY_TAGS_MAXTAGS", "-1"),
        ("REGISTRY_LOG_FORMATTER", "a-secret-in-the-wrong-place"),
    ];
    assert_eq!(
        refusal_of(Config::from_yaml_and_env(file, pairs)),
        "6 mistakes: `tag` (line 4): unknown, did you mean `tags`?; `http.secert` (REGISTRY_HTTP_SECERT): unknown, did \
         you mean `http.secret`?; `catalog.maxentries` (line 5): has to be a number from 0 to 4294967295; \
         `tags.maxtags` (REGISTRY_TAGS_MAXTAGS): has to be a number from 0 to 4294967295; `log.level` \
         (REGISTRY_LOG_LEVEL): has to be one of error, warn, info, debug, warning, trace, fatal, panic; \
         `log.formatter` (REGISTRY_LOG_FORMATTER): has to be one of text, json, logstash"
    );
    // A right value on top of a wrong one is right.
    let file = file.replace("tag: 7\n", "");
    let config = Config::from_yaml_and_env(&file, [("REGISTRY_CATALOG_MAXENTRIES", "7")]).unwrap();
    assert_eq!(config.max_page_size, Some(7));
}

#[test]
fn names_are_shown_within_limits() {
    let name = format!("REGISTRY_\u{1b}{}", "X".repeat(1000));
    let text = refusal(&[("REGISTRY_STORAGE", "inmemory"), (&name, "hunter2")]);
    assert!(text.len() < 400 && !text.contains('\u{1b}') && !text.contains("hunter2"), "{text}");
}

#[test]
fn trap_7_nothing_panics() {
    let texts = ["", "_", "__", "=", "é", "\0", "{", "}", "[", "~", "REGISTRY_", "\u{202e}", "a_b", "0"];
    let file = Config::from_yaml(FILE).unwrap();
    for top in ["", "STORAGE_", "STORAGE_S3_", "STORAGE_AZURE_SPN_", "LOG_FIELDS_", "HTTP_", "SERVICE_"] {
        for (name, value) in texts.iter().flat_map(|name| texts.map(|value| (name, value))) {
            let name = format!("REGISTRY_{top}{name}");
            for storage in ["s3", "azure", value] {
                let pairs = [("REGISTRY_STORAGE", storage), (name.as_str(), value)];
                let (alone, on_top) = (Config::from_env(pairs), file.merge_env(pairs));
                for error in [alone.err(), on_top.err()].into_iter().flatten() {
                    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
                }
            }
        }
    }
}
