//! Imitations of engines that decode or write BitNet checkpoints wrongly.

/// The values of the codes 00, 01 and 10.
pub(crate) type Map = [i8; 3];

pub(crate) const RIGHT: Map = [-1, 0, 1];
/// Code 0 is zero: the map of a published Zig engine, and of others after it.
pub(crate) const ZERO_FIRST: Map = [0, 1, -1];

/// Returns the index in a matrix `[rows, cols]`, row by row, of the code in bits `2i` and `2i + 1` of packed
/// byte `b`.
pub(crate) type Place = fn(b: usize, i: usize, rows: usize, cols: usize) -> usize;

/// The order in which transformers packs.
pub(crate) const QUARTERS: Place = |b, i, rows, cols| (b / cols + i * rows / 4) * cols + b % cols;
/// Each byte holds four neighbours of a row.
pub(crate) const NEIGHBOURS: Place = |b, i, _, _| 4 * b + i;
/// Each byte holds one column of four neighbouring rows.
pub(crate) const ROWS: Place = |b, i, _, cols| (4 * (b / cols) + i) * cols + b % cols;
/// Each byte holds one column of the four quarters, with the first quarter in the highest bits.
pub(crate) const HIGH_FIRST: Place = |b, i, rows, cols| QUARTERS(b, 3 - i, rows, cols);

/// Returns the values that an engine decodes from a packed matrix `[rows, cols]`.
pub(crate) fn decode(bytes: &[u8], rows: usize, cols: usize, map: Map, place: Place) -> Vec<i8> {
    let mut values = vec![9; rows * cols];
    for (b, byte) in bytes.iter().enumerate() {
        for i in 0..4 {
            values[place(b, i, rows, cols)] = map[usize::from(byte >> (2 * i) & 3)];
        }
    }
    values
}

/// Packs values as a converter with the same map and order does.
pub(crate) fn encode(values: &[i8], rows: usize, cols: usize, map: Map, place: Place) -> Vec<u8> {
    let code = |value: i8| map.iter().position(|v| *v == value).unwrap() as u8;
    let byte = |b| (0..4).fold(0, |byte, i| byte | code(values[place(b, i, rows, cols)]) << (2 * i));
    (0..rows * cols / 4).map(byte).collect()
}

/// An engine agrees with transformers only with the right map and the right order.
#[test]
fn only_the_right_engine_decodes_a_file() {
    use crate::model::{packed, values};
    let (rows, cols) = (8, 12);
    let original: Vec<i8> = (0..rows * cols).map(|at| (at * at / 5 % 3) as i8 - 1).collect();
    let bytes = packed(&original, rows, cols);
    assert_eq!(decode(&bytes, rows, cols, RIGHT, QUARTERS), original);
    assert_eq!(encode(&original, rows, cols, RIGHT, QUARTERS), bytes);
    for (map, place) in [
        (ZERO_FIRST, QUARTERS),
        (RIGHT, NEIGHBOURS),
        (RIGHT, ROWS),
        (RIGHT, HIGH_FIRST),
        (ZERO_FIRST, NEIGHBOURS),
    ] {
        assert_ne!(decode(&bytes, rows, cols, map, place), original);
        let theirs = encode(&original, rows, cols, map, place);
        assert_ne!(values(&theirs, rows, cols), original);
        assert_eq!(decode(&theirs, rows, cols, map, place), original, "a converter and its own engine agree");
    }
}
