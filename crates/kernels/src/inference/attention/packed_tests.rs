use proptest::prelude::*;

use super::{
    tests::{Case, levels},
    *,
};

/// Random codes and what they stand for, decoded one by one.
struct Coded {
    codes: Vec<u8>,
    scales: Vec<f16>,
    minima: Vec<f16>,
    newest: Vec<f16>,
    floats: Vec<f32>,
}

impl Coded {
    fn random(rows: [usize; 2], width: usize, bits: usize, groups: [usize; 2], seed: u64) -> Coded {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let ([coded, newest], [token_group, channel_group]) = (rows, groups);
        let (bytes, of_row) = ((width * bits).div_ceil(8), width.div_ceil(channel_group));
        let mut halves = |n: usize, step: f32| -> Vec<f16> {
            (0..n).map(|_| f16::from_f32((next() % 1000) as f32 * step)).collect()
        };
        let (scales, minima) =
            (halves(coded / token_group * of_row, 1e-4), halves(coded / token_group * of_row, 1e-3));
        let newest = halves(newest * width, 1e-3);
        let mut codes = vec![0u8; coded * bytes];
        let mut floats = Vec::new();
        for (row, c) in (0..coded).flat_map(|row| (0..width).map(move |c| (row, c))) {
            let code = (next() % (1 << bits)) as u8;
            codes[row * bytes + c % bytes] |= code << (bits * (c / bytes));
            let group = row / token_group * of_row + c / channel_group;
            floats.push(f32::from(code) * scales[group].to_f32() + minima[group].to_f32());
        }
        floats.extend(newest.iter().map(|h| h.to_f32()));
        Coded { codes, scales, minima, newest, floats }
    }

    fn packed(&self, width: usize, bits: usize, [token_group, channel_group]: [usize; 2]) -> Packed<'_> {
        let Coded { codes, scales, minima, newest, .. } = self;
        Packed { width, bits, token_group, channel_group, codes, scales, minima, newest }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn codes_are_read_as_their_floats(
        tokens in 1usize..20, offset in 0usize..70, half in 1usize..70, power in 1u32..4, token_group in 1usize..9,
        channel_group in 1usize..40, newest in 0usize..80, seed: u64,
    ) {
        let (width, bits, rows) = (2 * half, 1 << power, offset + tokens);
        let coded = rows.saturating_sub(newest) / token_group * token_group;
        // Keys and values are grouped the other way round.
        let (key_groups, value_groups) = ([token_group, 1], [1, channel_group]);
        let keys = Coded::random([coded, rows - coded], width, bits, key_groups, seed);
        let values = Coded::random([coded, rows - coded], width, bits, value_groups, !seed);
        let case = Case::random(tokens, offset, 2, width, seed);
        let floats =
            Input { keys: Floats::F32(&keys.floats), values: Floats::F32(&values.floats), ..case.input(false) };
        let packed = Input {
            keys: Floats::Packed(keys.packed(width, bits, key_groups)),
            values: Floats::Packed(values.packed(width, bits, value_groups)),
            ..floats
        };
        prop_assert_eq!(packed.keys.to_f32_vec(), keys.floats.clone());
        prop_assert_eq!(packed.values.len(), values.floats.len());
        for level in levels() {
            let (mut a, mut b) = (vec![0.0; case.queries.len()], vec![0.0; case.queries.len()]);
            attend_at(level, &floats, &mut a, None);
            attend_at(level, &packed, &mut b, None);
            prop_assert_eq!(a, b, "{:?}", level);
        }
    }
}
