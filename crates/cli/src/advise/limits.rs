//! Reads the limits of `bitkv advise`.

use anyhow::{Result, anyhow, bail, ensure};
use bitkv_record::ScoredTask;
use bitkv_report::advice::{Limits, TaskLoss};

use super::Arguments;
use crate::budget::Bytes;

/// Returns the limits of the arguments.
///
/// # Errors
/// When a limit allows nothing, is not a number, or names an unknown task. The message names the option.
pub(super) fn read(arguments: &Arguments) -> Result<Limits> {
    let losses = arguments.max_loss.iter().map(|text| loss(text)).collect::<Result<Vec<_>>>()?;
    if let Some(i) = (1..losses.len()).find(|&i| losses[..i].iter().any(|other| other.task == losses[i].task))
    {
        bail!("--max-loss limits {} twice: give one limit for a task", losses[i].task);
    }
    if let Some(nats) = arguments.max_kl {
        ensure!(
            nats.is_finite() && nats > 0.0,
            "--max-kl {nats} is not a limit: give a number of nats above 0, such as 0.01"
        );
    }
    Ok(Limits {
        cache_bytes: bytes("--memory", arguments.memory)?,
        total_bytes: bytes("--total-memory", arguments.total_memory)?,
        kl: arguments.max_kl,
        losses,
    })
}

fn bytes(option: &str, limit: Option<Bytes>) -> Result<Option<u64>> {
    ensure!(limit != Some(Bytes(0)), "{option} 0 holds nothing: give a number of bytes, such as 64MiB");
    Ok(limit.map(|Bytes(bytes)| bytes as u64))
}

/// Reads a limit such as `recall=5%` or `recall=0.05`.
fn loss(text: &str) -> Result<TaskLoss> {
    let refused = || anyhow!("--max-loss {text} is not a limit: write a task and a share, such as recall=5%");
    let (task, share) = text.split_once('=').ok_or_else(refused)?;
    let task: ScoredTask = task.trim().parse().map_err(|reason| anyhow!("--max-loss {text}: {reason}"))?;
    ensure!(
        task != ScoredTask::TEXT,
        "--max-loss {text}: a text asks no questions: use --max-kl for texts, or name a retrieval task"
    );
    let share = share.trim();
    let (number, scale) = match share.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (share, 1.0),
    };
    let share = number.parse::<f64>().map_err(|_| refused())? / scale;
    ensure!(
        share > 0.0 && share < 1.0,
        "--max-loss {text}: the share that may be lost is above 0 and below 100 %, such as 5%"
    );
    Ok(TaskLoss { task, share })
}

#[cfg(test)]
mod tests {
    use super::loss;

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        for text in ["recall=5%", "recall=0.05", " recall = 5 %"] {
            let limit = loss(text).unwrap();
            assert_eq!((limit.task.to_string().as_str(), limit.share), ("recall", 0.05), "{text}");
        }
        assert_eq!(loss("passkey-aware=50%").unwrap().task.to_string(), "passkey-aware");
        for wrong in
            ["recall", "recall=", "recall=x", "recall=0", "recall=-5%", "recall=100%", "recall=NaN", "=5%"]
        {
            assert!(loss(wrong).unwrap_err().to_string().starts_with("--max-loss"), "{wrong}");
        }
    }
}
