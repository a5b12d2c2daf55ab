//! Causal attention over a KV cache, with optional statistics of the attention probabilities.
//!
//! [`attend_batch`] computes the attention of a layer for a [`Batch`] of sequences on all threads. [`attend`]
//! computes it for one KV head and the query heads that share it, on the calling thread. [`Wanted`] selects
//! which [`Statistics`] they return.
//!
//! Scores are in memory for one block of query rows at a time, never for a whole sequence. Each tile of keys
//! or values is converted to f32 once for all rows of a block. Statistics are updated with each row of
//! weights right after its softmax. The results of a query row are computed in an order that does not depend
//! on the other rows, so prefill and token-by-token decoding agree bit for bit. A key with probability 0 does
//! not change the result.

mod batch;
mod kernel;
mod packed;
mod product;
mod scratch;
mod softmax;
mod statistics;
mod tile;

use std::marker::PhantomData;

use half::{f16, slice::HalfFloatSliceExt};

pub use batch::{Batch, CachedHead, CachedSequence, attend_batch};
pub use packed::Packed;
pub use statistics::{AttentionRows, Statistics, Wanted};

use crate::{Level, lanes};
use scratch::Scratch;

/// Keys or values, in the number format of a cache.
#[derive(Clone, Copy, Debug)]
pub enum Floats<'a> {
    /// IEEE half floats, as in deployed caches.
    F16(&'a [f16]),
    /// 32-bit floats, which are not rounded.
    F32(&'a [f32]),
    /// Quantised codes, which are decoded tile by tile.
    Packed(Packed<'a>),
}

impl Floats<'_> {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        match self {
            Floats::F16(values) => values.len(),
            Floats::F32(values) => values.len(),
            Floats::Packed(packed) => packed.rows() * packed.width,
        }
    }

    /// Returns all values as f32.
    pub fn to_f32_vec(&self) -> Vec<f32> {
        match self {
            Floats::F16(values) => values.to_f32_vec(),
            Floats::F32(values) => values.to_vec(),
            Floats::Packed(packed) => {
                let mut out = vec![0.0; self.len()];
                out.chunks_exact_mut(packed.width).enumerate().for_each(|(i, row)| packed.row(i, row));
                out
            }
        }
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The input of attention for one KV head of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Queries after RoPE, `[tokens, group, head_dim]`.
    pub queries: &'a [f32],
    /// Keys after RoPE, `[keys, head_dim]`. The keys of the query tokens come last.
    pub keys: Floats<'a>,
    /// Values, `[keys, head_dim]`.
    pub values: Floats<'a>,
    /// Number of query heads that share this KV head.
    pub group: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Number of keys before the key of the first query: query `i` sees keys `0 ..= offset + i`.
    pub offset: usize,
    /// Whether a query may see each key, `[keys]`; `None` means that it may see all.
    pub mask: Option<&'a [bool]>,
    /// Factor on the scores, usually `1 / sqrt(head_dim)`.
    pub scale: f32,
}

impl Input<'_> {
    /// Returns the number of query tokens.
    pub fn tokens(&self) -> usize {
        self.queries.len() / (self.group * self.head_dim)
    }

    /// Returns the number of keys that the last query sees.
    pub fn visible(&self) -> usize {
        self.offset + self.tokens()
    }

    fn check(&self, out: &[f32]) {
        let width = self.group * self.head_dim;
        assert!(
            width > 0 && self.queries.len().is_multiple_of(width),
            "queries are [tokens, group, head_dim]"
        );
        assert_eq!(out.len(), self.queries.len(), "the output has the shape of the queries");
        for packed in [self.keys, self.values] {
            if let Floats::Packed(packed) = packed {
                assert_eq!(packed.width, self.head_dim, "packed rows have the width of a head");
            }
        }
        let needed = self.visible() * self.head_dim;
        assert!(
            self.keys.len() >= needed && self.values.len() >= needed,
            "every visible key has a key and a value"
        );
        assert!(self.mask.is_none_or(|m| m.len() >= self.visible()), "the mask covers the visible keys");
    }
}

/// Computes attention of one KV head into `out [tokens, group, head_dim]`, on the calling thread.
///
/// The output of a query that sees no key is 0.
///
/// # Panics
/// Panics if a slice does not fit the shapes of `input`, or if `statistics` has other shapes.
pub fn attend(input: &Input<'_>, out: &mut [f32], statistics: Option<&mut Statistics>) {
    attend_at(lanes::lanes_level(), input, out, statistics);
}

/// Does the same as [`attend`] with the vector width `level`, which the machine must have.
fn attend_at(level: Level, input: &Input<'_>, out: &mut [f32], statistics: Option<&mut Statistics>) {
    input.check(out);
    if let Some(s) = &statistics {
        assert!(s.fits(input.group, input.tokens(), input.visible()), "statistics are for these shapes");
    }
    let Input { queries, keys, values, group, head_dim, offset, mask, scale } = *input;
    let (tokens, stride) = (input.tokens(), group * head_dim);
    let strided = HeadInput { queries, stride, tokens, keys, values, group, head_dim, offset, mask, scale };
    // SAFETY: `out` has the shape of the queries and is borrowed exclusively; the machine has the level.
    unsafe { run_at(level, &strided, Output::new(out, stride), statistics) }
}

/// The input of attention for some tokens of one KV head. It is an [`Input`] whose queries may be part of a
/// larger array.
#[derive(Clone, Copy)]
struct HeadInput<'a> {
    /// Queries, `[tokens, stride]`. Only the first `group * head_dim` floats of each row are used.
    queries: &'a [f32],
    /// Distance between the queries of neighbouring tokens, in floats.
    stride: usize,
    /// Number of query tokens.
    tokens: usize,
    keys: Floats<'a>,
    values: Floats<'a>,
    group: usize,
    head_dim: usize,
    /// Number of keys before the key of the first query.
    offset: usize,
    mask: Option<&'a [bool]>,
    scale: f32,
}

impl HeadInput<'_> {
    /// Returns the number of keys that the last query sees.
    fn visible(&self) -> usize {
        self.offset + self.tokens
    }
}

/// The output of attention: one row per token, `stride` floats apart.
#[derive(Clone, Copy)]
struct Output<'a> {
    at: *mut f32,
    stride: usize,
    life: PhantomData<&'a mut [f32]>,
}

impl<'a> Output<'a> {
    fn new(out: &'a mut [f32], stride: usize) -> Self {
        Output { at: out.as_mut_ptr(), stride, life: PhantomData }
    }

    /// Returns the part of the output that starts after `floats` more floats.
    ///
    /// # Safety
    /// The new start must be inside the slice.
    unsafe fn skip(&self, floats: usize) -> Self {
        // SAFETY: the caller upholds the contract.
        Output { at: unsafe { self.at.add(floats) }, ..*self }
    }

    /// Returns the output of one query head for one token, `[head_dim]`.
    ///
    /// # Safety
    /// The cells must be inside the slice that `new` borrowed, and no one else may use them.
    unsafe fn row(&self, token: usize, head: usize, head_dim: usize) -> &'a mut [f32] {
        // SAFETY: the caller upholds the contract.
        unsafe {
            std::slice::from_raw_parts_mut(self.at.add(token * self.stride + head * head_dim), head_dim)
        }
    }
}

/// Runs the kernel with the vectors of `level`.
///
/// # Safety
/// The machine must have the level; the outputs must be valid, and no one else may use them.
unsafe fn run_at(level: Level, input: &HeadInput<'_>, out: Output<'_>, statistics: Option<&mut Statistics>) {
    scratch::with_scratch(|scratch| {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            unsafe fn avx512(p: &HeadInput<'_>, o: Output<'_>, s: Option<&mut Statistics>, b: &mut Scratch) {
                // SAFETY: this function has the features; the caller upholds the rest of the contract.
                unsafe { kernel::run::<lanes::Avx512>(p, o, s, b) }
            }
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2(p: &HeadInput<'_>, o: Output<'_>, s: Option<&mut Statistics>, b: &mut Scratch) {
                // SAFETY: this function has the features; the caller upholds the rest of the contract.
                unsafe { kernel::run::<lanes::Avx2>(p, o, s, b) }
            }
            // SAFETY: the machine has the level; the caller upholds the rest of the contract.
            match level {
                Level::Avx512 => return unsafe { avx512(input, out, statistics, scratch) },
                Level::Avx2 => return unsafe { avx2(input, out, statistics, scratch) },
                Level::Portable => {}
            }
        }
        let _ = level;
        // SAFETY: plain code needs no level; the caller upholds the rest of the contract.
        unsafe { kernel::run::<lanes::Portable>(input, out, statistics, scratch) }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Random queries, keys, values and a mask.
    pub(super) struct Case {
        pub(super) queries: Vec<f32>,
        keys: Vec<f16>,
        values: Vec<f16>,
        mask: Vec<bool>,
        group: usize,
        head_dim: usize,
        offset: usize,
    }

    impl Case {
        pub(super) fn random(tokens: usize, offset: usize, group: usize, head_dim: usize, seed: u64) -> Case {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            };
            let mut halves = |n: usize| (0..n).map(|_| f16::from_f32(next() * 2.0)).collect::<Vec<f16>>();
            let (keys, values) = (halves((offset + tokens) * head_dim), halves((offset + tokens) * head_dim));
            let mask = halves(offset + tokens)
                .iter()
                .enumerate()
                .map(|(i, h)| i >= offset || h.to_f32() > 0.0)
                .collect();
            let queries = (0..tokens * group * head_dim).map(|_| next() * 3.0).collect();
            Case { queries, keys, values, mask, group, head_dim, offset }
        }

        pub(super) fn input(&self, masked: bool) -> Input<'_> {
            Input {
                queries: &self.queries,
                keys: Floats::F16(&self.keys),
                values: Floats::F16(&self.values),
                group: self.group,
                head_dim: self.head_dim,
                offset: self.offset,
                mask: masked.then_some(&self.mask[..]),
                scale: 1.0 / (self.head_dim as f32).sqrt(),
            }
        }

        /// Returns the probabilities of query `i` of head `g`, computed in f64.
        fn probabilities(&self, input: &Input<'_>, i: usize, g: usize) -> Vec<f64> {
            let q = &self.queries[(i * self.group + g) * self.head_dim..][..self.head_dim];
            let score = |k: usize| -> f64 {
                let key = &self.keys[k * self.head_dim..][..self.head_dim];
                let dot: f64 = q.iter().zip(key).map(|(q, k)| f64::from(*q) * k.to_f64()).sum();
                if input.mask.is_none_or(|m| m[k]) { dot * f64::from(input.scale) } else { f64::NEG_INFINITY }
            };
            let scores: Vec<f64> = (0..=self.offset + i).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let exps: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total: f64 = exps.iter().sum();
            exps.iter().map(|e| e / total).collect()
        }
    }

    pub(super) fn levels() -> Vec<Level> {
        lanes::available()
    }

    /// The largest allowed error of an f32 sum of a few hundred terms of order one.
    const TOLERANCE: f64 = 2e-5;

    fn check(case: &Case, masked: bool, windows: &[usize]) {
        let input = case.input(masked);
        let (tokens, keys) = (input.tokens(), input.visible());
        let wanted = Wanted {
            entropy: true,
            accumulated: true,
            largest: true,
            windows: windows.to_vec(),
            rows: windows.to_vec(),
        };
        for level in levels() {
            let mut out = vec![9.0; case.queries.len()];
            let mut statistics = Statistics::new(case.group, tokens, keys, &wanted);
            attend_at(level, &input, &mut out, Some(&mut statistics));
            let mut plain = vec![9.0; case.queries.len()];
            attend_at(level, &input, &mut plain, None);
            assert_eq!(plain, out, "statistics change nothing");
            let mut accumulated = vec![0.0; case.group * keys];
            let mut window_sums = vec![vec![0.0; case.group * keys]; windows.len()];
            let mut largest = vec![0.0f64; case.group * keys];
            for (i, g) in (0..tokens).flat_map(|i| (0..case.group).map(move |g| (i, g))) {
                let p = case.probabilities(&input, i, g);
                for d in 0..case.head_dim {
                    let exact: f64 = p
                        .iter()
                        .enumerate()
                        .map(|(k, p)| p * case.values[k * case.head_dim + d].to_f64())
                        .sum();
                    let got = f64::from(out[(i * case.group + g) * case.head_dim + d]);
                    assert!(
                        (got - exact).abs() < TOLERANCE,
                        "{level:?} out[{i}][{g}][{d}]: {got} for {exact}"
                    );
                }
                let entropy: f64 = p.iter().filter(|p| **p > 1e-10).map(|p| -p * p.log2()).sum();
                let got = f64::from(statistics.entropy[g * tokens + i]);
                assert!(
                    (got - entropy).abs() < TOLERANCE * 10.0,
                    "{level:?} entropy[{g}][{i}]: {got} for {entropy}"
                );
                for (k, p) in p.iter().enumerate() {
                    accumulated[g * keys + k] += p;
                    largest[g * keys + k] = largest[g * keys + k].max(*p);
                    for (sums, first) in window_sums.iter_mut().zip(windows) {
                        sums[g * keys + k] += if i >= *first { *p } else { 0.0 };
                    }
                }
            }
            let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < TOLERANCE);
            assert!(close(&statistics.accumulated, &accumulated), "{level:?} accumulated");
            for ((_, got), sums) in statistics.windows.iter().zip(&window_sums) {
                assert!(close(got, sums), "{level:?} window");
            }
            let wide = |row: &[f32]| row.iter().map(|p| f64::from(*p)).collect::<Vec<_>>();
            assert!(close(&wide(&statistics.largest), &largest), "{level:?} largest");
            for rows in &statistics.rows {
                assert_eq!(rows.queries, tokens - rows.first);
                for (row, i) in rows.probabilities.chunks(keys).zip(0..) {
                    let (g, i) = (i / rows.queries, rows.first + i % rows.queries);
                    let mut exact = case.probabilities(&input, i, g);
                    exact.resize(keys, 0.0);
                    assert!(close(&wide(row), &exact), "{level:?} row of query {i}");
                    assert!(
                        row[case.offset + i + 1..].iter().all(|p| *p == 0.0),
                        "{level:?} query {i} sees later keys"
                    );
                }
            }
        }
    }

    #[test]
    fn a_single_key_gets_all_attention() {
        let case = Case::random(1, 0, 2, 4, 1);
        for level in levels() {
            let mut out = vec![0.0; 8];
            let wanted = Wanted { entropy: true, ..Wanted::default() };
            let mut statistics = Statistics::new(2, 1, 1, &wanted);
            attend_at(level, &case.input(false), &mut out, Some(&mut statistics));
            let value: Vec<f32> = case.values.iter().map(|v| v.to_f32()).collect();
            assert_eq!((&out[..4], &out[4..]), (&value[..], &value[..]));
            assert_eq!(statistics.entropy, [0.0, 0.0]);
        }
    }

    #[test]
    fn equal_scores_have_full_entropy() {
        let mut case = Case::random(1, 63, 1, 8, 2);
        case.queries.fill(0.0);
        let mut statistics = Statistics::new(1, 1, 64, &Wanted { entropy: true, ..Wanted::default() });
        attend(&case.input(false), &mut [0.0; 8], Some(&mut statistics));
        assert!((statistics.entropy[0] - 6.0).abs() < 1e-6, "{}", statistics.entropy[0]);
    }

    #[test]
    fn extreme_scores_stay_finite() {
        let mut case = Case::random(3, 40, 2, 8, 3);
        case.queries.iter_mut().for_each(|q| *q *= 1e4);
        let mut statistics =
            Statistics::new(2, 3, 43, &Wanted { entropy: true, accumulated: true, ..Wanted::default() });
        let mut out = vec![0.0; 48];
        attend(&case.input(false), &mut out, Some(&mut statistics));
        assert!(out.iter().chain(&statistics.entropy).all(|v| v.is_finite()));
    }

    #[test]
    fn a_query_that_sees_nothing_gives_zeros() {
        let mut case = Case::random(2, 3, 1, 4, 5);
        case.mask.fill(false);
        let mut out = vec![1.0; 8];
        attend(&case.input(true), &mut out, None);
        assert_eq!(out, [0.0; 8]);
    }

    #[test]
    fn statistics_of_parts_merge_into_those_of_the_whole() {
        let case = Case::random(50, 7, 3, 6, 8);
        let whole_input = case.input(false);
        let starts = vec![10, 45];
        let wanted =
            Wanted { entropy: true, accumulated: true, largest: true, windows: starts.clone(), rows: starts };
        let mut whole = Statistics::new(3, 50, 57, &wanted);
        attend(&whole_input, &mut vec![0.0; case.queries.len()], Some(&mut whole));
        let mut merged = Statistics::new(3, 50, 57, &wanted);
        for (first, count) in [(0usize, 8usize), (8, 12), (20, 13), (33, 17)] {
            let queries = &case.queries[first * 18..][..count * 18];
            let input = Input { queries, offset: 7 + first, ..whole_input };
            let mut part = Statistics::new(3, count, 7 + first + count, &wanted.from_query(first));
            attend(&input, &mut vec![0.0; queries.len()], Some(&mut part));
            merged.merge(first, &part);
        }
        assert_eq!((&merged.entropy, &merged.largest), (&whole.entropy, &whole.largest));
        assert_eq!(merged.rows, whole.rows);
        assert_eq!(whole.rows[0].probabilities.len(), 3 * 40 * 57);
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(&merged.accumulated, &whole.accumulated));
        assert!(merged.windows.iter().zip(&whole.windows).all(|(a, b)| a.0 == b.0 && close(&a.1, &b.1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn results_match_f64(tokens in 1usize..40, offset in 0usize..70, group in 1usize..6, half in 1usize..41, seed: u64, masked: bool) {
            check(&Case::random(tokens, offset, group, 2 * half, seed), masked, &[0, tokens / 2]);
        }

        #[test]
        fn one_row_at_a_time_gives_the_same_bits(tokens in 1usize..40, offset in 0usize..40, group in 1usize..5, half in 1usize..70, seed: u64) {
            let case = Case::random(tokens, offset, group, 2 * half, seed);
            let whole = case.input(false);
            let wanted = Wanted { entropy: true, ..Wanted::default() };
            for level in levels() {
                let mut out = vec![0.0; case.queries.len()];
                let mut statistics = Statistics::new(group, tokens, whole.visible(), &wanted);
                attend_at(level, &whole, &mut out, Some(&mut statistics));
                let width = group * case.head_dim;
                for i in 0..tokens {
                    let input = Input { queries: &case.queries[i * width..][..width], offset: offset + i, ..whole };
                    let mut one = Statistics::new(group, 1, offset + i + 1, &wanted);
                    let mut row = vec![0.0; width];
                    attend_at(level, &input, &mut row, Some(&mut one));
                    prop_assert_eq!(&row[..], &out[i * width..][..width]);
                    let column: Vec<f32> = (0..group).map(|g| statistics.entropy[g * tokens + i]).collect();
                    prop_assert_eq!(&one.entropy, &column);
                }
            }
        }

        #[test]
        fn removing_keys_equals_masking_them(tokens in 1usize..20, offset in 1usize..90, group in 1usize..5, half in 1usize..40, seed: u64) {
            let case = Case::random(tokens, offset, group, 2 * half, seed);
            let width = case.head_dim;
            let kept: Vec<usize> = (0..offset + tokens).filter(|&k| case.mask[k]).collect();
            let gather = |from: &[f16]| kept.iter().flat_map(|k| from[k * width..][..width].to_vec()).collect::<Vec<f16>>();
            let (keys, values) = (gather(&case.keys), gather(&case.values));
            let ragged = Input { keys: Floats::F16(&keys), values: Floats::F16(&values), offset: kept.len() - tokens, ..case.input(false) };
            let (mut a, mut b) = (vec![0.0; case.queries.len()], vec![0.0; case.queries.len()]);
            attend(&case.input(true), &mut a, None);
            attend(&ragged, &mut b, None);
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn f32_and_f16_caches_give_the_same_output() {
        for (head_dim, tokens) in [(5, 3), (32, 40), (100, 17)] {
            let case = Case::random(tokens, 7, 2, head_dim, head_dim as u64);
            let widen = |halves: &[f16]| halves.iter().map(|h| h.to_f32()).collect::<Vec<_>>();
            let (keys, values) = (widen(&case.keys), widen(&case.values));
            let halves = case.input(false);
            let floats = Input { keys: Floats::F32(&keys), values: Floats::F32(&values), ..halves };
            let run = |input: &Input<'_>| {
                let mut out = vec![0.0; case.queries.len()];
                attend(input, &mut out, None);
                out
            };
            assert_eq!(run(&floats), run(&halves), "head_dim {head_dim}");
        }
    }
}
