//! One page of a list that is in memory.

/// One page of a list.
#[derive(Clone, Debug)]
pub(crate) struct ListPage<T> {
    /// Rows of the page.
    pub(crate) rows: Vec<T>,
    /// Number of the page, from 0.
    pub(crate) number: usize,
    /// Number of pages; at least 1.
    pub(crate) pages: usize,
    /// Number of all rows.
    pub(crate) total: usize,
}

impl<T> ListPage<T> {
    /// Selects page `number`, from 0, or the last one if there are fewer. A page has `size` rows.
    pub(crate) fn new(all: Vec<T>, number: usize, size: usize) -> Self {
        let total = all.len();
        let pages = total.div_ceil(size.max(1)).max(1);
        let number = number.min(pages - 1);
        let rows = all.into_iter().skip(number * size).take(size);
        Self {
            rows: rows.collect(),
            number,
            pages,
            total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_beyond_the_last_is_the_last() {
        for (total, number, rows, is, pages) in [
            (0, 0, vec![], 0, 1),
            (0, 7, vec![], 0, 1),
            (2, 0, vec![0, 1], 0, 1),
            (4, 1, vec![2, 3], 1, 2),
            (5, 9, vec![4], 2, 3),
        ] {
            let page = ListPage::new((0..total).collect(), number, 2);
            assert_eq!(
                (page.rows, page.number, page.pages, page.total),
                (rows, is, pages, total)
            );
        }
    }
}
