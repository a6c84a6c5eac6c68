//! Texts that resemble each other.

use strsim::levenshtein;

/// Returns the known name that `text` probably means: one that differs in case, or in at most two letters.
pub(crate) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let text = text.to_lowercase();
    let near =
        |name: &&'a str| Some((levenshtein(&text, name), *name)).filter(|(far, _)| *far <= 2);
    // A name of two letters resembles every other one.
    let is_similar = |(far, name): &(usize, &str)| *far < name.chars().count().min(text.len());
    let all = known.iter().filter_map(near).filter(is_similar);
    all.min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_at_most_two_letters_away() {
        let known = ["username", "password", "js"];
        assert_eq!(nearest("Usrname", &known), Some("username"));
        assert_eq!(nearest("token", &known), None);
        assert_eq!(nearest("ab", &known), None);
    }
}
