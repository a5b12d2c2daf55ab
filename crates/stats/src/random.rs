/// SplitMix64 (Steele, Lea and Flood 2014): a small generator whose sequence is fixed by
/// its seed on every machine and in every version, so that results can be redone.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`, each equally likely; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        // Lemire 2019: the high half of a product, rejecting the few low halves
        // that would favour some values.
        let reject_under = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject_under {
                return (product >> 64) as usize;
            }
        }
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Puts `items` into a random order, each order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// Moves every item to a place it did not have: one random cycle through all
    /// of them (Sattolo 1986). A single item stays.
    pub fn displace<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;
    use proptest::prelude::*;

    #[test]
    fn the_reference_sequence() {
        // Output of Vigna's splitmix64.c for this seed.
        let mut rng = Rng::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317u64,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| rng.next_u64()), expected);
    }

    #[test]
    fn below_is_even() {
        let mut rng = Rng::new(7);
        let mut seen = [0usize; 6];
        (0..60_000).for_each(|_| seen[rng.below(6)] += 1);
        // Six standard deviations of a count are 550.
        assert!(seen.iter().all(|n| n.abs_diff(10_000) < 550), "{seen:?}");
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn unit_is_even() {
        let mut rng = Rng::new(3);
        let mean = (0..100_000).map(|_| rng.unit()).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.006, "{mean}");
    }

    proptest! {
        #[test]
        fn shuffling_keeps_the_items(seed: u64, n in 0usize..50) {
            let mut items: Vec<usize> = (0..n).collect();
            Rng::new(seed).shuffle(&mut items);
            items.sort_unstable();
            prop_assert_eq!(items, (0..n).collect::<Vec<_>>());
        }

        #[test]
        fn displacing_leaves_nothing_in_place(seed: u64, n in 2usize..50) {
            let mut items: Vec<usize> = (0..n).collect();
            Rng::new(seed).displace(&mut items);
            prop_assert!(items.iter().enumerate().all(|(i, &x)| i != x));
            items.sort_unstable();
            prop_assert_eq!(items, (0..n).collect::<Vec<_>>());
        }

        #[test]
        fn unit_is_below_one(seed: u64) {
            prop_assert!((0.0..1.0).contains(&Rng::new(seed).unit()));
        }
    }
}
