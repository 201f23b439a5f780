//! Plans of typical requests, from which the fuzzer starts.

use super::{
    content::{ARTIFACT, CHILDREN, DOCKER, IMAGE, RAW, SPLICED},
    plan::{Content, Plan, Step},
};

const GET: u8 = 0;
const HEAD: u8 = 1;
const POST: u8 = 2;
const PUT: u8 = 3;
const PATCH: u8 = 4;
const DELETE: u8 = 5;

const CATALOG: u8 = 1;
const TAGS: u8 = 2;
const BY_TAG: u8 = 3;
const BY_DIGEST: u8 = 4;
const BLOB: u8 = 5;
const START: u8 = 6;
const UPLOAD: u8 = 7;
const STATELESS: u8 = 9;
const ELSEWHERE: u8 = 10;
const FORGED: u8 = 11;
const REFERRERS: u8 = 12;
const RAW_PATH: u8 = 13;

const SHA512: u8 = 6 * 32;

fn ask(method: u8, place: u8, pick: u8) -> Step {
    Step { method, place, pick, ..Step::default() }
}

impl Step {
    fn with(mut self, kind: u8, value: u8) -> Self {
        self.params.push((kind, value));
        self
    }

    fn header(mut self, kind: u8, value: u8) -> Self {
        self.headers.push((kind, value));
        self
    }

    fn sends(mut self, content: u8, part: u8, delivery: u8, length: u8) -> Self {
        self.body = Content { content, part, delivery, length };
        self
    }

    fn raw(mut self, raw: &[u8]) -> Self {
        self.raw = raw.to_vec();
        self
    }

    fn of(mut self, name: u8) -> Self {
        self.name = name;
        self
    }
}

fn push(content: u8) -> Step {
    ask(POST, START, 0).with(0, content).sends(content, 0, 0, 2)
}

fn put(content: u8, tag: u8) -> Step {
    ask(PUT, BY_TAG, tag).sends(content, 0, 0, 2).header(7, 0)
}

fn image(rest: impl IntoIterator<Item = Step>) -> Vec<Step> {
    [push(1), push(2), push(3), put(IMAGE, 0)].into_iter().chain(rest).collect()
}

/// A fault in a request that no plan has.
const NEVER: (u8, u8, u8) = (u8::MAX, 0, 0);

/// Named plans.
pub(in crate::fuzz) fn plans() -> Vec<(&'static str, Plan)> {
    let whole = |steps: Vec<Step>| Plan { fault: NEVER, steps, ..Plan::default() };
    let sparse = |steps: Vec<Step>| Plan { options: 3, fault: NEVER, steps };
    let failing = |fault: (u8, u8, u8), steps: Vec<Step>| Plan { fault, steps, ..Plan::default() };
    let start = || ask(POST, START, 0);
    vec![
        (
            "chunks",
            whole(vec![
                start(),
                ask(PATCH, UPLOAD, 0).sends(3, 2, 0, 2).header(3, 0),
                ask(PATCH, UPLOAD, 0).sends(3, 3, 128, 2).header(3, 3),
                ask(GET, UPLOAD, 0),
                ask(PUT, UPLOAD, 0).with(0, 3),
                ask(GET, BLOB, 3).header(0, 1),
                ask(HEAD, BLOB, 3),
            ]),
        ),
        (
            "chunk-out-of-order",
            whole(vec![
                start(),
                ask(PATCH, UPLOAD, 0).sends(3, 3, 0, 2).header(3, 3),
                ask(PATCH, STATELESS, 0).sends(3, 2, 0, 0),
                ask(PATCH, UPLOAD, 1).sends(3, 2, 0, 0),
                ask(PUT, UPLOAD, 0).sends(3, 3, 0, 2).with(0, 3),
            ]),
        ),
        (
            "torn-append",
            whole(vec![
                start(),
                ask(PATCH, UPLOAD, 0).sends(4, 2, 0x84, 2),
                ask(GET, STATELESS, 0),
                ask(PATCH, STATELESS, 0).sends(4, 3, 0x86, 0),
                ask(GET, STATELESS, 0).of(224),
                ask(PUT, STATELESS, 0).sends(4, 3, 0, 2).with(0, 4),
            ]),
        ),
        (
            "session-elsewhere",
            whole(vec![
                start(),
                ask(PATCH, UPLOAD, 0).sends(4, 2, 0, 2),
                ask(PATCH, ELSEWHERE, 0).sends(4, 3, 0, 2).of(224),
                ask(PUT, UPLOAD, 0).sends(4, 3, 0, 2).with(0, SHA512 | 4).of(224),
                ask(GET, BLOB, SHA512 | 4),
            ]),
        ),
        (
            "forged-state",
            whole(vec![
                start(),
                ask(PATCH, FORGED, 6).sends(2, 0, 0, 2),
                ask(GET, FORGED, 7),
                ask(PATCH, FORGED, 2).sends(2, 0, 0, 0),
                ask(PUT, FORGED, 0).sends(2, 0, 0, 0).with(0, 2).of(224),
            ]),
        ),
        (
            "cancel",
            whole(vec![
                start(),
                ask(PATCH, UPLOAD, 0).sends(3, 0, 2, 2),
                ask(DELETE, UPLOAD, 0),
                ask(PUT, UPLOAD, 0).with(0, 3),
            ]),
        ),
        (
            "image-by-tag",
            whole(image([
                ask(GET, BY_TAG, 0).header(8, 0).raw(b"text/html"),
                ask(HEAD, BY_DIGEST, IMAGE),
                ask(GET, TAGS, 0).with(6, 1),
                ask(GET, CATALOG, 0).with(7, 0),
                ask(DELETE, BY_TAG, 0),
                ask(DELETE, BY_DIGEST, IMAGE),
            ])),
        ),
        (
            "index-and-docker",
            whole(image([
                put(CHILDREN, 1),
                put(DOCKER, 2),
                put(8, 3),
                ask(GET, BY_DIGEST, CHILDREN),
                ask(GET, BY_TAG, 2).header(1, DOCKER | 1),
            ])),
        ),
        (
            "referrers",
            whole(image([
                put(ARTIFACT, 1),
                put(10, 2),
                ask(GET, REFERRERS, IMAGE).with(8, 0).with(6, 1),
                ask(GET, REFERRERS, ARTIFACT),
            ])),
        ),
        (
            "mounts",
            whole(vec![
                push(2),
                start().with(3, 2).with(4, 0).of(5),
                start().with(3, 3).of(5),
                start().with(3, SHA512 | 2).of(7),
                ask(DELETE, BLOB, 2).of(5),
                ask(GET, BLOB, 2),
            ]),
        ),
        (
            "sha512",
            whole(vec![
                ask(POST, START, 0).with(0, SHA512 | 3).sends(3, 0, 0, 2),
                ask(HEAD, BLOB, SHA512 | 3),
                start().with(2, 2),
                ask(PATCH, UPLOAD, 0).sends(2, 0, 0, 2),
                ask(PUT, UPLOAD, 0).with(0, SHA512 | 2),
                ask(DELETE, BLOB, SHA512 | 2),
            ]),
        ),
        (
            "ranges",
            whole(vec![
                push(3),
                ask(GET, BLOB, 3).header(0, 3),
                ask(GET, BLOB, 3).header(0, 4),
                ask(GET, BLOB, 3).header(0, 5),
                ask(GET, BLOB, 3).header(0, 2).header(2, 3),
                ask(GET, BLOB, 3).header(0, 8).raw(b"bytes=0-0,,9-,-1"),
            ]),
        ),
        (
            "many-tags",
            sparse(vec![
                ask(PUT, BY_DIGEST, IMAGE).sends(IMAGE, 0, 0, 2).with(10, 20),
                ask(PUT, BY_DIGEST, IMAGE).sends(IMAGE, 0, 0, 2).with(10, 120),
                ask(GET, TAGS, 0).with(6, 2).with(7, 1),
            ]),
        ),
        (
            "large-errors",
            whole(vec![
                put(12, 0),
                put(13, 0),
                put(14, 0),
                put(15, 0),
                ask(PUT, BY_TAG, 0).sends(15, 0, 0x80, 0),
            ]),
        ),
        ("foreign-layers", whole(vec![push(1), put(11, 0), ask(GET, BY_TAG, 0)])),
        (
            "spliced-manifest",
            sparse(vec![
                put(SPLICED, 0).raw(br#""annotations":{"a":"b"},"x":[1,{"y":null}]"#),
                put(RAW, 1).raw(br#"{"schemaVersion":2,"manifests":[]}"#),
                ask(GET, BY_TAG, 1),
            ]),
        ),
        (
            "raw-paths",
            whole(vec![
                ask(GET, RAW_PATH, 0).raw(b"v2/a/../b/tags/list?n=1"),
                ask(PUT, RAW_PATH, 0).raw(b"v2/a/manifests/x?tag=%").sends(RAW, 0, 0, 0),
            ]),
        ),
        (
            "fault-in-commit",
            failing(
                (2, 3, 0),
                vec![
                    start(),
                    ask(PATCH, UPLOAD, 0).sends(3, 2, 0, 2),
                    ask(PUT, UPLOAD, 0).sends(3, 3, 0, 2).with(0, 3),
                    ask(GET, STATELESS, 0),
                    ask(PUT, STATELESS, 0).sends(3, 3, 0, 2).with(0, 3),
                    push(3),
                ],
            ),
        ),
        (
            "fault-after-commit",
            failing(
                (2, 3, 128),
                vec![
                    start(),
                    ask(PATCH, UPLOAD, 0).sends(3, 2, 0, 2),
                    ask(PUT, UPLOAD, 0).sends(3, 3, 0, 2).with(0, 3),
                    ask(PUT, STATELESS, 0).with(0, 3),
                    ask(GET, BLOB, 3),
                ],
            ),
        ),
        ("fault-in-read", failing((4, 1, 129), image([ask(GET, BLOB, 3), ask(GET, BLOB, 3)]))),
        ("fault-in-push", failing((3, 4, 1), image([ask(GET, BY_TAG, 0), put(IMAGE, 0)]))),
    ]
}

#[cfg(test)]
mod tests {
    use arbitrary::Unstructured;

    use super::*;

    #[test]
    fn plans_are_read_as_they_were_written() {
        for (name, plan) in plans() {
            let bytes = plan.to_bytes();
            assert_eq!(Unstructured::new(&bytes).arbitrary::<Plan>().unwrap(), plan, "{name}");
        }
    }

    /// A seed that is meant to succeed teaches nothing if its first driver call fails.
    #[test]
    fn only_faulty_plans_have_a_fault() {
        for (name, plan) in plans() {
            let has_fault = usize::from(plan.fault.0) < plan.steps.len();
            assert_eq!(has_fault, name.contains("fault"), "{name}");
        }
    }
}
