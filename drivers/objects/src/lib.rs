//! What the drivers of object stores of an embedded OCI registry share.
//!
//! | Module | For |
//! |---|---|
//! | [`budget`] | the memory that all writers of an instance hold together |
//! | [`content`] | the bytes of one request, in the pieces in which they came |
//! | [`parts`] | how a file of any size is cut into parts |
//! | [`keys`] | keys of a bucket or a container, and the paths that they stand for |
//! | [`reader`] | reads an object to its end, whatever happens to connections |
//! | [`list`] | one level, everything below, and marked directories, from pages of keys |
//! | [`reorder`] | brings a listing into another order with little memory |
//! | [`connections`] | TLS, proxies and time limits for each instance |
//! | [`files`] | files that settings name |
//!
//! It knows no store and no SDK, and makes no request by itself.

pub mod budget;
pub mod connections;
pub mod content;
pub mod files;
pub mod keys;
pub mod list;
pub mod parts;
pub mod reader;
pub mod reorder;
