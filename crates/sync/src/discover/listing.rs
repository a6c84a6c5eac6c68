//! Images that a list of tags names.

use registry::Target;

use crate::discover::Search;
use crate::discover::orphans::HeldBack;
use crate::failure::Failure;
use crate::rule::Pattern;

impl Search<'_> {
    /// Sends off every tag that `pattern` is found in (`None`: every tag), page by page, but for those that are held
    /// back; says why there was none.
    pub(super) async fn list(
        &mut self,
        pattern: Option<&Pattern>,
    ) -> Result<Option<String>, Failure> {
        let sources = &self.discoverer.source_tags;
        let mut pages = sources.read(&self.rule.source.repository);
        let referrers = self.discoverer.referrers.as_ref();
        self.held_back = referrers.map(|referrers| HeldBack::new(pages.list(), referrers));
        let (mut looked_at, mut matched) = (0_usize, 0_usize);
        loop {
            let page = self.cancel.run_until_cancelled(pages.next()).await;
            let page = page.ok_or_else(Failure::interrupted)??;
            let Some(tags) = page else { break };
            looked_at += tags.len();
            for tag in tags {
                if pattern.is_some_and(|pattern| !pattern.matches(&tag)) {
                    continue;
                }
                matched += 1;
                if !self.holds_back(&tag) {
                    let target = Target::Tag(tag.clone());
                    self.send(target, Some(&tag), self.wanted).await?;
                    self.wanted += 1;
                }
            }
        }
        Ok(match pattern {
            _ if looked_at == 0 => Some("the repository has no tags".to_owned()),
            Some(pattern) if matched == 0 => Some(format!(
                "no tag matches /{}/ ({looked_at} tags looked at)",
                pattern.as_str()
            )),
            _ => None,
        })
    }
}
