//! Texts that resemble each other.

/// Returns the known name that `text` probably means: one that differs in case, or in at most two letters.
pub(crate) fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let text = text.to_lowercase();
    let near = |name: &&'a str| Some((distance(&text, name), *name)).filter(|(far, _)| *far <= 2);
    // A name of two letters resembles every other one.
    let is_similar = |(far, name): &(usize, &str)| *far < name.chars().count().min(text.len());
    let all = known.iter().filter_map(near).filter(is_similar);
    all.min().map(|(_, name)| name)
}

/// Returns the edit distance of two texts, in characters.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut last = i + 1;
        let mut corner = i;
        let mut next = vec![last];
        for (b, above) in other.chars().zip(row.iter().skip(1)) {
            last = (corner + usize::from(a != b)).min(above + 1).min(last + 1);
            corner = *above;
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        for (one, other, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("linux", "linus", 1),
            ("egistry", "registry", 1),
            ("ab", "ba", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn the_nearest_name_is_at_most_two_letters_away() {
        let known = ["username", "password", "js"];
        assert_eq!(nearest("Usrname", &known), Some("username"));
        assert_eq!(nearest("token", &known), None);
        assert_eq!(nearest("ab", &known), None);
    }
}
