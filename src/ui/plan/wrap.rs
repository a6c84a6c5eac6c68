//! Line breaks for sentences.

/// Returns the lines of `text`, of at most `width` characters if its words allow that.
pub(in crate::ui) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if length < room => {
                line.push(' ');
                line.push_str(word);
                room -= length + 1;
            }
            _ => {
                lines.push(word.to_owned());
                room = width.saturating_sub(length);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled_and_no_word_is_cut() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("one two", 6), ["one", "two"]);
        assert_eq!(
            wrap("a sha256:0123456789 b", 5),
            ["a", "sha256:0123456789", "b"]
        );
        assert_eq!(wrap("a b", 0), ["a", "b"]);
        assert!(wrap(" ", 10).is_empty());
    }
}
