//! Two listings of one directory as one: of names that begin with a slash, and of names that do not.

use std::cmp::Ordering;

use futures::{
    StreamExt,
    stream::{self, BoxStream, Peekable},
};
use plugin_registry_core::{ErrorKind, Result};

type Items<'a, T> = Peekable<BoxStream<'a, Result<T>>>;

/// Merges two listings in the order of `compare`. Of equal items the first listing's comes. A directory that one of
/// them does not have is missing only if neither has it.
pub(crate) fn merge<'a, T: Send + 'a>(
    first: BoxStream<'a, Result<T>>,
    second: BoxStream<'a, Result<T>>,
    compare: fn(&T, &T) -> Ordering,
) -> BoxStream<'a, Result<T>> {
    let state = (first.peekable(), second.peekable(), false);
    stream::try_unfold(state, move |(mut first, mut second, has_begun)| async move {
        if !has_begun {
            match (is_missing(&mut first).await, is_missing(&mut second).await) {
                (true, true) => return Err(ErrorKind::NotFound.into()),
                (true, false) => first = nothing(),
                (false, true) => second = nothing(),
                (false, false) => {}
            }
        }
        let order = match (peek(&mut first).await, peek(&mut second).await) {
            (Some(Ok(left)), Some(Ok(right))) => compare(left, right),
            // An error ends the listing, whichever has it.
            (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
            (None, None) => return Ok(None),
        };
        if order == Ordering::Equal {
            drop(second.next().await);
        }
        let next = if order == Ordering::Greater { second.next().await } else { first.next().await };
        Ok(next.transpose()?.map(|item| (item, (first, second, true))))
    })
    .boxed()
}

fn nothing<'a, T: Send + 'a>() -> Items<'a, T> {
    stream::empty().boxed().peekable()
}

async fn peek<'s, T>(items: &'s mut Items<'_, T>) -> Option<&'s Result<T>> {
    std::pin::Pin::new(items).peek().await
}

async fn is_missing<T>(items: &mut Items<'_, T>) -> bool {
    matches!(peek(items).await, Some(Err(error)) if error.is_not_found())
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
