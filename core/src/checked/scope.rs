//! Names errors and counts them.

use std::sync::Arc;

use tracing::Span;

use super::span;
use crate::{
    error::Error,
    metrics::{Metrics, Operation},
    path::StoragePath,
};

/// The names that the errors of one call carry.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) metrics: Arc<Metrics>,
    pub(super) driver: &'static str,
    pub(super) operation: Operation,
    pub(super) path: StoragePath,
}

impl Scope {
    /// The span of an operation of this call: a writer and a body have several.
    pub(super) fn span(&self, operation: Operation) -> Span {
        span::storage(self.driver, operation, &self.path)
    }

    pub(super) fn fail(&self, error: Error) -> Error {
        self.fail_as(self.operation, error)
    }

    pub(super) fn fail_as(&self, operation: Operation, error: Error) -> Error {
        self.metrics.record_failure(operation);
        error.with_driver(self.driver).with_operation(operation).with_path(&self.path)
    }
}
