//! Upload states that are forged, cut, or from another session.

use plugin_registry_conformance::registry::{
    Client, Lab,
    client::and,
    fixture::{Image, content, digest},
};

/// Every request that a location takes.
async fn refused_everywhere(client: &Client, location: &str, code: &str) {
    let put = and(location, &format!("digest={}", digest(b"hello")));
    for call in [
        client.get(location),
        client.head(location),
        client.patch(location).body("hello"),
        client.put(put).body("hello"),
        client.delete(location),
    ] {
        call.send().await.refused(404, code);
    }
}

pub(crate) async fn forged_and_cut_states(lab: &Lab, _: &Image) {
    let client = lab.client();
    let session = client.begin("ns/app").await;
    let session = client.append(&session, &content(5, 100)).await;
    let (path, state) = session.split_once("?_state=").unwrap();
    let mut forged: Vec<String> = (0..state.len()).map(|end| state[..end].to_owned()).collect();
    for at in 0..state.len() {
        let mut letters = state.as_bytes().to_vec();
        letters[at] = if letters[at] == b'A' { b'B' } else { b'A' };
        forged.push(String::from_utf8(letters).unwrap());
    }
    forged.extend([
        format!("{state}A"),
        format!("{state}{state}"),
        format!("A{state}"),
        state.to_lowercase(),
        "A".repeat(60_000),
        "=".repeat(100),
        "null".to_owned(),
        "e30=".to_owned(),
        "%00".to_owned(),
        "%ff%fe".to_owned(),
    ]);
    for state in forged {
        let location = format!("{path}?_state={state}");
        let answer = client.get(&location).send().await;
        // The last letter has bits that base64 does not use: such a token is the same one.
        if answer.status() != 204 {
            answer.refused(404, "BLOB_UPLOAD_INVALID");
            refused_everywhere(&client, &location, "BLOB_UPLOAD_INVALID").await;
        } else {
            assert_eq!(answer.header("range"), "0-99");
        }
    }
    assert_eq!(client.get(&session).send().await.expect(204).header("range"), "0-99");
    let _ = client.delete(&session).send().await.expect(204);
}

pub(crate) async fn states_of_others(lab: &Lab, _: &Image) {
    let client = lab.client();
    let mine = client.begin("ns/app").await;
    let mine = client.append(&mine, &content(5, 100)).await;
    let other = client.begin("other").await;
    let sibling = client.begin("ns/app").await;
    let parts = |location: &str| {
        let (path, state) = location.split_once('?').unwrap();
        (path.to_owned(), state.to_owned())
    };
    let ((mine_at, mine_state), (other_at, other_state), (sibling_at, sibling_state)) =
        (parts(&mine), parts(&other), parts(&sibling));
    let moved = mine_at.replace("/ns/app/", "/other/");
    for location in [
        format!("{mine_at}?{other_state}"),
        format!("{mine_at}?{sibling_state}"),
        format!("{other_at}?{mine_state}"),
        format!("{sibling_at}?{mine_state}"),
        format!("{moved}?{mine_state}"),
        format!("{moved}?{other_state}"),
    ] {
        refused_everywhere(&client, &location, "BLOB_UPLOAD_INVALID").await;
    }
    refused_everywhere(&client, &moved, "BLOB_UPLOAD_UNKNOWN").await;
    assert_eq!(client.get(&mine).send().await.expect(204).header("range"), "0-99");
    let _ = client.delete(&mine).send().await.expect(204);
}
