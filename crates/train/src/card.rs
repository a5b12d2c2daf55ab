//! Writes the model card: the origin of a model, what it can do and what it cannot.

use std::fmt::Write as _;

use bitkv_bitnet::{GenerationOptions, Model, Probes, Sampling, generate};
use bitkv_tokenizer::Tokenizer;

use crate::{
    Result,
    baseline::baselines,
    corpus::Corpus,
    evaluate::{Accuracy, DISTANCES, bits_per_byte, task_accuracy},
    model::Style,
    ops::Precision,
    recipe::Recipe,
    tasks::{TrainingTask, Words},
    trainer::Trainer,
    vocabulary::BOS_ID,
};

/// The number of held-out windows of the final evaluation.
const WINDOWS: usize = 128;
/// The number of sequences per task and distance class.
const SEQUENCES: usize = 64;
/// The mean attention on the first token above which a head counts as a sink.
const SINK: f64 = 0.5;

const PROMPTS: [&str; 3] =
    ["The old man looked at the sea and", "It was a dark morning when", "This function returns the"];

/// Measures the model and returns its card in Markdown.
pub(crate) fn write(
    recipe: &Recipe,
    corpus: &Corpus,
    sources: Option<&str>,
    trainer: &Trainer<'_>,
    model: &Model,
    tokenizer: &Tokenizer,
) -> Result<String> {
    let mut card = String::new();
    write_origin(&mut card, recipe, corpus, sources, trainer, model)?;
    write_quality(&mut card, corpus, trainer)?;
    write_tasks(&mut card, corpus, trainer)?;
    write_sinks(&mut card, corpus, model)?;
    write_samples(&mut card, model, tokenizer)?;
    Ok(card)
}

/// Writes the shape, the data and the recipe.
fn write_origin(
    card: &mut String,
    recipe: &Recipe,
    corpus: &Corpus,
    sources: Option<&str>,
    trainer: &Trainer<'_>,
    model: &Model,
) -> Result<()> {
    let (s, p) = (&recipe.shape, trainer.position());
    let style = match s.style {
        Style::Large => "1bitLLM/bitnet_b1_58-large: SiLU gate, `inner_attn_ln` and `ffn_layernorm`",
        Style::TwoB4T => {
            "microsoft/BitNet-b1.58-2B-4T: squared ReLU gate, `attn_sub_norm` and `ffn_sub_norm`"
        }
    };
    let (layers, hidden, intermediate) = (s.layers, s.hidden, s.intermediate);
    let (queries, kv, width) = (s.query_heads, s.kv_heads, s.head_dim);
    let (vocabulary, positions, base) = (s.vocabulary, s.max_positions, s.rope_theta);
    let (count, bytes) = (trainer.model().parameter_count(), model.weight_bytes());
    let (name, seed, data_seed) = (&recipe.name, recipe.seed, recipe.data_seed);
    let sources = sources.map_or_else(String::new, |sources| format!("{}\n\n", sources.trim()));
    write!(
        card,
        "# {name}\n\n\
         A small BitNet b1.58 (ternary weights, int8 activations) in the style of {style}. \
         It exists so that every\n\
         command runs without a download. Its {kv} KV heads serve {queries} query heads.\n\n\
         | | |\n|---|---|\n\
         | layers, hidden, feed-forward | {layers}, {hidden}, {intermediate} |\n\
         | query heads, KV heads, head size | {queries}, {kv}, {width} |\n\
         | vocabulary, positions, RoPE base | {vocabulary}, {positions}, {base} |\n\
         | parameters, bytes in memory | {count}, {bytes} |\n\
         | training | {} steps, {} tokens, {:.0} s |\n\n\
         **Data.** {} training tokens of a byte-level BPE trained on the same text; in-context \
         tasks (copy, recall) were\n\
         generated during training. The text is not part of this repository; the weights are licensed like the \
         rest of it.\n\n\
         {sources}\
         **Recipe.** `recipe.toml` beside this file: AdamW 0.9/0.95, gradient clipping at 1, \
         straight-through\n\
         estimator, weight and data seeds {seed} and {data_seed}. `training-log.csv` is the complete log. \
         Reproduce with\n\
         `bitkv train --recipe models/{name}/recipe.toml --corpus DIR --out DIR --export DIR`.\n\n",
        p.step,
        p.tokens,
        p.seconds,
        corpus.train.len()
    )?;
    Ok(())
}

/// Writes the bits per byte on held-out text, next to the baselines.
fn write_quality(card: &mut String, corpus: &Corpus, trainer: &Trainer<'_>) -> Result<()> {
    let longest = trainer.model().shape.max_positions;
    let counted = baselines(&corpus.train, &corpus.valid, &corpus.token_bytes);
    writeln!(card, "## Held-out text\n\n| model | bits per byte |\n|---|---|")?;
    for length in [256, 512, 1024].into_iter().filter(|&n| n <= longest) {
        let bits = bits_per_byte(trainer.model(), corpus, Precision::Ternary, WINDOWS, length)?;
        writeln!(card, "| this model, windows of {length} tokens | {bits:.3} |")?;
    }
    writeln!(card, "| trigram model of the same tokens | {:.3} |", counted.trigram)?;
    writeln!(card, "| unigram model of the same tokens | {:.3} |\n", counted.unigram)?;
    Ok(())
}

/// Writes the accuracies of the in-context tasks.
fn write_tasks(card: &mut String, corpus: &Corpus, trainer: &Trainer<'_>) -> Result<()> {
    let words = Words::new(&corpus.tokenizer)?;
    writeln!(
        card,
        "## In-context tasks\n\nAccuracy by the distance, in tokens, between an answer and its earlier occurrence.\n"
    )?;
    let classes: Vec<String> = DISTANCES.iter().map(|d| format!("up to {d}")).collect();
    writeln!(card, "| task | {} |\n|---|{}", classes.join(" | "), "---|".repeat(DISTANCES.len()))?;
    for (name, kind) in [("copy", TrainingTask::Copy), ("recall", TrainingTask::Recall)] {
        let found = task_accuracy(trainer.model(), &words, Precision::Ternary, kind, SEQUENCES)?;
        let percent = |a: &Accuracy| a.rate().map_or("-".to_owned(), |r| format!("{:.1} %", 100.0 * r));
        let cells: Vec<String> = found.iter().map(percent).collect();
        writeln!(card, "| {name} | {} |", cells.join(" | "))?;
    }
    writeln!(
        card,
        "\nA class counts distances above those of the class before it. Copy: strings of 4 to 16 random words are\n\
         repeated after a random distance. Recall: lines of a key and a value; a key is repeated, and the model\n\
         must give its value.\n"
    )?;
    Ok(())
}

/// Writes which heads are attention sinks: the mean attention that all queries except the first pay to the
/// first token.
fn write_sinks(card: &mut String, corpus: &Corpus, model: &Model) -> Result<()> {
    let length = 512.min(model.config().max_position_embeddings);
    let probes = Probes { accumulated: true, ..Probes::default() };
    let heads = model.config().num_attention_heads;
    let mut mass = vec![0.0; model.config().num_hidden_layers * heads];
    let sequences = corpus.validation_windows(8, length);
    for sequence in &sequences {
        let probed = model.forward(&sequence.tokens, &mut model.new_cache(), Some(&probes))?.probed;
        for (sum, row) in mass.iter_mut().zip(probed.map(|o| o.accumulated).unwrap_or_default()) {
            // The first query sees only the first token.
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
    let found = match found.is_empty() {
        true => format!(
            "None: no head pays more than half of its attention to the first token, averaged over {length} tokens \
             (largest: {most:.2})."
        ),
        false => format!(
            "Heads that pay more than half of their attention to the first token on average: {}.",
            found.join(", ")
        ),
    };
    writeln!(card, "## Attention sinks\n\n{found}\n")?;
    Ok(())
}

/// Writes generated text for a few prompts.
fn write_samples(card: &mut String, model: &Model, tokenizer: &Tokenizer) -> Result<()> {
    writeln!(card, "## Samples\n\nTemperature 0.7, top-p 0.9, seed 1; the prompt ends at the bar (`|`).\n")?;
    for prompt in PROMPTS {
        let tokens = tokenizer.encode(prompt)?;
        debug_assert_eq!(tokens.first(), Some(&BOS_ID));
        let options = GenerationOptions {
            max_tokens: 80,
            stop: model.config().eos_token_ids.clone(),
            sampling: Sampling::Random { temperature: 0.7, top_k: 0, top_p: 0.9, seed: 1 },
            repetition_penalty: 1.0,
        };
        let generated = generate(model, &tokens, &mut model.new_cache(), &options, None, &mut |_| true)?;
        let text = tokenizer.decode(&generated.tokens)?;
        let quoted = format!("{prompt} |{text}").replace('\n', "\n> ");
        writeln!(card, "> {quoted}\n")?;
    }
    Ok(())
}
