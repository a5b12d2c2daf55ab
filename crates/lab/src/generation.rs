//! Generates text from caches that a policy compresses, after prompts and while tokens are generated.
//!
//! A [`Session`] holds the caches of some texts. [`Session::generate`] continues all of them, once or turn by
//! turn. An [`Eviction`] says what is evicted and when; the decoding is the same as that of a run.

mod hooks;
mod pace;

use std::time::Instant;

use bitkv_bitnet::{
    Cache, CachePrecision, Generated, GenerationOptions, KvCache, Quantisation, generate_batch,
};
use bitkv_evict::{Budget, Policy};
use bitkv_models::LoadedModel;
use bitkv_record::{Positions, When};

use crate::{
    Result,
    evictor::Evictor,
    observation::{Calibration, probes_for, shape},
};
use hooks::SessionHooks;

pub use crate::evictor::check_repeatable;
pub use pace::{DecodeWindow, WINDOW_TOKENS};

/// A policy at a budget, with the calibration that it needs to plan.
#[derive(Debug)]
pub struct Eviction {
    /// The policy.
    pub policy: Policy,
    /// How much is kept. A fraction refers to the first prompt of a text: it keeps as many entries later.
    pub budget: Budget,
    /// The numbers about heads that the policy needs.
    pub calibration: Calibration,
    /// When entries are evicted, besides after each prompt.
    pub when: When,
    /// The positions to which keys are rotated after an eviction.
    pub positions: Positions,
}

/// The formats of the caches while and after the first prompts are read.
#[derive(Clone, Copy, Debug)]
pub struct Storage {
    /// The number format while the first prompts are read.
    pub precision: CachePrecision,
    /// The quantisation that is applied after the first prompts are read, if any.
    pub quantisation: Option<Quantisation>,
}

/// What happened to the cache of one text so far.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CacheHistory {
    /// The entries that the policy kept when it was last applied; `None` if it was not applied.
    pub kept_entries: Option<usize>,
    /// The number of times that the policy removed entries.
    pub evictions: usize,
    /// The largest number of bytes of keys and values at any step.
    pub most_bytes: usize,
}

/// Texts that are being generated, with their caches.
pub struct Session<'a> {
    loaded: &'a LoadedModel,
    storage: Storage,
    eviction: Option<&'a Eviction>,
    caches: Vec<Cache>,
    texts: Vec<TextState<'a>>,
}

/// What a session remembers about one text besides its cache.
struct TextState<'a> {
    evictor: Option<Evictor<'a>>,
    /// The budget of every eviction; `None` before the first prompt.
    budget: Option<Budget>,
    /// All tokens of the prompts and of the text so far that were run.
    tokens: Vec<u32>,
    /// The number of tokens that were run one by one since the last eviction.
    since_eviction: usize,
    history: CacheHistory,
}

/// The result of one turn of a session.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The tokens that were generated after each prompt.
    pub generated: Vec<Generated>,
    /// The speed of decoding, for each [`WINDOW_TOKENS`] tokens of all texts together.
    pub windows: Vec<DecodeWindow>,
}

impl<'a> Session<'a> {
    /// Returns a session of `texts` texts with empty caches.
    pub fn new(
        loaded: &'a LoadedModel,
        texts: usize,
        storage: Storage,
        eviction: Option<&'a Eviction>,
    ) -> Session<'a> {
        let evictor = |e: &'a Eviction| Evictor::new(loaded, &e.policy, &e.calibration, e.positions);
        let cache = loaded.model.new_cache_with_precision(storage.precision);
        let cache = match eviction.map(|eviction| eviction.positions) {
            Some(Positions::Rerotated) => cache.with_positions_in_cache(),
            _ => cache,
        };
        let text = || TextState {
            evictor: eviction.map(evictor),
            budget: None,
            tokens: Vec::new(),
            since_eviction: 0,
            history: CacheHistory::default(),
        };
        let (caches, texts) = (vec![cache; texts], (0..texts).map(|_| text()).collect());
        Session { loaded, storage, eviction, caches, texts }
    }

    /// The cache of each text.
    pub fn caches(&self) -> &[Cache] {
        &self.caches
    }

    /// What happened to the cache of each text.
    pub fn histories(&self) -> impl Iterator<Item = CacheHistory> + '_ {
        self.texts.iter().map(|text| text.history)
    }

    /// Reads a prompt after each text and generates the tokens that follow. With an eviction, each cache is
    /// compressed after its prompt and, if the eviction says so, after chunks of the prompt and while tokens
    /// are generated. `on_token` is called with the index of the text and each new token; when it returns
    /// false, the generation of that text ends.
    ///
    /// The last generated token of a text is not run, so the next prompt must begin with it.
    ///
    /// # Errors
    /// Returns an error if a prompt or an option is refused, or if the policy cannot plan. The session must
    /// not be used after an error.
    ///
    /// # Panics
    /// Panics if the number of prompts is not the number of texts.
    pub fn generate(
        &mut self,
        prompts: &[Vec<u32>],
        options: &GenerationOptions,
        on_token: &mut dyn FnMut(usize, u32) -> bool,
    ) -> Result<Turn> {
        assert_eq!(prompts.len(), self.texts.len(), "every text has a prompt");
        let (mut last_parts, mut seconds) = (Vec::new(), Vec::new());
        for (i, prompt) in prompts.iter().enumerate() {
            let started = Instant::now();
            last_parts.push(self.read_chunks(i, prompt)?);
            seconds.push(started.elapsed().as_secs_f64());
        }
        let probes = self.eviction.map(|eviction| probes_for(&eviction.policy.needs()));
        let mut borrowed: Vec<&mut dyn KvCache> =
            self.caches.iter_mut().map(|cache| cache as &mut dyn KvCache).collect();
        let mut hooks = SessionHooks {
            loaded: self.loaded,
            storage: self.storage,
            eviction: self.eviction,
            probes,
            prompts,
            last_parts: &last_parts,
            texts: &mut self.texts,
            pace: pace::Pace::new(),
            on_token,
        };
        let mut generated =
            generate_batch(&self.loaded.model, &last_parts, &mut borrowed, options, &mut hooks)?;
        let windows = hooks.pace.finish();
        generated.iter_mut().zip(seconds).for_each(|(text, seconds)| text.prefill_seconds += seconds);
        Ok(Turn { generated, windows })
    }

    /// Reads the first chunks of a prompt and evicts after each, if the eviction says so. Returns the rest of
    /// the prompt, which is not empty.
    fn read_chunks<'p>(&mut self, text: usize, prompt: &'p [u32]) -> Result<&'p [u32]> {
        let (state, cache) = (&mut self.texts[text], &mut self.caches[text]);
        let chunk = self.eviction.and_then(|eviction| eviction.when.prefill_chunk);
        let (Some(chunk), Some(eviction)) = (chunk, self.eviction) else { return Ok(prompt) };
        let mut rest = prompt;
        while rest.len() > chunk {
            let (part, later) = rest.split_at(chunk);
            let Some(evictor) = &mut state.evictor else { break };
            let (_, observation) = evictor.read(part, cache)?;
            state.tokens.extend(part);
            state.history.most_bytes = state.history.most_bytes.max(cache.bytes());
            let whole = shape(self.loaded, prompt.len());
            let budget = *state.budget.get_or_insert_with(|| eviction.budget.fixed_for(whole));
            state.evict(&observation, budget, cache)?;
            rest = later;
        }
        Ok(rest)
    }
}
