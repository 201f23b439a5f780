//! Two listings of one directory as one: of names that begin with a slash, and of names that do not.

use std::cmp::Ordering;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use plugin_registry_core::{ErrorKind, Result};

/// A listing and its next item, which is fetched before it is needed.
struct Head<'a, T> {
    items: BoxStream<'a, Result<T>>,
    next: Option<Result<T>>,
}

impl<T> Head<'_, T> {
    async fn step(&mut self) -> Option<Result<T>> {
        let next = self.items.next().await;
        std::mem::replace(&mut self.next, next)
    }

    fn is_missing(&self) -> bool {
        matches!(&self.next, Some(Err(error)) if error.is_not_found())
    }
}

/// Merges two listings in the order of `compare`. Of equal items the first listing's comes. A directory that
/// one of them does not have is missing only if neither has it.
pub(crate) fn merge<'a, T: Send + 'a>(
    first: BoxStream<'a, Result<T>>,
    second: BoxStream<'a, Result<T>>,
    compare: fn(&T, &T) -> Ordering,
) -> BoxStream<'a, Result<T>> {
    let head = |items| Head { items, next: None };
    let state = (head(first), head(second), false);
    stream::try_unfold(state, move |(mut first, mut second, has_begun)| async move {
        if !has_begun {
            (first.step().await, second.step().await);
            match (first.is_missing(), second.is_missing()) {
                (true, true) => return Err(ErrorKind::NotFound.into()),
                (true, false) => first.next = None,
                (false, true) => second.next = None,
                (false, false) => {}
            }
        }
        let order = match (&first.next, &second.next) {
            (Some(Ok(left)), Some(Ok(right))) => compare(left, right),
            // An error ends the listing, whichever has it.
            (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
            (None, None) => return Ok(None),
        };
        if order == Ordering::Equal {
            second.step().await;
        }
        let next = if order == Ordering::Greater { second.step().await } else { first.step().await };
        Ok(next.transpose()?.map(|item| (item, (first, second, true))))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use futures::{TryStreamExt, executor::block_on};
    use plugin_registry_core::Error;

    use super::*;

    type Pair = (u32, &'static str);

    fn merged(first: Vec<Result<Pair>>, second: Vec<Result<Pair>>) -> Result<Vec<Pair>> {
        let by_number = |left: &Pair, right: &Pair| left.0.cmp(&right.0);
        block_on(merge(stream::iter(first).boxed(), stream::iter(second).boxed(), by_number).try_collect())
    }

    fn of(numbers: &[u32], name: &'static str) -> Vec<Result<Pair>> {
        numbers.iter().map(|number| Ok((*number, name))).collect()
    }

    fn missing() -> Vec<Result<Pair>> {
        vec![Err(ErrorKind::NotFound.into())]
    }

    #[test]
    fn items_of_both_come_in_order_and_once() {
        let both = merged(of(&[1, 3, 5], "a"), of(&[2, 3, 6], "b")).unwrap();
        assert_eq!(both, [(1, "a"), (2, "b"), (3, "a"), (5, "a"), (6, "b")]);
        assert_eq!(merged(of(&[], "a"), of(&[], "b")).unwrap(), []);
    }

    #[test]
    fn what_one_lacks_the_other_has() {
        assert_eq!(merged(missing(), of(&[1, 2], "b")).unwrap(), [(1, "b"), (2, "b")]);
        assert_eq!(merged(of(&[1, 2], "a"), missing()).unwrap(), [(1, "a"), (2, "a")]);
        assert!(merged(missing(), missing()).unwrap_err().is_not_found());
    }

    #[test]
    fn an_error_ends_the_listing() {
        for first in [true, false] {
            let failing = || {
                let mut items = of(&[1], "x");
                items.push(Err(Error::new(ErrorKind::Unavailable)));
                items
            };
            let (left, right) = if first { (failing(), of(&[5], "y")) } else { (of(&[5], "y"), failing()) };
            assert_eq!(merged(left, right).unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }
}
