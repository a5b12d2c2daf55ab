//! Reproducible random numbers: a generator is made anew for each step, so that a resumed run draws
//! what an uninterrupted one would have drawn.

/// SplitMix64 (Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for one purpose.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The generator of one step of a run.
    pub fn of_step(seed: u64, step: u64) -> Rng {
        let mut rng = Rng(seed);
        Rng(rng.next() ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// 64 random bits.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// An index below `n`, which is positive.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f32 {
        let (u, v) = (self.unit().max(1e-12), self.unit());
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }

    /// `count` different items of `pool`, in random order; all of them when there are fewer.
    pub fn sample<T: Copy>(&mut self, pool: &[T], count: usize) -> Vec<T> {
        let mut order: Vec<T> = pool.to_vec();
        let count = count.min(order.len());
        for i in 0..count {
            let j = i + self.below(order.len() - i);
            order.swap(i, j);
        }
        order.truncate(count);
        order
    }
}
