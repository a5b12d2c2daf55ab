//! Generation: greedy decoding, stop reasons, hooks, sampling and batches.

mod common;

use bitkv_bitnet::{
    Architecture, Config, Generated, GenerationOptions, Hooks, KvCache, Model, Probes, Sampling, StopReason,
    generate, generate_batch,
};
use common::{BOTH, Random};

/// Returns a model whose LM head is not tied to the embedding: a random tied model repeats its last token
/// forever.
fn untied(architecture: Architecture) -> Model {
    let config = Config { tie_word_embeddings: false, ..common::config(architecture) };
    common::load_masters(&config, &common::masters(&config, 6))
}

fn options(max_tokens: usize) -> GenerationOptions {
    GenerationOptions { max_tokens, stop: vec![], sampling: Sampling::Greedy, repetition_penalty: 1.0 }
}

fn run(model: &Model, options: &GenerationOptions) -> (Vec<u32>, StopReason) {
    let prompt = Random(1).tokens(20, 61);
    let done = generate(model, &prompt, &mut model.new_cache(), options, None, &mut |_| true).unwrap();
    (done.tokens, done.stop)
}

/// Generates greedily without a cache: every token runs the whole text again.
fn generate_without_cache(model: &Model, count: usize) -> Vec<u32> {
    let mut tokens = Random(1).tokens(20, 61);
    for _ in 0..count {
        let logits = model.prefill(&tokens, &mut model.new_cache(), None).unwrap().0;
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        tokens.push(best as u32);
    }
    tokens.split_off(20)
}

#[test]
fn greedy_generation_equals_repeated_prefill() {
    for architecture in BOTH {
        let model = untied(architecture);
        assert_eq!(run(&model, &options(25)), (generate_without_cache(&model, 25), StopReason::MaxTokens));
    }
}

#[test]
fn generation_stops_for_every_reason() {
    let model = untied(BOTH[0]);
    let all = generate_without_cache(&model, 25);
    let index = (1..25).find(|i| !all[..*i].contains(&all[*i])).expect("some token is new");
    let stopping = GenerationOptions { stop: vec![all[index]], ..options(25) };
    assert_eq!(run(&model, &stopping), (all[..index].to_vec(), StopReason::Token(all[index])));
    assert_eq!(run(&model, &options(0)), (vec![], StopReason::MaxTokens));
    let (tokens, stop) = run(&model, &options(10_000));
    // The 300 positions hold the prompt and 280 tokens; the logits at the last position give one more token.
    assert_eq!((tokens.len(), stop), (281, StopReason::ContextFull));
    let mut seen = 0;
    let mut stop_after_three = |_| {
        seen += 1;
        seen < 3
    };
    let done =
        generate(&model, &[1, 2], &mut model.new_cache(), &options(9), None, &mut stop_after_three).unwrap();
    assert_eq!((done.tokens.len(), done.stop), (3, StopReason::Caller));
}

#[test]
fn the_hook_sees_the_prompt_and_may_evict() {
    let model = untied(BOTH[0]);
    let prompt = Random(1).tokens(40, 61);
    let probes = Probes { entropy: true, windows: vec![4], ..Probes::default() };
    let mut cache = model.new_cache();
    let mut hook = |_: usize, probed: &bitkv_bitnet::ProbeOutput, cache: &mut dyn KvCache| {
        assert_eq!((probed.entropy[0][0].len(), probed.windows[&4].len()), (40, 18));
        cache.keep(&|_, _| (30..40).collect())?;
        Ok(())
    };
    generate(&model, &prompt, &mut cache, &options(5), Some((&probes, &mut hook)), &mut |_| true).unwrap();
    // The fifth token is generated, but never run.
    assert_eq!((cache.len(0, 0), cache.tokens_seen()), (14, 44));
    let mut failing = |_: usize, _: &bitkv_bitnet::ProbeOutput, _: &mut dyn KvCache| Err("no plan".into());
    let error = generate(
        &model,
        &prompt,
        &mut model.new_cache(),
        &options(5),
        Some((&probes, &mut failing)),
        &mut |_| true,
    );
    assert!(error.unwrap_err().to_string().contains("no plan"));
}

/// The model has 300 positions. A text can be longer if its keys are rerotated after an eviction.
#[test]
fn a_rerotated_cache_has_room_again() {
    let model = untied(BOTH[1]);
    let prompt = Random(1).tokens(290, 61);
    for (rerotate, expected) in [(false, (11, StopReason::ContextFull)), (true, (60, StopReason::MaxTokens))]
    {
        let mut hook = |_: usize, _: &bitkv_bitnet::ProbeOutput, cache: &mut dyn KvCache| {
            cache.keep(&|_, _| (250..290).collect())?;
            if rerotate {
                model.rerotate(cache)?;
            }
            Ok(())
        };
        let probes = Probes::default();
        let mut cache = model.new_cache();
        let hook: Option<(&Probes, bitkv_bitnet::AfterPrefill<'_>)> = Some((&probes, &mut hook));
        let generated = generate(&model, &prompt, &mut cache, &options(60), hook, &mut |_| true).unwrap();
        assert_eq!((generated.tokens.len(), generated.stop), expected);
    }
}

#[test]
fn the_seed_determines_sampled_text() {
    let model = untied(BOTH[1]);
    let sampled = |seed| {
        let sampling = Sampling::Random { temperature: 3.0, top_k: 0, top_p: 0.95, seed };
        run(&model, &GenerationOptions { sampling, ..options(30) }).0
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
}

/// Collects the tokens of each text, `[texts][tokens]`.
struct Seen<'a>(&'a mut Vec<Vec<u32>>);

impl Hooks for Seen<'_> {
    fn on_token(&mut self, text: usize, token: u32) -> bool {
        self.0[text].push(token);
        true
    }
}

#[test]
fn a_batch_equals_each_prompt_alone() {
    let model = untied(Architecture::BitNet);
    let prompts: Vec<Vec<u32>> = [5, 1, 17].map(|n| Random(n as u64).tokens(n, 61)).to_vec();
    let sampling = Sampling::Random { temperature: 1.5, top_k: 30, top_p: 0.9, seed: 3 };
    // The first text soon draws the stop token, so texts end at different steps.
    let first = generate_alone(&model, &prompts[0], &GenerationOptions { sampling, ..options(20) });
    let options = GenerationOptions { sampling, stop: vec![first.tokens[7]], ..options(20) };
    let mut caches = vec![model.new_cache(); 3];
    let mut borrowed: Vec<&mut dyn KvCache> = caches.iter_mut().map(|c| c as &mut dyn KvCache).collect();
    let slices: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let mut seen = vec![Vec::new(); 3];
    let all = generate_batch(&model, &slices, &mut borrowed, &options, &mut Seen(&mut seen)).unwrap();
    for ((prompt, generated), seen) in prompts.iter().zip(&all).zip(&seen) {
        let alone = generate_alone(&model, prompt, &options);
        assert_eq!((&generated.tokens, generated.stop), (&alone.tokens, alone.stop));
        assert_eq!(&generated.tokens, seen);
    }
    assert!(
        all.iter().any(|generated| generated.stop == StopReason::MaxTokens)
            && all[0].stop != StopReason::MaxTokens
    );
}

fn generate_alone(model: &Model, prompt: &[u32], options: &GenerationOptions) -> Generated {
    generate(model, prompt, &mut model.new_cache(), options, None, &mut |_| true).unwrap()
}
