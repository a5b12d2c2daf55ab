//! The reference.

/// Sum of activations times codes straight from a packed row.
pub(super) fn dot_packed(packed: &[u8], x: &[i8]) -> i32 {
    let mut sum = 0;
    for (bytes, x) in packed.chunks_exact(64).zip(x.chunks_exact(256)) {
        for (j, byte) in bytes.iter().enumerate() {
            for plane in 0..4 {
                sum += i32::from((byte >> (2 * plane)) & 3) * i32::from(x[plane * 64 + j]);
            }
        }
    }
    sum
}

/// One byte a code.
pub(super) fn unpack(packed: &[u8], codes: &mut [u8]) {
    for (bytes, codes) in packed.chunks_exact(64).zip(codes.chunks_exact_mut(256)) {
        for (plane, codes) in codes.chunks_exact_mut(64).enumerate() {
            for (code, byte) in codes.iter_mut().zip(bytes) {
                *code = (byte >> (2 * plane)) & 3;
            }
        }
    }
}

/// Four tokens times four rows of codes.
pub(super) fn dots(x: [&[i8]; 4], codes: &[u8]) -> [[i32; 4]; 4] {
    let stride = codes.len() / 4;
    x.map(|x| {
        std::array::from_fn(|r| {
            codes[r * stride..][..stride].iter().zip(x).map(|(&c, &x)| i32::from(c) * i32::from(x)).sum()
        })
    })
}
