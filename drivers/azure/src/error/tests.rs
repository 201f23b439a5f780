//! A test for each row of the tables, and for the messages.

use super::*;

#[test]
fn every_code_has_its_kind() {
    for (code, expected) in CODES {
        // Whatever the status says.
        for status in [None, Some(400), Some(404), Some(409), Some(412), Some(500)] {
            assert_eq!(kind(status, Some(code)), *expected, "{code}");
        }
    }
}

#[test]
fn every_status_has_its_kind() {
    for (status, expected) in STATUSES {
        assert_eq!(kind(Some(*status), None), *expected, "{status}");
        assert_eq!(kind(Some(*status), Some("Unheard")), *expected, "{status}");
    }
    assert_eq!(kind(Some(599), None), ErrorKind::Unavailable);
    assert_eq!(kind(Some(200), None), ErrorKind::Unavailable);
    assert_eq!(kind(Some(418), None), ErrorKind::Other);
    assert_eq!(kind(None, None), ErrorKind::Other);
}

#[test]
fn only_a_404_is_not_found() {
    let codes = CODES.iter().filter(|(_, kind)| *kind == ErrorKind::NotFound).map(|(code, _)| *code);
    assert_eq!(codes.collect::<Vec<_>>(), ["BlobNotFound", "PathNotFound", "ResourceNotFound"]);
    let statuses = STATUSES.iter().filter(|(_, kind)| *kind == ErrorKind::NotFound);
    assert_eq!(statuses.map(|(status, _)| *status).collect::<Vec<_>>(), [404]);
}

/// Each code with advice of its own, and a word of it.
#[test]
fn messages_say_what_to_look_at() {
    for (status, code, part) in [
        (404, "ContainerNotFound", "check `container`"),
        (409, "ContainerBeingDeleted", "created again"),
        (400, "AccountRequiresHttps", "https"),
        (403, "AuthorizationProtocolMismatch", "https"),
        (403, "AccountIsDisabled", "disabled"),
        (403, "ContainerDisabled", "disabled"),
        (403, "AuthenticationFailed", "`accountkey`"),
        (401, "InvalidAuthenticationInfo", "`accountkey`"),
        (401, "NoAuthenticationInformation", "missing"),
        (409, "PublicAccessNotPermitted", "missing"),
        (403, "KeyBasedAuthenticationNotPermitted", "`credentials.type`"),
        (403, "AuthorizationFailure", "network rules"),
        (403, "AuthorizationSourceIPMismatch", "network rules"),
        (403, "AuthorizationPermissionMismatch", "Storage Blob Data Contributor"),
        (409, "BlobArchived", "archived"),
        (409, "BlobBeingRehydrated", "archived"),
        (409, "BlobImmutableDueToLegalHold", "legal hold"),
        (409, "BlobImmutableDueToPolicy", "immutability policy"),
        (412, "LeaseIdMissing", "lease"),
        (412, "LeaseIdMismatchWithBlobOperation", "lease"),
        (412, "LeaseNotPresentWithBlobOperation", "lease"),
        (400, "InvalidBlobOrBlock", "another program"),
        (409, "FeatureVersionMismatch", "too old"),
    ] {
        let answer = Answer { status: Some(status), code: Some(code), ..Answer::default() };
        let text = of_answer(&answer).to_string();
        assert!(text.contains(code) && text.contains(part), "{text}");
    }
    let head = Answer { status: Some(403), ..Answer::default() };
    assert!(of_answer(&head).to_string().contains("SAS token with"), "{}", of_answer(&head));
    let busy = Answer {
        status: Some(503),
        code: Some("ServerBusy"),
        message: Some("The server is busy.\nRequestId:17\nTime:now"),
        request_id: Some("17"),
        ..Answer::default()
    };
    assert_eq!(of_answer(&busy).to_string(), "rate limited: ServerBusy: The server is busy., request 17");
}

#[test]
fn a_clock_that_is_off_and_a_token_that_expired_are_said() {
    let refused = |detail| {
        let answer = Answer {
            status: Some(403),
            code: Some("AuthenticationFailed"),
            detail: Some(detail),
            ..Answer::default()
        };
        of_answer(&answer).to_string()
    };
    let old = refused("Request date header too old: 'Mon, 30 Nov 2026 10:00:00 GMT'");
    assert!(old.ends_with("(check this machine's clock)"), "{old}");
    let expired = refused(
        "Signature not valid in the specified time frame: Start [Sun, 01 Nov 2026 00:00:00 GMT] - Expiry [Mon, 02 \
         Nov 2026 00:00:00 GMT] - Current [Mon, 30 Nov 2026 10:00:00 GMT]",
    );
    assert!(expired.contains("until Mon, 02 Nov 2026 00:00:00 GMT"), "{expired}");
    // It quotes what was signed, and the signature.
    let wrong =
        refused("The MAC signature found in the HTTP request 'canary' is not the same as any computed one.");
    assert!(!wrong.contains("canary") && wrong.contains("`accountkey`"), "{wrong}");
}

#[test]
fn foreign_text_steers_no_terminal() {
    let (steers, long) = ("\u{1b}]0;x\u{7}\u{202e}\n", "L".repeat(1 << 20));
    for text in [steers, long.as_str()] {
        let said = Answer {
            status: Some(403),
            code: Some(text),
            message: Some(text),
            detail: Some(text),
            request_id: Some(text),
        };
        let text = of_answer(&said).to_string();
        assert!(text.len() < 1000 && !text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\n']), "{text}");
    }
}

#[test]
fn a_code_is_remembered() {
    let answer = Answer { status: Some(400), code: Some("InvalidBlockList"), ..Answer::default() };
    let error = of_answer(&answer);
    assert!(has_code(&error, "InvalidBlockList") && !has_code(&error, "InvalidBlobType"));
    assert!(!has_code(&of_answer(&Answer::default()), ""));
}

#[test]
fn codes_are_found_in_headers_and_documents() {
    let document =
        b"<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code><Message>It is gone.</Message></Error>";
    assert_eq!(element(document, "Code"), Some("BlobNotFound"));
    for document in ["", "<Error/>", "<Code>", "</Code>"] {
        assert_eq!(element(document.as_bytes(), "Code"), None);
    }
    let raw = |headers: &[(&'static str, &'static str)], body: &'static [u8]| {
        let mut all = azure_core::http::headers::Headers::new();
        headers.iter().for_each(|(name, value)| all.insert(*name, *value));
        RawResponse::from_bytes(404.into(), all, body)
    };
    let by_document = of_response(404, Some(&raw(&[], document)));
    assert_eq!(by_document.to_string(), "not found: BlobNotFound: It is gone.");
    let by_header = of_response(404, Some(&raw(&[("x-ms-error-code", "ContainerNotFound")], b"")));
    assert_eq!(by_header.kind(), ErrorKind::InvalidConfig);
    let by_status = of_response(404, Some(&raw(&[], b"")));
    assert_eq!(by_status.to_string(), "not found: status 404 without a code");
}
