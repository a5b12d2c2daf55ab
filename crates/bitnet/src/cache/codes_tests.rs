use super::*;

const BY_TOKEN: Layout = Layout { bits: 2, token_group: 1, channel_group: 2, step: 1, residual: 0 };

#[test]
fn tokens_by_hand() {
    // Groups (0, 3), (1, 1) and the lonely 5 of a row of five.
    let codes = Codes::new(BY_TOKEN, 5, &[0.0, 3.0, 1.0, 1.0, 5.0, -1.0, 0.0, 2.0, 3.5, 0.25]);
    let halves = |numbers: &[f32]| numbers.iter().map(|x| f16::from_f32(*x)).collect::<Vec<_>>();
    assert_eq!(codes.scales, halves(&[1.0, 0.0, 0.0, 1.0 / 3.0, 0.5, 0.0]));
    assert_eq!(codes.minima, halves(&[0.0, 1.0, 5.0, -1.0, 2.0, 0.25]));
    // Two bytes a row: byte j has channels j, j + 2 and j + 4; code 3 for the larger of a pair.
    assert_eq!(codes.codes, [0, 3, 0, 3 | 3 << 2]);
    assert_eq!(codes.bytes(), 4 + 2 * 6 * 2);
    let mut row = [9.0; 5];
    codes.view().row(0, &mut row);
    assert_eq!(row, [0.0, 3.0, 1.0, 1.0, 5.0]);
}

#[test]
fn channels_by_hand() {
    let by_channel = Layout { bits: 4, token_group: 3, channel_group: 1, step: 3, residual: 1 };
    let rows = [0.0, 7.0, 30.0, 7.0, 11.4, 7.0, 100.0, 200.0, 300.0, 400.0];
    let codes = Codes::new(by_channel, 2, &rows);
    assert_eq!(codes.scales, [f16::from_f32(2.0), f16::ZERO]);
    assert_eq!(codes.minima, [f16::ZERO, f16::from_f32(7.0)]);
    // 0, 15 and 11.4 / 2 = 5.7, which is 6; the constant channel in the high nibbles is 0.
    assert_eq!(codes.codes, [0, 15, 6]);
    assert_eq!(codes.newest.len(), 4, "of five rows one is residual and one waits for its group");
    assert_eq!(codes.bytes(), 3 + 4 * 2 + 4 * 2);
    let mut row = [0.0; 2];
    codes.view().row(2, &mut row);
    assert_eq!(row, [12.0, 7.0]);
    codes.view().row(4, &mut row);
    assert_eq!(row, [300.0, 400.0]);
}

#[test]
fn halves_of_a_step_go_to_the_even_code() {
    let layout = Layout { channel_group: 4, ..BY_TOKEN };
    let codes = Codes::new(layout, 4, &[0.0, 3.0, 0.5, 1.5]);
    assert_eq!(codes.codes, [3 << 2 | 2 << 6]);
}

#[test]
fn every_number_is_within_half_a_step() {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    for (bits, token_group, channel_group) in
        [(2, 1, 7), (4, 1, 32), (8, 1, 40), (2, 8, 1), (4, 8, 1), (8, 8, 1)]
    {
        let layout = Layout { bits, token_group, channel_group, step: token_group, residual: 0 };
        let rows: Vec<f32> = (0..64 * 40).map(|_| f16::from_f32(next() * 3.0).to_f32()).collect();
        let codes = Codes::new(layout, 40, &rows);
        assert_eq!(codes.bytes(), layout.bytes(64, 40));
        let groups = 40usize.div_ceil(channel_group);
        let mut row = [0.0; 40];
        for (i, exact) in rows.chunks(40).enumerate() {
            codes.view().row(i, &mut row);
            for (c, (got, exact)) in row.iter().zip(exact).enumerate() {
                let scale = codes.scales[i / token_group * groups + c / channel_group].to_f32();
                // The scale is an f16, so the largest number may be a little out of its reach.
                let allowed = scale * (0.5 + 2f32.powi(bits as i32 - 11)) + 1e-6;
                assert!((got - exact).abs() <= allowed, "{bits} bits: {got} for {exact}, step {scale}");
            }
        }
    }
}

#[test]
fn growing_in_parts_and_at_once_agree() {
    let rows: Vec<f32> = (0..50 * 6).map(|i| ((i * 37) % 101) as f32 / 7.0).collect();
    for layout in [BY_TOKEN, Layout { bits: 4, token_group: 8, channel_group: 1, step: 8, residual: 10 }] {
        let whole = Codes::new(layout, 6, &rows);
        let mut parts = Codes::new(layout, 6, &[]);
        for part in rows.chunks(7 * 6) {
            parts.extend(part.chunks(6));
            parts.settle();
        }
        assert_eq!(
            (&parts.codes, &parts.scales, &parts.minima),
            (&whole.codes, &whole.scales, &whole.minima)
        );
        assert_eq!(parts.newest, whole.newest);
        assert_eq!(parts.bytes(), layout.bytes(50, 6));
        assert!(parts.newest.capacity() <= 17 * 6, "no room of old prompts is held");
    }
}
