//! What is to be measured.

use bitkv_bitnet::{Config, Probes};

use crate::{Cut, Error, Fill, Result, test::Test};

/// The last queries that [`Probe::Window`] watches, SnapKV's number (arXiv 2404.14469).
const WINDOW: usize = 64;
/// More threads than any machine has are a slip.
const MOST_THREADS: usize = 4096;

/// What is observed during a prefill.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Probe {
    /// Nothing.
    Off,
    /// The entropy of every head and query position.
    Entropy,
    /// Attention summed over all queries, per key.
    Accumulated,
    /// Mean attention of the last 64 queries, per key.
    Window,
}

impl Probe {
    const ALL: [Probe; 4] = [Probe::Off, Probe::Entropy, Probe::Accumulated, Probe::Window];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Probe::Off => "off",
            Probe::Entropy => "entropy",
            Probe::Accumulated => "accumulated",
            Probe::Window => "window",
        }
    }

    /// A probe by its name.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn find(name: &str) -> Result<Probe> {
        let found = Probe::ALL.into_iter().find(|probe| probe.name() == name);
        found.ok_or_else(|| Error::Probe { name: name.into() })
    }

    pub(crate) fn observe(self) -> Option<Probes> {
        match self {
            Probe::Off => None,
            Probe::Entropy => Some(Probes { entropy: true, ..Probes::default() }),
            Probe::Accumulated => Some(Probes { accumulated: true, ..Probes::default() }),
            Probe::Window => Some(Probes { windows: vec![WINDOW], ..Probes::default() }),
        }
    }
}

/// Tests and how often they are run.
#[derive(Clone, Debug)]
pub struct Request {
    /// Lengths of prefills, in tokens.
    pub prefill: Vec<usize>,
    /// What is observed during each of them.
    pub probes: Vec<Probe>,
    /// Lengths of the prefills that a cost is fitted to; none for no fit.
    pub fit: Vec<usize>,
    /// Tokens decoded one by one; 0 for no such test.
    pub decode: usize,
    /// Tokens that went before them.
    pub depths: Vec<usize>,
    /// Parts of those that the cache holds, above 0 and at most 1.
    pub budgets: Vec<f64>,
    /// Where those come from.
    pub fill: Fill,
    /// Which of those are kept.
    pub cut: Cut,
    /// Numbers of threads.
    pub threads: Vec<usize>,
    /// Passes over all tests that do not count.
    pub warm_up: usize,
    /// Passes that do.
    pub repeats: usize,
}

impl Request {
    /// Whether the model can do it.
    ///
    /// # Errors
    /// When a number is out of range; the sentence names the argument of `bitkv bench` that gave it.
    pub fn check(&self, config: &Config) -> Result<()> {
        let limit = config.max_position_embeddings;
        if self.tests().is_empty() {
            return Err(Error::Nothing);
        }
        for (argument, lengths) in [("--prefill", &self.prefill), ("--fit", &self.fit)] {
            for &tokens in lengths {
                match tokens {
                    0 => return Err(Error::EmptyPrefill { argument }),
                    _ if tokens > limit => return Err(Error::LongPrefill { argument, tokens, limit }),
                    _ => {}
                }
            }
        }
        if self.fit.len() == 1 {
            return Err(Error::OneLength);
        }
        for &depth in self.depths.iter().filter(|_| self.decode > 0) {
            let end = depth.saturating_add(self.decode).saturating_add(1);
            if end > limit {
                return Err(Error::Depth { depth, over: end - limit, limit, decode: self.decode });
            }
        }
        if let Some(&budget) = self.budgets.iter().find(|budget| !(**budget > 0.0 && **budget <= 1.0)) {
            return Err(Error::Budget { budget });
        }
        self.check_repetition()
    }

    fn check_repetition(&self) -> Result<()> {
        if let Some(&threads) = self.threads.iter().find(|threads| !(1..=MOST_THREADS).contains(*threads)) {
            return Err(Error::Threads { threads, most: MOST_THREADS });
        }
        match (self.threads.is_empty(), self.repeats) {
            (true, _) => Err(Error::NoThreads),
            (false, 0) => Err(Error::NoRepeats),
            (false, _) => Ok(()),
        }
    }

    /// The positions that a model with random weights has for these tests, of `positions` that its shape has. Random
    /// weights were trained for no length: fits may be longer, and tokens may be decoded after a full context.
    pub fn positions(&self, positions: usize) -> usize {
        let depths = self.depths.iter().filter(|depth| **depth <= positions);
        let decoded = depths.map(|depth| depth.saturating_add(self.decode).saturating_add(1));
        let longest = self.fit.iter().copied().chain(decoded).max();
        positions.max(longest.unwrap_or_default())
    }

    /// Each test once, in the order of the table.
    pub(crate) fn tests(&self) -> Vec<Test> {
        let mut tests: Vec<Test> = Vec::new();
        let mut add = |test: Test| {
            if !tests.contains(&test) {
                tests.push(test);
            }
        };
        for &tokens in &self.prefill {
            self.probes.iter().for_each(|&probe| add(Test::Prefill { tokens, probe }));
        }
        self.fit.iter().for_each(|&tokens| add(Test::Prefill { tokens, probe: Probe::Off }));
        for &depth in self.depths.iter().filter(|_| self.decode > 0) {
            // Nothing can be cut where nothing is.
            let budgets = if depth == 0 { &[1.0][..] } else { &self.budgets };
            budgets.iter().for_each(|&budget| add(Test::Decode { tokens: self.decode, depth, budget }));
        }
        tests
    }
}
