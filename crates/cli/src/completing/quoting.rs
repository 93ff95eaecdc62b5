//! A candidate as the word that a shell is given.

use super::line::Quotes;
use super::request::Request;
use crate::shells::Shell;

/// The word that means exactly this value there; none where it cannot be written.
///
/// Zsh, fish and Elvish quote what they are given. Bash and PowerShell put it into the command line as
/// it is, where `$(…)` in a file's name would be run.
pub(super) fn quoted(value: &str, request: &Request) -> Option<String> {
    match request.shell {
        Shell::Bash => {
            let rest: String = value.chars().skip(request.kept).collect();
            for_bash(&rest, request.quotes, request.kept == 0)
        }
        Shell::Powershell => for_powershell(value),
        Shell::Zsh | Shell::Fish | Shell::Elvish => Some(value.to_owned()),
    }
}

fn for_bash(value: &str, quotes: Quotes, is_start: bool) -> Option<String> {
    match quotes {
        Quotes::Single => (!value.contains('\'')).then(|| value.to_owned()),
        // What stands for a line of the history cannot be written there.
        Quotes::Double if value.contains('!') => None,
        Quotes::Double => Some(escaped(value, |letter| matches!(letter, '$' | '`' | '"' | '\\'))),
        Quotes::None => {
            let is_plain = |letter: char| {
                letter.is_ascii_alphanumeric()
                    || "_-./:=@%+,".contains(letter)
                    || (!letter.is_ascii() && letter.is_alphanumeric())
            };
            let word = escaped(value, |letter| letter != '~' && !is_plain(letter));
            // A tilde stands for a home directory at the start of a word.
            Some(if is_start && word.starts_with('~') { format!("\\{word}") } else { word })
        }
    }
}

fn escaped(value: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut word = String::with_capacity(value.len());
    for letter in value.chars() {
        if is_special(letter) {
            word.push('\\');
        }
        word.push(letter);
    }
    word
}

fn for_powershell(value: &str) -> Option<String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./\\:=%+".contains(letter);
    if !value.is_empty() && value.chars().all(is_plain) {
        return Some(value.to_owned());
    }
    // PowerShell takes each of these for a quote.
    let is_quote = |letter: char| matches!(letter, '\'' | '\u{2018}'..='\u{201b}');
    (!value.chars().any(is_quote)).then(|| format!("'{value}'"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("p1", Quotes::None, Some("p1"))]
    #[case("a b", Quotes::None, Some("a\\ b"))]
    #[case("$(touch x)`y`;z&", Quotes::None, Some("\\$\\(touch\\ x\\)\\`y\\`\\;z\\&"))]
    #[case("~root", Quotes::None, Some("\\~root"))]
    #[case("a~", Quotes::None, Some("a~"))]
    #[case("!x", Quotes::None, Some("\\!x"))]
    #[case("ä", Quotes::None, Some("ä"))]
    #[case("$(x) 'a\"", Quotes::Double, Some("\\$(x) 'a\\\""))]
    #[case("a!", Quotes::Double, None)]
    #[case("$(x)!", Quotes::Single, Some("$(x)!"))]
    #[case("it's", Quotes::Single, None)]
    fn bash_takes_a_candidate_as_one_word(
        #[case] value: &str,
        #[case] quotes: Quotes,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(for_bash(value, quotes, true).as_deref(), expected);
    }

    #[rstest]
    #[case("p1", Some("p1"))]
    #[case("$(x) a", Some("'$(x) a'"))]
    #[case("a\u{2019}; x", None)]
    #[case("a'b", None)]
    fn powershell_takes_a_candidate_as_one_word(
        #[case] value: &str,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(for_powershell(value).as_deref(), expected);
    }
}
