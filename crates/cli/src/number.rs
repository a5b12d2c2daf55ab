//! Reads the numbers of all options, so that each error says what to write.

use std::{any::TypeId, num::IntErrorKind, str::FromStr};

use clap::{Arg, Command};

/// Returns the command line with the parsers of this file for every option that takes a number. A negative
/// number is then a value, which the parser refuses, and not an unknown option.
pub(crate) fn with_number_parsers(command: Command) -> Command {
    command.mut_subcommands(|subcommand| with_number_parsers(subcommand.mut_args(with_parser)))
}

fn with_parser(argument: Arg) -> Arg {
    let kind = argument.get_value_parser().type_id();
    if kind == TypeId::of::<usize>() {
        argument.value_parser(whole::<usize>).allow_negative_numbers(true)
    } else if kind == TypeId::of::<u64>() {
        argument.value_parser(whole::<u64>).allow_negative_numbers(true)
    } else if kind == TypeId::of::<f64>() {
        argument.value_parser(real::<f64>).allow_negative_numbers(true)
    } else if kind == TypeId::of::<f32>() {
        argument.value_parser(real::<f32>).allow_negative_numbers(true)
    } else {
        argument
    }
}

/// Parses a whole number.
fn whole<T: FromStr<Err = std::num::ParseIntError>>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        IntErrorKind::Empty => "write a number before and after each comma",
        IntErrorKind::PosOverflow => "write a smaller whole number",
        _ if text.parse::<f64>().is_ok_and(|number| number < 0.0) => "write a whole number of 0 or more",
        _ => "write a whole number such as 512",
    })
}

/// Parses a number with a fraction.
fn real<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| match text {
        "" => "write a number before and after each comma",
        _ => "write a number such as 0.5",
    })
}

#[cfg(test)]
mod tests {
    use super::{real, whole};

    #[test]
    fn numbers_are_read_or_refused_with_a_remedy() {
        assert_eq!(whole::<usize>("512"), Ok(512));
        assert_eq!(real::<f64>("-0.5"), Ok(-0.5));
        for (text, remedy) in [
            ("", "before and after each comma"),
            ("-1", "0 or more"),
            ("-1.5", "0 or more"),
            ("1.5", "such as 512"),
            ("1k", "such as 512"),
            ("99999999999999999999", "smaller"),
        ] {
            assert!(whole::<u64>(text).unwrap_err().contains(remedy), "{text}");
        }
        assert!(real::<f32>("50%").unwrap_err().contains("such as 0.5"));
    }
}
