//! The state token of an upload.

use arbitrary::{Result, Unstructured};
use plugin_registry::{fuzz as door, upload::UploadId};
use plugin_registry_core::{Algorithm, RepositoryName};

const KEYS: [Option<&str>; 3] = [None, Some(""), Some("a key")];
const NAMES: [&str; 3] = ["a", "a/b", "namespace/image"];
const IDS: [&str; 2] = ["01890000-0000-7000-8000-000000000001", "01890000-0000-7000-8000-000000000002"];

/// Only a token that the key made for this repository and session is read.
///
/// The first byte decides whether the rest is a token as a client could send it, or a recipe: which genuine
/// token, and where it is changed.
pub fn upload_state(data: &[u8]) {
    let Some((recipe, rest)) = data.split_first() else { return };
    if recipe % 2 == 0 {
        sent(&String::from_utf8_lossy(rest));
    } else {
        // A recipe that is too short is an uninteresting input.
        let _: Result<()> = changed(&mut Unstructured::new(rest));
    }
}

fn name(index: usize) -> RepositoryName {
    NAMES[index].parse().unwrap()
}

fn id(index: usize) -> UploadId {
    IDS[index].parse().unwrap()
}

/// Any text that opens is exactly what sealing the same state gives.
fn sent(token: &str) {
    for key in KEYS {
        for index in 0..NAMES.len() {
            check_genuine(token, key, &name(index), id(0));
        }
    }
}

fn check_genuine(token: &str, key: Option<&str>, name: &RepositoryName, id: UploadId) -> bool {
    let Some((offset, algorithm)) = door::unseal(token, key, name, id) else { return false };
    assert_eq!(door::seal(key, name, id, offset, algorithm), token, "opened, and not ours");
    true
}

fn changed(input: &mut Unstructured<'_>) -> Result<()> {
    let key = *input.choose(&KEYS)?;
    let index = input.choose_index(NAMES.len())?;
    let algorithm = *input.choose(&Algorithm::ALL)?;
    let offset = input.arbitrary()?;
    let token = door::seal(key, &name(index), id(0), offset, algorithm);
    assert_eq!(door::unseal(&token, key, &name(index), id(0)), Some((offset, algorithm)));
    // No second key, repository or session opens it. An empty key means the default key.
    let is_none = |key: Option<&str>| key.unwrap_or_default().is_empty();
    for other in KEYS {
        let same = other == key || (is_none(other) && is_none(key));
        assert_eq!(door::unseal(&token, other, &name(index), id(0)).is_some(), same);
    }
    assert!(door::unseal(&token, key, &name((index + 1) % NAMES.len()), id(0)).is_none());
    assert!(door::unseal(&token, key, &name(index), id(1)).is_none());
    // Nor does it open after any part of it was changed, removed or added.
    let mut letters = token.clone().into_bytes();
    let at = usize::from(input.arbitrary::<u16>()?) % letters.len();
    match input.int_in_range(0..=3)? {
        0 => letters[at] = input.arbitrary()?,
        1 => letters.truncate(at),
        2 => letters.insert(at, input.arbitrary()?),
        _ => letters.extend_from_slice(input.bytes(input.len().min(40))?),
    }
    let letters = String::from_utf8_lossy(&letters);
    assert_eq!(check_genuine(&letters, key, &name(index), id(0)), letters == token);
    Ok(())
}
