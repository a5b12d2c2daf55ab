//! Where the tokens of an answer are in a context.

/// Returns the positions of the tokens of `answer`, if it follows `prompt` in the context. `[answer]`; empty
/// if the context does not have the two in a row.
pub(super) fn after_prompt(context: &[u32], prompt: &[u32], answer: &[u32]) -> Vec<u32> {
    let whole = [prompt, answer].concat();
    let Some(start) = context.windows(whole.len()).position(|window| window == whole) else {
        return Vec::new();
    };
    let first = (start + prompt.len()) as u32;
    (first..first + answer.len() as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_after_its_prompt() {
        let context = [9, 2, 3, 1, 2, 4, 5, 2];
        assert_eq!(after_prompt(&context, &[2], &[4, 5]), [5, 6]);
        assert_eq!(after_prompt(&context, &[1, 2], &[4]), [5]);
        assert_eq!(after_prompt(&context, &[2], &[3, 1]), [2, 3]);
        assert!(after_prompt(&context, &[4], &[3]).is_empty());
    }
}
