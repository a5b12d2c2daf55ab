//! The model card: where a model comes from, what it can do and what it cannot.

use std::fmt::Write as _;

use anyhow::Result;
use bitkv_bitnet::{GenerationOptions, Model, Observe, Sampling, generate};
use bitkv_tokenizer::Tokenizer;

use crate::{
    baseline::baselines,
    corpus::Corpus,
    evaluate::{Accuracy, DISTANCES, accuracy, bits_per_byte},
    ops::Precision,
    recipe::Recipe,
    tasks::{Kind, Words},
    trainer::Trainer,
    vocabulary::BOS_ID,
};

/// Held-out windows of the final evaluation.
const WINDOWS: usize = 128;
/// Sequences of each task and distance class.
const SEQUENCES: usize = 64;
/// Mean attention on the first token above which a head counts as a sink.
const SINK: f64 = 0.5;

const PROMPTS: [&str; 3] =
    ["The old man looked at the sea and", "It was a dark morning when", "This function returns the"];

/// Measures the model and writes its card.
pub(crate) fn write(
    recipe: &Recipe,
    corpus: &Corpus,
    sources: Option<&str>,
    trainer: &Trainer<'_>,
    model: &Model,
    tokenizer: &Tokenizer,
) -> Result<String> {
    let mut card = String::new();
    origin(&mut card, recipe, corpus, sources, trainer, model)?;
    quality(&mut card, corpus, trainer)?;
    tasks(&mut card, corpus, trainer)?;
    sinks(&mut card, corpus, model)?;
    samples(&mut card, model, tokenizer)?;
    Ok(card)
}

fn origin(
    card: &mut String,
    recipe: &Recipe,
    corpus: &Corpus,
    sources: Option<&str>,
    trainer: &Trainer<'_>,
    model: &Model,
) -> Result<()> {
    let (s, p) = (&recipe.shape, trainer.position());
    let style = match s.style {
        crate::model::Style::Large => {
            "1bitLLM/bitnet_b1_58-large: SiLU gate, `inner_attn_ln` and `ffn_layernorm`"
        }
        crate::model::Style::TwoB4T => {
            "microsoft/BitNet-b1.58-2B-4T: squared ReLU gate, `attn_sub_norm` and `ffn_sub_norm`"
        }
    };
    writeln!(card, "# {}\n", recipe.name)?;
    writeln!(
        card,
        "A small BitNet b1.58 (ternary weights, int8 activations) in the style of {style}. It exists so that every\n\
         command runs without a download. Its {} KV heads serve {} query heads.\n",
        s.kv_heads, s.query_heads
    )?;
    writeln!(card, "| | |\n|---|---|")?;
    writeln!(card, "| layers, hidden, feed-forward | {}, {}, {} |", s.layers, s.hidden, s.intermediate)?;
    writeln!(
        card,
        "| query heads, KV heads, head size | {}, {}, {} |",
        s.query_heads, s.kv_heads, s.head_dim
    )?;
    writeln!(
        card,
        "| vocabulary, positions, RoPE base | {}, {}, {} |",
        s.vocabulary, s.max_positions, s.rope_theta
    )?;
    let (count, bytes) = (trainer.model().parameter_count(), model.weight_bytes());
    writeln!(card, "| parameters, bytes in memory | {count}, {bytes} |")?;
    writeln!(card, "| training | {} steps, {} tokens, {:.0} s |\n", p.step, p.tokens, p.seconds)?;
    writeln!(
        card,
        "**Data.** {} training tokens of a byte-level BPE trained on the same text; in-context tasks (copy, recall) were\n\
         made on the fly. The text is not part of this repository; the weights are licensed like the rest of it.\n",
        corpus.train.len()
    )?;
    if let Some(sources) = sources {
        writeln!(card, "{}\n", sources.trim())?;
    }
    writeln!(
        card,
        "**Recipe.** `recipe.toml` beside this file: AdamW 0.9/0.95, gradient clipping at 1, straight-through\n\
         estimator, weight and data seeds {} and {}. `training-log.csv` is the whole log. Reproduce with\n\
         `bitkv train --recipe models/{}/recipe.toml --corpus DIR --out DIR --export DIR`.\n",
        recipe.seed, recipe.data_seed, recipe.name
    )?;
    Ok(())
}

fn quality(card: &mut String, corpus: &Corpus, trainer: &Trainer<'_>) -> Result<()> {
    let longest = trainer.model().shape.max_positions;
    let counted = baselines(&corpus.train, &corpus.valid, &corpus.token_bytes);
    writeln!(card, "## Held-out text\n\n| model | bits per byte |\n|---|---|")?;
    for length in [256, 512, 1024].into_iter().filter(|&n| n <= longest) {
        let bits = bits_per_byte(trainer.model(), corpus, Precision::Ternary, WINDOWS, length)?;
        writeln!(card, "| this, windows of {length} tokens | {bits:.3} |")?;
    }
    writeln!(card, "| trigram of the same tokens | {:.3} |", counted.trigram)?;
    writeln!(card, "| unigram of the same tokens | {:.3} |\n", counted.unigram)?;
    Ok(())
}

fn tasks(card: &mut String, corpus: &Corpus, trainer: &Trainer<'_>) -> Result<()> {
    let words = Words::new(&corpus.tokenizer)?;
    writeln!(
        card,
        "## In-context tasks\n\nAccuracy by the distance, in tokens, between what is shown and what is asked.\n"
    )?;
    let classes: Vec<String> = DISTANCES.iter().map(|d| format!("up to {d}")).collect();
    writeln!(card, "| task | {} |\n|---|{}", classes.join(" | "), "---|".repeat(DISTANCES.len()))?;
    for (name, kind) in [("copy", Kind::Copy), ("recall", Kind::Recall)] {
        let found = accuracy(trainer.model(), &words, Precision::Ternary, kind, SEQUENCES)?;
        let show = |a: &Accuracy| a.rate().map_or("-".to_owned(), |r| format!("{:.1} %", 100.0 * r));
        let cells: Vec<String> = found.iter().map(show).collect();
        writeln!(card, "| {name} | {} |", cells.join(" | "))?;
    }
    writeln!(
        card,
        "\nA class counts distances above the class before it. Copy: strings of 4 to 16 random words come back after\n\
         a random distance. Recall: lines of a key and a value; a key comes back and its value is asked.\n"
    )?;
    Ok(())
}

/// Mean attention of all queries but the first on the first token, per head.
fn sinks(card: &mut String, corpus: &Corpus, model: &Model) -> Result<()> {
    let length = 512.min(model.config().max_position_embeddings);
    let observe = Observe { accumulated: true, ..Observe::default() };
    let heads = model.config().num_attention_heads;
    let mut mass = vec![0.0; model.config().num_hidden_layers * heads];
    let sequences = corpus.validation(8, length);
    for sequence in &sequences {
        let observed = model.forward(&sequence.tokens, &mut model.new_cache(), Some(&observe))?.observed;
        for (sum, row) in mass.iter_mut().zip(observed.map(|o| o.accumulated).unwrap_or_default()) {
            // The first query sees the first token only.
            *sum += (row[0] as f64 - 1.0) / (length - 1) as f64 / sequences.len() as f64;
        }
    }
    let found: Vec<String> = mass
        .iter()
        .enumerate()
        .filter(|(_, m)| **m > SINK)
        .map(|(i, m)| format!("layer {} head {} ({m:.2})", i / heads, i % heads))
        .collect();
    let most = mass.iter().fold(0.0f64, |a, &b| a.max(b));
    writeln!(card, "## Attention sinks\n")?;
    if found.is_empty() {
        writeln!(
            card,
            "None: no head pays the first token more than half of its attention on average (most: {most:.2}, {length} tokens).\n"
        )?;
    } else {
        writeln!(
            card,
            "Heads that pay the first token more than half of their attention on average: {}.\n",
            found.join(", ")
        )?;
    }
    Ok(())
}

fn samples(card: &mut String, model: &Model, tokenizer: &Tokenizer) -> Result<()> {
    writeln!(card, "## Samples\n\nTemperature 0.7, top-p 0.9, seed 1; the prompt ends at the bar.\n")?;
    for prompt in PROMPTS {
        let tokens = tokenizer.encode(prompt, true)?;
        debug_assert_eq!(tokens.first(), Some(&BOS_ID));
        let options = GenerationOptions {
            max_tokens: 80,
            stop: model.config().eos_token_ids.clone(),
            sampling: Sampling::Random { temperature: 0.7, top_k: 0, top_p: 0.9, seed: 1 },
            repetition_penalty: 1.0,
        };
        let made = generate(model, &tokens, &mut model.new_cache(), &options, None, &mut |_| true)?;
        let text = tokenizer.decode(&made.tokens)?;
        let quoted = format!("{prompt} |{text}").replace('\n', "\n> ");
        writeln!(card, "> {quoted}\n")?;
    }
    Ok(())
}
