//! Whether the tokens of an answer survive an eviction, from the positions that every KV head keeps.

use super::mean;

/// Returns the share of an answer's tokens that no KV head keeps, 0..1; NaN if there are no tokens.
///
/// `kept` has the positions that each KV head of every layer keeps, ascending, `[layers * kv_heads][kept]`,
/// and `answer` the positions of the answer's tokens. This is the Global Eviction Ratio of
/// [2603.01426](https://arxiv.org/abs/2603.01426).
pub fn answer_evicted(kept: &[&[u32]], answer: &[u32]) -> f64 {
    mean(answer.iter().map(|&position| f64::from(u8::from(heads_with(kept, position) == 0))))
}

/// Returns the share of KV heads that keep a token of an answer, averaged over the answer's tokens, 0..1; NaN
/// if there are no tokens or no heads. The arguments are those of [`answer_evicted`].
pub fn answer_heads(kept: &[&[u32]], answer: &[u32]) -> f64 {
    mean(answer.iter().map(|&position| heads_with(kept, position) as f64 / kept.len() as f64))
}

/// Returns the number of KV heads that keep a position.
fn heads_with(kept: &[&[u32]], position: u32) -> usize {
    kept.iter().filter(|kept| kept.binary_search(&position).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_worked_out_by_hand_are_reproduced() {
        let kept: [&[u32]; 4] = [&[0, 3, 7], &[3], &[], &[0, 3, 8]];
        // Token 3 is in three of four heads, token 7 in one, and tokens 4 and 5 in none.
        assert_eq!((answer_evicted(&kept, &[3]), answer_heads(&kept, &[3])), (0.0, 0.75));
        assert_eq!((answer_evicted(&kept, &[3, 4]), answer_heads(&kept, &[3, 4])), (0.5, 0.375));
        assert_eq!((answer_evicted(&kept, &[4, 5]), answer_heads(&kept, &[4, 5])), (1.0, 0.0));
        assert_eq!((answer_evicted(&kept, &[3, 4, 5, 7]), answer_heads(&kept, &[3, 4, 5, 7])), (0.5, 0.25));
    }

    #[test]
    fn a_full_cache_keeps_every_token_in_every_head() {
        let all: Vec<u32> = (0..9).collect();
        let kept = [&all[..]; 6];
        assert_eq!((answer_evicted(&kept, &[0, 8]), answer_heads(&kept, &[0, 8])), (0.0, 1.0));
    }

    #[test]
    fn nothing_to_average_gives_nan() {
        assert!(answer_evicted(&[&[1]], &[]).is_nan() && answer_heads(&[&[1]], &[]).is_nan());
        assert!(answer_heads(&[], &[1]).is_nan());
    }
}
