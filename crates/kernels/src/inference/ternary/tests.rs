use proptest::prelude::*;
use rayon::prelude::*;

use super::*;
use crate::Isa;

/// These integers, unscaled.
fn quantized(x: &[i8], cols: usize) -> Quantized {
    let mut quantized = Quantized::default();
    quantized.reset(x.len() / cols, cols);
    quantized.rows_mut().zip(x.par_chunks_exact(cols)).for_each(|(row, x)| {
        row.values.copy_from_slice(x);
        (*row.scale, *row.sum) = (1.0, x.iter().map(|v| i32::from(*v)).sum());
    });
    quantized
}

fn naive(x: &[i8], weights: &[i8], cols: usize) -> Vec<i32> {
    let dot = |x: &[i8], w: &[i8]| x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum();
    x.chunks(cols).flat_map(|x| weights.chunks(cols).map(move |w| dot(x, w))).collect()
}

fn check(tokens: usize, rows: usize, cols: usize, mut next: impl FnMut() -> u32) {
    let weights: Vec<i8> = (0..rows * cols).map(|_| (next() % 3) as i8 - 1).collect();
    let x: Vec<i8> = (0..tokens * cols).map(|_| next() as i8).collect();
    let packed = Ternary::pack(rows, cols, &weights);
    let expected = naive(&x, &weights, cols);
    let x = quantized(&x, cols);
    for isa in Isa::available() {
        let mut out = vec![7; tokens * rows];
        sums_with(*isa, &x, &packed, &mut out);
        assert_eq!(out, expected, "{isa} {tokens} x {rows} x {cols}");
    }
    let unpacked: Vec<i8> = (0..rows).flat_map(|r| packed.row(r)).collect();
    assert_eq!(unpacked, weights);
}

fn random(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32
    }
}

#[test]
fn extremes_do_not_overflow() {
    for weight in [-1, 1] {
        for x in [i8::MIN, i8::MAX] {
            let cols = 7000;
            let packed = Ternary::pack(5, cols, &vec![weight; 5 * cols]);
            for (isa, tokens) in Isa::available().iter().flat_map(|isa| [1, 3, 5, 17, 40].map(|t| (isa, t))) {
                let mut out = vec![0; 5 * tokens];
                sums_with(*isa, &quantized(&vec![x; tokens * cols], cols), &packed, &mut out);
                let expected = i32::from(weight) * i32::from(x) * cols as i32;
                assert!(out.iter().all(|sum| *sum == expected), "{isa} {tokens}");
            }
        }
    }
}

#[test]
fn every_column_has_its_own_place() {
    for col in 0..600 {
        let mut weights = vec![0; 600];
        weights[col] = -1;
        let packed = Ternary::pack(1, 600, &weights);
        let x: Vec<i8> = (0..600).map(|c| (c % 127 + 1) as i8).collect();
        for isa in Isa::available() {
            let mut out = [0];
            sums_with(*isa, &quantized(&x, 600), &packed, &mut out);
            assert_eq!(out[0], -i32::from(x[col]), "{isa} column {col}");
        }
    }
}

#[test]
fn large_shapes_run_on_several_threads() {
    check(9, 1500, 1030, random(3));
    check(1, 3001, 1030, random(4));
    check(45, 300, 1030, random(5));
}

#[test]
fn layers_share_a_round_and_take_their_factors() {
    let mut next = random(5);
    let (tokens, cols) = (3, 190);
    let x: Vec<f32> = (0..tokens * cols).map(|_| next() as f32 / (1u64 << 30) as f32 - 1.0).collect();
    let x = Quantized::of(&x, cols);
    let weights: Vec<Ternary> = [70, 1, 16]
        .iter()
        .map(|rows| {
            Ternary::pack(*rows, cols, &(0..rows * cols).map(|_| (next() % 3) as i8 - 1).collect::<Vec<_>>())
        })
        .collect();
    for isa in Isa::available() {
        let mut outs: Vec<Vec<f32>> = weights.iter().map(|w| vec![9.0; tokens * w.rows()]).collect();
        let mut products: Vec<Product<'_>> = weights
            .iter()
            .zip(&mut outs)
            .map(|(weights, out)| Product { weights, scale: 0.37, out })
            .collect();
        linear_with(*isa, &x, &mut products);
        for (weights, out) in weights.iter().zip(&outs) {
            let mut exact = vec![0; out.len()];
            sums_with(Isa::Scalar, &x, weights, &mut exact);
            for (i, (out, sum)) in out.iter().zip(exact).enumerate() {
                assert_eq!(*out, sum as f32 * (x.scales()[i / weights.rows()] * 0.37), "{isa} {i}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_shape_matches_plain_loops(tokens in 1usize..70, rows in 1usize..150, cols in 1usize..530, seed: u64) {
        check(tokens, rows, cols, random(seed));
    }
}

#[test]
fn codes_no_weight_has_are_found() {
    for (rows, cols, row, column) in [(1, 1, 0, 0), (5, 300, 3, 299), (40, 256, 39, 17)] {
        let codes = |r: usize, out: &mut [u8]| {
            out.fill(2);
            out[column] = if r == row { 3 } else { 0 };
        };
        assert_eq!(Ternary::pack_codes(rows, cols, codes), Err(InvalidCode { row, column }));
    }
}
