//! What a reader needs of the client.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use plugin_registry_core::{Error, Result};
pub(crate) use plugin_registry_drivers_objects::reader::open;
use plugin_registry_drivers_objects::reader::{Description, Download, Downloads};

use crate::{
    client::{Content, Object, S3Client},
    error::of_body,
};

#[async_trait]
impl Downloads for S3Client {
    async fn download(
        &self,
        key: &str,
        range: Option<(u64, Option<u64>)>,
        etag: Option<&str>,
    ) -> Result<Download> {
        let found = self.get(key, range, etag).await?;
        Ok(Download { object: found.object.into(), range: found.range, body: pieces(found.body) })
    }

    async fn describe(&self, key: &str) -> Result<Description> {
        Ok(self.head(key).await?.into())
    }
}

impl From<Object> for Description {
    fn from(object: Object) -> Self {
        Self { size: object.size, modified: object.modified, etag: object.etag }
    }
}

fn pieces(body: Content) -> BoxStream<'static, Result<Bytes>> {
    stream::unfold(body, |mut body| async move {
        let piece = body.next().await?;
        let piece = piece.map_err(|error| {
            let (kind, why) = of_body(&error);
            Error::new(kind).with_message(why)
        });
        Some((piece, body))
    })
    .boxed()
}
