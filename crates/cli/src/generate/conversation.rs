//! `bitkv generate --chat` without a prompt: several turns with one cache.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, Result, ensure};
use bitkv_bitnet::{GenerationOptions, StopReason};
use bitkv_lab::generation::{CacheHistory, Session};
use bitkv_models::LoadedModel;
use bitkv_tokenizer::{Chat, Message};
use serde_json::{Value, json};

use super::{Arguments, output, prompts};
use crate::verbosity;

/// A conversation, and the session that holds its cache.
struct Conversation<'a> {
    loaded: &'a LoadedModel,
    template: Chat,
    messages: Vec<Message>,
    session: Session<'a>,
    /// The rendered conversation up to the last answer, and the last answer as it was generated.
    read: String,
    answer: String,
    /// The last generated token, which was not run yet.
    pending: Option<u32>,
}

/// The prompt of a turn.
struct NextPrompt {
    tokens: Vec<u32>,
    /// Whether the whole conversation is read again, because the template changed what was read before.
    again: bool,
}

/// Reads one message per line from standard input and answers each. `session` returns a new session.
pub(super) fn run<'a>(
    arguments: &Arguments,
    loaded: &'a LoadedModel,
    options: &GenerationOptions,
    session: &dyn Fn() -> Session<'a>,
) -> Result<()> {
    let system = arguments.system.iter().map(|system| Message::new("system", system.clone()));
    let (messages, read, answer) = (system.collect(), String::new(), String::new());
    let template = prompts::chat(arguments, loaded)?;
    let mut conversation =
        Conversation { loaded, template, messages, session: session(), read, answer, pending: None };
    let input = std::io::stdin();
    let sign = input.is_terminal() && !arguments.json;
    let mut turns = Vec::new();
    loop {
        if sign {
            let _ = write!(std::io::stderr(), "> ");
            std::io::stderr().flush().ok();
        }
        let mut line = String::new();
        let bytes = input.lock().read_line(&mut line);
        if bytes.context("cannot read a message from standard input as UTF-8 text")? == 0 {
            break;
        }
        let message = line.trim_end_matches(['\n', '\r']);
        if !message.trim().is_empty() {
            turns.push(conversation.answer(message, arguments, options, session)?);
        }
    }
    ensure!(!turns.is_empty(), "standard input has no message: write one line for each turn");
    if arguments.json {
        let document = json!({
            "model": loaded.name,
            "load_seconds": loaded.load_seconds,
            "policy": arguments.policy,
            "budget": arguments.budget.to_json(),
            "every": arguments.every,
            "positions": arguments.positions().to_string(),
            "peak_rss_bytes": bitkv_bytes::peak_resident_bytes(),
            "turns": turns,
        });
        return crate::output::json(&document);
    }
    Ok(())
}

impl<'a> Conversation<'a> {
    /// Adds the message of the user, prints the answer, and returns the JSON of the turn.
    fn answer(
        &mut self,
        message: &str,
        arguments: &Arguments,
        options: &GenerationOptions,
        session: &dyn Fn() -> Session<'a>,
    ) -> Result<Value> {
        self.messages.push(Message::new("user", message));
        let rendered = self.template.render(&self.messages, true)?;
        let prompt = self.next_prompt(&rendered)?;
        if prompt.again {
            verbosity::note(
                "the chat template changes what was read in earlier turns, so the whole conversation is read again",
            );
            self.session = session();
        }
        let tokens = prompts::checked_length(arguments, "the turn", prompt.tokens, self.loaded)?;
        let mut stream = self.loaded.tokenizer()?.stream();
        let mut failed = None;
        let mut print = |id| {
            let printed = match arguments.json {
                true => Ok(()),
                false => stream.push(id).map_err(Into::into).and_then(|piece| output::print(&piece)),
            };
            printed.map_err(|error| failed = Some(error)).is_ok()
        };
        let turn = self.session.generate(std::slice::from_ref(&tokens), options, &mut |_, id| print(id));
        failed.map_or(Ok(()), Err)?;
        let made = turn?.generated.remove(0);
        if !arguments.json {
            output::print(&(stream.finish()? + "\n"))?;
        }
        let text = output::text(self.loaded, &made)?.unwrap_or_default();
        (self.read, self.answer) = (rendered, text.clone());
        // A token is run before the stop token after it is chosen.
        let is_run = matches!(made.stop, StopReason::Token(_));
        self.pending = made.tokens.last().copied().filter(|_| !is_run);
        self.messages.push(Message::new("assistant", text.clone()));
        let history = self.session.histories().next().unwrap_or_default();
        let cache_bytes = self.session.caches()[0].bytes();
        if !arguments.json {
            verbosity::summary(&note(&history, made.tokens.len(), made.decode_seconds, cache_bytes));
        }
        Ok(json!({
            "message": message,
            "prompt_tokens": tokens,
            "read_again": prompt.again,
            "tokens": made.tokens,
            "text": text,
            "stop": output::stop(made.stop),
            "prefill_seconds": made.prefill_seconds,
            "decode_seconds": made.decode_seconds,
            "kept_entries": history.kept_entries,
            "evictions": history.evictions,
            "cache_bytes": cache_bytes,
            "most_cache_bytes": history.most_bytes.max(cache_bytes),
        }))
    }

    /// Returns the tokens of the rendered conversation that were not read yet.
    fn next_prompt(&self, rendered: &str) -> Result<NextPrompt> {
        let tokenizer = self.loaded.tokenizer()?;
        let Some(new) = self.unread(rendered)? else {
            return Ok(NextPrompt { tokens: tokenizer.encode_bare(rendered)?, again: true });
        };
        let tokens = self.pending.into_iter().chain(tokenizer.encode_bare(&new)?).collect();
        Ok(NextPrompt { tokens, again: false })
    }

    /// Returns the part of the rendered conversation after the last answer; `None` if the template changes
    /// what was read before the answer. A template may trim the answer, which stays in the cache as it was
    /// generated.
    fn unread(&self, rendered: &str) -> Result<Option<String>> {
        if let Some(new) = rendered.strip_prefix(&*(self.read.clone() + &self.answer)) {
            return Ok(Some(new.into()));
        }
        let earlier = &self.messages[..self.messages.len() - 1];
        let (past, answer) = (self.template.render(earlier, false)?, self.answer.trim());
        let Some(new) = rendered.strip_prefix(&past) else { return Ok(None) };
        let found = past.rfind(answer).filter(|at| past[..*at].trim_end() == self.read.trim_end());
        Ok(found.map(|at| past[at + answer.len()..].to_owned() + new))
    }
}

/// Returns the summary of a turn.
fn note(history: &CacheHistory, tokens: usize, seconds: f64, cache_bytes: usize) -> String {
    let speed = tokens as f64 / seconds.max(1e-9);
    let evicted = output::eviction_note(history);
    format!("[{tokens} tokens in {seconds:.2} s ({speed:.1} tokens/s), cache {cache_bytes} bytes{evicted}]")
}
