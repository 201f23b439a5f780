//! The pages of the book. Each is the documentation of a module that only doc tests see, so that
//! `cargo test -p plugin-registry-docs --doc` compiles and runs every Rust example in them.
//!
//! `tests/pages.rs` compares this list with the folder: no page can be forgotten.

macro_rules! pages {
    ($($module:ident: $path:literal,)+) => {
        /// The pages whose examples are tested, by their paths below `docs/src`.
        pub const PAGES: &[&str] = &[$($path),+];

        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("src/", $path))]
            mod $module {}
        )+
    };
}

pages! {
    introduction: "introduction.md",
    tutorial_quickstart: "tutorial/quickstart.md",
    how_to_embed: "how-to/embed.md",
    how_to_from_a_registry: "how-to/from-a-registry.md",
    how_to_s3: "how-to/s3.md",
    how_to_logs: "how-to/logs.md",
    how_to_tenants: "how-to/tenants.md",
    how_to_check_a_location: "how-to/check-a-location.md",
    how_to_add_a_driver: "how-to/add-a-driver.md",
    how_to_official_conformance: "how-to/official-conformance.md",
    how_to_serve_an_old_directory: "how-to/serve-an-old-directory.md",
    how_to_read_with_distribution: "how-to/read-with-distribution.md",
    how_to_fuzz: "how-to/fuzz.md",
    how_to_model_tests: "how-to/model-tests.md",
    how_to_mutation_tests: "how-to/mutation-tests.md",
    explanation_straight_lines: "explanation/straight-lines.md",
    explanation_nothing_gets_lost: "explanation/nothing-gets-lost.md",
    reference_layout: "reference/layout.md",
    reference_http_api: "reference/http-api.md",
    reference_interop: "reference/interop.md",
    reference_command: "reference/command.md",
    reference_s3_parameters: "reference/s3-parameters.md",
    reference_gcs_parameters: "reference/gcs-parameters.md",
    reference_azure_parameters: "reference/azure-parameters.md",
    reference_locations: "reference/locations.md",
    reference_configuration: "reference/configuration.md",
    adr_0001: "adr/0001-never-listens.md",
    adr_0002: "adr/0002-layout-is-a-public-contract.md",
    adr_0003: "adr/0003-commit-is-visibility.md",
    adr_0004: "adr/0004-commit-to.md",
    adr_0005: "adr/0005-list-marked.md",
    adr_0006: "adr/0006-errors-are-typed.md",
    adr_0007: "adr/0007-configuration-is-passed-in.md",
    adr_0008: "adr/0008-the-caller-owns-time-and-tasks.md",
    adr_0009: "adr/0009-bulk-path-pieces.md",
    adr_0010: "adr/0010-azure-successor-sdk.md",
    adr_0011: "adr/0011-referrers-are-derived.md",
    adr_0012: "adr/0012-presence-is-read-live.md",
    adr_0013: "adr/0013-sha512-aliases.md",
    adr_0014: "adr/0014-upload-sessions.md",
    adr_0015: "adr/0015-staged-bytes-can-be-found.md",
    adr_0016: "adr/0016-s3-stage-in-one-object.md",
    adr_0017: "adr/0017-s3-kind-of-store.md",
    adr_0018: "adr/0018-pool-of-locations.md",
    adr_0019: "adr/0019-a-listing-excludes.md",
    adr_0020: "adr/0020-what-cannot-be-right-is-absent.md",
    adr_0021: "adr/0021-one-answer-about-wholeness.md",
    adr_0022: "adr/0022-notes-are-no-damage.md",
    adr_0023: "adr/0023-limits-count-from-progress.md",
    adr_0025: "adr/0025-reading-never-writes.md",
    adr_0026: "adr/0026-s3-checksums-retention-and-403.md",
    adr_0027: "adr/0027-busy-sessions.md",
    adr_0028: "adr/0028-lists-hold-a-page.md",
    adr_0029: "adr/0029-writers-of-a-layout-take-turns.md",
    adr_0030: "adr/0030-values-are-shown-by-their-grammar.md",
    adr_0031: "adr/0031-a-secret-is-data.md",
    adr_0032: "adr/0032-whose-identity.md",
    adr_0034: "adr/0034-serve-refuses-web-pages.md",
    adr_0035: "adr/0035-sessions-belong-to-repositories.md",
    adr_0036: "adr/0036-memory-of-large-answers.md",
    adr_0037: "adr/0037-links-are-followed-in-listings.md",
    adr_0038: "adr/0038-what-a-layout-may-hold.md",
    adr_0039: "adr/0039-a-stage-is-a-value.md",
    adr_0040: "adr/0040-what-is-at-hand.md",
    adr_0041: "adr/0041-a-budget-of-parts.md",
    adr_0042: "adr/0042-the-registry-crate-is-only-a-registry.md",
}
