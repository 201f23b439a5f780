//! Lists of objects, and how they go wrong.

use plugin_registry_emulator::s3::{DelimiterRule, Fault, Kind, Server};

use crate::client::{get, server};

/// All keys and common prefixes, page by page.
fn all(server: &Server, query: &str) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let answer = get(server, &format!("?list-type=2&{query}{token}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        found.extend(answer.all("Key"));
        for folded in answer.all("CommonPrefixes") {
            found.push(folded.replace("<Prefix>", "").replace("</Prefix>", ""));
        }
        pages += 1;
        if answer.one("IsTruncated") != "true" {
            return (found, pages);
        }
        token = format!("&continuation-token={}", answer.one("NextContinuationToken"));
    }
}

fn filled() -> Server {
    let server = server(|builder| builder.page_size(2));
    for key in ["r/a/_layers/x", "r/a/_layers/y", "r/a/b/_layers/z", "r/a-b/_manifests/t", "s"] {
        server.put_raw(key, "x");
    }
    server
}

#[test]
fn lists_have_pages() {
    let server = filled();
    let (keys, pages) = all(&server, "");
    let sorted = ["r/a-b/_manifests/t", "r/a/_layers/x", "r/a/_layers/y", "r/a/b/_layers/z", "s"];
    assert_eq!((keys, pages), (sorted.map(str::to_owned).to_vec(), 3));
    assert_eq!(all(&server, "prefix=r%2F&max-keys=1").1, 4);
    assert_eq!(all(&server, "start-after=r%2Fa%2Fb").0, ["r/a/b/_layers/z", "s"]);
    assert_eq!(all(&server, "prefix=r%2F&delimiter=%2F").0, ["r/a-b/", "r/a/"]);
    assert_eq!(get(&server, "?list-type=2&continuation-token=zz").one("Code"), "InvalidArgument");
    assert_eq!(get(&server, "?prefix=r%2F&delimiter=%2F&max-keys=1").one("NextMarker"), "r/a-b/");
}

#[test]
fn delimiters_have_any_length() {
    let server = filled();
    let query = "prefix=r%2F&delimiter=%2F_layers";
    assert_eq!(all(&server, query).0, ["r/a-b/_manifests/t", "r/a/_layers", "r/a/b/_layers"]);
    server.quirks(|quirks| quirks.delimiter = DelimiterRule::FirstCharacter);
    assert_eq!(all(&server, query).0, ["r/a-b/", "r/a/"]);
    server.quirks(|quirks| quirks.delimiter = DelimiterRule::Ignored);
    assert_eq!(all(&server, query).0.len(), 4);
}

#[test]
fn lists_go_wrong() {
    let server = filled();
    let list = || get(&server, "?list-type=2");
    let fault = |kind: Kind| server.fault(Fault::new(kind).on("ListObjectsV2"));

    fault(Kind::RepeatedToken);
    let token = list().one("NextContinuationToken");
    fault(Kind::RepeatedToken);
    let second = get(&server, &format!("?list-type=2&continuation-token={token}"));
    assert_eq!((second.one("NextContinuationToken"), second.all("Key")), (token, list().all("Key")));

    fault(Kind::NoToken);
    let answer = list();
    assert_eq!((answer.one("IsTruncated").as_str(), answer.all("NextContinuationToken").len()), ("true", 0));
    fault(Kind::EarlyEnd);
    assert_eq!(list().one("IsTruncated"), "false");
    fault(Kind::Unordered);
    assert_eq!(list().all("Key"), ["r/a/_layers/x", "r/a-b/_manifests/t"]);

    server.put_raw("a", "new");
    fault(Kind::Stale);
    assert!(!list().all("Key").contains(&"a".to_owned()));
    assert!(list().all("Key").contains(&"a".to_owned()));
    server.quirks(|quirks| quirks.stale_lists = true);
    server.remove_raw("a");
    assert!(list().all("Key").contains(&"a".to_owned()));
    assert!(server.faults_left().is_empty());
}
