//! Checks that the results of a forward pass are finite, and that a cache can store its keys and values.
//!
//! A number that is not finite is found where it arises: products with it are not finite either, because the
//! kernels give a token with such an activation a scale that is not finite. So it is enough to check queries,
//! keys, values, the hidden state after every layer, and logits.

use bitkv_kernels::elementwise::first_beyond;

use crate::{Error, Result, error::Place};

/// Checks the heads of some tokens, `x [tokens, heads, head_dim]`. The first token is at position `first`,
/// and `place` names the head with an index. `limit` is the largest magnitude that can be stored.
///
/// # Errors
/// Returns [`Error::NotFinite`] or [`Error::CacheOverflow`] for the first number beyond the limit.
pub(crate) fn check_heads(
    x: &[f32],
    [heads, head_dim]: [usize; 2],
    first: usize,
    limit: f32,
    place: impl Fn(usize) -> Place,
) -> Result<()> {
    let Some(at) = first_beyond(x, limit) else { return Ok(()) };
    let (place, position) = (place(at / head_dim % heads), first + at / (heads * head_dim));
    Err(beyond(place, position, x[at], limit))
}

/// Checks rows of one token each, `x [tokens, width]`, for numbers that are not finite. `position` returns
/// the position of the token of a row.
///
/// # Errors
/// Returns [`Error::NotFinite`] for the first such number.
pub(crate) fn check_rows(
    x: &[f32],
    width: usize,
    position: impl Fn(usize) -> usize,
    place: Place,
) -> Result<()> {
    let at = first_beyond(x, f32::MAX);
    at.map_or(Ok(()), |at| Err(beyond(place, position(at / width), x[at], f32::MAX)))
}

/// Returns the error for a number beyond the limit.
pub(crate) fn beyond(place: Place, position: usize, value: f32, limit: f32) -> Error {
    if value.is_finite() {
        Error::CacheOverflow { place, position, value, limit }
    } else {
        Error::NotFinite { place, position, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_and_the_token_are_named() {
        let mut x = vec![1.0; 3 * 2 * 4];
        let check = |x: &[f32]| check_heads(x, [2, 4], 10, 65504.0, |head| Place::Key { layer: 5, head });
        check(&x).unwrap();
        x[2 * 8 + 6] = -70_000.0;
        let message = check(&x).unwrap_err().to_string();
        for part in ["key in layer 5, KV head 1", "position 12", "-70000", "at most 65504", "--kv f32"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        x[8 + 3] = f32::NAN;
        let message = check(&x).unwrap_err().to_string();
        for part in ["key in layer 5, KV head 0", "position 11", "NaN", "bitkv doctor"] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
