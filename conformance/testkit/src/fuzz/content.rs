//! Content on its way in and out: nothing passes that does not hash to its digest.

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use plugin_registry::{Registry, fuzz as door, layout, verify::VerifyScope};
use plugin_registry_core::{
    Algorithm, ByteRange, Descriptor, Digest, HashState, Hasher, MediaType, StorageDriverExt, StoragePath,
    Verifier, VerifyError,
};
use plugin_registry_drivers_memory::MemoryDriver;

use super::{block_on, oracle};

/// Content in pieces passes if it has the announced digest and size, and only then.
///
/// With one bit changed, one byte more or one byte less it does not pass, neither in the verifier nor out of
/// a store.
pub fn verify(data: &[u8]) {
    // A recipe that is too short is an uninteresting input.
    let _: Result<()> = verify_recipe(Unstructured::new(data));
}

fn verify_recipe(mut input: Unstructured<'_>) -> Result<()> {
    let algorithm = *input.choose(&Algorithm::ALL)?;
    let announced = input.arbitrary::<bool>()?;
    let piece = usize::from(input.arbitrary::<u8>()?) + 1;
    let at = usize::from(input.arbitrary::<u16>()?);
    let bit = 1 << input.int_in_range(0..=7)?;
    let content = input.take_rest();
    let digest = Digest::of(algorithm, content);
    let size = announced.then_some(content.len() as u64);
    let verdict = |content: &[u8]| {
        let mut verifier = Verifier::new(digest, size);
        for piece in content.chunks(piece) {
            verifier.update(piece)?;
        }
        assert_eq!(verifier.length(), content.len() as u64);
        verifier.finish()
    };
    assert_eq!(verdict(content), Ok(Digest::sha256(content)));
    let longer = [content, b"\0"].concat();
    let is_size = |verdict| matches!(verdict, Err(VerifyError::Size { .. }));
    assert!(verdict(&longer).is_err() && is_size(verdict(&longer)) == announced);
    if content.is_empty() {
        return Ok(());
    }
    let shorter = &content[..content.len() - 1];
    assert!(verdict(shorter).is_err() && is_size(verdict(shorter)) == announced);
    let mut flipped = content.to_vec();
    flipped[at % content.len()] ^= bit;
    assert!(matches!(verdict(&flipped), Err(VerifyError::Digest { expected, .. }) if expected == digest));
    block_on(damaged_in_store(algorithm, content, &flipped, piece));
    Ok(())
}

/// A blob whose stored bytes were changed never ends cleanly, and every way to look at it reports the damage.
async fn damaged_in_store(algorithm: Algorithm, content: &[u8], flipped: &[u8], piece: usize) {
    let driver = MemoryDriver::new();
    let registry = Registry::builder(driver.clone()).build();
    let blobs = registry.repository("a".parse().unwrap()).blobs();
    let digest = Digest::of(algorithm, content);
    let descriptor = Descriptor::new(MediaType::ImageLayer, digest, content.len() as u64);
    let pieces = |content: &[u8]| {
        let pieces: Vec<_> = content.chunks(piece).map(Bytes::copy_from_slice).map(Ok::<_, String>).collect();
        stream::iter(pieces)
    };
    assert!(blobs.push(&descriptor, pieces(flipped)).await.is_err(), "stored under another's digest");
    assert!(blobs.stat(&digest).await.is_err(), "half a push");
    blobs.push(&descriptor, pieces(content)).await.unwrap();
    assert_eq!(blobs.get(&digest, content.len()).await.unwrap(), content);
    let sound = registry.verify(VerifyScope::All, |_| {}).await.unwrap();
    assert!(sound.is_sound() && sound.bytes == content.len() as u64, "{sound:?}");

    driver.put(&layout::blob_data(&Digest::sha256(content)), flipped.to_vec()).await.unwrap();
    let reader = blobs.open(&digest, ByteRange::full()).await.unwrap();
    let mut stream = reader.into_stream();
    let mut seen = 0;
    let end = loop {
        match stream.try_next().await {
            Ok(Some(piece)) => seen += piece.len(),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(end.is_err() && seen < content.len(), "{seen} bytes of damaged content, then {end:?}");
    assert!(blobs.get(&digest, content.len()).await.is_err());
    let report = registry.verify(VerifyScope::All, |_| {}).await.unwrap();
    assert!(!report.is_sound(), "{report:?}");
}

/// A hash state is any bytes, or a true state with changes.
///
/// A state that is read leads to the digest of exactly the bytes that it claims to have seen, or fails.
pub fn hash_state(data: &[u8]) {
    let any = HashState::from_bytes(data);
    if let Ok(state) = &any {
        assert_eq!(state.as_bytes(), data);
        goes_on(state);
    }
    // A recipe that is too short is an uninteresting input.
    let _: Result<()> = state_recipe(Unstructured::new(data));
}

/// Checks that hashing goes on from any state without a panic, and that its own state can be read again.
fn goes_on(state: &HashState) {
    let Ok(mut hasher) = Hasher::resume(state) else { return };
    assert_eq!((hasher.length(), hasher.algorithm()), (state.length(), state.algorithm()));
    assert_eq!(&hasher.state(), state, "resumed and stored again");
    for piece in [&[7; 1][..], &[7; 63], &[7; 200]] {
        hasher.update(piece);
        let Ok(again) = HashState::from_bytes(hasher.state().as_bytes()) else {
            // More than an exbibyte is refused, but nothing else that was hashed here.
            assert!(hasher.length() > 1 << 60);
            continue;
        };
        assert_eq!(Hasher::resume(&again).unwrap().finish(), hasher.clone().finish());
    }
    assert_eq!(hasher.length(), state.length() + 264);
}

fn state_recipe(mut input: Unstructured<'_>) -> Result<()> {
    let algorithm = *input.choose(&Algorithm::ALL)?;
    let cut = usize::from(input.arbitrary::<u16>()?);
    let changes: Vec<(u8, u8)> = (0..input.int_in_range(0..=4)?)
        .map(|_| Ok((input.arbitrary()?, input.arbitrary()?)))
        .collect::<Result<_>>()?;
    let content = input.take_rest();
    let (before, after) = content.split_at(cut.min(content.len()));
    let mut hasher = Hasher::new(algorithm);
    hasher.update(before);
    let state = hasher.state();
    let digest = Digest::of(algorithm, content);
    let mut stored = state.as_bytes().to_vec();
    for (at, bits) in changes {
        let at = usize::from(at) % stored.len();
        stored[at] ^= bits;
    }
    let is_true = stored == state.as_bytes();
    let read = HashState::from_bytes(&stored).ok();
    let resumed = read.as_ref().and_then(|read| Hasher::resume(read).ok());
    assert!(resumed.is_some() || !is_true, "a true state is refused");
    if let Some(mut resumed) = resumed {
        goes_on(read.as_ref().unwrap());
        resumed.update(after);
        // A changed state must not lead to the true digest, or it would vouch for bytes that it never saw.
        assert_eq!(resumed.finish() == digest, is_true);
    }
    // As an upload uses it: the result is the canonical digest or a refusal, never another algorithm's state.
    let finished =
        block_on(door::finish_from(&stored, Bytes::copy_from_slice(after), &Digest::sha256(content)));
    match finished.unwrap() {
        Some(Ok(canonical)) => {
            assert!(is_true && algorithm == Algorithm::Sha256);
            assert_eq!(canonical, Digest::sha256(content));
        }
        Some(Err(_)) => assert!(!is_true),
        None => assert!(!is_true || algorithm != Algorithm::Sha256),
    }
    Ok(())
}

/// A link file of any content, at the path of some digest, is read as exactly the digest in it, or as damage.
pub fn link(data: &[u8]) {
    let Some((recipe, content)) = data.split_first() else { return };
    let digests = Algorithm::ALL.map(|algorithm| Digest::of(algorithm, b"a layer"));
    // Half of the inputs begin with a digest, which no fuzzer would find by itself.
    let start = match usize::from(recipe % 8) {
        index @ 0..3 => digests[index].to_string(),
        3 => Digest::sha256(b"another layer").to_string(),
        _ => String::new(),
    };
    let path_digest = digests[usize::from(recipe >> 3) % digests.len()];
    let content = [start.as_bytes(), content].concat();
    let expected = (content.len() <= 1024)
        .then(|| std::str::from_utf8(&content).ok())
        .flatten()
        .map(|text| text.trim_matches(char::is_whitespace))
        .filter(|text| oracle::algorithm_of(text).is_some());
    let path: StoragePath = layout::layer_link(&"a".parse().unwrap(), &path_digest);
    let (read, followed) = block_on(async {
        let driver = MemoryDriver::new();
        assert_eq!(door::read_link(&driver, &path).await.unwrap(), None);
        driver.put(&path, content.clone()).await.unwrap();
        let read = door::read_link(&driver, &path).await.unwrap();
        (read, door::follow_link(&driver, &path, &path_digest).await.unwrap())
    });
    assert_eq!(read.map(|digest| digest.to_string()).as_deref(), expected);
    let is_own = |target: &Digest| *target == path_digest || !path_digest.is_canonical();
    let leads = read.filter(|target| target.algorithm() == Algorithm::Sha256 && is_own(target));
    assert_eq!(followed, leads, "the link of {path_digest} says {read:?}");
    if let Some(read) = read {
        assert_eq!(layout::link_content(&read), expected.unwrap().as_bytes());
    }
}
