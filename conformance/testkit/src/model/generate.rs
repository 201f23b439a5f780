//! How sequences of calls are generated.

use plugin_registry_core::Algorithm;
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any},
    prop_oneof,
    sample::{Index, select},
    strategy::{BoxedStrategy, Union},
};

use super::{
    call::{At, Body, By, Call, Chunk, Cut, Media, Mode, Name, Named, Pick, PutBy, Size, What},
    world::{ALGORITHMS, BILL, REPOSITORIES, SIGNATURE, TAGS, WORLD},
};

/// Random sequences of 1 to 40 calls.
pub(super) fn calls() -> impl Strategy<Value = Vec<Call>> {
    let bursts = prop_oneof![
        12 => call().prop_map(|call| vec![call]),
        2 => cut_one(image()),
        1 => cut_one(session()),
        2 => cut_one(requests()),
    ];
    vec(bursts, 1..30).prop_map(|bursts| {
        let mut calls: Vec<Call> = bursts.into_iter().flatten().collect();
        calls.truncate(40);
        calls
    })
}

fn call() -> impl Strategy<Value = Call> {
    (0..2_usize, option::weighted(0.15, cut()), what()).prop_map(|(on, cut, what)| Call { on, cut, what })
}

fn cut() -> impl Strategy<Value = Cut> {
    (prop_oneof![1 => 0..2_usize, 1 => 0..8_usize], any::<bool>())
        .prop_map(|(change, done)| Cut { change, done })
}

/// Cuts one of some calls, in some cases.
fn cut_one(calls: impl Strategy<Value = Vec<Call>>) -> impl Strategy<Value = Vec<Call>> {
    (calls, option::weighted(0.4, (any::<Index>(), cut()))).prop_map(|(mut calls, cut)| {
        if let Some((index, cut)) = cut {
            index.get_mut(&mut calls).cut = Some(cut);
        }
        calls
    })
}

/// The blobs of a document, and then the document.
fn image() -> impl Strategy<Value = Vec<Call>> {
    (0..2_usize, repository(), select(&[0, 1, 2, 3, 6, 9][..]), select(&TAGS[..])).prop_map(
        |(on, to, document, tag)| {
            let needed = &WORLD.documents[document].blobs;
            let pushes = needed.iter().map(|(digest, _)| What::Push {
                to,
                blob: WORLD.blobs.iter().position(|blob| blob == WORLD.content(digest)).unwrap(),
                by: digest.algorithm(),
                size: Size::Right,
                body: Body::Whole,
            });
            let put = What::PutManifest { to, document, by: PutBy::Tag(tag), media_type: Media::Right };
            pushes.chain([put]).map(|what| Call { on, cut: None, what }).collect()
        },
    )
}

/// An upload in two chunks, on one registry or two.
fn session() -> impl Strategy<Value = Vec<Call>> {
    (repository(), blob(), algorithm(), vec(0..2_usize, 4)).prop_map(|(to, blob, by, on)| {
        let session = Pick { back: 0, elsewhere: false };
        let (at, length, body) = (At::Right, Size::Right, Body::Whole);
        let append = |content| What::Append { session, at, length, content, body };
        let finish =
            What::Finish { session, at, length, content: Chunk::Nothing, body, digest: Named::Right(by) };
        let whats =
            [What::Start { to, blob, by }, append(Chunk::Quarters(2)), append(Chunk::Quarters(4)), finish];
        // The first bytes make a session known to the other registry.
        let on = [on[0], on[0], on[2], on[3]];
        whats.into_iter().zip(on).map(|(what, on)| Call { on, cut: None, what }).collect()
    })
}

/// An upload with any requests, most of them on the registry that began it.
fn requests() -> impl Strategy<Value = Vec<Call>> {
    let on = prop_oneof![3 => Just(0_usize), 1 => Just(1_usize)];
    let start = (0..2_usize, repository(), blob(), algorithm());
    (start, vec((on, request(Just(0).boxed())), 1..6)).prop_map(|((first, to, blob, by), requests)| {
        let start = Call { on: first, cut: None, what: What::Start { to, blob, by } };
        let requests = requests.into_iter().map(|(on, what)| Call { on: (first + on) % 2, cut: None, what });
        [start].into_iter().chain(requests).collect()
    })
}

/// One repository comes more often than the others, so that calls meet.
fn repository() -> impl Strategy<Value = Name> {
    prop_oneof![2 => Just(REPOSITORIES[0]), 3 => select(&REPOSITORIES[..])]
}

fn tag() -> impl Strategy<Value = Name> {
    select(&TAGS[..])
}

fn blob() -> impl Strategy<Value = usize> {
    0..WORLD.blobs.len()
}

fn document() -> impl Strategy<Value = usize> {
    0..WORLD.documents.len()
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![3 => Just(ALGORITHMS[0]), 1 => Just(ALGORITHMS[1])]
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![10 => Just(Size::Right), 4 => Just(Size::Unsaid), 1 => Just(Size::OneMore), 1 => Just(Size::OneLess)]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        12 => Just(Body::Whole),
        2 => Just(Body::Untidy),
        1 => Just(Body::Wrong),
        1 => Just(Body::FailsAtOnce),
        2 => Just(Body::FailsMidway),
    ]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![
        1 => tag().prop_map(By::Tag),
        1 => (document(), algorithm()).prop_map(|(document, by)| By::Digest(document, by)),
    ]
}

/// A request to a session.
fn request(back: BoxedStrategy<usize>) -> impl Strategy<Value = What> {
    let elsewhere = prop_oneof![20 => Just(false), 1 => Just(true)];
    let pick = (back, elsewhere).prop_map(|(back, elsewhere)| Pick { back, elsewhere });
    let at = prop_oneof![
        3 => Just(At::Unsaid),
        10 => Just(At::Right),
        1 => Just(At::Zero),
        1 => Just(At::OneMore),
        1 => Just(At::OneLess),
    ];
    let chunk = prop_oneof![
        3 => Just(Chunk::Nothing),
        6 => (1..=4_usize).prop_map(Chunk::Quarters),
        1 => Just(Chunk::Everything),
        1 => Just(Chunk::Rubbish),
    ];
    let digest = prop_oneof![6 => algorithm().prop_map(Named::Right), 1 => blob().prop_map(Named::Blob)];
    let kind = prop_oneof![6 => Just(0), 6 => Just(1), 2 => Just(2), 1 => Just(3)];
    (kind, pick, at, (size(), chunk, body()), digest).prop_map(
        |(kind, session, at, (length, content, body), digest)| match kind {
            0 => What::Append { session, at, length, content, body },
            1 => What::Finish { session, at, length, content, body, digest },
            2 => What::Status { session },
            _ => What::Cancel { session },
        },
    )
}

/// A call that puts a manifest.
fn put() -> impl Strategy<Value = What> {
    let media = prop_oneof![
        8 => Just(Media::Right),
        1 => Just(Media::Unsaid),
        1 => Just(Media::Json),
        1 => Just(Media::Other),
        1 => Just(Media::Text),
    ];
    let by = prop_oneof![
        8 => tag().prop_map(PutBy::Tag),
        4 => algorithm().prop_map(PutBy::Digest),
        1 => Just(PutBy::OtherDigest),
        3 => (algorithm(), vec(tag(), 0..3)).prop_map(|(by, tags)| PutBy::Both(by, tags)),
    ];
    (repository(), document(), by, media).prop_map(|(to, document, by, media_type)| What::PutManifest {
        to,
        document,
        by,
        media_type,
    })
}

fn what() -> impl Strategy<Value = What> {
    let one = || (repository(), blob(), algorithm());
    let offset = prop_oneof![4 => 0..25_u64, 1 => select(&[300_u64, 2000, 9000, 9001][..])];
    let limit = || prop_oneof![3 => 0..4_usize, 1 => Just(usize::MAX)];
    let filter = option::of(select(&[SIGNATURE, BILL, "x/none"][..]));
    let names = select(&["a", "a-", "a-b", "a/a", "v1", "v1-", "zz"][..]);
    let repositories = select(&["a", "a-b", "a/b", "a/a", "0", "zz"][..]);
    let mode = prop_oneof![
        5 => Just(Mode::Default),
        4 => Just(Mode::Forgetful),
        2 => Just(Mode::ReadOnly),
        2 => Just(Mode::Keeping),
    ];
    Union::new_weighted(vec![
        (
            10,
            (one(), size(), body())
                .prop_map(|((to, blob, by), size, body)| What::Push { to, blob, by, size, body })
                .boxed(),
        ),
        (4, one().prop_map(|(to, blob, by)| What::Start { to, blob, by }).boxed()),
        (10, request(prop_oneof![6 => Just(0), 2 => Just(1), 1 => Just(2)].boxed()).boxed()),
        (
            4,
            (repository(), one())
                .prop_map(|(from, (to, blob, by))| What::Mount { from, to, blob, by })
                .boxed(),
        ),
        (3, one().prop_map(|(to, blob, by)| What::MountAny { to, blob, by }).boxed()),
        (1, one().prop_map(|(of, blob, by)| What::Stat { of, blob, by }).boxed()),
        (
            2,
            (one(), offset, option::of(0..30_u64))
                .prop_map(|((of, blob, by), offset, length)| What::Open { of, blob, by, offset, length })
                .boxed(),
        ),
        (
            1,
            (one(), select(&[0_usize, 20, 100_000][..]))
                .prop_map(|((of, blob, by), limit)| What::Get { of, blob, by, limit })
                .boxed(),
        ),
        (1, (repository(), algorithm()).prop_map(|(of, by)| What::Missing { of, by }).boxed()),
        (2, one().prop_map(|(of, blob, by)| What::DeleteBlob { of, blob, by }).boxed()),
        (12, put().boxed()),
        (2, (repository(), by()).prop_map(|(of, by)| What::GetManifest { of, by }).boxed()),
        (1, (repository(), by()).prop_map(|(of, by)| What::ManifestExists { of, by }).boxed()),
        (4, (repository(), by()).prop_map(|(of, by)| What::DeleteManifest { of, by }).boxed()),
        (1, (repository(), tag()).prop_map(|(of, tag)| What::Resolve { of, tag }).boxed()),
        (
            2,
            (repository(), option::of(names), limit())
                .prop_map(|(of, last, limit)| What::ListTags { of, last, limit })
                .boxed(),
        ),
        (2, (repository(), tag()).prop_map(|(of, tag)| What::DeleteTag { of, tag }).boxed()),
        (
            2,
            (option::of(repositories), limit())
                .prop_map(|(last, limit)| What::Catalog { last, limit })
                .boxed(),
        ),
        (
            2,
            (repository(), 0..2_usize, algorithm(), filter)
                .prop_map(|(of, document, by, filter)| What::Referrers { of, document, by, filter })
                .boxed(),
        ),
        (1, option::of(repository()).prop_map(|of| What::Verify { of }).boxed()),
        (3, mode.prop_map(What::Reopen).boxed()),
    ])
}
