use proptest::prelude::*;

use super::*;

fn naive(x: &[i8], weights: &[i8], cols: usize) -> Vec<i32> {
    let dot = |x: &[i8], w: &[i8]| x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum();
    x.chunks(cols).flat_map(|x| weights.chunks(cols).map(move |w| dot(x, w))).collect()
}

fn check(tokens: usize, rows: usize, cols: usize, mut next: impl FnMut() -> u32) {
    let weights: Vec<i8> = (0..rows * cols).map(|_| (next() % 3) as i8 - 1).collect();
    let x: Vec<i8> = (0..tokens * cols).map(|_| next() as i8).collect();
    let packed = Ternary::pack(rows, cols, &weights);
    let expected = naive(&x, &weights, cols);
    for engine in Engine::available() {
        let mut out = vec![7; tokens * rows];
        matmul_with(engine, &x, &packed, &mut out);
        assert_eq!(out, expected, "{engine:?} {tokens} x {rows} x {cols}");
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
            for engine in Engine::available() {
                let mut out = vec![0; 5 * 5];
                matmul_with(engine, &vec![x; 5 * cols], &packed, &mut out);
                assert_eq!(out, vec![i32::from(weight) * i32::from(x) * cols as i32; 25], "{engine:?}");
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
        for engine in Engine::available() {
            let mut out = [0];
            matmul_with(engine, &x, &packed, &mut out);
            assert_eq!(out[0], -i32::from(x[col]), "{engine:?} column {col}");
        }
    }
}

#[test]
fn large_shapes_run_on_several_threads() {
    check(9, 150, 1030, random(3));
    check(1, 301, 1030, random(4));
}

#[test]
fn best_engine_is_available() {
    assert!(Engine::available().contains(&Engine::best()));
    assert_eq!(Engine::available()[0], Engine::Portable);
}

proptest! {
    #[test]
    fn any_shape_matches_plain_loops(tokens in 1usize..10, rows in 1usize..70, cols in 1usize..530, seed: u64) {
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
