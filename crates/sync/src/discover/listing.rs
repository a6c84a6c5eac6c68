//! Images that a list of tags names.

use registry::Target;

use crate::discover::Search;
use crate::failure::Failure;
use crate::rule::Pattern;

impl Search<'_> {
    /// Sends off every tag that `pattern` is found in (`None`: every tag), page by page; says why there was none.
    pub(super) async fn list(
        &mut self,
        pattern: Option<&Pattern>,
    ) -> Result<Option<String>, Failure> {
        let sources = &self.discoverer.source_tags;
        let mut pages = sources.read(&self.rule.source.repository);
        let (mut looked_at, mut wanted) = (0_usize, 0_usize);
        loop {
            let page = self.cancel.run_until_cancelled(pages.next()).await;
            let page = page.ok_or_else(Failure::interrupted)??;
            let Some(tags) = page else { break };
            looked_at += tags.len();
            for tag in tags {
                if pattern.is_none_or(|pattern| pattern.matches(&tag)) {
                    let target = Target::Tag(tag.clone());
                    self.send(target, Some(&tag), wanted).await?;
                    wanted += 1;
                }
            }
        }
        Ok(match pattern {
            _ if looked_at == 0 => Some("the repository has no tags".to_owned()),
            Some(pattern) if wanted == 0 => Some(format!(
                "no tag matches /{}/ ({looked_at} tags looked at)",
                pattern.as_str()
            )),
            _ => None,
        })
    }
}
