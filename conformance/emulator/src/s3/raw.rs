//! Access to the store behind the server's back.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use super::{
    content::Content,
    multipart::Upload,
    server::Server,
    store::{Attributes, Object},
};

impl Server {
    /// The bytes of every object.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        let store = self.shared.store.lock().unwrap();
        store.objects.iter().map(|(key, object)| (key.clone(), object.data.to_bytes())).collect()
    }

    /// One object with everything that is known about it.
    pub fn object(&self, key: &str) -> Option<Object> {
        self.shared.store.lock().unwrap().objects.get(key).cloned()
    }

    /// The open uploads, in the order of their keys and beginnings.
    pub fn uploads(&self) -> Vec<Upload> {
        self.shared.store.lock().unwrap().uploads.values().cloned().collect()
    }

    /// Stores an object.
    pub fn put_raw(&self, key: &str, bytes: impl Into<Bytes>) {
        let bytes = Content::from(bytes.into());
        let etag = self.shared.etag(&bytes);
        let object = Object::new(bytes, etag, self.shared.now(), Attributes::default());
        self.shared.store.lock().unwrap().put(key, object);
    }

    /// Removes an object. Returns whether it was there.
    pub fn remove_raw(&self, key: &str) -> bool {
        self.shared.store.lock().unwrap().remove(key).is_some()
    }

    /// Removes all objects and uploads.
    pub fn clear(&self) {
        let mut store = self.shared.store.lock().unwrap();
        store.objects.clear();
        store.uploads.clear();
        store.before = None;
    }

    /// Changes an object in place. Its ETag, time and attributes stay unless `change` sets them. Panics if
    /// there is no object.
    pub fn change_raw(&self, key: &str, change: impl FnOnce(&mut Object)) {
        let mut store = self.shared.store.lock().unwrap();
        change(store.objects.get_mut(key).unwrap_or_else(|| panic!("no object at {key}")));
    }

    /// Cuts an object but keeps its ETag: silent damage.
    pub fn truncate_raw(&self, key: &str, length: usize) {
        self.change_raw(key, |object| object.data.truncate(length));
    }

    /// Flips a bit of an object but keeps its ETag: silent damage.
    pub fn corrupt(&self, key: &str, at: usize) {
        self.change_raw(key, |object| {
            let mut bytes = object.data.to_bytes().to_vec();
            bytes[at] ^= 1;
            object.data = Bytes::from(bytes).into();
        });
    }

    /// Sets when an object was last changed.
    pub fn set_modified(&self, key: &str, modified: SystemTime) {
        self.change_raw(key, |object| object.modified = modified);
    }

    /// Makes every object, upload and part older.
    pub fn age(&self, by: Duration) {
        let mut store = self.shared.store.lock().unwrap();
        store.objects.values_mut().for_each(|object| object.modified -= by);
        for upload in store.uploads.values_mut() {
            upload.initiated -= by;
            upload.parts.values_mut().for_each(|part| part.modified -= by);
        }
    }

    /// Begins an upload, as other software would.
    pub fn begin_raw(&self, key: &str) -> String {
        let now = self.shared.now();
        self.shared.store.lock().unwrap().begin(key, now, Attributes::default(), None, None)
    }

    /// Stores a part, as other software would. Panics if there is no such upload.
    pub fn put_part_raw(&self, key: &str, id: &str, number: i32, bytes: impl Into<Bytes>) {
        let bytes = Content::from(bytes.into());
        let (now, etag) = (self.shared.now(), self.shared.etag(&bytes));
        let mut store = self.shared.store.lock().unwrap();
        let none = s3s::dto::Checksum::default();
        store.put_part(key, id, number, (bytes, etag), now, none).expect("an upload");
    }
}
