//! What is to be measured: a [`Request`] lists the tests and how often they run.

use bitkv_bitnet::{Config, Probes};

use crate::{Error, Fill, HeadBudgets, Result, test::Test};

/// The number of last queries that [`Probe::Window`] observes: the window of SnapKV (arXiv 2404.14469).
const WINDOW: usize = 64;
/// The most threads that a request may ask for. A larger number is a typing error: starting the threads alone
/// would take longer than any measurement.
pub const MOST_THREADS: usize = 1024;
/// The most tokens of a test. No model reads as many.
const MOST_TOKENS: usize = 1 << 26;
/// The most passes over all tests.
const MOST_PASSES: usize = 1_000_000;
/// The tokens that a forward pass computes at once, unless a probe needs all of them together.
const BLOCK: usize = 512;
/// The bytes of the program, of its threads, and of the buffers that measure the ceilings of the machine.
const PROGRAM: u64 = 400 << 20;

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

    /// Returns the name that `bitkv bench --probes` takes and that records hold.
    pub fn name(self) -> &'static str {
        match self {
            Probe::Off => "off",
            Probe::Entropy => "entropy",
            Probe::Accumulated => "accumulated",
            Probe::Window => "window",
        }
    }

    /// Returns the probe with this name.
    ///
    /// # Errors
    /// Fails if no probe has this name.
    pub fn find(name: &str) -> Result<Probe> {
        let found = Probe::ALL.into_iter().find(|probe| probe.name() == name);
        found.ok_or_else(|| Error::Probe { name: name.into() })
    }

    /// Returns what a prefill has to observe; `None` for [`Probe::Off`].
    pub(crate) fn observe(self) -> Option<Probes> {
        match self {
            Probe::Off => None,
            Probe::Entropy => Some(Probes { entropy: true, ..Probes::default() }),
            Probe::Accumulated => Some(Probes { accumulated: true, ..Probes::default() }),
            Probe::Window => Some(Probes { windows: vec![WINDOW], ..Probes::default() }),
        }
    }
}

/// The tests to run, and how often.
#[derive(Clone, Debug)]
pub struct Request {
    /// The lengths of prefills, in tokens.
    pub prefill: Vec<usize>,
    /// What is observed during prefills. Each prefill runs once with each probe.
    pub probes: Vec<Probe>,
    /// The lengths of the prefills that a cost is fitted to, in tokens; empty for no fit.
    pub fit: Vec<usize>,
    /// The number of tokens to decode one by one; 0 for no decode test.
    pub decode: usize,
    /// The numbers of tokens that were read before a decode.
    pub depths: Vec<usize>,
    /// The fractions of these tokens that the cache holds, above 0 and at most 1.
    pub budgets: Vec<f64>,
    /// Where the cached keys and values come from.
    pub fill: Fill,
    /// How a budget below 1 is divided among the KV heads.
    pub head_budgets: HeadBudgets,
    /// The numbers of threads; all tests run with each of them.
    pub threads: Vec<usize>,
    /// The number of passes over all tests that are not recorded.
    pub warm_up: usize,
    /// The number of passes over all tests that are recorded.
    pub repeats: usize,
}

impl Request {
    /// Checks whether a model of this configuration can run the tests.
    ///
    /// # Errors
    /// Fails if a number is out of range. The message names the option of `bitkv bench` that gave it.
    pub fn check(&self, config: &Config) -> Result<()> {
        let limit = config.max_position_embeddings;
        if self.tests().is_empty() {
            return Err(Error::Nothing);
        }
        self.check_lengths()?;
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
            let positions = depth.saturating_add(self.decode).saturating_add(1);
            if positions > limit {
                return Err(Error::Depth { depth, decode: self.decode, positions, limit });
            }
        }
        if let Some(&budget) = self.budgets.iter().find(|budget| !(**budget > 0.0 && **budget <= 1.0)) {
            return Err(Error::Budget { budget });
        }
        self.check_repetition()
    }

    /// Checks that no length is out of reach of every model.
    fn check_lengths(&self) -> Result<()> {
        let decode = [self.decode];
        let all: [(&'static str, &[usize]); 4] = [
            ("--prefill", &self.prefill),
            ("--fit", &self.fit),
            ("--decode", &decode),
            ("--depth", &self.depths),
        ];
        for (argument, lengths) in all {
            if let Some(&found) = lengths.iter().find(|length| **length > MOST_TOKENS) {
                return Err(Error::TooMany { argument, found, most: MOST_TOKENS });
            }
        }
        Ok(())
    }

    /// Returns an estimate of the bytes of memory that the tests take on a model of this configuration. Its
    /// weights exist twice while they are read.
    pub fn memory_bytes(&self, config: &Config) -> u64 {
        let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
        let linears = config.all_linears().map(|linear| product(linear.rows, linear.cols) / 4);
        let embedding = product(config.vocab_size, config.hidden_size).saturating_mul(2);
        let tied = if config.tie_word_embeddings { 1 } else { 2 };
        let weights = linears.fold(embedding.saturating_mul(tied), u64::saturating_add);
        let decoded = self.depths.iter().map(|depth| depth + self.decode + 1).filter(|_| self.decode > 0);
        let longest = self.prefill.iter().chain(&self.fit).copied().chain(decoded).max().unwrap_or(0) as u64;
        let kv = product(config.num_key_value_heads, config.head_dim) * 4 * config.num_hidden_layers as u64;
        let row = (config.hidden_size * 8 + config.head_dim * 8 + 64) as u64;
        let widths = 8 * (config.hidden_size + config.num_attention_heads * config.head_dim)
            + 4 * config.intermediate_size;
        let at_once = product(BLOCK, widths) * 4 + 8 * config.vocab_size as u64;
        let tokens = longest.saturating_mul(kv.saturating_add(row));
        weights.saturating_mul(2).saturating_add(tokens).saturating_add(at_once).saturating_add(PROGRAM)
    }

    fn check_repetition(&self) -> Result<()> {
        for (argument, found) in [("--warm-up", self.warm_up), ("--repeats", self.repeats)] {
            if found > MOST_PASSES {
                return Err(Error::TooMany { argument, found, most: MOST_PASSES });
            }
        }
        if let Some(&threads) = self.threads.iter().find(|threads| !(1..=MOST_THREADS).contains(*threads)) {
            return Err(Error::Threads { threads, most: MOST_THREADS });
        }
        match (self.threads.is_empty(), self.repeats) {
            (true, _) => Err(Error::NoThreads),
            (false, 0) => Err(Error::NoRepeats),
            (false, _) => Ok(()),
        }
    }

    /// Returns how many positions a model with random weights needs for these tests, at least the `positions`
    /// of its shape. Random weights were not trained for any length, so fits may be longer than the shape
    /// allows, and tokens may be decoded after a full context.
    pub fn positions(&self, positions: usize) -> usize {
        let depths = self.depths.iter().filter(|depth| **depth <= positions);
        let decoded = depths.map(|depth| depth.saturating_add(self.decode).saturating_add(1));
        let longest = self.fit.iter().copied().chain(decoded).max();
        positions.max(longest.unwrap_or_default())
    }

    /// Returns each test once, in the order of the table.
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
            // An empty cache has nothing to evict.
            let budgets = if depth == 0 { &[1.0][..] } else { &self.budgets };
            budgets.iter().for_each(|&budget| add(Test::Decode { tokens: self.decode, depth, budget }));
        }
        tests
    }
}
