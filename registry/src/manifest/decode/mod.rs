//! Reads a manifest as Go's `encoding/json` does (ADR 0021).
//!
//! Go wrote nearly every manifest, and nearly every client, distribution included, reads one with it. So what
//! is checked and copied is what they pull:
//!
//! - a key belongs to a field if it is its name, or else if it is its name except for case;
//! - a field that occurs again is read on top of its earlier value;
//! - `null` empties a list, a map or an optional object, and leaves anything else as it is.
//!
//! Go would refuse the whole document if a value is of another type than its field; here the value is skipped
//! instead. All of this is remembered in [`Faults`]: a push is refused for it, a stored document is not.

mod list;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
};

use plugin_registry_core::shown;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub(super) use self::list::List;
use self::list::{KeySet, MAX_LIST_BYTES};

/// The fields of a document. A missing field is empty.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) schema_version: i64,
    pub(super) media_type: String,
    pub(super) artifact_type: String,
    pub(super) config: Option<RawEntry>,
    pub(super) layers: List<RawEntry>,
    pub(super) manifests: List<RawEntry>,
    pub(super) subject: Nullable<RawEntry>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) fs_layers: List<RawFsLayer>,
    pub(super) signatures: Present,
}

#[derive(Debug, Default)]
pub(super) struct RawEntry {
    pub(super) media_type: String,
    pub(super) digest: String,
    /// 0 if there is none, as in Go; negative if it is negative in the document.
    pub(super) size: i64,
    pub(super) urls: List<String>,
    pub(super) platform: Nullable<RawPlatform>,
}

#[derive(Debug, Default)]
pub(super) struct RawPlatform {
    pub(super) os: String,
    pub(super) architecture: String,
    pub(super) variant: String,
}

#[derive(Debug, Default)]
pub(super) struct RawFsLayer {
    pub(super) blob_sum: String,
}

/// Oddities that may trip up a reader: the first of each kind.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// A key that is a field's name except for case, escaped and cut, and the field.
    pub(super) case: Option<(String, &'static str)>,
    /// A key that an object has twice, in this case or another, escaped and cut.
    pub(super) twice: Option<String>,
    /// A field whose value is of another type.
    pub(super) value: Option<&'static str>,
    /// A field that names content and whose value is of another type.
    pub(super) content: Option<&'static str>,
    /// A map that was skipped because it is longer than anyone needs.
    pub(super) long: Option<&'static str>,
    /// Whether a list was skipped because it is longer than any manifest can need.
    pub(super) is_beyond: bool,
}

/// Reads a document.
///
/// # Errors
/// Fails if the bytes are not JSON, or are nested deeper than 128.
pub(super) fn decode(bytes: &[u8]) -> Result<(Option<Raw>, Faults), serde_json::Error> {
    read(bytes, DecodeState::default())
}

/// The same, whatever is in fields that are not read: half surrogate pairs, numbers out of range, any depth.
///
/// # Errors
/// Fails if the bytes do not have the form of JSON.
pub(super) fn decode_known(bytes: &[u8]) -> Result<(Option<Raw>, Faults), serde_json::Error> {
    read(bytes, DecodeState { skips: true, ..DecodeState::default() })
}

fn read(bytes: &[u8], seen: DecodeState) -> Result<(Option<Raw>, Faults), serde_json::Error> {
    let mut raw = Nullable::<Raw>::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    At { name: "the document", seen: &seen }.into(&mut raw).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((raw.0, seen.faults.into_inner()))
}

/// The fields whose values say which content has to be there.
const CONTENT: [&str; 4] = ["config", "layers", "manifests", "fsLayers"];

#[derive(Default)]
struct DecodeState {
    faults: RefCell<Faults>,
    /// Bytes that the elements of lists take.
    taken: Cell<usize>,
    /// Whether values that no field needs are not even looked at.
    skips: bool,
}

impl DecodeState {
    fn value(&self, field: &'static str) {
        let mut faults = self.faults.borrow_mut();
        faults.value.get_or_insert(field);
        if CONTENT.contains(&field) {
            faults.content.get_or_insert(field);
        }
    }

    fn case(&self, key: &str, field: &'static str) {
        self.faults.borrow_mut().case.get_or_insert_with(|| (shown(key), field));
    }

    fn twice(&self, key: &str) {
        self.faults.borrow_mut().twice.get_or_insert_with(|| shown(key));
    }

    fn long(&self, field: &'static str) {
        self.faults.borrow_mut().long.get_or_insert(field);
    }

    /// Takes one more element of a list, of this many bytes, if there is room.
    fn takes(&self, size: usize) -> bool {
        let taken = self.taken.get() + size;
        let has_room = taken <= MAX_LIST_BYTES;
        if has_room {
            self.taken.set(taken);
        } else {
            self.faults.borrow_mut().is_beyond = true;
        }
        has_room
    }
}

/// Something that values are read into. By default, every value counts as one of the wrong type.
trait Target {
    fn null(&mut self) {}

    fn text(&mut self, _: &str) -> bool {
        false
    }

    fn integer(&mut self, _: i64) -> bool {
        false
    }

    /// A boolean, a fraction, or a number that Go's integers cannot hold.
    fn other(&mut self) -> bool {
        false
    }

    /// Returns whether it took the items; if not, it has skipped them.
    fn items<'de, A: SeqAccess<'de>>(&mut self, items: A, at: At<'_>) -> Result<bool, A::Error> {
        ignore_items(items, at.seen).map(|()| false)
    }

    /// Returns whether it took the entries; if not, it has skipped them.
    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        ignore_entries(entries, at.seen).map(|()| false)
    }
}

/// Where a value is read: the name of its field.
#[derive(Clone, Copy)]
struct At<'a> {
    name: &'static str,
    seen: &'a DecodeState,
}

impl<'a> At<'a> {
    fn into<T: Target>(self, target: &'a mut T) -> IntoTarget<'a, T> {
        IntoTarget { target, at: self }
    }
}

impl Target for String {
    fn text(&mut self, text: &str) -> bool {
        text.clone_into(self);
        true
    }
}

impl Target for i64 {
    fn integer(&mut self, number: i64) -> bool {
        *self = number;
        true
    }
}

/// Any value but null.
#[derive(Debug, Default)]
pub(super) struct Present(pub(super) bool);

impl Target for Present {
    fn null(&mut self) {
        self.0 = false;
    }

    fn text(&mut self, _: &str) -> bool {
        self.0 = true;
        true
    }

    fn integer(&mut self, _: i64) -> bool {
        self.0 = true;
        true
    }

    fn other(&mut self) -> bool {
        self.0 = true;
        true
    }

    fn items<'de, A: SeqAccess<'de>>(&mut self, items: A, at: At<'_>) -> Result<bool, A::Error> {
        self.0 = true;
        ignore_items(items, at.seen).map(|()| true)
    }

    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        self.0 = true;
        ignore_entries(entries, at.seen).map(|()| true)
    }
}

/// An object that Go holds by value: null leaves it as it is.
impl<T: Target + Default> Target for Option<T> {
    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        self.get_or_insert_with(T::default).entries(entries, at)
    }
}

/// An object that Go holds by pointer: null removes it.
#[derive(Debug, Default)]
pub(super) struct Nullable<T>(pub(super) Option<T>);

impl<T: Target + Default> Target for Nullable<T> {
    fn null(&mut self) {
        self.0 = None;
    }

    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        self.0.entries(entries, at)
    }
}

impl Target for Raw {
    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        const FIELDS: [&str; 10] = [
            "schemaVersion",
            "mediaType",
            "artifactType",
            "config",
            "layers",
            "manifests",
            "subject",
            "annotations",
            "fsLayers",
            "signatures",
        ];
        object(entries, at, &FIELDS, |field, at, entries| match field {
            "schemaVersion" => entries.next_value_seed(at.into(&mut self.schema_version)),
            "mediaType" => entries.next_value_seed(at.into(&mut self.media_type)),
            "artifactType" => entries.next_value_seed(at.into(&mut self.artifact_type)),
            "config" => entries.next_value_seed(at.into(&mut self.config)),
            "layers" => entries.next_value_seed(at.into(&mut self.layers)),
            "manifests" => entries.next_value_seed(at.into(&mut self.manifests)),
            "subject" => entries.next_value_seed(at.into(&mut self.subject)),
            "annotations" => entries.next_value_seed(at.into(&mut self.annotations)),
            "fsLayers" => entries.next_value_seed(at.into(&mut self.fs_layers)),
            "signatures" => entries.next_value_seed(at.into(&mut self.signatures)),
            _ => ignore_value(entries, at.seen),
        })
    }
}

impl Target for RawEntry {
    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        const FIELDS: [&str; 8] =
            ["mediaType", "digest", "size", "urls", "platform", "annotations", "data", "artifactType"];
        object(entries, at, &FIELDS, |field, at, entries| match field {
            "mediaType" => entries.next_value_seed(at.into(&mut self.media_type)),
            "digest" => entries.next_value_seed(at.into(&mut self.digest)),
            "size" => entries.next_value_seed(at.into(&mut self.size)),
            "urls" => entries.next_value_seed(at.into(&mut self.urls)),
            "platform" => entries.next_value_seed(at.into(&mut self.platform)),
            "annotations" => entries.next_value_seed(at.into(&mut BTreeMap::new())),
            _ => ignore_value(entries, at.seen),
        })
    }
}

impl Target for RawPlatform {
    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        const FIELDS: [&str; 6] = ["os", "architecture", "variant", "os.version", "os.features", "features"];
        object(entries, at, &FIELDS, |field, at, entries| match field {
            "os" => entries.next_value_seed(at.into(&mut self.os)),
            "architecture" => entries.next_value_seed(at.into(&mut self.architecture)),
            "variant" => entries.next_value_seed(at.into(&mut self.variant)),
            _ => ignore_value(entries, at.seen),
        })
    }
}

impl Target for RawFsLayer {
    fn entries<'de, A: MapAccess<'de>>(&mut self, entries: A, at: At<'_>) -> Result<bool, A::Error> {
        object(entries, at, &["blobSum"], |_, at, entries| {
            entries.next_value_seed(at.into(&mut self.blob_sum))
        })
    }
}

/// Reads an object with known fields; `read` takes the value of each.
fn object<'de, 'a, A: MapAccess<'de>>(
    mut entries: A,
    at: At<'a>,
    fields: &[&'static str],
    mut read: impl FnMut(&'static str, At<'a>, &mut A) -> Result<(), A::Error>,
) -> Result<bool, A::Error> {
    let mut keys = KeySet::default();
    while let Some(key) = entries.next_key::<String>()? {
        let folded = fold(&key);
        let exact = fields.iter().find(|field| **field == key);
        match exact.or_else(|| fields.iter().find(|field| fold(field) == folded)) {
            Some(field) => {
                if exact.is_none() {
                    at.seen.case(&key, field);
                }
                read(field, At { name: field, ..at }, &mut entries)?;
            }
            None => ignore_value(&mut entries, at.seen)?,
        }
        if !keys.insert(&folded) {
            at.seen.twice(&key);
        }
    }
    Ok(true)
}

/// Folds a key's case as Go does: besides the letters of ASCII, Go takes two other characters for `k` and `s`.
fn fold(key: &str) -> String {
    let fold = |c: char| match c {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        c if c.is_ascii() => c.to_ascii_lowercase(),
        c => {
            let mut lower = c.to_lowercase();
            lower.next().filter(|_| lower.next().is_none()).unwrap_or(c)
        }
    };
    key.chars().map(fold).collect()
}

/// Reads one value into a target.
struct IntoTarget<'a, T> {
    target: &'a mut T,
    at: At<'a>,
}

impl<T: Target> IntoTarget<'_, T> {
    fn check<E>(self, is_taken: bool) -> Result<(), E> {
        if !is_taken {
            self.at.seen.value(self.at.name);
        }
        Ok(())
    }
}

impl<'de, T: Target> DeserializeSeed<'de> for IntoTarget<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Target> Visitor<'de> for IntoTarget<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.target.null();
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        let is_taken = self.target.other();
        self.check(is_taken)
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        let is_taken = self.target.integer(number);
        self.check(is_taken)
    }

    /// A number that Go's integers cannot hold becomes the largest of them, so that it fits no content either.
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        let is_taken = match i64::try_from(number) {
            Ok(number) => self.target.integer(number),
            Err(_) if self.target.other() => true,
            Err(_) => {
                self.target.integer(i64::MAX);
                false
            }
        };
        self.check(is_taken)
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        let is_taken = self.target.other();
        self.check(is_taken)
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let is_taken = self.target.text(text);
        self.check(is_taken)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<(), A::Error> {
        let is_taken = self.target.items(items, self.at)?;
        self.check(is_taken)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<(), A::Error> {
        let is_taken = self.target.entries(entries, self.at)?;
        self.check(is_taken)
    }
}

/// Skips values, and looks for keys that occur twice. Holds the keys of the objects that are open.
fn ignore_items<'de, A: SeqAccess<'de>>(mut items: A, seen: &DecodeState) -> Result<(), A::Error> {
    if seen.skips {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        return Ok(());
    }
    let at = At { name: "", seen };
    while items.next_element_seed(at.into(&mut Present::default()))?.is_some() {}
    Ok(())
}

fn ignore_value<'de, A: MapAccess<'de>>(entries: &mut A, seen: &DecodeState) -> Result<(), A::Error> {
    if seen.skips {
        return entries.next_value::<IgnoredAny>().map(drop);
    }
    entries.next_value_seed(At { name: "", seen }.into(&mut Present::default()))
}

fn ignore_entries<'de, A: MapAccess<'de>>(entries: A, seen: &DecodeState) -> Result<(), A::Error> {
    object(entries, At { name: "", seen }, &[], |_, _, _| Ok(())).map(drop)
}
