use super::*;

const SHAPE: CacheShape = CacheShape { layers: 2, kv_heads: 2, head_dim: 2 };

fn filled(tokens: usize) -> Cache {
    let mut cache = Cache::new(SHAPE);
    let numbers: Vec<f32> = (0..tokens * 4).map(|i| i as f32).collect();
    for layer in 0..2 {
        cache.append(layer, &numbers, &numbers);
    }
    cache.advance(tokens);
    cache
}

#[test]
fn heads_get_their_own_columns() {
    let cache = filled(3);
    assert_eq!(cache.keys_f32(1, 0), [0.0, 1.0, 4.0, 5.0, 8.0, 9.0]);
    assert_eq!(cache.keys_f32(1, 1), [2.0, 3.0, 6.0, 7.0, 10.0, 11.0]);
}

#[test]
fn keeping_frees_memory_and_remembers_positions() {
    let mut cache = filled(100);
    assert_eq!(cache.bytes(), 100 * 2 * 2 * 2 * 2 * 2);
    cache.keep(&|layer, head| if (layer, head) == (0, 1) { vec![7, 99] } else { vec![] }).unwrap();
    assert_eq!((cache.len(0, 1), cache.len(1, 1), cache.tokens_seen()), (2, 0, 100));
    assert_eq!((cache.bytes(), cache.allocated_bytes()), (2 * 8, 2 * 12));
    assert_eq!(cache.view(0, 1).positions, [7, 99]);
    assert_eq!(cache.keys_f32(0, 1), [30.0, 31.0, 398.0, 399.0]);
    cache.keep(&|_, head| if head == 1 { cache_positions() } else { vec![] }).unwrap_err();
}

fn cache_positions() -> Vec<u32> {
    vec![7]
}

#[test]
fn bad_plans_change_nothing() {
    let mut cache = filled(5);
    let error = cache.keep(&|_, _| vec![1, 5]).unwrap_err().to_string();
    assert!(error.contains("position 5") && error.contains("layer 0, KV head 0"), "{error}");
    for plan in [vec![2, 2], vec![3, 1]] {
        assert!(matches!(cache.keep(&|_, _| plan.clone()), Err(Error::NotAscending { .. })));
    }
    let late = |layer, _| if layer == 1 { vec![9] } else { vec![0] };
    assert!(cache.keep(&late).is_err());
    assert_eq!(cache.len(0, 0), 5);
}
