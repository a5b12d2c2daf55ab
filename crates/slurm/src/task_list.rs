//! Lists of task numbers as Slurm writes them, such as `1-3,7%2`.

/// Returns ascending numbers as a list with ranges.
pub(crate) fn to_list(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |(start, end): &(usize, usize)| match start == end {
        true => start.to_string(),
        false => format!("{start}-{end}"),
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Returns the numbers of a list: `3`, `3-5%2`, `[3,5-7]`. What cannot be read is left out, because Slurm
/// shortens long lists to `1-9,...`.
pub(crate) fn from_list(list: &str) -> Vec<usize> {
    let list = list.trim_matches(['[', ']']);
    let list = list.split(['%', ']']).next().unwrap_or_default();
    let numbers = |part: &str| {
        let (start, end) = part.split_once('-').unwrap_or((part, part));
        let (start, end) = (start.parse::<usize>().ok()?, end.parse::<usize>().ok()?);
        // A list comes from another program, so an absurd range must not fill the memory.
        (end.checked_sub(start)? < 10_000_000).then_some(start..=end)
    };
    list.split(',').filter_map(numbers).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_back() {
        for (numbers, list) in
            [(&[1, 2, 3, 7][..], "1-3,7"), (&[4], "4"), (&[1, 3, 5, 6], "1,3,5-6"), (&[], "")]
        {
            assert_eq!(to_list(numbers), list);
            assert_eq!(from_list(list), numbers);
        }
        assert_eq!(from_list("3-5%2"), [3, 4, 5]);
        assert_eq!(from_list("[3,6-7%1]"), [3, 6, 7]);
        assert_eq!(from_list("1-2,..."), [1, 2]);
        assert_eq!(from_list("N/A"), Vec::<usize>::new());
    }
}
