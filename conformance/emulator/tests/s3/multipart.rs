//! Uploads of parts.

use plugin_registry_emulator::s3::{Fault, Kind};

use crate::client::{ask, begin, complete, get, part, put, server};

#[test]
fn parts_become_an_object() {
    let server = server(|builder| builder.min_part(3));
    let id = ask(&server, "POST", "k?uploads", &[("x-amz-meta-put-id", "7")], b"").one("UploadId");
    let one = part(&server, "k", &id, 1, b"hello");
    let two = part(&server, "k", &id, 3, b"x");
    assert_eq!((server.uploads().len(), server.objects().len()), (1, 0));
    let answer = complete(&server, "k", &id, &[(1, &one), (3, &two)], &[]).unwrap();
    assert_eq!(answer.one("ETag"), format!("\"{}-2\"", sum_of_sums()));
    assert_eq!((server.uploads().len(), get(&server, "k").text().as_str()), (0, "hellox"));
    assert_eq!(get(&server, "k").header("x-amz-meta-put-id"), "7");
    let again = complete(&server, "k", &id, &[(1, &one), (3, &two)], &[]).unwrap();
    assert_eq!((again.status, again.one("Code").as_str()), (404, "NoSuchUpload"));
}

fn sum_of_sums() -> String {
    use s3s::crypto::{Checksum as _, Md5};
    let sums = [Md5::checksum(b"hello"), Md5::checksum(b"x")].concat();
    Md5::checksum(&sums).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn completions_are_checked() {
    let server = server(|builder| builder.min_part(3).limits(|limits| limits.max_parts = 4));
    let id = begin(&server, "k");
    let one = part(&server, "k", &id, 1, b"he");
    let two = part(&server, "k", &id, 2, b"llo");
    let code = |parts: &[(i32, &str)]| complete(&server, "k", &id, parts, &[]).unwrap().one("Code");
    assert_eq!(code(&[(1, &one), (2, &two)]), "EntityTooSmall");
    assert_eq!(code(&[(2, &two), (1, &one)]), "InvalidPartOrder");
    assert_eq!(code(&[(1, &two)]), "InvalidPart");
    assert_eq!(code(&[(3, &two)]), "InvalidPart");
    assert_eq!(put(&server, &format!("k?partNumber=5&uploadId={id}"), b"x").one("Code"), "InvalidArgument");
    server.put_raw("k", "there");
    let refused = complete(&server, "k", &id, &[(2, &two)], &[("if-none-match", "*")]).unwrap();
    assert_eq!((refused.status, server.uploads().len()), (412, 1));
    assert_eq!(ask(&server, "DELETE", &format!("k?uploadId={id}"), &[], b"").status, 204);
    assert_eq!(ask(&server, "DELETE", &format!("k?uploadId={id}"), &[], b"").one("Code"), "NoSuchUpload");
}

#[test]
fn parts_are_copied() {
    let server = server(|builder| builder.limits(|limits| limits.max_part = 5));
    server.put_raw("from", "0123456789");
    let id = begin(&server, "k");
    let copy = |range: &[(&str, &str)]| {
        let headers = [&[("x-amz-copy-source", "registry/from")], range].concat();
        ask(&server, "PUT", &format!("k?partNumber=1&uploadId={id}"), &headers, b"")
    };
    let answer = copy(&[("x-amz-copy-source-range", "bytes=2-5")]);
    complete(&server, "k", &id, &[(1, &answer.one("ETag"))], &[]).unwrap();
    assert_eq!(get(&server, "k").text(), "2345");
    assert_eq!(copy(&[]).one("Code"), "InvalidRequest");
    assert_eq!(copy(&[("x-amz-copy-source-range", "bytes=2-10")]).one("Code"), "InvalidArgument");
}

#[test]
fn lists_of_parts_and_uploads_have_pages() {
    let server = server(|builder| builder.page_size(2));
    let ids = [begin(&server, "a"), begin(&server, "a"), begin(&server, "b")];
    (1..=3).for_each(|number| drop(part(&server, "a", &ids[0], number, b"x")));
    let parts = |query: &str| get(&server, &format!("a?uploadId={}{query}", ids[0]));
    let first = parts("");
    assert_eq!((first.all("PartNumber"), first.one("IsTruncated")), (numbers(&[1, 2]), "true".into()));
    assert_eq!(first.one("NextPartNumberMarker"), "2");
    assert_eq!(parts("&part-number-marker=2").all("PartNumber"), numbers(&[3]));
    server.fault(Fault::new(Kind::MarkerIgnored).on("ListParts"));
    assert_eq!(parts("&part-number-marker=2").all("PartNumber"), numbers(&[1, 2, 3]));
    server.fault(Fault::new(Kind::Unordered).on("ListParts"));
    assert_eq!(parts("").all("PartNumber"), numbers(&[2, 1]));

    let first = get(&server, "?uploads");
    assert_eq!(first.all("UploadId"), ids[..2]);
    let marker = format!("?uploads&key-marker=a&upload-id-marker={}", first.one("NextUploadIdMarker"));
    assert_eq!(get(&server, &marker).all("UploadId"), ids[2..]);
    assert_eq!(get(&server, "?uploads&prefix=b").all("Key"), ["b"]);
    assert_eq!(get(&server, "?uploads&key-marker=a").all("Key"), ["b"]);
}

fn numbers(numbers: &[i32]) -> Vec<String> {
    numbers.iter().map(i32::to_string).collect()
}
