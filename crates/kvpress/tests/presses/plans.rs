//! Plans worked out by hand, for options that the fixtures of kvpress do not cover.

use bitkv_evict::{Budget, Need, Observation, Shape};

use crate::support::read;

const SHAPE: Shape = Shape { layers: 1, query_heads: 2, kv_heads: 2, tokens: 4, head_dim: 1 };

/// Keys with the norms 4 1 2 3 and 1 1 1 9, and values with the norms 1 8 1 3 and 9 1 2 1.
const KEYS: [[f32; 4]; 2] = [[4.0, -1.0, 2.0, 3.0], [1.0, 1.0, -1.0, 9.0]];
const VALUES: [[f32; 4]; 2] = [[1.0, -8.0, 1.0, 3.0], [9.0, 1.0, -2.0, 1.0]];
/// The attention of the last query, and the norms of the projected values.
const LAST: [[f32; 4]; 2] = [[0.5, 0.25, 0.125, 0.125], [0.125, 0.5, 0.25, 0.125]];
const NORMS: [[f32; 4]; 2] = [[1.0, 1.0, 8.0, 1.0], [8.0, 1.0, 1.0, 1.0]];

fn kept(press: &str, ratio: f64) -> [Vec<u32>; 2] {
    let seen = Observation::new(SHAPE)
        .with_rows(Need::Keys, &KEYS)
        .with_rows(Need::Values, &VALUES)
        .with_rows(Need::Window(1), &LAST)
        .with_rows(Need::OutputNorms, &NORMS);
    let policy = read(&format!("kvpress:{press}")).unwrap();
    let plan = policy.plan(&seen, Budget::ratio(ratio).unwrap()).unwrap();
    [plan.kept(0, 0).to_vec(), plan.kept(0, 1).to_vec()]
}

#[test]
fn cur_keeps_the_largest_shares_of_squared_norms() {
    let cur = |options: &str| kept(&format!("cur{{num_sinks=0,{options}}}"), 0.5);
    // Three squares of the second head are equal. Here and below, kvpress chose the same of equal scores.
    assert_eq!(cur("use_local_approximation=false,leverage_type='key'"), [vec![0, 3], vec![2, 3]]);
    assert_eq!(cur("use_local_approximation=false,leverage_type='value'"), [vec![1, 3], vec![0, 2]]);
    // Squares 16 1 4 9 with 1 64 1 9, and 1 1 1 81 with 81 1 4 1: sums, then products.
    assert_eq!(cur("use_local_approximation=false,leverage_type='kv_avg'"), [vec![1, 3], vec![0, 3]]);
    assert_eq!(cur("use_local_approximation=false,leverage_type='kv_product'"), [vec![1, 3], vec![0, 3]]);
    // In stretches of two keys, shares are 16/17 1/17 4/13 9/13 and 1/2 1/2 1/82 81/82.
    assert_eq!(cur("local_window_size=2,leverage_type='key'"), [vec![0, 3], vec![1, 3]]);
    assert_eq!(kept("cur{num_sinks=2,use_local_approximation=false}", 0.5), [vec![0, 1], vec![0, 1]]);
}

#[test]
fn all_heads_keep_the_same_chunks() {
    // The sums over heads are 0.625 0.75 0.375 and 3 (the protected score). Chunks of two tokens have the
    // means 0.6875 and 1.6875. Chunks of three have the means 0.583 and 3; the second chunk is the last token
    // alone.
    let chunks =
        |options: &str, ratio| kept(&format!("chunkkv{{window_size=1,kernel_size=1,{options}}}"), ratio);
    assert_eq!(chunks("chunk_length=2", 0.5), [vec![2, 3], vec![2, 3]]);
    assert_eq!(chunks("chunk_length=3", 0.5), [vec![3], vec![3]]);
    // A context shorter than a chunk is compressed token by token.
    assert_eq!(chunks("chunk_length=5", 0.5), [vec![0, 3], vec![1, 3]]);
}

#[test]
fn without_a_safeguard_a_head_may_lose_everything() {
    // Keys of length 1 win: one of the first head and three of the second.
    assert_eq!(kept("adakv_knorm{alpha_safeguard=0.0}", 0.5), [vec![1], vec![0, 1, 2]]);
    assert_eq!(kept("adakv_knorm{alpha_safeguard=1.0}", 0.5), [vec![1, 2], vec![1, 2]]);
}

#[test]
fn the_first_stage_may_choose_no_tokens_or_all() {
    let critical =
        |options: &str| kept(&format!("critical_snapkv{{window_size=1,kernel_size=1,{options}}}"), 0.5);
    // Without a first stage 0.125 * 8 is better than 0.5; the last token's 1.5 is best.
    assert_eq!(critical("first_stage_ratio=0.0,epsilon=0.0"), [vec![2, 3], vec![0, 3]]);
    assert_eq!(critical("first_stage_ratio=1.0"), [vec![0, 3], vec![1, 3]]);
    let both = "critical_adakv_snapkv{window_size=1,kernel_size=1,alpha_safeguard=0.0,";
    assert_eq!(kept(&format!("{both}first_stage_ratio=0.0,epsilon=0.0}}"), 0.5), [vec![2, 3], vec![0, 3]]);
    assert_eq!(kept(&format!("{both}first_stage_ratio=1.0}}"), 0.5), [vec![0, 3], vec![1, 3]]);
}

#[test]
fn each_block_is_compressed_with_the_tokens_kept_so_far() {
    // The sign of a key is its direction. The first head has the keys + - + +, and the second + + - +. A key
    // that differs from the mean is kept. All others of a block tie, and kvpress keeps the same of them.
    assert_eq!(kept("block_keydiff{block_size=1}", 0.5), [vec![0, 1], vec![0, 2]]);
    assert_eq!(kept("block_keydiff{block_size=9}", 0.5), [vec![1, 3], vec![2, 3]]);
}

#[test]
fn tied_positions_are_undecided() {
    let seen = Observation::new(SHAPE).with_rows(Need::Keys, &KEYS);
    let undecided = |press: &str, ratio| -> Vec<Vec<u32>> {
        let policy = read(press).unwrap();
        bitkv_kvpress::undecided(&policy, &seen, Budget::ratio(ratio).unwrap(), 1e-6).unwrap()
    };
    assert_eq!(undecided("kvpress:knorm", 0.5), [vec![], vec![0, 1, 2]]);
    assert_eq!(undecided("kvpress:knorm", 0.25), [Vec::<u32>::new(), vec![]]);
    // The budget has room for one of the two sinks. Both have the same score.
    assert_eq!(undecided("kvpress:streaming_llm{n_sink=2}", 0.75), [vec![0, 1], vec![0, 1]]);
    assert_eq!(undecided("kvpress:streaming_llm{n_sink=1}", 0.5), [Vec::<u32>::new(), vec![]]);
    assert_eq!(undecided("uniform+recency", 0.5), [Vec::<u32>::new(), vec![]]);
}
