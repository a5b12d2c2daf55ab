//! Generation: greedy decoding, stop reasons, hooks, sampling and batches.

mod common;

use bitkv_bitnet::{
    Architecture, Config, Generated, GenerationOptions, KvCache, Model, Probes, Sampling, Stop, generate,
    generate_batch,
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

fn run(model: &Model, options: &GenerationOptions) -> (Vec<u32>, Stop) {
    let prompt = Random(1).tokens(20, 61);
    let done = generate(model, &prompt, &mut model.new_cache(), options, None, &mut |_| true).unwrap();
    (done.tokens, done.stop)
}

/// Greedy generation without a cache: the whole text again for every token.
fn naive(model: &Model, count: usize) -> Vec<u32> {
    let mut tokens = Random(1).tokens(20, 61);
    for _ in 0..count {
        let logits = model.prefill(&tokens, &mut model.new_cache(), None).unwrap().0;
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        tokens.push(best as u32);
    }
    tokens.split_off(20)
}

#[test]
fn greedy_is_repeated_prefill() {
    for architecture in BOTH {
        let model = untied(architecture);
        assert_eq!(run(&model, &options(25)), (naive(&model, 25), Stop::MaxTokens));
    }
}

#[test]
fn it_stops_for_every_reason() {
    let model = untied(BOTH[0]);
    let all = naive(&model, 25);
    let at = (1..25).find(|i| !all[..*i].contains(&all[*i])).expect("some token is new");
    let stopping = GenerationOptions { stop: vec![all[at]], ..options(25) };
    assert_eq!(run(&model, &stopping), (all[..at].to_vec(), Stop::Token(all[at])));
    assert_eq!(run(&model, &options(0)), (vec![], Stop::MaxTokens));
    let (tokens, stop) = run(&model, &options(10_000));
    // 300 positions hold the prompt and 280 tokens; one more comes from the last position.
    assert_eq!((tokens.len(), stop), (281, Stop::ContextFull));
    let mut seen = 0;
    let mut enough = |_| {
        seen += 1;
        seen < 3
    };
    let done = generate(&model, &[1, 2], &mut model.new_cache(), &options(9), None, &mut enough).unwrap();
    assert_eq!((done.tokens.len(), done.stop), (3, Stop::Caller));
}

#[test]
fn the_hook_sees_the_prompt_and_may_evict() {
    let model = untied(BOTH[0]);
    let prompt = Random(1).tokens(40, 61);
    let observe = Probes { entropy: true, windows: vec![4], ..Probes::default() };
    let mut cache = model.new_cache();
    let mut hook = |_: usize, observed: &bitkv_bitnet::ProbeOutput, cache: &mut dyn KvCache| {
        assert_eq!((observed.entropy[0][0].len(), observed.windows[&4].len()), (40, 18));
        cache.keep(&|_, _| (30..40).collect())?;
        Ok(())
    };
    generate(&model, &prompt, &mut cache, &options(5), Some((&observe, &mut hook)), &mut |_| true).unwrap();
    // The fifth token is never run.
    assert_eq!((cache.len(0, 0), cache.tokens_seen()), (14, 44));
    let mut failing = |_: usize, _: &bitkv_bitnet::ProbeOutput, _: &mut dyn KvCache| Err("no plan".into());
    let error = generate(
        &model,
        &prompt,
        &mut model.new_cache(),
        &options(5),
        Some((&observe, &mut failing)),
        &mut |_| true,
    );
    assert!(error.unwrap_err().to_string().contains("no plan"));
}

/// The model has 300 positions. A text can be longer if its keys are rerotated after an eviction.
#[test]
fn a_turned_cache_is_not_full() {
    let model = untied(BOTH[1]);
    let prompt = Random(1).tokens(290, 61);
    for (turn, expected) in [(false, (11, Stop::ContextFull)), (true, (60, Stop::MaxTokens))] {
        let mut hook = |_: usize, _: &bitkv_bitnet::ProbeOutput, cache: &mut dyn KvCache| {
            cache.keep(&|_, _| (250..290).collect())?;
            if turn {
                model.rerotate(cache)?;
            }
            Ok(())
        };
        let observe = Probes::default();
        let mut cache = model.new_cache();
        let hook: Option<(&Probes, bitkv_bitnet::AfterPrefill<'_>)> = Some((&observe, &mut hook));
        let made = generate(&model, &prompt, &mut cache, &options(60), hook, &mut |_| true).unwrap();
        assert_eq!((made.tokens.len(), made.stop), expected);
    }
}

#[test]
fn seeds_decide() {
    let model = untied(BOTH[1]);
    let sampled = |seed| {
        let sampling = Sampling::Random { temperature: 3.0, top_k: 0, top_p: 0.95, seed };
        run(&model, &GenerationOptions { sampling, ..options(30) }).0
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
}

#[test]
fn a_batch_is_each_alone() {
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
    let all = generate_batch(&model, &slices, &mut borrowed, &options, None, &mut |i, token| {
        seen[i].push(token);
        true
    })
    .unwrap();
    for ((prompt, made), seen) in prompts.iter().zip(&all).zip(&seen) {
        let alone = generate_alone(&model, prompt, &options);
        assert_eq!((&made.tokens, made.stop), (&alone.tokens, alone.stop));
        assert_eq!(&made.tokens, seen);
    }
    assert!(all.iter().any(|made| made.stop == Stop::MaxTokens) && all[0].stop != Stop::MaxTokens);
}

fn generate_alone(model: &Model, prompt: &[u32], options: &GenerationOptions) -> Generated {
    generate(model, prompt, &mut model.new_cache(), options, None, &mut |_| true).unwrap()
}
