//! The parts of the golden trees: small contents, their digests, and groups of files that belong together.

use super::Tree;

pub(super) const IMAGE_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

pub(super) const CONFIG_TEXT: &str = "{}";
pub(super) const LAYER_ONE_TEXT: &str = "layer one\n";
pub(super) const LAYER_TWO_TEXT: &str = "layer two\n";
/// An image of the first layer.
pub(super) const ONE_TEXT: &str = include_str!("golden/one.json");
/// An image of the second layer.
pub(super) const TWO_TEXT: &str = include_str!("golden/two.json");
/// An index of both images, for two platforms.
pub(super) const INDEX_TEXT: &str = include_str!("golden/index.json");
/// An artifact whose subject is the first image.
pub(super) const ARTIFACT_TEXT: &str = include_str!("golden/artifact.json");

/// sha256 of `{}`.
pub(super) const CONFIG: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
/// sha256 of [`LAYER_ONE_TEXT`].
pub(super) const LAYER_ONE: &str = "28791cd3683215b645245f3832c8085fb096a7fefc04b63bb66483ad491007c4";
/// sha512 of the same.
pub(super) const LAYER_ONE_512: &str = concat!(
    "96f240cec3955ea99ec470a2e80423ff9a1b82eca7056d6b42e04fc08838c160",
    "2b6eb3c75527ec83f064575e4edf9adf183e11aaf3842a271f00456415895943"
);
/// sha256 of [`LAYER_TWO_TEXT`].
pub(super) const LAYER_TWO: &str = "537b380d714c406e31aad43bc2ea7c54d53202e1ec887c771d044dd4073e7a8c";
/// sha256 of empty content.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// sha512 of empty content.
pub(super) const EMPTY_512: &str = concat!(
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce",
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
);
/// sha256 of [`ONE_TEXT`].
pub(super) const ONE: &str = "b8d5919ea08e0ded5b9e3afdc7e5e1bb9f88b28a8f314a35b14283c53b5768fc";
/// sha512 of the same.
pub(super) const ONE_512: &str = concat!(
    "7ad6273b30c3eabc68e1072e3ecab0af7f0362e221577b56105b1a0f72963f18",
    "1b2c1a728089240b6a3c3bb95ef405c2c6becb6403bbdc8d3ad351329a06f9b6"
);
/// sha256 of [`TWO_TEXT`].
pub(super) const TWO: &str = "bc70a896b89d754998a55050de61a25d4f45ccefeab058adf11db98af31638a9";
/// sha256 of [`INDEX_TEXT`].
pub(super) const INDEX: &str = "420152aa9dec29bbcea9a77f50fa093a86ce123c6ee8c634f96e64a56780b608";
/// sha256 of [`ARTIFACT_TEXT`].
pub(super) const ARTIFACT: &str = "016ecece6fcf7ad9750ba2ff68a388734e9175eb94ba9c6481fb7eb64de6faa4";

/// A file of the tree: its path below `/docker/registry/v2/`, and its content.
pub(super) type File = (String, String);

pub(super) fn tree(files: impl IntoIterator<Item = File>) -> Tree {
    Tree::of(files.into_iter().map(|(path, content)| (format!("/docker/registry/v2/{path}"), content)))
}

pub(super) fn file(path: String, content: impl Into<String>) -> File {
    (path, content.into())
}

/// The data files of a repository with the first image.
pub(super) fn blobs_of_one() -> Vec<File> {
    vec![
        file(format!("blobs/sha256/44/{CONFIG}/data"), CONFIG_TEXT),
        file(format!("blobs/sha256/28/{LAYER_ONE}/data"), LAYER_ONE_TEXT),
        file(format!("blobs/sha256/b8/{ONE}/data"), ONE_TEXT),
    ]
}

pub(super) fn blobs_of_two() -> Vec<File> {
    vec![
        file(format!("blobs/sha256/53/{LAYER_TWO}/data"), LAYER_TWO_TEXT),
        file(format!("blobs/sha256/bc/{TWO}/data"), TWO_TEXT),
    ]
}

/// The links of a repository with the first image.
pub(super) fn links_of_one(name: &str) -> Vec<File> {
    vec![
        file(format!("repositories/{name}/_layers/sha256/{CONFIG}/link"), format!("sha256:{CONFIG}")),
        file(format!("repositories/{name}/_layers/sha256/{LAYER_ONE}/link"), format!("sha256:{LAYER_ONE}")),
        file(format!("repositories/{name}/_manifests/revisions/sha256/{ONE}/link"), format!("sha256:{ONE}")),
    ]
}

pub(super) fn links_of_two(name: &str) -> Vec<File> {
    vec![
        file(format!("repositories/{name}/_layers/sha256/{LAYER_TWO}/link"), format!("sha256:{LAYER_TWO}")),
        file(format!("repositories/{name}/_manifests/revisions/sha256/{TWO}/link"), format!("sha256:{TWO}")),
    ]
}

/// The links of a tag that has named only one manifest.
pub(super) fn links_of_tag(name: &str, tag: &str, hex: &str) -> Vec<File> {
    vec![
        file(
            format!("repositories/{name}/_manifests/tags/{tag}/index/sha256/{hex}/link"),
            format!("sha256:{hex}"),
        ),
        file(format!("repositories/{name}/_manifests/tags/{tag}/current/link"), format!("sha256:{hex}")),
    ]
}
