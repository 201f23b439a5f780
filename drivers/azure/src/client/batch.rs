//! Deletes in batches, which the SDK does not have:
//! <https://learn.microsoft.com/rest/api/storageservices/blob-batch>.

use azure_core::http::{Method, Request};
use plugin_registry_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use super::AzureClient;
use crate::error::{Answer, of_answer};

/// The most blobs that one request deletes.
pub(crate) const MAX_BATCH: usize = 256;

/// A blob to delete, if it still has this ETag.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    pub(crate) key: String,
    pub(crate) etag: Option<String>,
}

impl Removal {
    pub(crate) fn of(key: String) -> Self {
        Self { key, etag: None }
    }
}

impl AzureClient {
    /// Deletes up to [`MAX_BATCH`] blobs with their snapshots by one request. Returns one outcome for each.
    ///
    /// # Errors
    /// If the store does not answer, or does not do this.
    pub(crate) async fn delete_batch(&self, removals: &[Removal]) -> Result<Vec<Result<()>>> {
        let boundary = format!("batch_{}", Uuid::new_v4());
        let mut body = String::new();
        for (number, removal) in removals.iter().enumerate() {
            let part = self.part(removal).await?;
            let head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary";
            body.push_str(&format!("--{boundary}\r\n{head}\r\nContent-ID: {number}\r\n\r\n{part}\r\n"));
        }
        body.push_str(&format!("--{boundary}--\r\n"));
        let mut url = self.url().clone();
        url.query_pairs_mut().extend_pairs([("restype", "container"), ("comp", "batch")]);
        let mut request = Request::new(url, Method::Post);
        request.insert_header("content-type", format!("multipart/mixed; boundary={boundary}"));
        request.set_body(body.into_bytes());
        let answer = self.send(request).await?;
        let text = String::from_utf8_lossy(answer.body().as_ref()).into_owned();
        outcomes(&text, removals.len())
    }

    /// One delete, as text. It is authorized by itself.
    async fn part(&self, removal: &Removal) -> Result<String> {
        let mut request = Request::new(self.blob(&removal.key).url().clone(), Method::Delete);
        request.insert_header("x-ms-delete-snapshots", "include");
        if let Some(etag) = &removal.etag {
            request.insert_header("if-match", etag.clone());
        }
        self.0.authorization.authorize(&mut request).await?;
        let mut text = format!("DELETE {} HTTP/1.1\r\n", request.path_and_query());
        for (name, value) in request.headers().iter() {
            text.push_str(&format!("{}: {}\r\n", name.as_str(), value.as_str()));
        }
        text.push_str("Content-Length: 0\r\n");
        Ok(text)
    }
}

/// Reads the answers in an answer. Each begins with the number of its request.
fn outcomes(text: &str, count: usize) -> Result<Vec<Result<()>>> {
    let mut found: Vec<Option<Result<()>>> = (0..count).map(|_| None).collect();
    for part in text.split("\nHTTP/1.1 ").collect::<Vec<_>>().windows(2) {
        let [before, answer] = part else { continue };
        let number = last_header(before, "content-id").and_then(|number| number.parse::<usize>().ok());
        let status = answer.get(..3).and_then(|status| status.parse().ok());
        if let (Some(place), Some(status)) = (number.and_then(|number| found.get_mut(number)), status) {
            *place = Some(outcome(status, answer));
        }
    }
    let is_whole = found.iter().all(Option::is_some);
    if !is_whole {
        // Of all of them nothing is known: it would be one answer, which is an error.
        return Err(
            Error::new(ErrorKind::Unsupported).with_message("the store does not answer a batch in parts")
        );
    }
    Ok(found.into_iter().flatten().collect())
}

fn outcome(status: u16, answer: &str) -> Result<()> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    let code = last_header(answer, "x-ms-error-code");
    let request_id = last_header(answer, "x-ms-request-id");
    Err(of_answer(&Answer {
        status: Some(status),
        code: code.as_deref(),
        request_id: request_id.as_deref(),
        ..Answer::default()
    }))
}

/// The value of the last line of a header with this name.
fn last_header(text: &str, name: &str) -> Option<String> {
    let values = text.lines().filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    });
    values.last()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The service's example, with a failure in it, and its parts in another order.
    const ANSWER: &str = "--batchresponse_66925647\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n\
        HTTP/1.1 202 Accepted\r\nx-ms-delete-type-permanent: true\r\nx-ms-request-id: 778f\r\n\r\n\
        --batchresponse_66925647\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n\
        HTTP/1.1 409 This operation is not permitted.\r\nx-ms-error-code: BlobImmutableDueToPolicy\r\n\
        x-ms-request-id: 778e\r\nContent-Length: 9\r\n\r\n<Error />\r\n--batchresponse_66925647--\r\n";

    #[test]
    fn each_part_has_its_outcome() {
        let found = outcomes(ANSWER, 2).unwrap();
        assert!(found[1].is_ok());
        let refused = found[0].as_ref().unwrap_err().to_string();
        assert!(refused.contains("immutability policy") && refused.ends_with("request 778e"), "{refused}");
    }

    #[test]
    fn an_answer_without_parts_is_none() {
        for (text, count) in [("", 1), (ANSWER, 3), ("--x\r\nHTTP/1.1 400 Bad\r\n", 1)] {
            assert_eq!(outcomes(text, count).unwrap_err().kind(), ErrorKind::Unsupported);
        }
    }
}
