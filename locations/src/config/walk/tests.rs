use super::super::Config;

fn parameters(storage: &str) -> Vec<(String, String)> {
    let config = Config::from_yaml(&format!("version: 0.1\nstorage: {storage}\n")).unwrap();
    let keys = config.parameters.keys();
    keys.map(|key| (key.to_owned(), config.parameters.get(key).unwrap().to_owned())).collect()
}

fn texts(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_parameter_that_is_null_is_not_given() {
    let given = texts(&[("bucket", "b"), ("region", "eu-west-1")]);
    for rest in [
        "rootdirectory: ~, keyid: null, regionendpoint: ~, encrypt: ~",
        "RootDirectory: Null, keyid: NULL, regionendpoint: , encrypt:",
    ] {
        assert_eq!(parameters(&format!("{{s3: {{bucket: b, region: eu-west-1, {rest}}}}}")), given, "{rest}");
    }
    // Nor set twice.
    assert_eq!(parameters("{s3: {bucket: ~, Bucket: b, region: eu-west-1}}"), given);
    assert_eq!(parameters("{mine: {section: {a: ~, b: c}}}"), texts(&[("section.b", "c")]));
}

#[test]
fn a_text_that_looks_like_null_is_a_text() {
    assert_eq!(
        parameters("{s3: {rootdirectory: 'null', keyid: \"~\", storageclass: '', region: nullable}}"),
        texts(&[("keyid", "~"), ("region", "nullable"), ("rootdirectory", "null"), ("storageclass", "")])
    );
}

/// A secret is always read as text.
#[test]
fn a_secret_is_a_text_even_where_it_is_written_like_null() {
    for name in [
        "accesskey",
        "SecretKey",
        "sessiontoken",
        "accountkey",
        "sastoken",
        "connectionstring",
        "credentials",
        "credentialsconfigpath",
    ] {
        let expected = texts(&[(&name.to_lowercase(), "null")]);
        assert_eq!(parameters(&format!("{{mine: {{{name}: null}}}}")), expected);
    }
    let expected = texts(&[("credentials.secret", "~")]);
    assert_eq!(parameters("{azure: {credentials: {secret: ~}}}"), expected);
}
