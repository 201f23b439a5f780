use super::*;

/// The message of a reading that fails.
fn message(parameters: &Parameters, read: impl FnOnce(&mut ParameterReader<'_>)) -> String {
    let mut reader = parameters.reader();
    read(&mut reader);
    let error = reader.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    error.to_string().replace("invalid configuration: ", "")
}

fn one(value: &str) -> Parameters {
    Parameters::new().with("k", value)
}

#[test]
fn flags_are_those_of_go() {
    let read = |text: &str| {
        let parameters = one(text);
        let mut reader = parameters.reader();
        let flag = reader.flag("k");
        (flag, reader.finish().is_ok())
    };
    for text in ["1", "t", "T", "TRUE", "true", "True"] {
        assert_eq!(read(text), (Some(true), true), "{text}");
    }
    for text in ["0", "f", "F", "FALSE", "false", "False"] {
        assert_eq!(read(text), (Some(false), true), "{text}");
    }
    assert_eq!(read(""), (None, true));
    for text in ["yes", "no", "on", "off", "tRUE", " true", "2", "null", "~"] {
        assert_eq!(read(text), (None, false), "{text}");
        let message = message(&one(text), |reader| assert_eq!(reader.flag("k"), None));
        assert_eq!(message, "`k`: has to be true or false");
    }
}

#[test]
fn numbers_and_their_ranges() {
    let read = |text: &str| {
        let parameters = one(text);
        let mut reader = parameters.reader();
        let number = reader.number("k", 5..=300);
        (number, reader.finish().is_ok())
    };
    for (text, expected) in [("5", 5), ("300", 300), ("0x10", 16), ("0XfF", 255)] {
        assert_eq!(read(text), (Some(expected), true), "{text}");
    }
    assert_eq!(read(""), (None, true));
    for text in
        ["4", "301", "-5", "+5", "1e2", "010", "0x", "0x+1", "10 ", "10.0", "1_0", "99999999999999999999"]
    {
        assert_eq!(read(text), (None, false), "{text}");
    }
    let wrong = one("1e2");
    let text = message(&wrong, |reader| assert_eq!(reader.number("k", 5..=300), None));
    assert_eq!(text, "`k`: has to be a number from 5 to 300");
    let text = message(&wrong, |reader| assert_eq!(reader.number("k", 1..=u64::MAX), None));
    assert_eq!(text, "`k`: has to be a number of at least 1");
    let text = message(&wrong, |reader| assert_eq!(reader.bytes("k", 1025..=5 << 30), None));
    assert_eq!(text, "`k`: has to be a number of bytes from 1025 to 5368709120 (5 GiB)");
}

#[test]
fn zero_is_a_number() {
    let parameters = one("0");
    let mut reader = parameters.reader();
    assert_eq!(reader.bytes("k", 0..=1), Some(0));
    reader.finish().unwrap();
}

#[test]
fn choices_have_one_spelling() {
    let parameters = one("standard_ia");
    let mut reader = parameters.reader();
    assert_eq!(reader.choice("k", &["NONE", "STANDARD_IA"]), Some("STANDARD_IA"));
    reader.finish().unwrap();
    let text = message(&one("FOO"), |reader| assert_eq!(reader.choice("k", &["A", "B"]), None));
    assert_eq!(text, "`k`: has to be one of A, B");
}

#[test]
fn secrets_are_taken_as_they_are_and_never_shown() {
    for text in ["0123456", "1e9", "~", "null", "yes", " x "] {
        let parameters = one(text);
        let mut reader = parameters.reader();
        assert_eq!(reader.secret("k").unwrap().expose(), text);
        reader.finish().unwrap();
    }
    assert_eq!(message(&one(""), |reader| assert!(reader.secret("k").is_none())), "`k`: is empty");
    // A secret in the wrong place, and one under a wrong key.
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let parameters = Parameters::new()
        .with("flag", secret)
        .with("number", secret)
        .with("choice", secret)
        .with("secretky", secret)
        .with("a", secret)
        .with("b", secret);
    let text = message(&parameters, |reader| {
        reader.flag("flag");
        reader.number("number", 0..=1);
        reader.choice("choice", &["a"]);
        reader.secret("secretkey");
        reader.conflict("a", "b");
    });
    assert!(text.starts_with("5 mistakes: ") && !text.contains("wJal"), "{text}");
}

#[test]
fn all_mistakes_are_told_with_their_places() {
    let parameters = Parameters::new()
        .with_source("location ns/default")
        .with_from("BUKET", "b", "REGISTRY_STORAGE_S3_BUKET")
        .with_from("chunksize", "12", "line 7")
        .with("secure", "on")
        .with("x\n", "1");
    let text = message(&parameters, |reader| {
        reader.required("bucket");
        reader.bytes("chunksize", 5 << 20..=5 << 30);
        reader.flag("secure");
        reader.note("line 9: a tab");
    });
    assert_eq!(
        text,
        "6 mistakes: `bucket` (location ns/default): required, but not given; `chunksize` (line 7): has to be \
         a number of bytes from 5242880 (5 MiB) to 5368709120 (5 GiB); `secure` (location \
         ns/default): has to be true or false; line 9: a tab; `buket` \
         (REGISTRY_STORAGE_S3_BUKET): unknown, did you mean `bucket`?; `…` (location ns/default): unknown"
    );
}

#[test]
fn mistakes_can_be_told_one_by_one() {
    let parameters = Parameters::new().with("x", "1").with("y", "2");
    let error = parameters.reader().finish().unwrap_err();
    assert_eq!(error.mistakes().collect::<Vec<_>>(), ["`x`: unknown", "`y`: unknown"]);
    assert!(error.message().is_some_and(|message| message.starts_with("2 mistakes: ")));
}

#[test]
fn an_empty_text_is_none() {
    let parameters = one("");
    let mut reader = parameters.reader();
    assert_eq!((reader.text("k"), reader.is_given("k")), (None, false));
    reader.conflict("k", "other");
    reader.finish().unwrap();
    assert_eq!(message(&one(""), |reader| drop(reader.required("k"))), "`k`: required, but not given");
}

/// A file of another kind has a mistake in each line.
#[test]
fn few_of_many_mistakes_are_told() {
    let many: Parameters = (0..1000).map(|n| (format!("key{n:03}"), "x")).collect();
    let text = message(&many, |reader| {
        reader.note("line 9: a tab");
    });
    assert!(text.starts_with("1001 mistakes: line 9: a tab; `key000`: unknown; "), "{text}");
    assert!(text.ends_with("; `key018`: unknown; and 981 more"), "{text}");
    let text = message(&Parameters::new(), |reader| (0..22).for_each(|_| reader.note("a")));
    assert_eq!(text, format!("22 mistakes: {}and 2 more", "a; ".repeat(20)));
    let text = message(&Parameters::new(), |reader| (0..20).for_each(|_| reader.note("a")));
    assert_eq!(text, format!("20 mistakes: {}a", "a; ".repeat(19)));
}
