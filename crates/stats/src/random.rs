//! A small random number generator whose results can be reproduced.

/// SplitMix64 (Steele, Lea and Flood 2014): a small generator. Its seed fixes its sequence on every machine
/// and in every version, so that results can be reproduced.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// Starts the sequence of one part of a computation, such as one step of a run. Every part has its own
    /// sequence, so that parts can be computed in any order.
    pub fn for_part(seed: u64, part: u64) -> Rng {
        let first = Rng(seed).next_u64();
        Rng(first ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Returns the next 64 bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number in `0..n`; all are equally likely. Returns 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        // Lemire 2019: the result is the high half of a product. A few low halves are rejected, because they
        // would favour some results.
        let reject_under = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject_under {
                return (product >> 64) as usize;
            }
        }
    }

    /// Returns a number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Returns a number from the standard normal distribution (Box and Muller 1958).
    pub fn normal(&mut self) -> f32 {
        let (u, v) = (self.unit().max(1e-12), self.unit());
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }

    /// Returns a number of mean 0 and variance 1 that is nearly normal and cheap to compute: the sum of four
    /// uniform numbers.
    #[inline]
    pub fn near_normal(&mut self) -> f32 {
        let bits = self.next_u64();
        let sum: u64 = (0..4).map(|i| (bits >> (16 * i)) & 0xFFFF).sum();
        (sum as f32 / 65_536.0 - 2.0) * 3f32.sqrt()
    }

    /// Returns `count` different items of `pool` in random order, or all of them if there are fewer.
    pub fn sample<T: Copy>(&mut self, pool: &[T], count: usize) -> Vec<T> {
        let mut order = pool.to_vec();
        let count = count.min(order.len());
        for i in 0..count {
            let j = i + self.below(order.len() - i);
            order.swap(i, j);
        }
        order.truncate(count);
        order
    }

    /// Puts `items` into a random order. Each order is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// Moves every item to another place, by one random cycle through all of them (Sattolo 1986). A single
    /// item stays.
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
    fn below_is_uniform() {
        let mut rng = Rng::new(7);
        let mut seen = [0usize; 6];
        (0..60_000).for_each(|_| seen[rng.below(6)] += 1);
        // Six standard deviations of a count are 550.
        assert!(seen.iter().all(|n| n.abs_diff(10_000) < 550), "{seen:?}");
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
    }

    #[test]
    fn each_part_has_its_own_sequence() {
        let first = |seed, part| Rng::for_part(seed, part).next_u64();
        assert_eq!(first(3, 4), first(3, 4));
        assert_ne!(first(3, 4), first(3, 5));
        assert_ne!(first(3, 4), first(4, 4));
    }

    #[test]
    fn normal_numbers_have_mean_0_and_variance_1() {
        for draw in [Rng::normal, Rng::near_normal] {
            let mut rng = Rng::new(11);
            let numbers: Vec<f64> = (0..100_000).map(|_| f64::from(draw(&mut rng))).collect();
            let mean = numbers.iter().sum::<f64>() / 1e5;
            let variance = numbers.iter().map(|x| x * x).sum::<f64>() / 1e5 - mean * mean;
            // Six standard errors: 0.019 of the mean, 0.027 of a normal's variance.
            assert!(mean.abs() < 0.019 && (variance - 1.0).abs() < 0.027, "{mean} {variance}");
        }
    }

    #[test]
    fn unit_is_uniform() {
        let mut rng = Rng::new(3);
        let mean = (0..100_000).map(|_| rng.unit()).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.006, "{mean}");
    }

    proptest! {
        #[test]
        fn samples_are_different_items_of_the_pool(seed: u64, n in 0usize..20, count in 0usize..25) {
            let pool: Vec<usize> = (0..n).collect();
            let mut sample = Rng::new(seed).sample(&pool, count);
            prop_assert_eq!(sample.len(), count.min(n));
            sample.sort_unstable();
            prop_assert!(sample.windows(2).all(|pair| pair[0] < pair[1]) && sample.iter().all(|x| *x < n));
        }

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
